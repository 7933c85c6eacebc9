/* SPDX-License-Identifier: MIT
 *
 * test_os.c - the contract of src/os/os.h, held against each back end.
 *
 * Built once with linux.c and once with posix.c. What must hold: no wake is
 * lost, no wait is cut short or drawn out, whatever signals do. A wait that
 * never ends is found by the watchdog. */
#define _GNU_SOURCE

#include "atomic.h"
#include "os/os.h"

#include "support/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static void wait_returns_at_once_when_the_word_differs(void** state) {
  uint32_t word = 1;

  (void)state;
  assert_int_equal(pkd__os_wait(&word, 0, UINT64_MAX), 0);
  assert_int_equal(pkd__os_wait(&word, 2, UINT64_MAX), 0);
}

static void a_deadline_that_has_passed_times_out_at_once(void** state) {
  const uint64_t deadlines[] = {0, 1, pkd__os_now(), pkd__os_now() - 1};
  uint32_t word = 0;

  (void)state;
  for (size_t i = 0; i < LENGTH(deadlines); i++) {
    int rc = pkd__os_wait(&word, 0, deadlines[i]);

    assert_int_equal(rc, -ETIMEDOUT);
  }
}

/* Waits until the wait says that its time is up; any other end is legal. */
static void wait_out(uint32_t* word, uint64_t deadline) {
  while (pkd__os_wait(word, 0, deadline) != -ETIMEDOUT)
    continue;
}

static void a_wait_does_not_end_before_its_deadline(void** state) {
  uint32_t word = 0;

  (void)state;
  for (unsigned i = 0; i < 20; i++) {
    uint64_t deadline = pkd__os_now() + MS + i * 12345;

    wait_out(&word, deadline);
    assert_true(pkd__os_now() >= deadline);
  }
}

/* --- wakes ----------------------------------------------------------------- */

struct table {
  uint32_t ball; /* whose turn it is; the word that both sleep on */
  unsigned rounds;
};

static void play(void* arg, unsigned number) {
  struct table* table = arg;

  for (unsigned i = 0; i < table->rounds; i++) {
    while (pkd__load_acquire(&table->ball) != number)
      pkd__os_wait(&table->ball, 1 - number, UINT64_MAX);
    pkd__store_release(&table->ball, 1 - number);
    pkd__os_wake(&table->ball);
  }
}

/* Two players and one ball: a single lost wake stops the game. */
static void no_wake_is_lost(void** state) {
  struct table table = {0, ROUNDS(20000)};

  (void)state;
  team_run(2, play, &table);
  assert_int_equal(table.ball, 0);
}

struct sleeper {
  uint64_t deadline;
  uint32_t word;
  int about_to_sleep;
  unsigned timeouts;
  pid_t tid;
};

static void sleep_for_long(void* arg, unsigned number) {
  struct sleeper* sleeper = arg;

  (void)number;
  sleeper->tid = gettid();
  pkd__store_release(&sleeper->about_to_sleep, 1);
  while (pkd__load_acquire(&sleeper->word) == 0)
    sleeper->timeouts +=
        pkd__os_wait(&sleeper->word, 0, sleeper->deadline) == -ETIMEDOUT;
}

/* Is the thread asleep in the kernel? The state stands behind its name. */
static bool is_asleep(pid_t tid) {
  char path[64];
  char line[256] = "";
  FILE* file;
  char* name_end;

  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
  file = fopen(path, "r");
  if (file == NULL)
    return false;
  if (fgets(line, sizeof line, file) == NULL)
    line[0] = '\0';
  fclose(file);
  name_end = strrchr(line, ')');
  return name_end != NULL && name_end[1] == ' ' && name_end[2] == 'S';
}

/* "Never", the last deadline before never, and those around what a time_t of 32
 * bits and an int64_t of nanoseconds can hold. */
static void a_deadline_beyond_all_clocks_is_waited_for(void** state) {
  const uint64_t second = UINT64_C(1000000000);
  const uint64_t deadlines[] = {
      UINT64_MAX,          UINT64_MAX - 1,
      INT64_MAX,           (uint64_t)1 << 63,
      INT32_MAX * second,  INT32_MAX * second - 1,
      UINT32_MAX * second, ((uint64_t)1 << 32) * second,
  };

  (void)state;
  for (size_t i = 0; i < LENGTH(deadlines); i++) {
    struct sleeper sleeper = {deadlines[i], 0, 0, 0, 0};
    struct team team;

    team_start(&team, 1, sleep_for_long, &sleeper);
    WAIT_FOR(pkd__load_acquire(&sleeper.about_to_sleep));
    WAIT_FOR(is_asleep(sleeper.tid));
    pkd__store_release(&sleeper.word, 1);
    pkd__os_wake(&sleeper.word);
    team_join(&team);
    assert_int_equal(sleeper.timeouts, 0);
  }
}

