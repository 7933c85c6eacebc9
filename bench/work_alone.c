/* SPDX-License-Identifier: MIT
 *
 * work_alone.c - the other objects when nobody contends: semaphore, once, fair
 * and re-entrant mutex, cells, and the wrapper for C++. One loop each, with all
 * that is inline inlined.
 *
 * The floors are the atomic instructions that the object cannot do without; those
 * of the wrapper are the C calls. */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include <parkade/cell.h>
#include <parkade/fair_mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/sem.h>

#ifdef BENCH_ASYNC
#include <uv.h>
#endif

#include "cpp.h"
#include "harness.h"
#include "peer.h"
#include "workloads.h"

/* A candidate: `count` operations. */
typedef void (*alone_body)(uint64_t count);

/* One candidate's loop; `step` must leave the object as it found it. */
#define BODY(name, step)                                                       \
  static void name(uint64_t count) {                                           \
    for (uint64_t i = 0; i < count; i++) {                                     \
      step;                                                                    \
      __asm__ volatile("" ::: "memory");                                       \
    }                                                                          \
  }

static uint32_t word;
#define RMW(p, v) (void)__atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
BODY(floor_adds, RMW(&word, 1); RMW(&word, (uint32_t)-1))
BODY(floor_load, if (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 77) abort())
static uint8_t byte;
BODY(floor_exchanges, (void)__atomic_exchange_n(&byte, 1, __ATOMIC_ACQUIRE);
     (void)__atomic_exchange_n(&byte, 0, __ATOMIC_RELEASE))

/* --- semaphore ------------------------------------------------------------- */

static pkd_sem_t our_sem = PKD_SEM_INIT(8);
BODY(ours_sem, pkd_sem_acquire(&our_sem, 1); pkd_sem_release(&our_sem, 1))
static sem_t posix_sem;
BODY(glibc_sem, sem_wait(&posix_sem); sem_post(&posix_sem))

/* --- once ------------------------------------------------------------------ */

static void nothing(void) {}
static pkd_once_t our_once;
BODY(ours_once, pkd_once_call(&our_once, nothing))
static pthread_once_t posix_once = PTHREAD_ONCE_INIT;
BODY(glibc_once, pthread_once(&posix_once, nothing))

/* --- fair and re-entrant --------------------------------------------------- */

static pkd_fair_mutex_t our_fair;
BODY(ours_fair, pkd_fair_mutex_lock(&our_fair);
     pkd_fair_mutex_unlock(&our_fair))
static pkd_remutex_t our_re;
BODY(ours_re, pkd_remutex_lock(&our_re); pkd_remutex_unlock(&our_re))
static pthread_mutex_t posix_re;
BODY(glibc_re, pthread_mutex_lock(&posix_re); pthread_mutex_unlock(&posix_re))

/* --- cells ----------------------------------------------------------------- */

struct pair {
  uint64_t a;
  uint64_t b;
  uint64_t c;
};
typedef PKD_CELL(uint64_t) short_cell;
typedef PKD_CELL(struct pair) long_cell;
static short_cell our_short;
static long_cell our_long;
static uint64_t short_copy;
static struct pair pair;
static struct pair pair_copy;
BODY(ours_short_load, pkd_cell_load(&our_short, &short_copy))
BODY(ours_long_load, pkd_cell_load(&our_long, &pair_copy))
BODY(ours_long_store, pkd_cell_store(&our_long, &pair_copy))
static pthread_mutex_t posix_mutex = PTHREAD_MUTEX_INITIALIZER;
BODY(glibc_long_load, pthread_mutex_lock(&posix_mutex); pair_copy = pair;
     pthread_mutex_unlock(&posix_mutex))
BODY(glibc_long_store, pthread_mutex_lock(&posix_mutex); pair = pair_copy;
     pthread_mutex_unlock(&posix_mutex))

/* --- libuv's, and those of C++ --------------------------------------------- */

#ifdef BENCH_ASYNC
#define UV(body) body
static uv_sem_t their_sem;
BODY(uv_sem, uv_sem_wait(&their_sem); uv_sem_post(&their_sem))
static uv_once_t their_once = UV_ONCE_INIT;
BODY(uv_once_call, uv_once(&their_once, nothing))
static uv_mutex_t their_re;
BODY(uv_re, uv_mutex_lock(&their_re); uv_mutex_unlock(&their_re))

static void uv_begin(void) {
  uv_sem_init(&their_sem, 8);
  uv_mutex_init_recursive(&their_re);
}
#else
#define UV(body) NULL
static void uv_begin(void) {}
#endif
#ifdef BENCH_CPP
#define CPP(body) body
#else
#define CPP(body) NULL
#endif

