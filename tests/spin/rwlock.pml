/* SPDX-License-Identifier: MIT
 *
 * rwlock.pml - readers, one upgradable, writers; upgrades, and waits that end.
 *
 * N tasks take it once each, in one of three ways; who reads may go on to write.
 * Any wait may be cancelled, queued or granted and undelivered; a cancelled upgrade
 * keeps what it had. Under the lot's lock all is one step.
 *
 * Safety: nobody beside a writer, one upgradable at most; nobody eligible stays
 * queued; at the end all is free. Liveness: under weak fairness everybody comes
 * through. -DBUG_TWO queues a second upgrader, -DBUG_HEAD forgets those behind a
 * head that leaves, -DBUG_REVOKE drops what an upgrader had with its grant. */
#ifndef N
#define N 4
#endif
#define NONE N
#define LATE 2        /* how many waits are cancelled in all */
#define READ 0
#define UP 1
#define WRITE 2
mtype = { IDLE, QUEUED, GRANTED, OWNED };

byte held[3], inside[3];        /* by mode: as the word counts, and in fact */
byte climber = NONE, done, left; /* climber: waits for its upgrade */
chan queue = [N] of { byte };
byte want[N], had[N];
mtype state[N] = IDLE; hidden byte head;

#define MAY(who) (climber == NONE && held[WRITE] == 0 && (want[who] == READ || \
  held[UP] == 0) && (want[who] != WRITE || held[READ] == 0))
#define MAY_CLIMB(who) (held[READ] == (had[who] == READ) && \
  held[UP] == (had[who] == UP))

inline dispatch() {
  do
  :: climber != NONE && MAY_CLIMB(climber) -> held[had[climber]]--;
     held[WRITE]++; state[climber] = GRANTED; climber = NONE
  :: climber == NONE && len(queue) > 0 ->
     queue?<head>;
     if
     :: MAY(head) -> queue?head; held[want[head]]++; state[head] = GRANTED
     :: else -> break fi
  :: else -> break
  od
}

/* Delivery, or the end of a wait that is not delivered yet. */
inline wait(me, climbing) {
  if :: atomic { state[me] == GRANTED -> state[me] = OWNED; had[me] = want[me] }
  :: atomic { left < LATE && (state[me] == QUEUED || state[me] == GRANTED) ->
       left++;
       if :: state[me] == QUEUED && climbing -> climber = NONE
       :: state[me] == QUEUED && !climbing -> queue??eval(me)
       :: state[me] == GRANTED -> held[want[me]]--;
#ifndef BUG_REVOKE
          held[had[me]] = held[had[me]] + climbing
#endif
       fi;
       state[me] = (climbing -> OWNED : IDLE);
#ifndef BUG_HEAD
       dispatch();
#endif
       if :: len(queue) > 0 -> queue?<head>; assert(!MAY(head)) :: else fi }
  fi
}

inline section(me) {
  inside[had[me]]++;
  assert(inside[WRITE] + inside[UP] <= 1 && (!inside[WRITE] || !inside[READ]));
  inside[had[me]]--
}

proctype Task(byte me) {
  atomic {
    if :: len(queue) == 0 && MAY(me) -> held[want[me]]++; state[me] = GRANTED
    :: else -> queue!me; state[me] = QUEUED
    fi };
  wait(me, 0);
  if
  :: state[me] == OWNED ->
     section(me);
     if :: skip
#ifdef BUG_TWO
     :: atomic { had[me] != WRITE ->
#else
     :: atomic { had[me] != WRITE && climber == NONE -> /* else refused */
#endif
          want[me] = WRITE; climber = me; state[me] = QUEUED; dispatch() };
        wait(me, 1); section(me)
     fi;
     atomic { state[me] = IDLE; held[had[me]]--; dispatch() }
  :: else fi;
  atomic { done++; if :: done == N -> assert(held[READ] + held[UP] +
    held[WRITE] + len(queue) == 0 && climber == NONE) :: else fi }
}

init { byte i = 0, mode = READ; atomic { do    /* in order: tasks are alike */
  :: i < N -> want[i] = mode; run Task(i); i++
  :: i < N && mode < WRITE -> mode++
  :: i == N -> break od } }
ltl all_come_through { <> (done == N) }
