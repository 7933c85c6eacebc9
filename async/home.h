/* SPDX-License-Identifier: MIT
 *
 * home.h - where the answers of one loop arrive: its mailbox and its ready list.
 *
 * A granted request travels: under the lot's lock it is posted to its home. From
 * another thread that means the inbox, an atomic stack; who makes it non-empty
 * owes the loop exactly one uv_async_send, and rings after the lot's lock is
 * dropped. On the loop's own thread it means the ready list: no atomic, no
 * system call. The loop empties the inbox into the ready list whenever it looks
 * (and before anything is appended there), so the ready list is in the order of
 * the grants; its check phase delivers from there.
 *
 * Home's memory outlives the attached loop while tickets point at it. `away`
 * starts at a bias that the detach takes off; tickets that are given back from
 * elsewhere count there, those of the loop's own turn in `here`. Whoever brings
 * the sum to zero frees it.
 *
 * Which thread is the loop's? `turn` names it while uv_run is between prepare
 * and check, where no other thread may run the loop: plain fields are then safe
 * to touch. Outside of that the loop may move to another thread at any time; so
 * who thinks that it is the loop's thread sets the BUSY bit of `owner` first, and
 * a thread that takes the loop over waits for that bit. */
#ifndef PKD_ASYNC_HOME_H
#define PKD_ASYNC_HOME_H

#include <parkade/async/loop.h>

#include "atomic.h"
#include "thread_local.h"
#include "wheel.h"

#define PKD__AWAY_BIAS (INT64_C(1) << 62)

struct pkd__home {
  /* set at attach, read by all */
  uv_loop_t* uv;
  uint64_t attacher; /* number of the thread that attached it */
  uint64_t epoch;    /* milliseconds of uv_hrtime at the attach */
  uint32_t number;   /* not 0, and its own: see grant.h */
  uv_async_t bell;   /* always unref'd: its flags change only when it is closed,
                        so that any thread may ask whether it is closing */

  /* atomic, any thread */
  uint64_t owner;    /* number of the loop's thread << 1 | BUSY */
  uint64_t turn;     /* number of the thread inside prepare .. check, or 0 */
  pkd_req_t* inbox;  /* stack, youngest first */
  uint32_t rung;     /* rings that are over */
  int64_t away;      /* see above */
  uint32_t patience; /* ms a grant may lie here, see grant.h; 0: for ever */
  bool stuck;        /* set under `lock`, cleared by the loop */

  /* the loop's thread only */
  pkd_loop_t* face;      /* the user's pkd_loop_t */
  pkd_req_t* ready;      /* oldest first */
  pkd_req_t* ready_last; /* youngest, if there is one */
  size_t ready_count;
  size_t pending; /* accepted, callback not begun */
  bool keeps;     /* `check` is ref'd: set with the first pending request, and
                     taken back at the end of a turn that leaves none */
  bool awake;     /* somebody looks at the ready list before the loop sleeps: it
                     is in its check phase, or the idle handle is active */
  int64_t here;   /* tickets handed out, less those given back in a turn */
  uint32_t taken; /* inbox found non-empty: rings that will have been */
  uint64_t armed; /* when the timer is set for, or PKD__WHEEL_NEVER */
  bool detaching;
  unsigned open;           /* handles not closed yet */
  struct pkd__link plain;  /* pending requests without a deadline */
  struct pkd__wheel wheel; /* pending requests with one */
  uv_prepare_t prepare;
  uv_check_t check; /* ref'd: keeps the loop alive */
  uv_idle_t idle;   /* active: keeps the loop from sleeping */
  uv_timer_t timer;
  pkd_loop_cb detached;

  /* grants that may be taken back, see grant.h */
  uv_mutex_t retreat;   /* held by the watchdog, and by the loop that comes to a
                           bound request; locked before the lot's locks */
  uv_mutex_t lock;      /* nothing is locked under it */
  pkd_waiter_t* oldest; /* under `lock`: the list, by child[0] to the younger */
  pkd_waiter_t* newest; /* ... and by child[1] to the older */
  size_t undelivered;   /* ... its length */
  size_t keys;          /* ... and how many keys, which are in no list */
  size_t keys_new;      /* ... of them, noted since they were looked for */
  uint32_t
      keys_since;   /* ... a pkd_lot_due(): the loop has come to none since */
  uint64_t revoked; /* ... how many were taken back */

  /* under the registry's lock */
  struct pkd__home* next;
};

/** What a pkd_loop_t points at after it was detached. */
extern struct pkd__home pkd__home_gone;

/** Homes that somebody has to ring once the lot's lock is dropped. */
#define PKD__BELLS 32u
struct pkd__bells {
  unsigned count;
  struct pkd__home* home[PKD__BELLS];
};

/** Hands a request whose wait is over to its loop; it is the loop's from here.
 * If that leaves a ring owed, the home is added to `bells`, which has room.
 * May be called under the lot's lock. */
void pkd__home_post(struct pkd__home* home, pkd_req_t* req,
                    struct pkd__bells* bells);

/** Rings them all. No lock of the lot may be held. */
void pkd__bells_ring(const struct pkd__bells* bells);

