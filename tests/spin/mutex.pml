/* mutex.pml - the byte of pkd_mutex_t: barging, one designated waker, hand-off.
 *
 * N threads lock once each; any of them may time out in the queue, any unlock
 * may find its waiter past its due and hand over. One atomic step here is one
 * atomic operation there; the lot's lock is the bit `lot`.
 *
 * Safety: mutual exclusion; at the end the byte is free and the queue empty; no
 * thread is left asleep (an invalid end state). Liveness: under weak fairness
 * everybody comes through. With -DBUG_CLEAR a designated waker forgets to give
 * its bit back before it sleeps, with -DBUG_HIDE one that was hidden does not
 * show the queue again: the search must then find a sleeper for ever.
 */
#ifndef N
#define N 4
#endif
#ifdef BUG_HIDE
#define LATE 0           /* a deadline would save the one who is forgotten */
#else
#define LATE 2           /* deadlines that pass, in all */
#endif
#define WAKER 1
#define HANDOFF 2

bit L, P, W;             /* the byte */
bit lot;                 /* the lot's lock of the address */
chan queue = [N] of { byte };
byte woken[N];           /* the parker of each: 0 asleep, else the token */
byte inside, done, late;

inline lot_lock()   { atomic { lot == 0 -> lot = 1 } }
inline lot_unlock() { lot = 0 }

inline unlock(me) {
  do
  :: atomic { (!P || W) -> L = 0; break }       /* none waits, or one is coming */
  :: atomic { (P && W) -> skip };               /* now and then: hide both */
     lot_lock();
     if
     :: atomic { W -> L = 0; P = 0; W = 0 }; lot_unlock(); break
     :: atomic { !W -> skip }; lot_unlock()     /* look again */
     fi
  :: atomic { (P && !W) -> skip };
     lot_lock();
     if
     :: nempty(queue) ->
        queue?other;
        if
        :: atomic { true -> W = 1; L = 0; P = nempty(queue) };   /* let go */
           lot_unlock(); woken[other] = WAKER
        :: atomic { nempty(queue) -> skip }; lot_unlock(); woken[other] = HANDOFF
        :: atomic { empty(queue) -> P = 0 }; lot_unlock(); woken[other] = HANDOFF
        fi
     :: empty(queue) -> atomic { L = 0; P = 0 }; lot_unlock()
     fi;
     break
  od
}

proctype Thread(byte me) {
  byte other, n;
  bit waker = 0, mine = 0, asleep;

  do
  :: atomic { !L -> L = 1;
              if
              :: waker && W -> W = 0
              :: waker && !W -> skip                 /* it was hidden */
#ifndef BUG_HIDE
                 ; P = 1
#endif
              :: else
              fi;
              waker = 0; mine = 1; break }
  :: atomic { L -> P = 1;                        /* announce, then park */
#ifndef BUG_CLEAR
              if :: waker -> W = 0 :: else fi
#endif
     };
     woken[me] = 0; asleep = 0;
     lot_lock();
     if
     :: atomic { (L && P) -> asleep = 1; n = 0;
          if :: waker -> n = len(queue) :: else fi;
          queue!me;                              /* a waker: to the front */
          do :: n > 0 -> queue?other; queue!other; n-- :: else -> break od }
     :: else
     fi;
     lot_unlock();
     waker = 0;
     if
     :: !asleep
     :: asleep ->
        if
        :: woken[me] == HANDOFF -> mine = 1; break
        :: woken[me] == WAKER -> waker = 1
        :: late < LATE -> late++;                /* the deadline */
           lot_lock();
           if
           :: atomic { queue??[eval(me)] -> queue??eval(me); n = len(queue);
                       if :: n == 0 -> P = 0 :: n > 0 fi };
              lot_unlock(); break
           :: else -> lot_unlock(); woken[me] != 0;      /* chosen already */
              if :: woken[me] == HANDOFF -> mine = 1; break
                 :: else -> waker = 1 fi
           fi
        fi
     fi
  od;
  if
  :: mine -> inside++; assert(inside == 1); inside--; unlock(me)
  :: else
  fi;
  atomic { done++;
    if :: done == N -> assert(!L && !W && empty(queue)) :: else fi }
}

init { byte i = 0;
  atomic { do :: i < N -> run Thread(i); i++ :: else -> break od } }

ltl all_come_through { <> (done == N) }
