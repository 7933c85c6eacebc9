/* SPDX-License-Identifier: MIT
 *
 * right.c - a program in order: clang's thread-safety analysis has nothing to
 * say about it, section macros left in every way included. Compiled only. */
#include <parkade/cond.h>
#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>

static pkd_mutex_t m;
static int total PKD_GUARDED_BY(m);

static pkd_fair_mutex_t f;
static int turns PKD_GUARDED_BY(f);

static pkd_rwlock_t l;
static int table PKD_GUARDED_BY(l);

static pkd_remutex_t r;
static int depth PKD_GUARDED_BY(r);

static pkd_cond_t changed;

static int add(int n) PKD_REQUIRES(m) {
  return total += n;
}

int mutex_calls(int n);
int mutex_sections(int n);
int fair_calls(void);
int remutex_calls(int n);
int rwlock_calls(int n);
int rwlock_changes(void);
int rwlock_sections(int n);
void cond_calls(void);

int mutex_calls(int n) {
  int sum;

  pkd_mutex_lock(&m);
  sum = add(n);
  pkd_mutex_unlock(&m);
  if (pkd_mutex_trylock(&m) == 0) {
    total++;
    pkd_mutex_bump(&m);
    total++;
    pkd_mutex_unlock_fair(&m);
  }
  if (pkd_mutex_lock_for(&m, 1000) != 0)
    return sum;
  sum = total;
  pkd_mutex_unlock(&m);
  return sum;
}

int mutex_sections(int n) {
  PKD_WITH_MUTEX(&m) {
    if (n == 0)
      break;
    if (n == 1)
      return total;
    if (n == 2)
      goto out;
    total = n;
  }
  PKD_WITH_MUTEX(&m) {
    add(n);
  }
  pkd_mutex_lock(&m);
  total++;
  pkd_mutex_unlock(&m);
out:
  return n;
}

int fair_calls(void) {
  int n = 0;

  pkd_fair_mutex_lock(&f);
  turns++;
  pkd_fair_mutex_unlock(&f);
  PKD_WITH_FAIR_MUTEX(&f) {
    n = turns;
  }
  return n;
}

int remutex_calls(int n) {
  pkd_remutex_lock(&r);
  depth++;
  if (n > 0)
    n = remutex_calls(n - 1); /* locks it again */
  pkd_remutex_unlock(&r);
  PKD_WITH_REMUTEX(&r) {
    PKD_WITH_REMUTEX(&r) {
      if (n == 0)
        return depth;
    }
    depth++;
  }
  if (pkd_remutex_trylock(&r) == 0) {
    depth--;
    pkd_remutex_bump(&r);
    pkd_remutex_unlock_fair(&r);
  }
  return n;
}

int rwlock_calls(int n) {
  int seen;

  pkd_rwlock_rdlock(&l);
  seen = table;
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_wrlock(&l);
  table = n;
  pkd_rwlock_wrunlock(&l);
  pkd_rwlock_uplock(&l);
  seen += table;
  pkd_rwlock_upunlock_fair(&l);
  if (pkd_rwlock_tryrdlock(&l) == 0) {
    seen += table;
    pkd_rwlock_rdunlock(&l);
  }
  if (pkd_rwlock_wrlock_until(&l, 0) == 0) {
    table = 0;
    pkd_rwlock_wrunlock(&l);
  }
  return seen;
}

int rwlock_changes(void) {
  int seen;

  pkd_rwlock_uplock(&l);
  seen = table;
  pkd_rwlock_upgrade(&l);
  table = seen + 1;
  pkd_rwlock_downgrade(&l);
  seen = table;
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_wrlock(&l);
  table++;
  pkd_rwlock_downgrade_to_up(&l);
  seen = table;
  pkd_rwlock_upunlock(&l);
  return seen;
}

int rwlock_sections(int n) {
  PKD_WITH_RDLOCK(&l) {
    n += table;
  }
  PKD_WITH_WRLOCK(&l) {
    if (n > 7)
      return table;
    table = n;
  }
  PKD_WITH_UPLOCK(&l) {
    n += table;
  }
  return n;
}

void cond_calls(void) {
  pkd_mutex_lock(&m);
  while (total == 0)
    pkd_cond_wait(&changed, &m);
  total--;
  pkd_mutex_unlock(&m);
  pkd_rwlock_rdlock(&l);
  while (table == 0)
    pkd_cond_wait_rdlock(&changed, &l);
  pkd_rwlock_rdunlock(&l);
}
