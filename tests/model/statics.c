/* SPDX-License-Identifier: MIT
 *
 * statics.c - the static variables of the program, by name.
 *
 * Some are locks, and so their addresses are hashed by the lot. Where the linker
 * puts them changes with every variable before them; were the address hashed,
 * the executions of a scenario would change with it. So the name is: of the file
 * and of the variable, as the program's own table of symbols has them. */
#include "engine.h"
#include "place.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct variable {
  uintptr_t at;
  uintptr_t end;
  uint64_t place;
  const char* name;
} variable_t;

static variable_t* variables; /* in the order of their addresses */
static size_t count;

static const variable_t* find(uintptr_t at);
static void collect(void);

uintptr_t explore_place(const void* key) {
  uintptr_t at = (uintptr_t)key;
  const variable_t* variable = ex_is_ours(at) ? NULL : find(at);

  return variable == NULL ? at
                          : (uintptr_t)(variable->place + (at - variable->at));
}

const char* ex_static_name(uintptr_t at, size_t* offset) {
  const variable_t* variable = find(at);

  if (variable == NULL)
    return NULL;
  *offset = at - variable->at;
  return variable->name;
}

static const variable_t* find(uintptr_t at) {
  size_t low = 0;
  size_t high;

  if (variables == NULL)
    collect();
  for (high = count; low < high;) {
    size_t middle = (low + high) / 2;

    if (at >= variables[middle].end)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && at >= variables[low].at ? &variables[low] : NULL;
}

/* --- the table of symbols -------------------------------------------------- */

static char* read_program(void) {
  FILE* file = fopen("/proc/self/exe", "rb");
  char* image = NULL;
  long size = 0;

  if (file != NULL && fseek(file, 0, SEEK_END) == 0)
    size = ftell(file);
  if (size > 0 && fseek(file, 0, SEEK_SET) == 0)
    image = __real_malloc((size_t)size);
  if (image == NULL || fread(image, (size_t)size, 1, file) != 1) {
    fprintf(stderr, "explore: cannot read its own program\n");
    exit(2);
  }
  fclose(file);
  return image;
}

static const ElfW(Shdr) * table_of_symbols(const char* image) {
  const ElfW(Ehdr)* head = (const void*)image;
  const ElfW(Shdr)* sections = (const void*)(image + head->e_shoff);

  for (unsigned i = 0; i < head->e_shnum; i++)
    if (sections[i].sh_type == SHT_SYMTAB)
      return &sections[i];
  fprintf(stderr, "explore: its program is stripped\n");
  exit(2);
}

static uint64_t mix_name(uint64_t sum, const char* name) {
  for (; *name != '\0'; name++)
    sum = ex_mix(sum, (unsigned char)*name);
  return sum;
}

static int by_address(const void* a, const void* b) {
  const variable_t* one = a;
  const variable_t* other = b;

  return (one->at > other->at) - (one->at < other->at);
}

/* A file's symbols follow its name; those that are no file's come last. */
static void collect(void) {
  const char* image = read_program();
  const ElfW(Shdr)* table = table_of_symbols(image);
  const ElfW(Ehdr)* head = (const void*)image;
  const ElfW(Shdr)* sections = (const void*)(image + head->e_shoff);
  const ElfW(Sym)* symbols = (const void*)(image + table->sh_offset);
  const char* names = image + sections[table->sh_link].sh_offset;
  size_t symbol_count = table->sh_size / sizeof *symbols;
  const char* file = "";

  variables = __real_calloc(symbol_count, sizeof *variables);
  if (variables == NULL)
    exit(2);
  for (size_t i = 0; i < symbol_count; i++) {
    const ElfW(Sym)* symbol = &symbols[i];
    const char* name = names + symbol->st_name;

    if (ELF64_ST_TYPE(symbol->st_info) == STT_FILE)
      file = name;
    if (ELF64_ST_BIND(symbol->st_info) != STB_LOCAL)
      file = "";
    if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || symbol->st_size == 0)
      continue;
    variables[count].at = (uintptr_t)symbol->st_value;
    variables[count].end = (uintptr_t)(symbol->st_value + symbol->st_size);
    variables[count].place = mix_name(mix_name(1, file), name);
    variables[count++].name = name;
  }
  qsort(variables, count, sizeof *variables, by_address);
}
