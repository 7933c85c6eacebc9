/* SPDX-License-Identifier: MIT
 *
 * deadlock_order.c - which lock was ever wanted under which.
 *
 * A graph: an edge from A to B says that some thread held A, in some mode, when
 * it was about to wait for B, in some mode. A ring of edges in which each wanted
 * mode must wait for the next held mode is a deadlock that has not happened yet.
 * The graph is searched only when an edge is new, or has lost a gate.
 *
 * The gates of an edge are the locks that were held exclusively each time it was
 * seen. A ring whose edges share a gate cannot close: the gate lets one thread
 * in at a time.
 *
 * Edges that would close a ring are kept like all others, reported once. */
#include "deadlock.h"

#include <string.h>

enum {
  NODES = 4096,   /* locks that were ever nested; a power of two */
  EDGES = 8192,   /* pairs of them */
  GATES = 4,      /* per edge; more are not remembered: a report too many */
  BUDGET = 20000, /* edges looked at in one search */
  NONE = 0        /* no edge: the first is never used */
};

struct edge {
  const void* from;
  const void* to;
  uint8_t held, wanted, kind; /* modes; the kind of `to` */
  uint8_t gate_count;
  uint16_t next;    /* from the same node, or free */
  uint16_t chain;   /* with the same hash */
  uintptr_t thread; /* who was seen first */
  struct pkd__site taken, wanting;
  const void* gates[GATES];
};

struct node {
  const void* object; /* NULL: never used; &gone: used and left */
  uint16_t first;     /* edge from here */
  bool written;       /* somebody wanted it exclusively */
  bool seen;          /* in the search under way */
};

static struct node nodes[NODES];
static struct edge edges[EDGES];
static uint16_t hashed[EDGES]; /* hash of an edge -> edge */
static uint16_t used = 1, free_edges;
static const char gone;

/* --- the table ---------------------------------------------------------------- */

static size_t hash(const void* object) {
  return (size_t)((uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15) >>
                  40);
}

/* @return NULL: not there, and no room or not to be made */
static struct node* node_of(const void* object, bool make) {
  struct node* vacant = NULL;

  for (size_t i = 0; i < NODES; i++) {
    struct node* node = &nodes[(hash(object) + i) % NODES];

    if (node->object == object)
      return node;
    if (vacant == NULL && (node->object == NULL || node->object == &gone))
      vacant = node;
    if (node->object == NULL)
      break;
  }
  if (!make)
    return NULL;
  if (vacant == NULL) {
    pkd__watch_missed();
    return NULL;
  }
  *vacant = (struct node){object, NONE, false, false};
  return vacant;
}

static uint16_t* chain_of(const struct edge* edge) {
  size_t h = hash(edge->from) * 31 + hash(edge->to) * 7 +
             (size_t)(edge->held * 8 + edge->wanted);

  return &hashed[h % EDGES];
}

static struct edge* find(const struct edge* like) {
  for (uint16_t i = *chain_of(like); i != NONE; i = edges[i].chain) {
    struct edge* edge = &edges[i];

    if (edge->from == like->from && edge->to == like->to &&
        edge->held == like->held && edge->wanted == like->wanted)
      return edge;
  }
  return NULL;
}

/* @return NULL: no room */
static struct edge* add(const struct edge* like) {
  struct node* from = node_of(like->from, true);
  uint16_t i = free_edges;

  if (from == NULL || node_of(like->to, true) == NULL)
    return NULL;
  if (i != NONE) {
    free_edges = edges[i].next;
  } else if (used < EDGES) {
    i = used++;
  } else {
    pkd__watch_missed();
    return NULL;
  }
  edges[i] = *like;
  edges[i].next = from->first;
  from->first = i;
  edges[i].chain = *chain_of(like);
  *chain_of(like) = i;
  return &edges[i];
}

/* --- gates -------------------------------------------------------------------- */

static bool has_gate(const struct edge* edge, const void* gate) {
  for (unsigned i = 0; i < edge->gate_count; i++)
    if (edge->gates[i] == gate)
      return true;
  return false;
}

/* Keeps the gates that `seen` has too.
 * @return true if one was lost */
static bool keep_common(struct edge* edge, const struct edge* seen) {
  unsigned kept = 0, had = edge->gate_count;

  for (unsigned i = 0; i < had; i++)
    if (has_gate(seen, edge->gates[i]))
      edge->gates[kept++] = edge->gates[i];
  edge->gate_count = (uint8_t)kept;
  return kept < had;
}

static void set_gates(struct edge* edge, const struct pkd__hold* held,
                      size_t count) {
  edge->gate_count = 0;
  for (size_t i = 0; i < count && edge->gate_count < GATES; i++)
    if (held[i].mode == PKD__WATCH_EXCLUSIVE && held[i].object != edge->from &&
        held[i].object != edge->to && held[i].kind <= PKD__WATCH_RWLOCK)
      edge->gates[edge->gate_count++] = held[i].object;
}

/* --- the search ---------------------------------------------------------------- */

struct search {
  const struct edge* path[PKD__RING_MAX]; /* path[0] is the new edge */
  unsigned length;
  unsigned budget;
};

static bool gated(const struct search* s) {
  for (unsigned g = 0; g < s->path[0]->gate_count; g++) {
    unsigned i = 1;

    while (i < s->length && has_gate(s->path[i], s->path[0]->gates[g]))
      i++;
    if (i == s->length)
      return true;
  }
  return false;
}

