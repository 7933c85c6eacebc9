/* SPDX-License-Identifier: MIT
 *
 * deadlock_report.c - from what was found to the reader.
 *
 * To stderr in one write, so that two threads' reports do not mix; the frames
 * follow by the system's own means. No stdio and no allocation: the lock that is
 * deadlocked may be theirs. */
#include "deadlock.h"

#include "os/os.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

struct text {
  char line[4096];
  size_t length;
};

static __attribute__((format(printf, 2, 3))) void say(struct text* text,
                                                      const char* format, ...) {
  size_t room = sizeof text->line - text->length;
  va_list args;
  int n;

  va_start(args, format);
  n = vsnprintf(text->line + text->length, room, format, args);
  va_end(args);
  if (n > 0)
    text->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void say_site(struct text* text, const char* file, int line) {
  if (file != NULL)
    say(text, " (%s:%d)", file, line);
}

static void say_step(struct text* text, const pkd_deadlock_step_t* step) {
  say(text, "  thread %p", (void*)step->thread);
  if (step->holds != NULL) {
    say(text, " holds %p", step->holds);
    say_site(text, step->held_file, step->held_line);
    say(text, ",");
  }
  if (step->wants != NULL)
    say(text, " wants %s %p", step->kind, step->wants);
  else
    say(text, " waits for a thread to end");
  say_site(text, step->want_file, step->want_line);
  say(text, "\n");
}

static void print(const pkd_deadlock_report_t* report) {
  struct text text = {.length = 0};

  if (report->verdict == PKD_DEADLOCK_POTENTIAL && report->count == 1)
    say(&text, "parkade: potential deadlock: a read within a read, should a "
               "writer come between\n");
  else if (report->verdict == PKD_DEADLOCK_POTENTIAL)
    say(&text, "parkade: potential deadlock: these orders contradict each other"
               "\n");
  else if (report->count == 1)
    say(&text, "parkade: deadlock: a thread waits for itself\n");
  else
    say(&text, "parkade: deadlock: %zu threads wait for each other\n",
        report->count);
  for (size_t i = 0; i < report->count; i++)
    say_step(&text, &report->steps[i]);
  if (report->depth != 0)
    say(&text, "  found here:\n");
  if (write(STDERR_FILENO, text.line, text.length) < 0) {
    /* nobody to tell */
  }
  pkd__os_print_frames(report->frames, (int)report->depth);
}

void pkd__report(const struct pkd__finding* finding, pkd_deadlock_cb cb,
                 void* data) {
  void* frames[PKD__FRAMES_MAX];
  pkd_deadlock_report_t report = {finding->verdict, finding->count,
                                  finding->steps, frames, 0};
  /* Who is about to sleep is queued already, and must not vanish: to write is a
   * point of cancellation. */
  int cancel = pkd__os_forbid_cancel();
  int saved = errno; /* no call of a lock changes it */

  report.depth = (size_t)pkd__os_backtrace(frames, PKD__FRAMES_MAX);
  if (cb != NULL)
    cb(data, &report);
  else
    print(&report);
  errno = saved;
  pkd__os_allow_cancel(cancel);
}

void pkd__report_prepare(void) {
  void* frame[1];

  pkd__os_backtrace(frame, 1);
}

const char* pkd__watch_name(unsigned kind) {
  static const char* const names[] = {
      "lock",   "mutex",     "fair mutex", "re-entrant mutex",
      "rwlock", "semaphore", "once"};

  return names[kind < sizeof names / sizeof names[0] ? kind : 0];
}
