/* SPDX-License-Identifier: MIT
 *
 * async_event.h - the word of pkd_async_event_t: its picture and its moves.
 *
 *   63                      32 31       4   3   2   1   0
 *  +--------------------------+----------+---+---+---+---+
 *  |          epoch           |   zero   | N | S | C | Q |   all zero = not set
 *  +--------------------------+----------+---+---+---+---+
 *   epoch      how often all were notified. Who began to wait, or armed, in an
 *              earlier one passes. Wraps after 2^32 notify_all.
 *   N NOTICE   one notification is stored for the next to come.
 *   S SET      open: everybody passes.
 *   C CLOSED   newcomers are refused. Never taken back.
 *   Q QUEUED   somebody waits: the word changes only under the lot's lock.
 *
 *   S N Q   means                  leaves by
 *   0 0 0   nothing happened yet   wait -> Q ; notify_one -> N ; set -> S ;
 *                                  notify_all -> epoch + 1
 *   0 1 0   one notice stored      wait -> 000 ; clear -> 000 ; set -> 110
 *   1 x 0   open                   clear -> 000
 *   0 0 1   somebody waits         notify_one -> the head passes ; notify_all, set
 *                                  -> all pass, no Q ; the last one gone -> no Q
 *   S or N with Q do not last: the dispatch that follows lets heads pass.
 *   tests/unit/test_word_async_event.c walks these rows. */
#ifndef PKD_WORD_ASYNC_EVENT_H
#define PKD_WORD_ASYNC_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum {
  PKD__ASYNC_EVENT_QUEUED = 1,
  PKD__ASYNC_EVENT_CLOSED = 2,
  PKD__ASYNC_EVENT_SET = 4,
  PKD__ASYNC_EVENT_NOTICE = 8
};

/** What can happen to an event. NOTHING and NOTICE are also what one who passed
 * has consumed, and gives back if its wait is cancelled after all. */
enum pkd__async_event_act {
  PKD__ASYNC_EVENT_NOTHING,
  PKD__ASYNC_EVENT_NOTIFY_ONE,
  PKD__ASYNC_EVENT_NOTIFY_ALL,
  PKD__ASYNC_EVENT_OPEN,
  PKD__ASYNC_EVENT_CLEAR
};

static inline uint32_t pkd__async_event_epoch(uint64_t word) {
  return (uint32_t)(word >> 32);
}

/** May one who has waited since `epoch` pass? *consumed says what it used up. */
static inline bool pkd__async_event_pass(uint64_t* word, uint32_t epoch,
                                         uint32_t* consumed) {
  *consumed = PKD__ASYNC_EVENT_NOTHING;
  if ((*word & PKD__ASYNC_EVENT_SET) != 0 ||
      pkd__async_event_epoch(*word) != epoch)
    return true;
  if ((*word & PKD__ASYNC_EVENT_NOTICE) == 0)
    return false;
  *word &= ~(uint64_t)PKD__ASYNC_EVENT_NOTICE;
  *consumed = PKD__ASYNC_EVENT_NOTIFY_ONE;
  return true;
}

static inline uint64_t pkd__async_event_after(uint64_t word,
                                              enum pkd__async_event_act act) {
  switch (act) {
  case PKD__ASYNC_EVENT_NOTIFY_ONE:
    return word | PKD__ASYNC_EVENT_NOTICE;
  case PKD__ASYNC_EVENT_NOTIFY_ALL:
    return word + (UINT64_C(1) << 32);
  case PKD__ASYNC_EVENT_OPEN:
    return word | PKD__ASYNC_EVENT_SET;
  case PKD__ASYNC_EVENT_CLEAR:
    return word & ~(uint64_t)(PKD__ASYNC_EVENT_SET | PKD__ASYNC_EVENT_NOTICE);
  default:
    return word;
  }
}

#endif