/* The word of a sleeper that has gone may be unmapped by now. */
static void a_wake_does_not_read_the_word(void** state) {
  void* page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  (void)state;
  if (WRAPPED)
    skip(); /* valgrind holds that the kernel reads it */
  assert_ptr_not_equal(page, MAP_FAILED);
  pkd__os_wake(page);
  munmap(page, 4096);
  pkd__os_wake(page);
}

/* --- signals --------------------------------------------------------------- */

struct shelled {
  uint64_t deadline;
  uint64_t ended;
  uint32_t word;
  int done;
};

static void do_nothing(int number) {
  (void)number;
}

static void sleep_under_fire(void* arg, unsigned number) {
  struct shelled* shelled = arg;

  (void)number;
  wait_out(&shelled->word, shelled->deadline);
  shelled->ended = pkd__os_now();
  pkd__store_release(&shelled->done, 1);
}

/* Signals come until the wait is over: a wait that starts its span anew with
 * each of them would never end. */
static void signals_neither_shorten_nor_lengthen_a_wait(void** state) {
  struct sigaction action;
  struct shelled shelled = {pkd__os_now() + 50 * MS, 0, 0, 0};
  struct team team;

  (void)state;
  memset(&action, 0, sizeof action); /* no SA_RESTART: EINTR shows */
  action.sa_handler = do_nothing;
  sigaction(SIGUSR1, &action, NULL);
  team_start(&team, 1, sleep_under_fire, &shelled);
  while (!pkd__load_acquire(&shelled.done)) {
    pthread_kill(team.members[0].thread, SIGUSR1);
    usleep(200);
  }
  team_join(&team);
  assert_true(shelled.ended >= shelled.deadline);
}

static void errno_stays_as_it_was(void** state) {
  uint32_t word = 0;

  (void)state;
  errno = 4711;
  pkd__os_wait(&word, 1, UINT64_MAX);
  pkd__os_wait(&word, 0, 0);
  pkd__os_wait(&word, 0, pkd__os_now() + MS);
  pkd__os_wake(&word);
  pkd__os_relax();
  pkd__os_now();
  assert_int_equal(errno, 4711);
}

/* --- the rest -------------------------------------------------------------- */

enum { CROWD = 16 };

struct crowd {
  uintptr_t ids[CROWD];
  unsigned arrived;
};

/* All are alive while the ids are taken: a number may come back afterwards. */
static void show_id(void* arg, unsigned number) {
  struct crowd* crowd = arg;

  crowd->ids[number] = pkd__os_thread_id();
  pkd__add_acq_rel(&crowd->arrived, 1);
  WAIT_FOR(pkd__load_acquire(&crowd->arrived) == CROWD);
}

static void living_threads_have_different_numbers(void** state) {
  static struct crowd crowd;

  (void)state;
  team_run(CROWD, show_id, &crowd);
  for (size_t i = 0; i < CROWD; i++) {
    assert_int_not_equal(crowd.ids[i], 0);
    for (size_t j = 0; j < i; j++)
      assert_int_not_equal(crowd.ids[i], crowd.ids[j]);
  }
}

static void there_is_at_least_one_processor(void** state) {
  (void)state;
  assert_true(pkd__os_cpus() >= 1);
}

static void ask_while_pinned(void* arg, unsigned number) {
  cpu_set_t set;
  int cpu = sched_getcpu();
  long online = sysconf(_SC_NPROCESSORS_ONLN);

  (void)number;
  CPU_ZERO(&set);
  CPU_SET(cpu < 0 ? 0 : cpu, &set);
  /* musl's sysconf, which the POSIX back end asks, speaks of the thread. */
  if (sched_setaffinity(0, sizeof set, &set) == 0 &&
      sysconf(_SC_NPROCESSORS_ONLN) == online)
    *(unsigned*)arg = pkd__os_cpus();
}

static void a_pinned_thread_does_not_speak_for_all(void** state) {
  unsigned found = pkd__os_cpus();

  (void)state;
  team_run(1, ask_while_pinned, &found);
  assert_int_equal(found, pkd__os_cpus());
}

/* --- a system that does not answer ------------------------------------------ */

/* A sanitizer asks the system before this program can. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_BE_SILENT 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CAN_BE_SILENT 0
#endif
#endif
#ifndef CAN_BE_SILENT
#define CAN_BE_SILENT 1
#endif

static bool silent; /* nor how many processors there are */

#if CAN_BE_SILENT

#define EXPORTED __attribute__((visibility("default")))

