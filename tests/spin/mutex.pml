/* SPDX-License-Identifier: MIT
 *
 * mutex.pml - the byte of pkd_mutex_t: barging, one designated waker, hand-off.
 *
 * N threads lock once each; any may time out in the queue, any unlock may find its
 * waiter past its due and hand over. One atomic step here is one atomic operation
 * there; the lot's lock is the bit `lot`.
 *
 * Safety: mutual exclusion; in the end byte and queue are free, nobody asleep (an
 * invalid end state). Liveness, weakly fair: everybody comes through. -DBUG_CLEAR:
 * a waker sleeps with its bit set; -DBUG_HIDE: one hidden shows no queue again. */
#ifndef N
#define N 4
#endif
#ifndef BUG_HIDE
#define BUG_HIDE 0
#endif
#ifndef BUG_CLEAR
#define BUG_CLEAR 0
#endif
#define LATE (2 - 2 * BUG_HIDE) /* deadlines passed; would save the forgotten */
#define WAKER 1
#define HANDOFF 2

bit L, P, W;             /* the byte */
bit lot;                 /* the lot's lock of the address */
chan queue = [N] of { byte };
byte woken[N];           /* the parker of each: 0 asleep, else the token */
byte inside, done, late;

inline lot_lock() { atomic { lot == 0 -> lot = 1 } }

inline unlock(me) {
  do
  :: atomic { (!P || W) -> L = 0; break }       /* none waits, or one is coming */
  :: atomic { (P && W) -> skip };               /* now and then: hide both */
     lot_lock();
     if
     :: atomic { W -> L = 0; P = 0; W = 0 }; lot = 0; break
     :: atomic { !W -> skip }; lot = 0 fi            /* look again */
  :: atomic { (P && !W) -> skip };
     lot_lock();
     if
     :: nempty(queue) ->
        queue?other;
        if
        :: atomic { true -> W = 1; L = 0; P = nempty(queue) };    /* let go */
           lot = 0; woken[other] = WAKER
        :: atomic { true -> P = (P && nempty(queue)) };           /* hand over */
           lot = 0; woken[other] = HANDOFF
        fi
     :: empty(queue) -> atomic { L = 0; P = 0 }; lot = 0
     fi;
     break
  od
}

proctype Thread(byte me) {
  byte other, n;
  bit waker = 0, mine = 0, asleep;

  do
  :: atomic { !L -> L = 1;
       P = P || (waker && !W && !BUG_HIDE);      /* it was hidden: show it */
       W = W && !waker; waker = 0; mine = 1; break }
  :: atomic { L -> P = 1; W = W && (!waker || BUG_CLEAR) };  /* announce, park */
     woken[me] = 0; asleep = 0;
     lot_lock();
     if
     :: atomic { (L && P) -> asleep = 1; n = waker * len(queue); queue!me;
          do :: n > 0 -> queue?other; queue!other; n--  /* a waker: in front */
          :: else -> break od }
     :: else
     fi;
     lot = 0; waker = 0;
     if
     :: !asleep
     :: asleep && woken[me] == HANDOFF -> mine = 1; break
     :: asleep && woken[me] == WAKER -> waker = 1
     :: asleep && late < LATE -> late++;         /* the deadline */
        lot_lock();
        if
        :: atomic { queue??[eval(me)] -> queue??eval(me); P = P && nempty(queue) };
           lot = 0; break
        :: else -> lot = 0; woken[me] != 0;      /* chosen already */
           if :: woken[me] == HANDOFF -> mine = 1; break :: else -> waker = 1 fi
        fi
     fi
  od;
  if
  :: mine -> inside++; assert(inside == 1); inside--; unlock(me) :: else fi;
  atomic { done++;
    if :: done == N -> assert(!L && !W && empty(queue)) :: else fi }
}

init { byte i = 0;
  atomic { do :: i < N -> run Thread(i); i++ :: else -> break od } }

ltl all_come_through { <> (done == N) }
