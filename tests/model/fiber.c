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
 * Must be compiled without _FORTIFY_SOURCE: glibc's checked longjmp takes a
 * jump to another stack for an attack. */
#include "engine.h"

#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>

typedef struct fiber {
  jmp_buf at;
  jmp_buf entrance; /* the bottom of the stack, set once */
  bool has_entrance;
} fiber_t;

static fiber_t fibers[EX_THREADS];
static jmp_buf driver;
static ucontext_t maker;
static int making;

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
  __builtin_memcpy(&fiber->at, &fiber->entrance, sizeof fiber->at);
}

void ex_fiber_switch(int from, int to) {
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
  if (_setjmp(driver) == 0) {
    ex_fiber_make(0);
    _longjmp(fibers[0].at, 1);
  }
}

void ex_fiber_leave(void) {
  _longjmp(driver, 1);
}

int ex_fiber_owner(uintptr_t at) {
  uintptr_t low = (uintptr_t)ex_arena_stacks();

  if (at < low || at >= low + EX_THREADS * EX_STACK_SIZE)
    return -1;
  return (int)((at - low) / EX_STACK_SIZE);
}

size_t ex_fiber_offset(uintptr_t at) {
  int owner = ex_fiber_owner(at);
  return (uintptr_t)stack_of(owner) + EX_STACK_SIZE - at;
}
