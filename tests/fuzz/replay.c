/* SPDX-License-Identifier: MIT
 *
 * replay.c - a fuzzer's inputs once more, without a fuzzer: each file of the
 * folders and files that are named.
 *
 * So the corpus is a test like any other, in every kind of build. An input that
 * crashes ends the process, after its name was printed. With --planted in front,
 * each is tried in a process of its own, and one has to crash. */
#include "input.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int files, crashes;
static bool planted;

static void replay_file(const char* path) {
  static uint8_t bytes[1 << 16];
  FILE* file = fopen(path, "rb");
  size_t length;
  uint8_t* exact;

  if (file == NULL) {
    perror(path);
    exit(2);
  }
  length = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  /* A copy without a byte to spare: a sanitizer sees what reads beyond. */
  exact = malloc(length + (length == 0));
  if (exact == NULL)
    exit(2);
  memcpy(exact, bytes, length);
  printf("%s\n", path);
  fflush(stdout);
  LLVMFuzzerTestOneInput(exact, length);
  free(exact);
  files++;
}

static void try_file(const char* path) {
  pid_t child;
  int status = 0;

  if (!planted) {
    replay_file(path);
    return;
  }
  fflush(NULL);
  child = fork();
  if (child == 0) {
    alarm(20);
    replay_file(path);
    _exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) != child)
    exit(2);
  files++;
  crashes += status != 0;
}

static void replay(const char* path) {
  DIR* folder = opendir(path);
  struct dirent* entry;
  char name[1024];

  if (folder == NULL) {
    try_file(path);
    return;
  }
  while ((entry = readdir(folder)) != NULL) {
    if (entry->d_name[0] == '.')
      continue;
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    try_file(name);
  }
  closedir(folder);
}

int main(int argc, char** argv) {
  planted = argc > 1 && strcmp(argv[1], "--planted") == 0;
  for (int i = planted ? 2 : 1; i < argc; i++)
    replay(argv[i]);
  printf("%d inputs, %d crashes\n", files, crashes);
  return files == 0 || (crashes > 0) != planted;
}
