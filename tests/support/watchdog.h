/* SPDX-License-Identifier: MIT
 *
 * watchdog.h - no test process hangs for ever.
 *
 * Nothing to call: every process that links this folder is watched from before
 * main. When its time is up it says so, prints the stack of each thread (where
 * the system can) and aborts; the last "RUN" line of cmocka names the test.
 *
 * PKD_TEST_DEADLINE, in seconds, moves the time; 0 takes the watch off (for a
 * debugger). tests/meson.build sets it a little below the test's timeout. */
#ifndef PKD_TEST_WATCHDOG_H
#define PKD_TEST_WATCHDOG_H

/** Starts the time anew, with so many seconds, or 0 for no watch. For a program
 * that knows how long it is going to run. */
void watchdog_set(unsigned seconds);

#endif
