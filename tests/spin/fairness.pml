/* SPDX-License-Identifier: MIT
 *
 * fairness.pml - how long one may be overtaken: barging, until one is due.
 *
 * N threads take a lock ROUNDS times each. Whoever comes while it is free takes
 * it, though others are queued; an unlock wakes the head to compete, one at a
 * time, or, if the head's patience is over, hands the lock to it. Who was woken in
 * vain goes back to the front, with the patience that is left. A clock may tick
 * between any two steps.
 *
 * The bound, as safety: who is due competes in vain once at most; the lock is
 * never free with somebody queued and nobody on the way to it; and the oldest is
 * always first. Liveness: under weak fairness everybody gets its rounds.
 * -DBUG_ANEW gives new patience to who comes back, -DBUG_BACK sends it to the end,
 * -DBUG_NOBODY forgets that one was on its way. */
#ifndef N
#define N 4
#endif
#define ROUNDS 2
#define PATIENCE 2
mtype = { AWAY, QUEUED, WOKEN, OWNER };

bit held, coming;               /* coming: one is woken and on its way */
chan queue = [N] of { byte };
mtype state[N] = AWAY;
byte left[N], due_in[N];        /* patience: as kept, and in fact */
byte vain[N], done;
hidden byte head, n;

/* N is 3 or 4; a clock that ticks for nobody would hide a deadlock */
#define WAITING (due_in[0] + due_in[1] + due_in[2] + due_in[N - 1] > 0)

active proctype Clock() {
end:
  do
  :: atomic { WAITING -> n = 0;
       do
       :: n < N -> left[n] = left[n] - (left[n] > 0);
          due_in[n] = due_in[n] - (due_in[n] > 0); n++
       :: else -> break
       od }
  od
}

inline oldest_is_first() {      /* time is the same for all */
  n = 0;
  do
  :: n < N -> assert(state[n] != QUEUED || due_in[n] >= due_in[head]); n++
  :: else -> break
  od
}

inline unlock() {
  if
  :: len(queue) > 0 && !coming -> queue?head; oldest_is_first();
     if
     :: left[head] == 0 -> state[head] = OWNER
     :: else -> held = 0; coming = 1; state[head] = WOKEN
     fi
  :: else -> held = 0
  fi
}

inline come_back(me) {
#ifndef BUG_NOBODY
  coming = 0;
#endif
  vain[me] = vain[me] + (due_in[me] == 0); assert(vain[me] <= 1);
#ifdef BUG_ANEW
  left[me] = PATIENCE;
#endif
  n = len(queue); queue!me; state[me] = QUEUED;
#ifndef BUG_BACK
  do :: n > 0 -> queue?head; queue!head; n-- :: else -> break od
#endif
}

proctype Thread(byte me) {
  byte round = 0;
  do
  :: round == ROUNDS -> break
  :: round < ROUNDS ->
     if
     :: atomic { !held -> assert(len(queue) == 0 || coming); held = 1 }
     :: atomic { held -> left[me] = PATIENCE; due_in[me] = PATIENCE;
                 vain[me] = 0; queue!me; state[me] = QUEUED };
        do
        :: atomic { state[me] == OWNER -> break }
        :: atomic { state[me] == WOKEN && !held -> held = 1; coming = 0; break }
        :: atomic { state[me] == WOKEN && held -> come_back(me) }
        od
     fi;
     atomic { state[me] = AWAY; round++; unlock() }
  od;
  done++
}

init { byte i = 0; atomic {
  do :: i < N -> run Thread(i); i++ :: else -> break od } }
ltl all_get_their_rounds { <> (done == N) }
