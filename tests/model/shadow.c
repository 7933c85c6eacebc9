/* SPDX-License-Identifier: MIT
 *
 * shadow.c - plain memory: races, dead frames, and putting statics back.
 *
 * For each byte touched in an execution: its last plain write, and for every
 * thread its last plain read, atomic read and atomic write, as times on the
 * thread's own clock. Two accesses of which one writes and one is plain race
 * if the earlier one is not in the later one's clock. One last plain write is
 * enough: it comes after all accesses before it, or it raced with them.
 *
 * Bytes that have always been touched together share a record; a touch of some
 * of them splits it. So a byte-sized lock beside a byte of data costs nothing
 * and is exact.
 *
 * A thread's stack below its deepest living frame is dead: a waiter that is
 * touched after its owner has gone on shows here even when no new frame has
 * been written over it.
 *
 * The first touch of static memory in an execution saves what is there, and the
 * end puts it back: so the lot, the library's hidden state and a scenario's
 * static variables are new each time, even when an execution was cut short. */
#include "engine.h"

#include <string.h>

#define HEADS 4096u
#define RECORDS 3072

typedef struct record {
  uint8_t mask;   /* the bytes of its cell that it speaks for */
  uint8_t writer; /* of the last plain write */
  uint8_t done;   /* bit k: of kind k at `step` and `now`; no news */
  uint8_t alone;  /* the only thread that has touched it, or NOT_ALONE */
  int16_t next;   /* of the same cell, -1: none */
  int step;
  uint32_t now;
  uint32_t written;
  uint32_t time[3][EX_THREADS]; /* by PLAIN_READ .. ATOMIC_WRITE */
  uint32_t written_pc;
  uint32_t pc[3][EX_THREADS]; /* where there is a time */
} record_t;

#define NOT_ALONE 255u

enum { PLAIN_READ, ATOMIC_READ, ATOMIC_WRITE };

/* The records of a cell, which is an address / 8. */
typedef struct head {
  uint32_t execution; /* else none yet */
  int16_t first;
} head_t;

typedef struct saved {
  uint64_t* at;
  uint64_t value;
} saved_t;

static head_t ours[(EX_STACKS_SIZE + EX_ARENA_SIZE) / 8]; /* by place */
static head_t heads[HEADS]; /* of statics, by a hash of the address */
static uintptr_t cells[HEADS];
static record_t records[RECORDS];
static saved_t saved[RECORDS];
static int record_count;
static int saved_count;
static uint32_t execution;

static void check(const record_t* record, uintptr_t at, unsigned kind,
                  const void* pc);
static void note(record_t* record, unsigned kind, const void* pc);

void ex_shadow_begin(void) {
  execution++;
  record_count = 0;
  saved_count = 0;
}

void ex_shadow_restore(void) {
  while (saved_count > 0) {
    saved_count--;
    /* what was only read may be read-only */
    if (*saved[saved_count].at != saved[saved_count].value)
      *saved[saved_count].at = saved[saved_count].value;
  }
}

static record_t* new_record(void) {
  if (record_count == RECORDS)
    ex_fail(EXPLORE_CRASH, "one execution touches too much memory");
  return &records[record_count++];
}

static void save(uintptr_t cell) {
  if (saved_count == RECORDS)
    ex_fail(EXPLORE_CRASH, "one execution touches too much memory");
  saved[saved_count].at = (uint64_t*)(cell * 8);
  memcpy(&saved[saved_count].value, (void*)(cell * 8), 8);
  saved_count++;
}

static head_t* find_static(uintptr_t cell) {
  unsigned i = (unsigned)ex_mix(cell, 1) % HEADS;

  while (heads[i].execution == execution && cells[i] != cell)
    i = (i + 1) % HEADS;
  if (heads[i].execution != execution) {
    heads[i].execution = execution;
    heads[i].first = -1;
    cells[i] = cell;
    save(cell);
  }
  return &heads[i];
}

static head_t* find(uintptr_t cell) {
  head_t* head;

  if (!ex_is_ours(cell * 8))
    return find_static(cell);
  head = &ours[cell - EX_PLACE / 8];
  if (head->execution != execution) {
    head->execution = execution;
    head->first = -1;
  }
  return head;
}

static void save_statics(uintptr_t at, size_t size) {
  if (!ex_is_ours(at))
    for (uintptr_t cell = at / 8; cell <= (at + size - 1) / 8; cell++)
      find_static(cell);
}

/* Leaves in `record` only the bytes of `mask`. */
static void split(record_t* record, uint8_t mask) {
  record_t* rest = new_record();

  *rest = *record;
  rest->mask = record->mask & (uint8_t)~mask;
  record->mask &= mask;
  record->next = (int16_t)(rest - records);
}

/* Did nobody run, and the thread learn and release nothing, since `record` was
 * touched? */
static bool is_repeated(const record_t* record) {
  return record->step == ex.steps &&
         record->now == ex_self()->clock.at[ex.current];
}

