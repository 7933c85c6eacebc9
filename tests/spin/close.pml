/* SPDX-License-Identifier: MIT
 *
 * close.pml - the end of a loop while grants for it are in flight.
 *
 * N threads each grant one request of the loop: they push it into the mailbox,
 * and whoever pushed into an empty one owes one ring of the doorbell and counts
 * it when it has rung. The loop counts the full mailboxes it has emptied. It may
 * close the doorbell when nothing is outstanding and both counts are equal.
 *
 * Safety: nobody rings a closed doorbell. Liveness: under weak fairness the loop
 * closes; so no ring is lost, though rings coalesce. -DBUG_COUNT closes without
 * comparing the counts. */
#ifndef N
#define N 4
#endif
byte inbox, outstanding = N, rung, emptied;
bit pending, closed, detaching;

proctype Granter() {
  bit owe;
  atomic { owe = (inbox == 0); inbox++ };
  if
  :: owe -> assert(!closed); pending = 1;       /* may coalesce with another */
     assert(!closed); rung++
  :: else
  fi
}

active proctype Loop() {
  byte got;
  do
  :: closed -> break
  :: !detaching -> detaching = 1                /* at any moment */
  :: !closed && (pending || detaching) ->       /* a turn: asleep otherwise, but
                                                   a detaching loop keeps turning */
     pending = 0;
     atomic { got = inbox; inbox = 0 };
     emptied = emptied + (got > 0);
     outstanding = outstanding - got; got = 0;
     if
#ifdef BUG_COUNT
     :: detaching && outstanding == 0 -> closed = 1
     :: !(detaching && outstanding == 0)
#else
     :: detaching && outstanding == 0 && rung == emptied -> closed = 1
     :: !(detaching && outstanding == 0 && rung == emptied)
#endif
     fi
  od;
  assert(inbox == 0 && outstanding == 0)
}

init { byte i = 0; atomic {
  do :: i < N -> run Granter(); i++ :: else -> break od } }

ltl closes { <> closed }