/** Accepts a request that is queued, on the loop's thread. */
void pkd__home_accept(struct pkd__home* home, pkd_req_t* req);

/** Starts the clock of a request; `ms` as in pkd_req_set_timeout, not 0.
 * @return the deadline, for the high half of the token */
uint32_t pkd__home_deadline(const struct pkd__home* home, uint64_t ms);

/** A request that was away waits again: its deadline counts as before. */
void pkd__home_wait_again(struct pkd__home* home, pkd_req_t* req);

/** Frees it. */
void pkd__home_free(struct pkd__home* home);

/** Makes the calling thread the loop's thread, if it was another. */
void pkd__home_adopt(struct pkd__home* home);

/** Stops the program if the handles were closed behind our back. */
void pkd__home_is_closing(const struct pkd__home* home, const char* call);

static inline void pkd__home_check(const struct pkd__home* home,
                                   const char* call) {
  if (uv_is_closing((const uv_handle_t*)&home->bell))
    pkd__home_is_closing(home, call);
}

/* --- delivery (deliver.c) -------------------------------------------------- */

/** Empties the inbox into the ready list, and misses nothing that the bell rang
 * for. The loop's thread. */
void pkd__home_collect_surely(struct pkd__home* home);

/** The same, if it looks as if something were there. */
static inline void pkd__home_collect(struct pkd__home* home) {
  /* relaxed: who must not miss a request saw it posted, or comes again with
   * the bell, which looks for sure */
  if (pkd__load_relaxed(&home->inbox) != NULL)
    pkd__home_collect_surely(home);
}

/** Calls back what is ready now, but no more than one turn's budget. */
void pkd__home_deliver_turn(struct pkd__home* home);

/** Calls back what is ready, all of it. */
void pkd__home_deliver_all(struct pkd__home* home);

/** Ends the waits whose deadline has come. */
void pkd__home_expire(struct pkd__home* home);

/** Sets the timer for the next deadline. */
void pkd__home_arm(struct pkd__home* home);

/* --- the registry of attached loops (registry.c) --------------------------- */

extern PKD__THREAD_LOCAL uint64_t pkd__self_number; /* 0: has none yet */
uint64_t pkd__self_first(void);

/** The calling thread's number: not 0, and never that of another thread, not
 * even of one that has ended. */
static inline uint64_t pkd__self(void) {
  return pkd__self_number != 0 ? pkd__self_number : pkd__self_first();
}

/** Is the calling thread just running that loop? */
static inline bool pkd__home_is_here(const struct pkd__home* home) {
  /* relaxed: a thread sees its own name only if it wrote it last itself */
  return pkd__load_relaxed(&home->turn) == pkd__self();
}

/** A ticket that `home` handed out was given back; it may be gone after this,
 * unless the calling thread is just running it. */
void pkd__home_returned_away(struct pkd__home* home);

static inline void pkd__home_returned(struct pkd__home* home) {
  if (pkd__home_is_here(home))
    home->here--;
  else
    pkd__home_returned_away(home);
}

/** @return false if `home`'s uv_loop or pkd_loop_t is there already */
bool pkd__registry_add(struct pkd__home* home);
void pkd__registry_remove(struct pkd__home* home);

/** Shows all of them; none can be removed meanwhile. */
void pkd__registry_each(void (*visit)(void* arg, struct pkd__home* home),
                        void* arg);

/** True in the child of a fork, where the lot is empty whatever a word says. */
bool pkd__in_forked_child(void);

/** A home has got another thread. */
void pkd__registry_moved(void);

/** Has the calling thread attached a loop that is still attached, or was it the
 * last to run one? */
bool pkd__thread_has_loop(void);

/* --- the ready list, on the loop's thread ---------------------------------- */

/** Keeps the loop from sleeping; for when `awake` is not set. */
void pkd__home_wake(struct pkd__home* home);

static inline void pkd__home_append(struct pkd__home* home, pkd_req_t* req) {
  req->via.next = NULL;
  if (home->ready == NULL)
    home->ready = req;
  else
    home->ready_last->via.next = req;
  home->ready_last = req;
  home->ready_count++;
}

/** Puts a request whose wait is over behind those whose grants came before. */
static inline void pkd__home_ready(struct pkd__home* home, pkd_req_t* req) {
  pkd__home_collect(home);
  pkd__home_append(home, req);
  if (!home->awake)
    pkd__home_wake(home);
}

/** As pkd__home_post(), which need not be called for the loop that is being run. */
static inline void pkd__home_hand(struct pkd__home* home, pkd_req_t* req,
                                  struct pkd__bells* bells) {
  if (pkd__home_is_here(home))
    pkd__home_ready(home, req);
  else
    pkd__home_post(home, req, bells);
}

static inline void pkd__home_count_in(struct pkd__home* home) {
  home->pending++;
  if (!home->keeps) {
    home->keeps = true;
    uv_ref((uv_handle_t*)&home->check);
  }
}

/** Accepts a request that is granted already, on the loop's thread. */
static inline void pkd__home_accept_granted(struct pkd__home* home,
                                            pkd_req_t* req) {
  pkd__home_count_in(home);
  pkd__home_ready(home, req);
  pkd__list_append(&home->plain, &req->link);
}

#endif
