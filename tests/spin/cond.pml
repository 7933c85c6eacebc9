/* SPDX-License-Identifier: MIT
 *
 * cond.pml - the condition: signal by moving, and signals that go on.
 *
 * N consumers wait for items under a mutex; the producer puts N - 1 items and
 * signals once for each. A consumer may be late in the condition's queue, in the
 * mutex's queue after a signal moved it there, or on its way to the mutex. If it
 * was signalled and cannot have the mutex it passes the signal on.
 *
 * Safety: mutual exclusion; when nothing moves any more, nobody sleeps at the
 * condition while there is an item, and nobody sleeps at a free mutex. Liveness:
 * under weak fairness all items are taken. -DBUG_EAT forgets to pass the signal
 * on, -DBUG_PARKED moves a waiter without telling the holder. */
#ifndef N
#define N 4
#endif
#define LATE 1                    /* how many deadlines pass in all */
mtype = { ASLEEP, CALLED, WAKER };

bit L, P;                         /* the mutex: held, look into its queue */
chan cq = [N] of { byte };        /* at the condition */
chan mq = [N] of { byte };        /* at the mutex, moved there */
mtype woken[N];
byte items, inside, late, put;
hidden byte who;

inline lock() { atomic { !L -> L = 1 } }

inline unlock() {                 /* one step under the lot's lock */
  atomic {
    L = 0;
    if
    :: P && len(mq) > 0 -> mq?who; woken[who] = WAKER; P = (len(mq) > 0)
    :: else -> P = 0
    fi
  }
}

inline signal() {                 /* one step under both lot locks */
  atomic {
    if
    :: len(cq) > 0 && L -> cq?who; mq!who;
#ifndef BUG_PARKED
       P = 1
#endif
    :: len(cq) > 0 && !L -> cq?who; woken[who] = CALLED
    :: len(cq) == 0
    fi
  }
}

proctype Consumer(byte me) {
  bit mine = 0, signalled, gone;
  lock(); mine = 1;
  do
  :: mine && items > 0 -> items--; break
  :: mine && items == 0 ->
     signalled = 0; gone = 0;
     atomic { woken[me] = ASLEEP; cq!me };
     mine = 0; unlock();
end_asleep:
     if
     :: woken[me] != ASLEEP -> signalled = 1
     :: atomic { late < LATE && woken[me] == ASLEEP -> late++; gone = 1;
          if
          :: cq??[eval(me)] -> cq??eval(me)
          :: mq??[eval(me)] -> mq??eval(me); signalled = 1;
             P = (len(mq) > 0)
          fi }
     fi;
     if
     :: atomic { !L -> L = 1; mine = 1 };       /* compete, or one last look */
        if :: gone && !signalled -> break :: else fi
     :: atomic { L && (gone || late < LATE) -> late = late + !gone };
#ifndef BUG_EAT
        if :: signalled -> signal() :: else fi;
#endif
        break                                   /* late, and not held */
     fi
  od;
  if :: mine -> inside++; assert(inside == 1); inside--; unlock() :: else fi
}

active proctype Producer() {
  do
  :: put < N - 1 -> lock(); inside++; assert(inside == 1); items++; inside--;
     if :: signal(); unlock() :: unlock(); signal() fi; put++
  :: else -> break
  od
}

active proctype Quiet() {
  timeout -> assert(!L && len(mq) == 0 && (items == 0 || len(cq) == 0))
}

init { byte i = 0; atomic {
  do :: i < N -> run Consumer(i); i++ :: else -> break od } }
ltl all_taken { <> (put == N - 1 && items == 0) }
