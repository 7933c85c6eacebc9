/* SPDX-License-Identifier: MIT
 *
 * sections.c - sections that are unlocked however they are left, and one that is
 * long and lets others in. */
#include <parkade/mutex.h>
#include <parkade/rwlock.h>

#include <stdio.h>

static pkd_mutex_t m;
static int total; /* under m */
static pkd_rwlock_t l;
static int table[8] = {0, 1, 4, 9, 16, 25, 36, 49}; /* under l */

static void add(int n) {
  PKD_WITH_MUTEX(&m) {
    total += n;
  }
}

static int look_up(int k) {
  int n = -1;
  PKD_WITH_RDLOCK(&l) {
    n = table[k];
  }
  return n;
}

/* Returns from the middle of a section: unlocked all the same. */
static int add_once(int n) {
  PKD_WITH_MUTEX(&m) {
    if (total >= n)
      return 0;
    total += n;
  }
  return 1;
}

static void double_all(void) {
  pkd_rwlock_wrlock(&l);
  for (int i = 0; i < 8; i++) {
    table[i] *= 2;
    pkd_rwlock_wrbump(&l); /* whoever waits has a turn now */
  }
  pkd_rwlock_wrunlock(&l);
}

int main(void) {
  add(look_up(3));
  int first = add_once(5);
  int second = add_once(10);
  double_all();
  printf("%d, then %d\n", total, look_up(3));
  return total == 19 && first == 0 && second == 1 && look_up(3) == 18 ? 0 : 1;
}