static bool on_path(const struct search* s, const void* object) {
  for (unsigned i = 0; i < s->length; i++)
    if (s->path[i]->to == object)
      return true;
  return false;
}

static bool meets(const struct edge* before, const struct edge* after) {
  const struct node* node = node_of(after->from, false);

  return pkd__watch_conflict(before->wanted, after->held,
                             node != NULL && node->written);
}

/* Does any way lead from `start` to `end`, whatever the modes and gates? Mostly
 * not, and this is told in one look at each edge. */
static bool leads_to(const void* start, const void* end) {
  static struct node* queue[NODES];
  size_t head = 0, tail = 0;

  for (size_t i = 0; i < NODES; i++)
    nodes[i].seen = false;
  if ((queue[tail] = node_of(start, false)) != NULL)
    queue[tail++]->seen = true;
  while (head < tail) {
    uint16_t i = queue[head++]->first;

    for (; i != NONE; i = edges[i].next) {
      struct node* node = node_of(edges[i].to, false);

      if (edges[i].to == end)
        return true;
      if (node == NULL || node->seen)
        continue;
      node->seen = true;
      queue[tail++] = node;
    }
  }
  return false;
}

static bool push(struct search* s, const struct edge* edge) {
  if (s->length == PKD__RING_MAX)
    return false;
  s->path[s->length++] = edge;
  return true;
}

/* A ring through path[0]. Depth first; the path is the stack, so the recursion is
 * as deep as a ring may be long. */
static bool search(struct search* s) {
  const struct edge* last = s->path[s->length - 1];
  const struct node* node = node_of(last->to, false);
  uint16_t i = node == NULL ? (uint16_t)NONE : node->first;

  for (; i != NONE && s->budget != 0; i = edges[i].next) {
    const struct edge* edge = &edges[i];
    bool closes = edge->to == s->path[0]->from;

    s->budget--;
    if (!meets(last, edge) || (!closes && on_path(s, edge->to)) ||
        !push(s, edge))
      continue;
    if (closes ? meets(edge, s->path[0]) && !gated(s) : search(s))
      return true;
    s->length--;
  }
  return false;
}

static void describe(const struct search* s, struct pkd__finding* finding) {
  finding->verdict = PKD_DEADLOCK_POTENTIAL;
  finding->count = s->length;
  for (unsigned i = 0; i < s->length; i++) {
    const struct edge* edge = s->path[i];

    finding->steps[i] = (pkd_deadlock_step_t){
        .thread = edge->thread,
        .kind = pkd__watch_name(edge->kind),
        .holds = edge->from,
        .held_file = edge->taken.file,
        .held_line = edge->taken.line,
        .wants = edge->to,
        .want_file = edge->wanting.file,
        .want_line = edge->wanting.line,
    };
  }
}

void pkd__order_note(const struct pkd__hold* held, size_t count,
                     const struct pkd__hold* wanted,
                     struct pkd__finding* finding) {
  if (wanted->kind == PKD__WATCH_RWLOCK &&
      (wanted->mode == PKD__WATCH_EXCLUSIVE ||
       wanted->mode == PKD__WATCH_UPGRADE)) {
    struct node* node = node_of(wanted->object, true);

    if (node != NULL)
      node->written = true;
  }
  for (size_t i = 0; i < count; i++) {
    struct edge seen = {.from = held[i].object,
                        .to = wanted->object,
                        .held = held[i].mode,
                        .wanted = wanted->mode,
                        .kind = wanted->kind,
                        .thread = pkd_thread_id(),
                        .taken = held[i].site,
                        .wanting = wanted->site};
    struct edge* edge;
    bool news;

    if (held[i].object == wanted->object || held[i].kind > PKD__WATCH_RWLOCK)
      continue;
    set_gates(&seen, held, count);
    edge = find(&seen);
    news =
        edge == NULL ? (edge = add(&seen)) != NULL : keep_common(edge, &seen);
    if (news && finding->count == 0 && leads_to(edge->to, edge->from)) {
      struct search s = {{edge}, 1, BUDGET};

      if (search(&s))
        describe(&s, finding);
      else if (s.budget == 0)
        pkd__watch_missed();
    }
  }
}

/* --- forgetting ----------------------------------------------------------------- */

static bool within(const void* object, const char* memory, size_t size) {
  uintptr_t at = (uintptr_t)object, start = (uintptr_t)memory;

  return at >= start && at - start < size;
}

static void unlink_edge(uint16_t* list, uint16_t i, bool by_hash) {
  while (*list != i)
    list = by_hash ? &edges[*list].chain : &edges[*list].next;
  *list = by_hash ? edges[i].chain : edges[i].next;
}

void pkd__order_forget(const char* memory, size_t size) {
  for (uint16_t i = 1; i < used; i++) {
    struct edge* edge = &edges[i];

    if (edge->from == NULL ||
        (!within(edge->from, memory, size) && !within(edge->to, memory, size)))
      continue;
    unlink_edge(chain_of(edge), i, true);
    unlink_edge(&node_of(edge->from, false)->first, i, false);
    *edge = (struct edge){.next = free_edges};
    free_edges = i;
  }
  for (size_t i = 0; i < NODES; i++)
    if (nodes[i].object != NULL && within(nodes[i].object, memory, size))
      nodes[i].object = &gone;
}

void pkd__order_clear(void) {
  memset(nodes, 0, sizeof nodes);
  memset(hashed, 0, sizeof hashed);
  used = 1;
  free_edges = NONE;
}
