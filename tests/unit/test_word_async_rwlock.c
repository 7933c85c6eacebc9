/* SPDX-License-Identifier: MIT
 *
 * test_word_async_rwlock.c - walks the rows of the picture in
 * src/word/async_rwlock.h. */
#include "word/async_rwlock.h"

#include "support/test.h"

/* The word as the picture writes it: W U readers, and P. */
#define WORD(w, u, readers, p)                                                 \
  ((uint64_t)(readers) << 32 | (w)*PKD__ASYNC_RWLOCK_WRITER |                  \
   (u)*PKD__ASYNC_RWLOCK_UPGRADER | (p)*PKD__ASYNC_RWLOCK_PENDING)

static const uint32_t READ = PKD__ASYNC_READ;
static const uint32_t WRITE = PKD__ASYNC_WRITE;
static const uint32_t UP = PKD__ASYNC_UP;
static const uint32_t READ_TO_WRITE = PKD__ASYNC_WRITE | PKD__ASYNC_READ << 8;
static const uint32_t UP_TO_WRITE = PKD__ASYNC_WRITE | PKD__ASYNC_UP << 8;

/* Takes, and says what came of it; the word itself if it could not. */
static uint64_t take(uint64_t word, uint32_t move) {
  uint64_t next = word;

  if (!pkd__async_rwlock_take(&next, move))
    assert_true(next == word); /* nothing is taken in part */
  return next;
}

static bool refused(uint64_t word, uint32_t move) {
  return take(word, move) == word;
}

static void row_free(void** state) {
  (void)state;
  assert_true(take(0, READ) == WORD(0, 0, 1, 0));
  assert_true(take(0, WRITE) == WORD(1, 0, 0, 0));
  assert_true(take(0, UP) == WORD(0, 1, 0, 0));
}

static void row_readers(void** state) {
  (void)state;
  assert_true(take(WORD(0, 0, 2, 0), READ) == WORD(0, 0, 3, 0));
  assert_true(take(WORD(0, 0, 2, 0), UP) == WORD(0, 1, 2, 0));
  assert_true(refused(WORD(0, 0, 2, 0), WRITE));
  assert_true(refused(WORD(0, 0, 2, 0), READ_TO_WRITE));
  assert_true(take(WORD(0, 0, 1, 0), READ_TO_WRITE) == WORD(1, 0, 0, 0));
  assert_true(refused(WORD(0, 0, UINT32_MAX, 0), READ));
}

static void row_up_beside_readers(void** state) {
  (void)state;
  assert_true(take(WORD(0, 1, 2, 0), READ) == WORD(0, 1, 3, 0));
  assert_true(refused(WORD(0, 1, 0, 0), UP));
  assert_true(refused(WORD(0, 1, 0, 0), WRITE));
  assert_true(refused(WORD(0, 1, 1, 0), UP_TO_WRITE));
  assert_true(refused(WORD(0, 1, 1, 0), READ_TO_WRITE));
  assert_true(take(WORD(0, 1, 0, 0), UP_TO_WRITE) == WORD(1, 0, 0, 0));
}

static void row_writer(void** state) {
  (void)state;
  assert_true(refused(WORD(1, 0, 0, 0), READ));
  assert_true(refused(WORD(1, 0, 0, 0), UP));
  assert_true(refused(WORD(1, 0, 0, 0), WRITE));
}

static void pending_lets_in_only_who_upgrades(void** state) {
  (void)state;
  assert_true(refused(WORD(0, 0, 2, 1), READ));
  assert_true(refused(WORD(0, 0, 2, 1), UP));
  assert_true(take(WORD(0, 0, 1, 1), READ_TO_WRITE) == WORD(1, 0, 0, 0));
  assert_true(take(WORD(0, 1, 0, 1), UP_TO_WRITE) == WORD(1, 0, 0, 0));
}

static void
who_leaves_takes_its_share_or_falls_back_to_what_it_had(void** state) {
  (void)state;
  assert_true(pkd__async_rwlock_left(WORD(0, 0, 2, 0), READ) ==
              WORD(0, 0, 1, 0));
  assert_true(pkd__async_rwlock_left(WORD(1, 0, 0, 0), WRITE) == 0);
  assert_true(pkd__async_rwlock_left(WORD(0, 1, 2, 0), UP) == WORD(0, 0, 2, 0));
  /* a downgrade, or an upgrade that is revoked */
  assert_true(pkd__async_rwlock_left(WORD(1, 0, 0, 0), READ_TO_WRITE) ==
              WORD(0, 0, 1, 0));
  assert_true(pkd__async_rwlock_left(WORD(1, 0, 0, 0), UP_TO_WRITE) ==
              WORD(0, 1, 0, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(row_free),
      cmocka_unit_test(row_readers),
      cmocka_unit_test(row_up_beside_readers),
      cmocka_unit_test(row_writer),
      cmocka_unit_test(pending_lets_in_only_who_upgrades),
      cmocka_unit_test(who_leaves_takes_its_share_or_falls_back_to_what_it_had),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
