/* SPDX-License-Identifier: MIT
 *
 * memory.c - atomic locations: which value a load may return.
 *
 * Every location keeps its newest stores in modification order. A load may
 * return any of them that coherence does not hide: not one older than a store
 * that the thread knows of (some event that saw it happens before the load),
 * and, for a seq_cst load, not one older than the newest seq_cst store. What it
 * returns decides what it synchronizes with: an acquire load joins the clock
 * that the store released. This is the model of CDSChecker and loom.
 *
 * A read-modify-write reads the newest store and carries its release clock on
 * (a release sequence, as in C++20: plain stores of the same thread do not). A
 * compare-and-swap that fails is a load: it may fail on an old value too.
 *
 * Not modelled: load buffering and reordered stores to different locations
 * that were both overwritten (LB and 2+2W), since modification order is the
 * order of execution; stores beyond the newest eight; atomics that overlap
 * with different sizes.
 *
 * Longer than most files here: the model is one thing.
 *
 * A location that plain code has changed meanwhile (a node that is filled in
 * before it is published) starts a new history: the race detector has seen to
 * it that nobody can still hold an old view. */
#include "engine.h"

#include <string.h>

#define LOCATIONS 1024u
#define HISTORY 8

typedef struct store {
  uint64_t value;
  ex_clock_t released;       /* what an acquire of this store learns */
  uint32_t seen[EX_THREADS]; /* when each thread first knew it; 0 = not */
} store_t;

typedef struct location {
  uintptr_t at;
  uint32_t execution; /* valid in this one */
  int size;
  int count;
  int newest_sc;   /* index of the newest seq_cst store, -1: none */
  uint64_t writes; /* hash of the events that wrote here, in order */
  uint64_t reads;  /* hash of the events that read the newest, as a set */
  store_t store[HISTORY];
} location_t;

static location_t locations[LOCATIONS];
static unsigned in_use;
static uint32_t execution;
static ex_clock_t sc_fences;
static uint64_t sc_fence_writes;

void ex_memory_begin(void) {
  execution++;
  in_use = 0;
  memset(&sc_fences, 0, sizeof sc_fences);
  sc_fence_writes = 0;
}

/* --- locations ----------------------------------------------------------- */

static uint64_t peek(uintptr_t at, int size) {
  uint64_t value = 0;

  /* little and big endian alike: through a variable of the right size */
  switch (size) {
  case 1: {
    value = *(uint8_t*)at;
    break;
  }
  case 2: {
    value = *(uint16_t*)at;
    break;
  }
  case 4: {
    value = *(uint32_t*)at;
    break;
  }
  default:
    memcpy(&value, (void*)at, sizeof value);
  }
  return value;
}

static void poke(uintptr_t at, int size, uint64_t value) {
  switch (size) {
  case 1:
    *(uint8_t*)at = (uint8_t)value;
    break;
  case 2:
    *(uint16_t*)at = (uint16_t)value;
    break;
  case 4:
    *(uint32_t*)at = (uint32_t)value;
    break;
  default:
    memcpy((void*)at, &value, sizeof value);
  }
}

static void start_history(location_t* location, int size, uint64_t value) {
  location->size = size;
  location->count = 1;
  location->newest_sc = -1;
  memset(&location->store[0], 0, sizeof location->store[0]);
  location->store[0].value = value;
}

static location_t* find(uintptr_t at, int size) {
  unsigned i = (unsigned)ex_mix(at, 2) % LOCATIONS;
  location_t* location;
  uint64_t value = peek(at, size);

  while (locations[i].execution == execution && locations[i].at != at)
    i = (i + 1) % LOCATIONS;
  location = &locations[i];
  if (location->execution != execution) {
    if (++in_use > LOCATIONS / 2)
      ex_fail(EXPLORE_CRASH, "more than %u atomic locations", LOCATIONS / 2);
    location->execution = execution;
    location->at = at;
    location->writes = location->reads = 0;
    start_history(location, size, value);
  } else if (location->size != size ||
             location->store[location->count - 1].value != value) {
    start_history(location, size, value);
  }
  return location;
}

/* --- orders -------------------------------------------------------------- */

