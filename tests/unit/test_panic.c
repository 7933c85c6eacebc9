/* SPDX-License-Identifier: MIT
 *
 * test_panic.c - the one way to die: one line, however much there is to say. */
#include "panic.h"

#include "sync/kit.h"

static char why[1000];

static void die_of_it(void) {
  pkd__panic("pkd_call", (const void*)(uintptr_t)0x4711, why);
}

static void the_line_names_the_call_the_object_and_why(void** state) {
  char words[2048];

  (void)state;
  if (WRAPPED)
    skip();
  strcpy(why, "is not locked");
  assert_int_equal(last_words(die_of_it, words, sizeof words), SIGABRT);
  assert_string_equal(words, "parkade: pkd_call: 0x4711 is not locked\n");
}

/* Whatever the length: it is one line, and no longer than it may be. */
static void more_than_fits_is_cut_off(void** state) {
  char words[2048];

  (void)state;
  if (WRAPPED)
    skip();
  for (size_t length = 200; length < 300; length += 3) {
    size_t said;

    memset(why, 'x', length);
    why[length] = '\0';
    assert_int_equal(last_words(die_of_it, words, sizeof words), SIGABRT);
    said = strlen(words);
    assert_in_range(said, length < 230 ? length : 230, 255);
    assert_ptr_equal(strchr(words, '\n'), &words[said - 1]);
    assert_int_equal(strncmp(words, "parkade: pkd_call: 0x4711 xxx", 29), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_line_names_the_call_the_object_and_why),
      cmocka_unit_test(more_than_fits_is_cut_off),
  };
  return cmocka_run_group_tests_name("panic", tests, NULL, NULL);
}
