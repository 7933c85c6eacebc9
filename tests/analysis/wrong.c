/* SPDX-License-Identifier: MIT
 *
 * wrong.c - each line with a note has a mistake, and clang's analysis must say of
 * it what the note says. Compiled only. */
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

int unguarded(void);
int forgotten(void);
void twice(void);
void early(void);
void not_got(void);
int after_section(void);
void section_twice(void);
void shared_write(void);
void downgraded_write(void);
void section_write(void);
void wait_without(void);
int turn(void);
int deep(void);
int deep_forgotten(void);

int unguarded(void) {
  add(1);       /* expect: requires holding mutex 'm' */
  return total; /* expect: reading variable 'total' requires */
}

int forgotten(void) {
  pkd_mutex_lock(&m);
  return total;
} /* expect: mutex 'm' is still held at the end */

void twice(void) {
  pkd_mutex_lock(&m);
  pkd_mutex_lock(&m); /* expect: already held */
  pkd_mutex_unlock(&m);
}

void early(void) {
  pkd_mutex_unlock(&m); /* expect: releasing mutex 'm' that was not held */
}

void not_got(void) {
  if (pkd_mutex_trylock(&m) != 0)
    total = 1; /* expect: writing variable 'total' requires */
  else
    pkd_mutex_unlock(&m);
}

int after_section(void) {
  PKD_WITH_MUTEX(&m) {
    total = 1;
  }
  return total; /* expect: reading variable 'total' requires */
}

void section_twice(void) {
  pkd_mutex_lock(&m);
  PKD_WITH_MUTEX(&m) { /* expect: while mutex 'm' is held */
    total = 1;
  }
  pkd_mutex_unlock(&m);
}

void shared_write(void) {
  pkd_rwlock_rdlock(&l);
  table = 1; /* expect: writing variable 'table' requires */
  pkd_rwlock_rdunlock(&l);
}

void downgraded_write(void) {
  pkd_rwlock_wrlock(&l);
  table = 1;
  pkd_rwlock_downgrade(&l);
  table = 2; /* expect: writing variable 'table' requires */
  pkd_rwlock_rdunlock(&l);
}

void section_write(void) {
  PKD_WITH_RDLOCK(&l) {
    table = 1; /* expect: writing variable 'table' */
  }
}

void wait_without(void) {
  pkd_cond_wait(&changed, &m); /* expect: requires holding mutex 'm' */
}

int turn(void) {
  PKD_WITH_FAIR_MUTEX(&f) {
    turns++;
  }
  return turns; /* expect: reading variable 'turns' requires */
}

int deep(void) {
  PKD_WITH_REMUTEX(&r) {
    depth++;
  }
  return depth; /* expect: reading variable 'depth' requires */
}

int deep_forgotten(void) {
  pkd_remutex_lock(&r);
  return depth;
} /* expect: mutex 'r' is still held at the end */