/* --- cells of the benchmark ------------------------------------------------ */

struct body {
  alone_body run;
};

static void round_of(const void* peer, const void* size, unsigned ms,
                     struct result* result) {
  const struct body* body = peer;
  uint64_t count = (uint64_t)ms * 30000;
  uint64_t begin;
  uint64_t used;

  (void)size;
  body->run(count / 10); /* warm */
  used = bench_used();
  begin = bench_now();
  body->run(count);
  result->value[NS] = (double)(bench_now() - begin) / (double)count;
  result->value[CPU] = (double)(bench_used() - used) / (double)count;
}

struct row {
  const char* id;
  const char* title;
  const char* op;
  struct body ours;
  struct body glibc;
  struct body floor;
  double factor; /* of processor time, against the floor; 0: glibc */
  struct body uv;
  struct body stdcxx;
  const char* floor_name; /* NULL: its atomics */
};

static const struct row rows[] = {
    {"alone/sem",
     "semaphore, uncontended",
     "acquire + release",
     {ours_sem},
     {glibc_sem},
     {floor_adds},
     1.1,
     {UV(uv_sem)},
     {CPP(std_sem)},
     NULL},
    {"alone/once",
     "once, done already",
     "call",
     {ours_once},
     {glibc_once},
     {floor_load},
     1.1,
     {UV(uv_once_call)},
     {CPP(std_once)},
     NULL},
    {"alone/fair",
     "fair mutex, uncontended",
     "lock + unlock",
     {ours_fair},
     {NULL},
     {floor_exchanges},
     1.1,
     {NULL},
     {NULL},
     NULL},
    {"alone/remutex",
     "re-entrant mutex, uncontended",
     "lock + unlock",
     {ours_re},
     {glibc_re},
     {floor_exchanges},
     1.1,
     {UV(uv_re)},
     {CPP(std_re)},
     NULL},
    {"alone/cell-8-load",
     "cell of 8 bytes, load",
     "load",
     {ours_short_load},
     {NULL},
     {floor_load},
     1.1,
     {NULL},
     {NULL},
     NULL},
    {"alone/cell-24-load",
     "cell of 24 bytes, load",
     "load",
     {ours_long_load},
     {glibc_long_load},
     {NULL},
     0,
     {NULL},
     {NULL},
     NULL},
    {"alone/cell-24-store",
     "cell of 24 bytes, store",
     "store",
     {ours_long_store},
     {glibc_long_store},
     {floor_exchanges},
     1.1,
     {NULL},
     {NULL},
     NULL},
#ifdef BENCH_CPP
    {"alone/cpp-mutex",
     "std::lock_guard<parkade::mutex>",
     "lock + unlock",
     {cpp_guard},
     {NULL},
     {c_guard},
     1.0,
     {NULL},
     {NULL},
     "the C calls"},
    {"alone/cpp-shared",
     "std::shared_lock<parkade::shared_mutex>",
     "read lock + unlock",
     {cpp_shared},
     {NULL},
     {c_shared},
     1.0,
     {NULL},
     {NULL},
     "the C calls"},
#endif
};

void work_alone(void) {
  pthread_mutexattr_t attr;

  pkd_once_call(&our_once, nothing);
  sem_init(&posix_sem, 0, 8);
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&posix_re, &attr);
  uv_begin();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct row* r = &rows[i];
    const char* floor = r->floor_name != NULL ? r->floor_name : "its atomics";
    struct cell* cell = calloc(1, sizeof *cell);

    cell->id = r->id;
    cell->title = r->title;
    cell->op = r->op;
    cell->threads = 1;
    cell->by_hand = true;
    cell_add(cell, "parkade", OURS, round_of, &r->ours);
    if (r->glibc.run != NULL)
      cell_add(cell, "glibc", PEER, round_of, &r->glibc);
    if (r->uv.run != NULL)
      cell_add(cell, "libuv", PEER, round_of, &r->uv);
    if (r->stdcxx.run != NULL)
      cell_add(cell, "libstdc++", PEER, round_of, &r->stdcxx);
    if (r->floor.run != NULL)
      cell_add(cell, floor, FLOOR, round_of, &r->floor);
    if (r->factor > 0)
      cell_goal(cell, floor, CPU, r->factor);
    else
      cell_goal(cell, "glibc", CPU, 1.0);
    cell_run(cell);
    free(cell);
  }
}
