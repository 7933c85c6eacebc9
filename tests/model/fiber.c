/* SPDX-License-Identifier: MIT
 *
 * fiber.c - a thread of the scenario is a stack of its own.
 *
 * makecontext() is needed once per stack, to get onto it; from then on
 * _setjmp and _longjmp switch (portable, and 25 times as fast as swapcontext,
 * which asks the kernel for the signal mask). Stacks lie at the same addresses
 * in every execution, so that everything computed from an address repeats. A
 * stack is entered anew in each execution: whatever the last one left half done
 * there is forgotten.
 *
 * Thread-local variables of the explored code lie in one block, that of the only
 * OS thread. It is copied out and in at every switch, and starts from the
 * program's image like that of a real thread.
 *
 * Must be compiled without _FORTIFY_SOURCE: glibc's checked longjmp takes a
 * jump to another stack for an attack. */
#include "engine.h"

#include <link.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

typedef struct fiber {
  jmp_buf at;
  jmp_buf entrance; /* the bottom of the stack, set once */
  bool has_entrance;
} fiber_t;

#define TLS_MOST 1024

/* Of the explored code's thread-local variables; no bytes: it has none. */
uintptr_t ex_tls_at;
size_t ex_tls_size;
static const char* tls_image;
static size_t tls_image_size;

static char tls_of[EX_THREADS][TLS_MOST];
static fiber_t fibers[EX_THREADS];
static jmp_buf driver;
static ucontext_t maker;
static int making;

/* dl_iterate_phdr() shows the program first. */
static int find_tls(struct dl_phdr_info* info, size_t size, void* arg) {
  (void)size;
  (void)arg;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_TLS) {
      ex_tls_at = (uintptr_t)info->dlpi_tls_data;
      ex_tls_size = info->dlpi_phdr[i].p_memsz;
      tls_image = (const char*)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
      tls_image_size = info->dlpi_phdr[i].p_filesz;
    }
  if (ex_tls_size > TLS_MOST)
    abort();
  return 1;
}

/* First visit: note the way in and go back. Later visits: live a thread's life. */
static void enter(void) {
  int id = making;

  if (_setjmp(fibers[id].entrance) == 0)
    _longjmp(driver, 1);
  ex_thread_main();
  abort(); /* ex_thread_main() does not return */
}

static char* stack_of(int id) {
  return ex_arena_stacks() + (size_t)id * EX_STACK_SIZE;
}

static void dig_entrance(int id) {
  ucontext_t context;

  getcontext(&context);
  context.uc_stack.ss_sp = stack_of(id);
  context.uc_stack.ss_size = EX_STACK_SIZE;
  context.uc_link = NULL;
  makecontext(&context, enter, 0);
  making = id;
  swapcontext(&maker, &context);
}

void ex_fiber_make(int id) {
  fiber_t* fiber = &fibers[id];

  if (!fiber->has_entrance)
    abort(); /* ex_fiber_run() has made them all */
  memcpy(&fiber->at, &fiber->entrance, sizeof fiber->at);
  if (ex_tls_size > 0) {
    memset(tls_of[id], 0, ex_tls_size);
    memcpy(tls_of[id], tls_image, tls_image_size);
  }
}

void ex_fiber_swap_tls(int from, int to) {
  if (ex_tls_size > 0) {
    memcpy(tls_of[from], (void*)ex_tls_at, ex_tls_size);
    memcpy((void*)ex_tls_at, tls_of[to], ex_tls_size);
  }
}

void ex_fiber_switch(int from, int to) {
  ex_fiber_swap_tls(from, to);
  if (_setjmp(fibers[from].at) == 0)
    _longjmp(fibers[to].at, 1);
}

void ex_fiber_run(void) {
  /* volatile: lives across the jump back from enter() */
  static volatile int id;

  for (id = 0; id < EX_THREADS; id++)
    if (!fibers[id].has_entrance && _setjmp(driver) == 0)
      dig_entrance(id);
    else
      fibers[id].has_entrance = true;
  if (ex_tls_at == 0)
    dl_iterate_phdr(find_tls, NULL);
  if (_setjmp(driver) == 0) {
    ex_fiber_make(0);
    if (ex_tls_size > 0)
      memcpy((void*)ex_tls_at, tls_of[0], ex_tls_size);
    _longjmp(fibers[0].at, 1);
  }
}

void ex_fiber_leave(void) {
  _longjmp(driver, 1);
}

size_t ex_fiber_offset(uintptr_t at) {
  int owner = ex_fiber_owner(at);
  return (uintptr_t)stack_of(owner) + EX_STACK_SIZE - at;
}