/* Asked by linux.c. The system fails so if there are more than a set holds. */
EXPORTED int sched_getaffinity(pid_t thread, size_t size, cpu_set_t* set) {
  if (silent) {
    errno = EINVAL;
    return -1;
  }
  memset(set, 0, size);
  return syscall(SYS_sched_getaffinity, thread, size, set) < 0 ? -1 : 0;
}

/* Called by linux.c. A filter may refuse what it does not know, and so does an old
 * system of 32 bits the call that has a time of 64. */
EXPORTED long syscall(long number, ...) {
  long (*real)(long, ...);
  long a[6];
  va_list args;

  va_start(args, number);
  for (int i = 0; i < 6; i++)
    a[i] = va_arg(args, long);
  va_end(args);
  if (silent && number == SYS_futex) {
    errno = ENOSYS;
    return -1;
  }
  *(void**)&real = dlsym(RTLD_NEXT, "syscall");
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Asked by posix.c. */
EXPORTED long sysconf(int name) {
  long (*real)(int);

  if (silent && name == _SC_NPROCESSORS_ONLN) {
    errno = ENOENT;
    return -1;
  }
  *(void**)&real = dlsym(RTLD_NEXT, "sysconf");
  return real(name);
}

#endif

static void processors_that_cannot_be_counted_are_guessed(void** state) {
  unsigned cpus;

  (void)state;
  if (!CAN_BE_SILENT)
    skip();
  silent = true;
  errno = 4711;
  cpus = pkd__os_cpus();
  silent = false;
  assert_int_equal(errno, 4711); /* a lock asks in the midst of a call */
  assert_in_range(cpus, 1, 2);
}

static void a_wait_that_is_refused_ends_in_time_all_the_same(void** state) {
  uint64_t deadline = pkd__os_now() + 2 * MS;
  uint32_t word = 0;
  int rc;

  (void)state;
  if (!CAN_BE_SILENT)
    skip();
  silent = true;
  do {
    rc = pkd__os_wait(&word, 0, deadline);
  } while (rc == 0 && pkd__os_now() < deadline + 1000 * MS);
  silent = false;
  assert_int_equal(rc, -ETIMEDOUT);
  assert_true(pkd__os_now() >= deadline);
}

/* --- fork -------------------------------------------------------------------- */

static int told_of_fork;

static void note_fork(void) {
  told_of_fork = 1;
}

/* The parent has a sleeper at the word while it forks. */
static void a_forked_child_is_told_and_can_wait(void** state) {
  struct sleeper sleeper = {UINT64_MAX, 0, 0, 0, 0};
  struct team team;
  int status = -1;
  pid_t child;

  (void)state;
  pkd__os_at_fork(note_fork);
  team_start(&team, 1, sleep_for_long, &sleeper);
  WAIT_FOR(pkd__load_acquire(&sleeper.about_to_sleep));
  WAIT_FOR(is_asleep(sleeper.tid));
  child = fork();
  if (child == 0) {
    watchdog_set(30);
    pkd__os_wake(&sleeper.word);
    wait_out(&sleeper.word, pkd__os_now() + MS);
    _exit(told_of_fork ? 0 : 1);
  }
  waitpid(child, &status, 0);
  pkd__store_release(&sleeper.word, 1);
  pkd__os_wake(&sleeper.word);
  team_join(&team);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(told_of_fork, 0);
}

static void now_and_then_comes_seldom_but_comes(void** state) {
  unsigned times = 0;

  (void)state;
  for (unsigned i = 0; i < 4096; i++)
    times += pkd__os_now_and_then();
  assert_in_range(times, 1, 64);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wait_returns_at_once_when_the_word_differs),
      cmocka_unit_test(a_deadline_that_has_passed_times_out_at_once),
      cmocka_unit_test(a_wait_does_not_end_before_its_deadline),
      cmocka_unit_test(no_wake_is_lost),
      cmocka_unit_test(a_deadline_beyond_all_clocks_is_waited_for),
      cmocka_unit_test(a_wake_does_not_read_the_word),
      cmocka_unit_test(signals_neither_shorten_nor_lengthen_a_wait),
      cmocka_unit_test(errno_stays_as_it_was),
      cmocka_unit_test(living_threads_have_different_numbers),
      cmocka_unit_test(there_is_at_least_one_processor),
      cmocka_unit_test(a_pinned_thread_does_not_speak_for_all),
      cmocka_unit_test(processors_that_cannot_be_counted_are_guessed),
      cmocka_unit_test(a_wait_that_is_refused_ends_in_time_all_the_same),
      cmocka_unit_test(now_and_then_comes_seldom_but_comes),
      cmocka_unit_test(a_forked_child_is_told_and_can_wait),
  };
  return cmocka_run_group_tests_name("os", tests, NULL, NULL);
}
