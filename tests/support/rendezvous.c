/* SPDX-License-Identifier: MIT
 *
 * rendezvous.c - a mutex, a condition and a number of rounds.
 *
 * A sleeper waits for its round to be over and not for a count: the next round
 * may have begun, and be counting, before it wakes. */
#include "rendezvous.h"

void rendezvous_init(struct rendezvous* place, unsigned size) {
  pthread_mutex_init(&place->mutex, NULL);
  pthread_cond_init(&place->all_here, NULL);
  place->size = size;
  place->here = 0;
  place->rounds = 0;
}

void rendezvous_end(struct rendezvous* place) {
  pthread_cond_destroy(&place->all_here);
  pthread_mutex_destroy(&place->mutex);
}

bool rendezvous_meet(struct rendezvous* place) {
  unsigned long round;
  bool last;

  pthread_mutex_lock(&place->mutex);
  round = place->rounds;
  last = ++place->here == place->size;
  if (last) {
    place->here = 0;
    place->rounds++;
    pthread_cond_broadcast(&place->all_here);
  }
  while (place->rounds == round)
    pthread_cond_wait(&place->all_here, &place->mutex);
  pthread_mutex_unlock(&place->mutex);
  return last;
}
