/* SPDX-License-Identifier: MIT
 *
 * handoff.pml - the async mutex: grant, cancel, timeout, delivery.
 *
 * N loops with one request each, and a stranger who may cancel each at any moment.
 * A grant goes into the loop's mailbox; until delivered, cancel takes it back and
 * passes the lock on. What runs under the lot's lock is one step; else step by step.
 *
 * Safety: mutual exclusion; exactly one callback per request; cancel said yes
 * exactly when the callback says canceled; free implies that nobody is queued.
 * Liveness: under weak fairness every callback comes. -DBUG_DROP takes a grant
 * back without passing the lock on. */
#ifndef N
#define N 4
#endif
mtype = { IDLE, QUEUED, GRANTED, CANCELED, TIMEDOUT, OWNED };

bit held;
chan queue = [N] of { byte };
mtype state[N] = IDLE;
bit mail[N], said_yes[N];
byte inside, done;
hidden byte head, nothing;                     /* scratch inside one step */

/* The one dispatch, under the lot's lock, after every change. */
inline dispatch() {
  if
  :: (!held && len(queue) > 0) ->
     queue?head; assert(state[head] == QUEUED);
     held = 1; state[head] = GRANTED; mail[head] = 1
  :: else
  fi;
  assert(held || len(queue) == 0)                       /* the invariant */
}

inline release() { atomic { held = 0; dispatch() } }

/* Out of the queue, if it is still there. */
inline leave(who, as, left) {
  atomic {
    left = (state[who] == QUEUED);
    if
    :: left -> queue??eval(who); state[who] = as; mail[who] = 1; dispatch()
    :: else
    fi
  }
}

inline cancel(who) {
  leave(who, CANCELED, left);
  if
  :: atomic { left -> said_yes[who] = 1; left = 0 }
  :: else ->
     if
     :: atomic { state[who] == GRANTED -> state[who] = CANCELED; said_yes[who] = 1 };
#ifndef BUG_DROP
        release()
#endif
     :: atomic { state[who] != GRANTED -> skip }        /* busy, or never asked */
     fi
  fi
}

active proctype Stranger() {
  byte who = 0; bit left;
  do :: who < N -> if :: cancel(who) :: skip fi; who++ :: else -> break od;
  done++
}

proctype Loop(byte me) {
  bit expired = 0; mtype answer;
  atomic {
    if
    :: !held && len(queue) == 0 -> held = 1; state[me] = GRANTED; mail[me] = 1
    :: else -> queue!me; state[me] = QUEUED
    fi };
  do
  :: mail[me] -> break
  :: !expired -> expired = 1; leave(me, TIMEDOUT, nothing) /* a grant wins */
  od;
  atomic { mail[me] = 0; expired = 0 };
  atomic { answer = state[me];
    if :: answer == GRANTED -> state[me] = OWNED :: else -> state[me] = IDLE fi };
  assert(answer == GRANTED || answer == CANCELED || answer == TIMEDOUT);
  if
  :: answer == GRANTED -> inside++; assert(inside == 1); inside--;
     state[me] = IDLE; release()
  :: else
  fi;
  assert(!mail[me]);                                    /* one callback */
  done++;
  done == N + 1;
  assert(said_yes[me] == (answer == CANCELED));
  assert(!held && len(queue) == 0)
}

init { byte i = 0; atomic {
  do :: i < N -> run Loop(i); i++ :: else -> break od } }

ltl all_answered { <> (done == N + 1) }
