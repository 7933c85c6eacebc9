/* SPDX-License-Identifier: MIT
 *
 * engine.h - the one engine under all asynchronous objects: who waits, who is
 * granted what, and in which order.
 *
 * An object is a word of 4 or 8 bytes at its address, and the queue of the lot
 * at that address. Its face says what the word means, in pure functions. The
 * engine promises:
 *
 *   - Strictly first in, first out: while somebody waits, the word's queued bit
 *     is set, newcomers queue, and only heads are admitted. A head that cannot
 *     be admitted holds nothing and stops those behind it. (An object may let
 *     some overtake others for a bounded time: PATIENCE in engine.c.)
 *   - Free implies no eligible waiter: after every change of the word or of the
 *     queue (a release, a wait that ended, a close) the heads are looked at
 *     again, until one cannot be admitted. Not eligible is who is away, that is,
 *     whose loop is stuck (grant.h): those behind it pass.
 *   - While the queued bit is set the word changes only under the lot's lock of
 *     the address; then it is written once, and that is the last touch of the
 *     object: right after it the new owner may free it.
 *
 * The face is found through the waiting request, never through the caller: after
 * the first batch of grants, or after a cancel, the object may be gone, or be a
 * different one. */
#ifndef PKD_ASYNC_ENGINE_H
#define PKD_ASYNC_ENGINE_H

#include <parkade/async/loop.h>

#include "request.h"

/** For objects that have no word and keep their state in the lot's queue. */
struct pkd__in_lot {
  /* @return 0: it has it; UV_EAGAIN: it waits, or, without `wait`, it has not;
   * UV_ESHUTDOWN: it would have to wait, and may not */
  int (*start)(pkd_req_t* req, bool wait);
  /* Takes one who waits out of the queue; `*away`: it lies in a mailbox already,
   * and may be gone. @return false: it does not wait */
  bool (*end)(pkd_req_t* req, enum pkd__step step, bool* away);
  /* Takes a grant back that stands in `state`. @return false: too late */
  bool (*revoke)(pkd_req_t* req, uint32_t state);
  /* Turns a grant into ownership. @return the state before */
  uint32_t (*settle)(pkd_req_t* req);
  /* As pkd__dispatch_to(): `to` waits again, which was away. NULL: nobody ever is */
  bool (*dispatch_to)(pkd_req_t* to);
};

struct pkd__face {
  const struct pkd__in_lot*
      in_lot; /* NULL: the object has a word, as follows */

  unsigned bytes;  /* of the word: 4 or 8 */
  uint64_t queued; /* the bit that says that somebody waits */
  uint64_t closed; /* the bit that keeps newcomers out; 0: cannot be closed */
  uint64_t shut; /* bits of which any says that nobody can be admitted, whoever
                      asks; 0: there are none such */

  /* Takes from `word` what `req` wants, if that is possible now, and says what
   * that amounts to: bits of enum pkd__grant. Pure, but that it may change what
   * `req` wants into what it got. */
  unsigned (*admit)(uint64_t* word, pkd_req_t* req);

  /* May be NULL. The word when `req` begins to wait, and when one that waited has
   * left without a grant: for objects that count those who wait, and for those
   * whose newcomers may pass while others wait. */
  uint64_t (*joined)(uint64_t word, pkd_req_t* req);
  uint64_t (*gone)(uint64_t word);

  /* Gives `amount` back to `word`: what a request wanted. */
  uint64_t (*left)(uint64_t word, int64_t amount);

  /* Is a grant delivered by a step of the request's state alone? */
  bool plain;

  /* Does the word say that `req` has the object? NULL: it does not say who has. */
  bool (*has)(uint64_t word, const pkd_req_t* req);

  /* The bit that says that who waits may be overtaken for a while by requests of
   * the loop that gives something back; 0: never. Such requests keep in extra[2]
   * when their patience ends. */
  uint64_t overtakes;

  /* For objects that let a request which owns something wait for more of the
   * same: it climbs. It is served before all others, and `climbing` is the bit
   * that says that one waits. It wants, in bits 0 to 7, what it climbs to and, in
   * bits 8 to 15, what it owns and keeps if it fails. 0: nobody climbs. */
  uint64_t climbing;
  /* @return the error for one who would climb in vain, or 0 */
  int (*hopeless)(uint64_t word);
};