static bool acquires(int order) {
  return order == __ATOMIC_CONSUME || order == __ATOMIC_ACQUIRE ||
         order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static bool releases(int order) {
  return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL ||
         order == __ATOMIC_SEQ_CST;
}

static const char* order_name(int order) {
  static const char* const names[] = {"relaxed", "consume", "acquire",
                                      "release", "acq_rel", "seq_cst"};
  return names[order];
}

/* --- events -------------------------------------------------------------- */

static void tick(void) {
  ex_self()->clock.at[ex.current]++;
}

/* The running thread writes: after all writes, and all reads since the last. */
static void event_write(location_t* location, uint64_t tag) {
  ex_event(location->at + tag);
  ex_event(location->writes);
  ex_event(location->reads);
  location->writes = ex_self()->hash;
  location->reads = 0;
}

static void event_read(location_t* location, int age) {
  ex_event(location->at + 1);
  ex_event(ex_mix(location->writes, (uint64_t)age));
  location->reads += ex_self()->hash;
}

/* Notes a look that changed nothing: a loop of those waits for another thread. */
static void note_look(uintptr_t at, uint64_t value, const void* pc) {
  ex_thread_t* self = ex_self();
  bool again =
      self->look_pc == pc && self->look_at == at && self->look_value == value;

  self->looks = again ? self->looks + 1 : 0;
  self->look_pc = pc;
  self->look_at = at;
  self->look_value = value;
}

static void read_from(store_t* store, int order) {
  ex_thread_t* self = ex_self();

  if (store->seen[ex.current] == 0)
    store->seen[ex.current] = self->clock.at[ex.current];
  if (acquires(order))
    ex_clock_join(&self->clock, &store->released);
  else
    ex_clock_join(&self->unfenced, &store->released);
}

static void append(location_t* location, uint64_t value, int order,
                   bool is_rmw) {
  ex_thread_t* self = ex_self();
  ex_clock_t released = releases(order) ? self->clock : self->fenced;
  store_t* store;

  if (is_rmw)
    ex_clock_join(&released, &location->store[location->count - 1].released);
  if (location->count == HISTORY) {
    memmove(&location->store[0], &location->store[1],
            (HISTORY - 1) * sizeof location->store[0]);
    location->count--;
    if (location->newest_sc >= 0)
      location->newest_sc--;
  }
  store = &location->store[location->count++];
  memset(store, 0, sizeof *store);
  store->value = value;
  store->released = released;
  store->seen[ex.current] = self->clock.at[ex.current];
  if (order == __ATOMIC_SEQ_CST)
    location->newest_sc = location->count - 1;
  self->look_pc = NULL;
  self->looks = 0;
  tick(); /* what the thread does now is not released by this store */
}

/* @return the index of the oldest store that a load may return */
static int oldest_visible(const location_t* location, int order) {
  ex_clock_t known = ex_self()->clock;
  int i = location->count - 1;

  if (ex.spent.stale >= ex_bounds.stale)
    return i;
  ex_clock_join(&known, &ex_self()->sc_view);
  for (; i > 0; i--) {
    const store_t* store = &location->store[i];
    if (order == __ATOMIC_SEQ_CST && i <= location->newest_sc)
      return i;
    for (int u = 0; u < ex.threads; u++)
      if (store->seen[u] != 0 && store->seen[u] <= known.at[u])
        return i;
  }
  return i;
}

/* --- operations ---------------------------------------------------------- */

uint64_t ex_load(uintptr_t at, int size, int order, const void* pc) {
  location_t* location;
  store_t* store;
  int newest;
  int age;

  if (!ex.inside)
    return peek(at, size);
  ex_point();
  tick();
  ex_shadow_access(at, (size_t)size, EX_ATOMIC, pc);
  location = find(at, size);
  newest = location->count - 1;
  age = ex_search_pick(newest - oldest_visible(location, order) + 1,
                       EX_WHICH_STORE);
  if (age > 0)
    ex.spent.stale++;
  store = &location->store[newest - age];
  event_read(location, age);
  read_from(store, order);
  note_look(at, store->value, pc);
  EX_TRACE(pc, "load   %s is %llu%s, %s", ex_arena_name(at),
           (unsigned long long)store->value, age > 0 ? " (STALE)" : "",
           order_name(order));
  return store->value;
}

void ex_store(uintptr_t at, int size, uint64_t value, int order,
              const void* pc) {
  location_t* location;

  if (!ex.inside) {
    ex_shadow_access(at, (size_t)size, EX_ATOMIC | EX_WRITE, pc);
    poke(at, size, value);
    return;
  }
  ex_point();
  tick();
  ex_shadow_access(at, (size_t)size, EX_ATOMIC | EX_WRITE, pc);
  location = find(at, size);
  append(location, value, order, false);
  poke(at, size, value);
  event_write(location, 2);
  EX_TRACE(pc, "store  %s = %llu, %s", ex_arena_name(at),
           (unsigned long long)value, order_name(order));
}

static uint64_t apply(ex_rmw_t op, uint64_t old, uint64_t operand, int size) {
  uint64_t mask = size == 8 ? UINT64_MAX : ((uint64_t)1 << (size * 8)) - 1;
  uint64_t value = operand;

  switch (op) {
  case EX_SET:
    break;
  case EX_ADD:
    value = old + operand;
    break;
  case EX_SUB:
    value = old - operand;
    break;
  case EX_AND:
    value = old & operand;
    break;
  case EX_OR:
    value = old | operand;
    break;
  case EX_XOR:
    value = old ^ operand;
    break;
  case EX_NAND:
    value = ~(old & operand);
    break;
  }
  return value & mask;
}

/* Reads the newest store and writes right after it. */
static uint64_t modify(location_t* location, uint64_t value, int order) {
  store_t* newest = &location->store[location->count - 1];
  uint64_t old = newest->value;

  read_from(newest, order);
  append(location, value, order, true);
  poke(location->at, location->size, value);
  event_write(location, 4);
  return old;
}

uint64_t ex_rmw(uintptr_t at, int size, ex_rmw_t op, uint64_t operand,
                int order, const void* pc) {
  static const char* const names[] = {"swap", "add", "sub", "and",
                                      "or",   "xor", "nand"};
  uint64_t old = peek(at, size);
  uint64_t value;

  if (!ex.inside) {
    ex_shadow_access(at, (size_t)size, EX_ATOMIC | EX_WRITE, pc);
    poke(at, size, apply(op, old, operand, size));
    return old;
  }
  ex_point();
  tick();
  ex_shadow_access(at, (size_t)size, EX_ATOMIC | EX_WRITE, pc);
  old = peek(at, size);
  value = apply(op, old, operand, size);
  modify(find(at, size), value, order);
  EX_TRACE(pc, "%-6s %s from %llu to %llu, %s", names[op], ex_arena_name(at),
           (unsigned long long)old, (unsigned long long)value,
           order_name(order));
  return old;
}

/* The stores on which a compare-and-swap may fail or succeed: the newest, and
 * visible older ones that differ from what is expected. @return how many; their
 * ages are in `ages` */
static int cas_ages(const location_t* location, uint64_t expected, int failure,
                    int* ages) {
  int newest = location->count - 1;
  int oldest = oldest_visible(location, failure);
  int count = 0;

  ages[count++] = 0;
  for (int i = newest - 1; i >= oldest; i--)
    if (location->store[i].value != expected)
      ages[count++] = newest - i;
  return count;
}

bool ex_cas(uintptr_t at, int size, uint64_t* expected, uint64_t desired,
            int order, int failure, const void* pc) {
  location_t* location;
  store_t* store;
  int ages[HISTORY];
  int age;

  if (!ex.inside) {
    uint64_t old = peek(at, size);
    bool same = old == *expected;
    ex_shadow_access(at, (size_t)size, EX_ATOMIC | EX_WRITE, pc);
    if (same)
      poke(at, size, desired);
    *expected = old;
    return same;
  }
  ex_point();
  tick();
  location = find(at, size);
  age = ages[ex_search_pick(cas_ages(location, *expected, failure, ages),
                            EX_WHICH_STORE)];
  store = &location->store[location->count - 1 - age];
  if (age == 0 && store->value == *expected) {
    ex_shadow_access(at, (size_t)size, EX_ATOMIC | EX_WRITE, pc);
    modify(location, desired, order);
    EX_TRACE(pc, "cas    %s from %llu to %llu, %s", ex_arena_name(at),
             (unsigned long long)*expected, (unsigned long long)desired,
             order_name(order));
    return true;
  }
  if (age > 0)
    ex.spent.stale++;
  ex_shadow_access(at, (size_t)size, EX_ATOMIC, pc);
  event_read(location, age);
  read_from(store, failure);
  note_look(at, store->value, pc);
  EX_TRACE(pc, "cas    %s fails: is %llu%s, not %llu", ex_arena_name(at),
           (unsigned long long)store->value, age > 0 ? " (STALE)" : "",
           (unsigned long long)*expected);
  *expected = store->value;
  return false;
}

void ex_fence(int order, const void* pc) {
  ex_thread_t* self = ex_self();

  if (!ex.inside)
    return;
  ex_point();
  tick();
  ex_event(9);
  if (acquires(order))
    ex_clock_join(&self->clock, &self->unfenced);
  if (order == __ATOMIC_SEQ_CST) {
    ex_clock_join(&sc_fences, &self->clock);
    ex_clock_join(&self->sc_view, &sc_fences);
    ex_event(sc_fence_writes);
    sc_fence_writes = self->hash;
  }
  if (releases(order))
    self->fenced = self->clock;
  tick();
  EX_TRACE(pc, "fence  %s", order_name(order));
}

uint32_t ex_kernel_read(uint32_t* word, const void* pc) {
  tick();
  ex_shadow_access((uintptr_t)word, sizeof *word, EX_ATOMIC, pc);
  ex_kernel_event(word);
  return *word;
}

/* A sleep and a wake on the same word exclude each other: both are writes as
 * far as the order of events is concerned. Only the address counts. */
void ex_kernel_event(const uint32_t* word) {
  unsigned i = (unsigned)ex_mix((uintptr_t)word, 2) % LOCATIONS;

  while (locations[i].execution == execution &&
         locations[i].at != (uintptr_t)word)
    i = (i + 1) % LOCATIONS;
  if (locations[i].execution == execution)
    event_write(&locations[i], 7);
  else
    ex_event((uintptr_t)word + 7);
}
