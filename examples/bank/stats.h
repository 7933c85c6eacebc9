/* SPDX-License-Identifier: MIT
 *
 * stats.h - what the bank counts, shared by loops and pool threads.
 *
 * A data-critical section: a few words go in or come out, nothing in it can
 * wait. So a mutex that blocks the thread is right, on a loop too, and one
 * byte of it is enough. Figures that belong together change in one section:
 * in every reading, begun = waiting + inside + moved + refused + cancelled +
 * failed. */
#ifndef BANK_STATS_H
#define BANK_STATS_H

#include <stdint.h>

#include <parkade/mutex.h>

enum figure {
  FIGURE_CLIENTS,
  FIGURE_HANGUPS, /* connections closed, by either side */
  FIGURE_COMMANDS,
  FIGURE_BEGUN,     /* transfers, from here ... */
  FIGURE_WAITING,   /* for the guard */
  FIGURE_INSIDE,    /* the guarded section */
  FIGURE_MOVED,     /* done */
  FIGURE_REFUSED,   /* unknown account, insufficient funds, overflow */
  FIGURE_CANCELLED, /* the client left while it waited */
  FIGURE_FAILED,    /* the database said no; ... to here */
  FIGURE_AMOUNT,    /* the sum of all that was moved */
  FIGURE_CALLS,     /* database calls */
  FIGURE_CALLS_US,  /* and how long they took in all */
  FIGURE_STALL_US,  /* the longest a loop did not look at its sockets */
  FIGURES
};

/* Zeroed is ready. */
struct stats {
  pkd_mutex_t mutex;
  int64_t figures[FIGURES]; /* under mutex */
};

void stats_add(struct stats* stats, enum figure figure, int64_t change);
void stats_raise(struct stats* stats, enum figure figure, int64_t at_least);

/* A call of the database that took so long. */
void stats_call(struct stats* stats, int64_t us);

/* A transfer's life: begin, enter, end; a cancelled one never enters. */
void stats_begin(struct stats* stats);
void stats_enter(struct stats* stats);
void stats_end(struct stats* stats, enum figure outcome, int64_t amount);

/* All figures as they were at one moment. */
void stats_read(struct stats* stats, int64_t figures[FIGURES]);

const char* stats_name(enum figure figure);

#endif