extern const struct pkd__face pkd__face_mutex;
extern const struct pkd__face pkd__face_sem;
extern const struct pkd__face pkd__face_event;
extern const struct pkd__face pkd__face_once;
extern const struct pkd__face pkd__face_gate;
extern const struct pkd__face pkd__face_barrier;
extern const struct pkd__face pkd__face_keyed;
extern const struct pkd__face pkd__face_rwlock;
extern const struct pkd__face pkd__face_cond;
extern const struct pkd__face pkd__face_yield;

extern const struct pkd__face* const pkd__faces[PKD__KINDS];

static inline const struct pkd__face* pkd__face_of(enum pkd__kind kind) {
  return pkd__faces[kind];
}

/** What a request that wants `want` owns already; 0: nothing. */
static inline uint32_t pkd__kept(const struct pkd__face* face, uint32_t want) {
  return face->climbing == 0 ? 0 : want >> 8 & 0xff;
}

/** What it owns once it has what it wants. */
static inline uint32_t pkd__gained(const struct pkd__face* face,
                                   uint32_t want) {
  return face->climbing == 0 ? want : want & 0xff;
}

/** Starts `req` for a task: takes what it wants or queues it; `cb` will follow.
 * @return 0 or what the public start functions return */
int pkd__start(pkd_loop_t* loop, pkd_req_t* req, void* object,
               enum pkd__kind kind, uint32_t want, pkd_req_cb cb);

/** Takes what `req` wants, or returns UV_EBUSY. No callback. */
int pkd__try(pkd_req_t* req, void* object, enum pkd__kind kind, uint32_t want);

/** Starts `req` for the calling thread and waits for the end. */
int pkd__block(pkd_req_t* req, void* object, enum pkd__kind kind, uint32_t want,
               pkd_deadline_t deadline);

/** The same in two halves: queues up with `parker`, which lives until the end.
 * @return UV_EAGAIN: it waits, pkd__block_end() is owed; else as pkd__block */
int pkd__block_begin(pkd_req_t* req, void* object, enum pkd__kind kind,
                     uint32_t want, pkd_parker_t* parker,
                     pkd_deadline_t deadline);
int pkd__block_end(pkd_req_t* req, pkd_parker_t* parker,
                   pkd_deadline_t deadline);

/** Ends the ownership of `req`, if it owns `object`: then it is idle, and nothing
 * is given back yet.
 * @return 0 or UV_EPERM */
int pkd__disown(pkd_req_t* req, const void* object, enum pkd__kind kind);

/** Makes `req` idle, which the word of its object does not name any more. */
static inline void pkd__give_up(pkd_req_t* req) {
  /* (D3) release, pairs with (D2): who starts it anew comes after this */
  pkd__store_release(&req->waiter.state, PKD__IDLE);
}

/** Does `req` own something of `object`? */
static inline bool pkd__owns(const pkd_req_t* req, const void* object,
                             enum pkd__kind kind) {
  /* (S2) acquire, pairs with (S1) */
  return pkd__load_acquire(&req->waiter.state) ==
             pkd__state(PKD__OWNED, kind) &&
         pkd__object_of(req) == object;
}

/** Gives `amount` back to an object that the caller has a right to, and admits
 * whom that allows. The object is not touched after its next owner can know. */
void pkd__leave(void* object, enum pkd__kind kind, int64_t amount);

/** The same, where the word says whose it is, for who shows `ticket`; if that is
 * right, it is idle afterwards. If the calling thread is just running `home`, whose
 * ticket it is, those of the same loop may go first.
 * @return 0, or UV_EPERM: it is not `ticket` that has it */
int pkd__leave_by(void* object, enum pkd__kind kind, int64_t amount,
                  const struct pkd__home* home, pkd_req_t* ticket);

/** The same, of what was granted to `req`, which stood in `granted` a moment ago and is
 * canceled by this, unless something else was faster. All of that is under one hold of
 * the lot's lock: whose wait is over may free the object, and waits for that.
 * @return whether this canceled it */
