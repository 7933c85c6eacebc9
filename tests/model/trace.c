/* SPDX-License-Identifier: MIT
 *
 * trace.c - the readable account of one execution.
 *
 * Lines are collected while the execution runs and printed after it, with
 * function and file:line from one call of addr2line. Where addr2line is
 * missing, addresses stand in their place. */
#include "engine.h"

#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES 4000
#define PLACES 400

typedef struct line {
  int thread;
  uint32_t pc;
  char text[124];
} line_t;

typedef struct place {
  uint32_t pc;
  char text[116];
} place_t;

bool ex_tracing;

static line_t lines[LINES];
static int line_count;
static place_t places[PLACES];
static int place_count;

void ex_trace_begin(void) {
  line_count = 0;
}

void ex_trace(const void* pc, const char* format, ...) {
  va_list args;
  line_t* line = &lines[line_count];

  if (line_count == LINES)
    return;
  line->thread = ex.current;
  line->pc = ex_trace_pack(pc);
  va_start(args, format);
  vsnprintf(line->text, sizeof line->text, format, args);
  va_end(args);
  line_count++;
}

static int note_base(struct dl_phdr_info* info, size_t size, void* base) {
  (void)size;
  *(uintptr_t*)base = info->dlpi_addr;
  return 1; /* the first object is the program */
}

/* What addr2line wants: the address as the linker wrote it, of the call. */
static unsigned long file_address(uint32_t pc) {
  uintptr_t base = 0;

  dl_iterate_phdr(note_base, &base);
  return (unsigned long)((uintptr_t)__executable_start - base + pc - 1);
}

static place_t* find_place(uint32_t pc) {
  for (int i = 0; i < place_count; i++)
    if (places[i].pc == pc)
      return &places[i];
  return NULL;
}

static void add_place(uint32_t pc) {
  place_t* place;

  if (pc == 0 || place_count == PLACES || find_place(pc) != NULL)
    return;
  place = &places[place_count++];
  place->pc = pc;
  snprintf(place->text, sizeof place->text, "%#lx", file_address(pc));
}

/* Two lines per address: the function, then path:line. */
static void read_place(FILE* from, place_t* place) {
  char function[80];
  char path[400];
  const char* tail;

  if (fgets(function, sizeof function, from) == NULL ||
      fgets(path, sizeof path, from) == NULL || function[0] == '?')
    return;
  function[strcspn(function, "\n")] = '\0';
  path[strcspn(path, " \n")] = '\0';
  /* the last folder and the file are enough to find it */
  tail = strrchr(path, '/');
  while (tail != NULL && tail > path && tail[-1] != '/')
    tail--;
  snprintf(place->text, sizeof place->text, "%.60s %.50s", function,
           tail != NULL ? tail : path);
}

static void resolve(int from) {
  char program[400];
  char command[400 + 64 + PLACES * 12];
  ssize_t got = readlink("/proc/self/exe", program, sizeof program - 1);
  int length;
  FILE* out;

  if (got <= 0 || from == place_count)
    return;
  program[got] = '\0';
  length = snprintf(command, sizeof command, "addr2line -f -e '%s'", program);
  for (int i = from; i < place_count; i++)
    length += snprintf(command + length, sizeof command - (size_t)length,
                       " %lx", file_address(places[i].pc));
  snprintf(command + length, sizeof command - (size_t)length, " 2>/dev/null");
  out = popen(command, "r");
  if (out == NULL)
    return;
  for (int i = from; i < place_count; i++)
    read_place(out, &places[i]);
  pclose(out);
}

const char* ex_trace_place(uint32_t pc) {
  int from = place_count;
  place_t* place;

  add_place(pc);
  resolve(from);
  place = find_place(pc);
  return place != NULL ? place->text : "?";
}

void ex_trace_print(void) {
  int from = place_count;

  for (int i = 0; i < line_count; i++)
    add_place(lines[i].pc);
  resolve(from);
  for (int i = 0; i < line_count; i++) {
    place_t* place = find_place(lines[i].pc);
    if (lines[i].pc == 0)
      printf("  T%d %s\n", lines[i].thread, lines[i].text);
    else
      printf("  T%d %-52s %s\n", lines[i].thread, lines[i].text,
             place != NULL ? place->text : "");
  }
}
