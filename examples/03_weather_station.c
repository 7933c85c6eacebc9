/* SPDX-License-Identifier: MIT
 *
 * 03_weather_station.c - two kinds of critical section, and a lock for each.
 *
 * Sensors, on threads, store readings: a few words go in, nothing waits. That
 * is data-critical, and pkd_mutex_t blocks the thread for an instant.
 *
 * Tasks, on a loop, keep the record in a file: read the old sum, add to it,
 * write it back. Between these steps the loop does other things, and another
 * task must not come in between. That is logic-critical: it takes long, nobody
 * knows how long, and a thread must not stand still for it. So the rest of the
 * task waits in the queue of a pkd_async_mutex_t, as a callback. */
#include <parkade/async/mutex.h>
#include <parkade/mutex.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { SENSORS = 2, READINGS = 1000, TASKS = 20 };

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

static void sense(void* arg) {
  (void)arg;
  for (int i = 0; i < READINGS; i++)
    store_reading(20.0);
}

/* ---- logic-critical: the record in the file ----------------------------- */

struct task {
  pkd_req_t ticket;
  uv_fs_t fs;
  char text[16];
};

static char path[] = "/tmp/weather-XXXXXX";
static int file;
static pkd_async_mutex_t record; /* what it guards is in the file */
static pkd_loop_t locks;
static int running = TASKS;

static void on_record_mine(pkd_req_t* ticket, int status);
static void on_read(uv_fs_t* fs);
static void on_written(uv_fs_t* fs);

static void add_to_record(struct task* task) {
  task->ticket.data = task;
  if (pkd_async_mutex_lock(&locks, &task->ticket, &record, on_record_mine) != 0)
    abort();
}

static void on_record_mine(pkd_req_t* ticket, int status) {
  struct task* task = ticket->data;
  uv_buf_t buffer = uv_buf_init(task->text, sizeof task->text - 1);
  if (status != 0)
    abort(); /* nobody cancels here */
  task->fs.data = task;
  uv_fs_read(uv_default_loop(), &task->fs, file, &buffer, 1, 0, on_read);
}

static void on_read(uv_fs_t* fs) {
  struct task* task = fs->data;
  uv_fs_req_cleanup(fs);
  snprintf(task->text, sizeof task->text, "%d", atoi(task->text) + 1);
  uv_buf_t buffer = uv_buf_init(task->text, (unsigned)strlen(task->text));
  uv_fs_write(uv_default_loop(), fs, file, &buffer, 1, 0, on_written);
}

static void on_written(uv_fs_t* fs) {
  struct task* task = fs->data;
  uv_fs_req_cleanup(fs);
  pkd_async_mutex_unlock(&task->ticket, &record);
  if (--running == 0)
    pkd_loop_detach(&locks, NULL);
}

int main(void) {
  static struct task tasks[TASKS];
  uv_thread_t sensors[SENSORS];
  char text[16] = "";

  file = mkstemp(path);
  if (file < 0 || pkd_loop_attach(&locks, uv_default_loop()) != 0)
    return 1;
  unlink(path);
  for (int i = 0; i < SENSORS; i++)
    uv_thread_create(&sensors[i], sense, NULL);
  for (int i = 0; i < TASKS; i++)
    add_to_record(&tasks[i]);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  for (int i = 0; i < SENSORS; i++)
    uv_thread_join(&sensors[i]);

  if (pread(file, text, sizeof text - 1, 0) < 0)
    return 1;
  printf("%d readings, mean %.1f; %s tasks in the file\n", readings.count,
         readings.sum / readings.count, text);
  close(file);
  uv_loop_close(uv_default_loop());
  return readings.count == SENSORS * READINGS && atoi(text) == TASKS ? 0 : 1;
}
