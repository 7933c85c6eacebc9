/* SPDX-License-Identifier: MIT
 *
 * 03_weather_station.c - two kinds of critical section, and a lock for each.
 *
 * Sensors, on threads, store readings: a few words go in, nothing waits. That
 * is data-critical, and pkd_mutex_t blocks the thread for an instant.
 *
 * Tasks, on a loop, keep a record in a database: fetch what it says, look at the
 * newest reading, decide, store. Between these steps the loop does other things,
 * and another task must not come in between. That is logic-critical: it takes
 * long, nobody knows how long, and no thread may stand still for it. So the rest
 * of the task waits in the queue of a pkd_async_mutex_t, as a callback. The same
 * lock guards the connection: SQLite is told to use no locks of its own. */
#include <parkade/async/mutex.h>
#include <parkade/mutex.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { SENSORS = 2, READINGS = 1000, TASKS = 20 };

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "03_weather_station: %s\n", pkd_strerror(err));
  exit(1);
}

/* ---- data-critical: the latest readings --------------------------------- */

static struct {
  pkd_mutex_t mutex;
  int count; /* under mutex, as the next */
  double sum;
} readings;

static void store_reading(double temperature) {
  PKD_WITH_MUTEX(&readings.mutex) {
    readings.count++;
    readings.sum += temperature;
  }
}

static double mean_reading(void) {
  double mean = 0;
  PKD_WITH_MUTEX(&readings.mutex) {
    if (readings.count > 0)
      mean = readings.sum / readings.count;
  }
  return mean;
}

static void sense(void* arg) {
  (void)arg;
  for (int i = 0; i < READINGS; i++)
    store_reading(20.0);
}

/* ---- logic-critical: the record in the database -------------------------- */

struct task {
  pkd_req_t ticket;
  uv_work_t work;
  int looks; /* of the record: how often it was looked at, and the highest */
  double highest;
};

static sqlite3* database;        /* under `record`, and what is in it */
static pkd_async_mutex_t record; /* all-zero is free */
static pkd_loop_t locks;
static int running = TASKS;

static void on_record_mine(pkd_req_t* ticket, int status);
static void fetch(uv_work_t* work);
static void on_fetched(uv_work_t* work, int status);
static void store(uv_work_t* work);
static void on_stored(uv_work_t* work, int status);

static void update_record(struct task* task) {
  task->ticket.data = task;
  task->work.data = task;
  must(pkd_async_mutex_lock(&locks, &task->ticket, &record, on_record_mine));
}

static void on_record_mine(pkd_req_t* ticket, int status) {
  struct task* task = ticket->data;
  must(status); /* nobody cancels here */
  must(uv_queue_work(uv_default_loop(), &task->work, fetch, on_fetched));
}

static void on_fetched(uv_work_t* work, int status) {
  struct task* task = work->data;
  double mean = mean_reading();
  must(status);
  task->looks++;
  if (mean > task->highest)
    task->highest = mean;
  must(uv_queue_work(uv_default_loop(), work, store, on_stored));
}

static void on_stored(uv_work_t* work, int status) {
  struct task* task = work->data;
  must(status);
  must(pkd_async_mutex_unlock(&task->ticket, &record));
  if (--running == 0)
    must(pkd_loop_detach(&locks, NULL));
}

/* ---- in the thread pool; the task has the lock, the thread only works ----- */

static void run(sqlite3_stmt* statement, int expected) {
  if (statement == NULL || sqlite3_step(statement) != expected) {
    fprintf(stderr, "03_weather_station: %s\n", sqlite3_errmsg(database));
    exit(1);
  }
}

static sqlite3_stmt* prepare(const char* sql) {
  sqlite3_stmt* statement = NULL;
  sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
  return statement;
}

static void fetch(uv_work_t* work) {
  struct task* task = work->data;
  sqlite3_stmt* select = prepare("SELECT looks, highest FROM record");
  run(select, SQLITE_ROW);
  task->looks = sqlite3_column_int(select, 0);
  task->highest = sqlite3_column_double(select, 1);
  sqlite3_finalize(select);
}

static void store(uv_work_t* work) {
  struct task* task = work->data;
  sqlite3_stmt* update = prepare("UPDATE record SET looks = ?, highest = ?");
  sqlite3_bind_int(update, 1, task->looks);
  sqlite3_bind_double(update, 2, task->highest);
  run(update, SQLITE_DONE);
  sqlite3_finalize(update);
}

/* --------------------------------------------------------------------------- */

static void open_database(void) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(":memory:", &database, flags, NULL) != SQLITE_OK ||
      sqlite3_exec(database,
                   "CREATE TABLE record (looks INTEGER, highest REAL);"
                   "INSERT INTO record VALUES (0, 0)",
                   NULL, NULL, NULL) != SQLITE_OK) {
    fprintf(stderr, "03_weather_station: %s\n", sqlite3_errmsg(database));
    exit(1);
  }
}

int main(void) {
  static struct task tasks[TASKS];
  struct task last = {0};
  uv_thread_t sensors[SENSORS];

  open_database();
  must(pkd_loop_attach(&locks, uv_default_loop()));
  for (int i = 0; i < SENSORS; i++)
    must(uv_thread_create(&sensors[i], sense, NULL));
  for (int i = 0; i < TASKS; i++)
    update_record(&tasks[i]);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  for (int i = 0; i < SENSORS; i++)
    uv_thread_join(&sensors[i]);

  last.work.data = &last;
  fetch(&last.work); /* nobody else is left */
  printf("%d readings, mean %.1f; the record was looked at %d times\n",
         readings.count, mean_reading(), last.looks);
  sqlite3_close(database);
  must(uv_loop_close(uv_default_loop()));
  return readings.count == SENSORS * READINGS && last.looks == TASKS ? 0 : 1;
}
