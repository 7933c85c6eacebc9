/* SPDX-License-Identifier: MIT
 *
 * error.c - names and words for the codes that libuv lacks. */
#include <parkade/async/loop.h>

struct error {
  int code;
  const char* name;
  const char* words;
};

static const struct error errors[] = {
    {PKD_EDEADLK, "EDEADLK", "the wait could never end"},
    {PKD_ENOTHELD, "ENOLCK", "the deadline passed, the lock is not held"},
};

static const struct error* find(int err) {
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    if (errors[i].code == err)
      return &errors[i];
  }
  return NULL;
}

const char* pkd_strerror(int err) {
  const struct error* own = find(err);

  return own != NULL ? own->words : uv_strerror(err);
}

const char* pkd_err_name(int err) {
  const struct error* own = find(err);

  return own != NULL ? own->name : uv_err_name(err);
}
