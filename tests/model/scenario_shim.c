/* SPDX-License-Identifier: MIT
 *
 * scenario_shim.c - the suite of conformance.c on the shim of libuv, in every
 * schedule. */
#include "scenario.h"

#include "conformance.h"
#include "uv_pool.h"

static bool pool;

void conformance_spawn(void (*entry)(void* arg), void* arg) {
  explore_spawn(entry, arg);
}

void conformance_join(void) {
  if (pool)
    shim_pool_stop();
  explore_join();
}

void conformance_fail(const char* what, int line) {
  explore_fail("'%s' is false at conformance.c:%d", what, line);
}

static void play(int number) {
  pool = conformance[number].pool;
  if (pool)
    explore_spawn(shim_pool, NULL);
  conformance[number].test();
}

#define ONE(number, name)                                                      \
  {                                                                            \
    "shim/" name, play, number, EXPLORE_OK, 0, {                               \
      .preemptions = 3, .stale = 1                                             \
    }                                                                          \
  }

/* In the order of conformance.c. */
const explore_scenario_t explore_shim[] = {
    ONE(0, "turn"),          ONE(1, "idle"),
    ONE(2, "check"),         ONE(3, "check-by-check"),
    ONE(4, "stopped"),       ONE(5, "stop"),
    ONE(6, "timers"),        ONE(7, "timer-not-early"),
    ONE(8, "sends"),         ONE(9, "send-again"),
    ONE(10, "send"),         ONE(11, "two-sends"),
    ONE(12, "send-close"),   ONE(13, "alive"),
    ONE(14, "close"),        ONE(15, "close-unreferenced"),
    ONE(16, "unreferenced"), ONE(17, "walk"),
    ONE(18, "work"),         ONE(19, "work-cancel"),
    {.name = NULL},
};