bool pkd__leave_revoked(pkd_req_t* req, uint32_t granted);

/** With -Dchecks=true: stops the program if the object at `key` is free for one
 * who waits there. */
void pkd__check(const void* key);

/** Of the requests that wait in the lot: only the engine may wake them. */
void pkd__woken_by_stranger(pkd_waiter_t* waiter);

/** Admits whom the object at `key` can admit; for use after its queue changed.
 * The object may be gone, if nobody waits there. */
void pkd__dispatch(const void* key);

/** The same, for the loop that has come to `to`, a request of its own.
 * @return true if that was granted: then it is not posted to its loop, which has
 *         it in hand */
bool pkd__dispatch_to(const void* key, const pkd_req_t* to);

/** Sets the closed bit and ends every wait with PKD__CLOSED. */
void pkd__close(void* object, enum pkd__kind kind);

/** Sets `mark` in the word of an object that nobody uses.
 * @param mask  the bits of the word that tell
 * @param idle  ... and what they are while nobody does
 * @return 0, UV_EBUSY, or UV_EINVAL for NULL */
int pkd__destroy(void* object, enum pkd__kind kind, uint64_t mask,
                 uint64_t idle, uint64_t mark);

/** `req` is about to queue: says until when it may be overtaken, for one whose face
 * has that at all. */
void pkd__begin_patience(const struct pkd__face* face, const void* object,
                         pkd_req_t* req);

/* --- the word -------------------------------------------------------------- */

static inline uint64_t pkd__word(const struct pkd__face* face,
                                 const void* object) {
  /* (W1) acquire, pairs with (W2) and (W3) */
  return face->bytes == 4 ? pkd__load_acquire((const uint32_t*)object)
                          : pkd__load_acquire((const uint64_t*)object);
}

/** Under the lot's lock, with the queued bit set: nobody else writes. */
static inline void pkd__word_set(const struct pkd__face* face, void* object,
                                 uint64_t word) {
  /* (W2) release, pairs with (W1) and (W3): what the lot's lock ordered before
   * this is visible to who takes the fast path after it */
  if (face->bytes == 4)
    pkd__store_release((uint32_t*)object, (uint32_t)word);
  else
    pkd__store_release((uint64_t*)object, word);
}

static inline bool pkd__word_cas(const struct pkd__face* face, void* object,
                                 uint64_t old, uint64_t word) {
  uint32_t narrow = (uint32_t)old;

  /* (W3) acq_rel, pairs with (W1), (W2) and itself: who takes sees what who left did */
  return face->bytes == 4
             ? pkd__cas_acq_rel((uint32_t*)object, &narrow, (uint32_t)word)
             : pkd__cas_acq_rel((uint64_t*)object, &old, word);
}

/* --- who leaves ------------------------------------------------------------ */

/* pkd__withdraw() for objects that count who waits, or let some climb. */
unsigned pkd__withdraw_counted(const struct pkd__face* face, void* object,
                               pkd_req_t* req, bool was_last, bool* others);

/** `req` has left the queue at `key` by itself; under the lot's lock.
 * @param others  out: those who wait still may have been waiting for that, so
 *                that a dispatch is owed
 * @return PKD__REFUSED; or what it is granted all the same: where those who wait
 *         are counted, the count may have been complete already */
static inline unsigned pkd__withdraw(const void* key, pkd_req_t* req,
                                     bool was_last, bool* others) {
  /* relaxed: the lot's lock guards it while it is queued */
  const struct pkd__face* face =
      pkd__face_of(pkd__kind_of(pkd__load_relaxed(&req->waiter.state)));
  void* object = (void*)(uintptr_t)key;
  uint64_t word;

  if (face->gone != NULL || face->climbing != 0)
    return pkd__withdraw_counted(face, object, req, was_last, others);
  word = pkd__word(face, object);
  if (was_last)
    pkd__word_set(face, object, word & ~face->queued);
  /* Shut: there is an owner, and to give it back comes here after us. */
  *others = !was_last && (word & face->shut) == 0;
  return PKD__REFUSED;
}

#endif
