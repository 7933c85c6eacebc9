#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""report.py DIR - DIR/benchmarks.md and its charts from DIR/benchmarks.tsv.

The page is made, never edited: every number in it comes from the figures of one
run. Without matplotlib (Debian: python3-matplotlib) it has no charts and says so.
"""
import collections
import csv
import os
import platform
import re
import subprocess
import sys

GROUPS = {
    "mutex": "A mutex",
    "cond": "A condition with its mutex",
    "rwlock": "A readers-writer lock",
    "alone": "Other objects, uncontended",
    "lot": "The lot",
    "async": "Locks for tasks of event loops",
    "work": "Work for the thread pool, under a lock",
    "keyed": "A mutex for each key",
}

PACKAGES = ["libc6", "libuv1", "libnsync1", "libabsl20220623", "libstdc++6",
            "librust-parking-lot-dev", "librust-tokio-dev",
            "librust-async-lock-dev"]

COLOURS = {"ours": "#c2410c", "peer": "#64748b", "floor": "#cbd5e1"}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = sys.argv[1]
    cells = read(os.path.join(directory, "benchmarks.tsv"))
    charts = draw(directory, cells)
    with open(os.path.join(directory, "benchmarks.md"), "w") as page:
        head(page, cells)
        goals(page, cells, os.path.join(directory, "goals.tsv"))
        write(page, cells, charts)
        sizes(page, os.path.join(directory, "sizes.tsv"))


def goals(page, cells, path):
    """What was met and what was not, as parkade-bench has judged."""
    with open(path) as lines:
        rows = list(csv.DictReader(lines, delimiter="\t",
                                   quoting=csv.QUOTE_NONE))
    if not rows:
        return
    count = collections.Counter(row["verdict"] for row in rows)
    page.write("\n## Goals\n\nOf %d goals %d are met, %d missed" % (
        len(rows), count["met"], count["MISSED"]))
    page.write(", %d open (no such peer, or not measured).\n" % count["open"]
               if count["open"] else ".\n")
    page.write("\n| workload | goal | measured | |\n"
               "| --- | --- | ---: | --- |\n")
    for row in rows:
        title = cells[row["of"]][0]["title"] if row["of"] in cells else row["of"]
        page.write("| %s | %s | %s | %s |\n" % (
            title, row["goal"], row["got"],
            "**missed**" if row["verdict"] == "MISSED" else row["verdict"]))


def sizes(page, path):
    """Lines of the first column "Title: ..." begin a table."""
    if not os.path.exists(path):
        return
    page.write("\n## Bytes and allocations\n")
    with open(path) as lines:
        for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if ":" in row[0]:
                page.write("\n| %s |\n|%s\n" % (
                    " | ".join(row), " --- |" + " ---: |" * (len(row) - 1)))
            else:
                page.write("| %s |\n" % " | ".join(row))


def read(path):
    cells = collections.OrderedDict()
    with open(path) as figures:
        for row in csv.DictReader(figures, delimiter="\t",
                                  quoting=csv.QUOTE_NONE):
            cells.setdefault(row["cell"], []).append(row)
    return cells


def groups_of(cells):
    groups = collections.OrderedDict()
    for name in cells:
        groups.setdefault(name.split("/")[0], []).append(name)
    return groups


# --- the page ----------------------------------------------------------------

def head(page, cells):
    page.write("# Benchmarks\n\n"
               "Made by `./dev bench --out DIR`; see `bench/` for what is "
               "measured and how.\n\n")
    page.write(machine() + "\n\n")
    page.write(
        "Each figure is the median over interleaved rounds; *ratio* is the "
        "median of the peer's time over Parkade's in the same round (above 1: "
        "Parkade is faster). *cpu* is the time of all processors per operation. "
        "*least/most* compares the operations of the threads. *longest* is the "
        "longest wait of a thread.\n")
    page.write(disturbance(cells) + "\n")


def write(page, cells, charts):
    for group, names in groups_of(cells).items():
        page.write("\n## %s\n" % GROUPS.get(group, group))
        if group in charts:
            page.write("\n![%s](%s)\n" % (GROUPS.get(group, group),
                                          charts[group]))
        for name in names:
            table(page, cells[name])


def table(page, rows):
    page.write("\n### %s\n\nPer %s:\n\n" % (rows[0]["title"], rows[0]["op"]))
    page.write("| | median | least | ratio | cpu | least/most | longest |\n"
               "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
    for row in rows:
        name = row["candidate"]
        if row["role"] == "ours":
            name = "**%s**" % name
        elif row["role"] == "floor":
            name = "*%s* (floor)" % name
        fair = float(row["fair"])
        page.write("| %s | %s | %s | %.2f | %s | %s | %s |\n" % (
            name, span(row["ns"]), span(row["best"]), float(row["ratio"]),
            span(row["cpu"]), "%.2g" % fair if fair else "",
            span(row["longest"])))
    whole = float(rows[0]["whole"])
    if whole:
        page.write("\nAll %d of them, in ms:\n\n| | wall | user | sys |\n"
                   "| --- | ---: | ---: | ---: |\n" % whole)
        for row in rows:
            wall, cpu, system = (float(row[name]) * whole / 1e6
                                 for name in ("ns", "cpu", "sys"))
            page.write("| %s | %.1f | %.1f | %.1f |\n" % (
                row["candidate"], wall, cpu - system, system))


def span(text):
    ns = float(text)
    if ns <= 0:
        return ""
    for limit, factor, unit in ((1e3, 1, "ns"), (1e6, 1e3, "us"),
                                (1e9, 1e6, "ms")):
        if ns < limit:
            return "%.3g %s" % (ns / factor, unit)
    return "%.3g s" % (ns / 1e9)


def disturbance(cells):
    rounds = sum(int(row["rounds"]) for rows in cells.values() for row in rows)
    bad = sum(int(rows[0]["disturbed"]) for rows in cells.values())
    share = 100.0 * bad / max(rounds, 1)
    text = ("\n%.0f %% of the rounds were disturbed by other load and repeated "
            "in vain." % share)
    if share > 10:
        text += (" **This machine was busy: believe the ratios with care and "
                 "the absolute numbers not at all.**")
    return text


def machine():
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as info:
            found = re.search(r"model name\s*:\s*(.*)", info.read())
            model = found.group(1) if found else model
    except OSError:
        pass
    lines = ["%s, %d processors, %s %s." % (model, os.cpu_count() or 1,
                                            platform.system(),
                                            platform.release())]
    versions = [v for v in (version(p) for p in PACKAGES) if v]
    if versions:
        lines.append("Peers: %s." % ", ".join(versions))
    return "\n".join(lines)


def version(package):
    try:
        shown = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}\\n", package],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return None
    lines = shown.stdout.splitlines()
    return "%s %s" % (package, lines[0]) if lines else None


# --- the charts --------------------------------------------------------------

def draw(directory, cells):
    """One SVG a group, a small chart a cell. Returns group -> file name."""
    try:
        import matplotlib
        matplotlib.use("svg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("report.py: no charts: python3-matplotlib is not installed",
              file=sys.stderr)
        return {}
    plt.rcParams["svg.hashsalt"] = "parkade"
    charts = {}
    for group, names in groups_of(cells).items():
        across = 3
        down = (len(names) + across - 1) // across
        figure, axes = plt.subplots(down, across, squeeze=False,
                                    figsize=(12, 2.6 * down))
        for axis in axes.flat[len(names):]:
            axis.axis("off")
        for axis, name in zip(axes.flat, names):
            bars(axis, cells[name])
        figure.tight_layout()
        charts[group] = "benchmarks-%s.svg" % group
        figure.savefig(os.path.join(directory, charts[group]),
                       metadata={"Date": None})
        plt.close(figure)
    return charts


def bars(axis, rows):
    rows = list(reversed(rows))
    values = [float(row["ns"]) for row in rows]
    axis.barh([row["candidate"] for row in rows], values,
              color=[COLOURS[row["role"]] for row in rows])
    axis.set_title(rows[0]["title"], fontsize=8)
    axis.tick_params(labelsize=6)
    if max(values) > 50 * min(values):
        axis.set_xscale("log")
    axis.set_xlabel("ns per %s" % rows[0]["op"], fontsize=6)


if __name__ == "__main__":
    main()