static void access_cell(uintptr_t cell, uint8_t mask, unsigned kind,
                        const void* pc) {
  head_t* head = find(cell);
  uint8_t unknown = mask;

  for (int i = head->first; i >= 0; i = records[i].next) {
    record_t* record = &records[i];
    if ((record->mask & mask) == 0)
      continue;
    if ((record->mask & ~mask) != 0)
      split(record, mask);
    unknown &= (uint8_t)~record->mask;
    if (is_repeated(record) && (record->done >> kind & 1) != 0)
      continue;
    if (record->alone != ex.current) {
      check(record, cell * 8, kind, pc);
      record->alone = NOT_ALONE;
    }
    note(record, kind, pc);
  }
  if (unknown != 0) {
    record_t* record = new_record();
    memset(record, 0, offsetof(record_t, written_pc));
    record->mask = unknown;
    record->alone = (uint8_t)ex.current;
    record->next = head->first;
    head->first = (int16_t)(record - records);
    note(record, kind, pc);
  }
}

static void check_alive(uintptr_t at, const void* pc) {
  int owner = ex_fiber_owner(at);

  if (owner >= 0 && owner != ex.current && at < ex.thread[owner].live)
    ex_fail(EXPLORE_DEAD_MEMORY,
            "T%d touches %s, a frame that has returned, "
            "at %s",
            ex.current, ex_arena_name(at), ex_trace_place(ex_trace_pack(pc)));
  if (ex_arena_is_freed(at))
    ex_fail(EXPLORE_DEAD_MEMORY, "T%d touches %s, which is freed, at %s",
            ex.current, ex_arena_name(at), ex_trace_place(ex_trace_pack(pc)));
}

/* Where a fuzzer counts which edges were taken; the section's ends, if it is. */
extern char __start___sancov_cntrs[] __attribute__((weak));
extern char __stop___sancov_cntrs[] __attribute__((weak));

static bool is_counter(uintptr_t at) {
  return at - (uintptr_t)__start___sancov_cntrs <
         (uintptr_t)__stop___sancov_cntrs - (uintptr_t)__start___sancov_cntrs;
}

static void watch(uintptr_t at, size_t size, unsigned kind, const void* pc) {
  uintptr_t end = at + size;

  if (ex_noting_sites)
    ex_site(pc);
  check_alive(at, pc);
  while (at < end) {
    unsigned first = at & 7;
    unsigned count = 8 - first;
    if (count > end - at)
      count = (unsigned)(end - at);
    access_cell(at / 8, (uint8_t)(((1u << count) - 1) << first), kind, pc);
    at += count;
  }
}

void ex_shadow_access(uintptr_t at, size_t size, unsigned kind,
                      const void* pc) {
  if (!ex.inside && !ex.quiet)
    return;
  if (!ex_is_ours(at) && (ex_fiber_is_tls(at) || is_counter(at)))
    return;
  if (ex.inside)
    watch(at, size, kind, pc);
  else if (!ex_is_ours(at))
    save_statics(at, size);
}

static void race(uintptr_t at, unsigned kind, const void* pc, int other,
                 const char* what, uint32_t other_pc) __attribute__((noreturn));

static void race(uintptr_t at, unsigned kind, const void* pc, int other,
                 const char* what, uint32_t other_pc) {
  char here[120];

  strncpy(here, ex_trace_place(ex_trace_pack(pc)), sizeof here - 1);
  here[sizeof here - 1] = '\0';
  ex_fail(EXPLORE_RACE, "on %s: T%d's %s%s at %s, T%d's %s at %s",
          ex_arena_name(at), ex.current, kind & EX_ATOMIC ? "atomic " : "",
          kind & EX_WRITE ? "write" : "read", here, other, what,
          ex_trace_place(other_pc));
}

static void check(const record_t* record, uintptr_t at, unsigned kind,
                  const void* pc) {
  const ex_clock_t* known = &ex_self()->clock;
  bool writes = kind & EX_WRITE;
  bool plain = !(kind & EX_ATOMIC);

  if (record->written > known->at[record->writer])
    race(at, kind, pc, record->writer, "write", record->written_pc);
  for (int u = 0; u < ex.threads; u++) {
    if (u == ex.current)
      continue;
    if (writes && record->time[PLAIN_READ][u] > known->at[u])
      race(at, kind, pc, u, "read", record->pc[PLAIN_READ][u]);
    if (plain && record->time[ATOMIC_WRITE][u] > known->at[u])
      race(at, kind, pc, u, "atomic write", record->pc[ATOMIC_WRITE][u]);
    if (plain && writes && record->time[ATOMIC_READ][u] > known->at[u])
      race(at, kind, pc, u, "atomic read", record->pc[ATOMIC_READ][u]);
  }
}

static void note(record_t* record, unsigned kind, const void* pc) {
  uint32_t now = ex_self()->clock.at[ex.current];
  int which = PLAIN_READ;

  if (!is_repeated(record))
    record->done = 0;
  record->done |= (uint8_t)(1u << kind);
  record->step = ex.steps;
  record->now = now;

  if (kind == EX_WRITE) {
    record->writer = (uint8_t)ex.current;
    record->written = now;
    record->written_pc = ex_trace_pack(pc);
    return;
  }
  if (kind & EX_ATOMIC)
    which = kind & EX_WRITE ? ATOMIC_WRITE : ATOMIC_READ;
  record->time[which][ex.current] = now;
  record->pc[which][ex.current] = ex_trace_pack(pc);
}
