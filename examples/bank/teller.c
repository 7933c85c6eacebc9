/* SPDX-License-Identifier: MIT
 *
 * teller.c - a loop's life: open, run, stop.
 *
 * Stopping is orderly. The listener closes, then every connection; waiting
 * transfers are cancelled by that, those inside finish and their connections
 * live until then. When the last is freed, nothing uses this loop any more
 * and its own handles are closed; uv_run then returns by itself. */
#define _DEFAULT_SOURCE /* SO_REUSEPORT is not in POSIX */
#include "teller.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "must.h"
#include "bank.h"
#include "connection.h"

static int listen_on(struct teller* teller, int* port);
static void on_client(uv_stream_t* listener, int status);
static void on_detached(pkd_loop_t* locks);
static void run(void* arg);
static void on_stop(uv_async_t* async);

int teller_open(struct teller* teller, struct bank* bank, int* port) {
  teller->bank = bank;
  int rc = uv_loop_init(&teller->loop);
  if (rc != 0)
    return rc;
  stall_watch_start(&teller->stall, &teller->loop, &bank->stats);
  rc = uv_async_init(&teller->loop, &teller->stop, on_stop);
  teller->stop.data = teller;
  return rc == 0 ? listen_on(teller, port) : rc;
}

int teller_start(struct teller* teller) {
  return uv_thread_create(&teller->thread, run, teller);
}

void teller_stop(struct teller* teller) {
  uv_async_send(&teller->stop);
}

void teller_join(struct teller* teller) {
  uv_thread_join(&teller->thread);
  must_succeed(uv_loop_close(&teller->loop));
}

void teller_connection_freed(struct teller* teller) {
  if (!teller->stopping || teller->connections != NULL)
    return;
  must_succeed(pkd_loop_detach(&teller->locks, on_detached));
}

static void on_detached(pkd_loop_t* locks) {
  struct teller* teller = locks->data;
  stall_watch_stop(&teller->stall);
  uv_close((uv_handle_t*)&teller->stop, NULL);
}

static int listen_on(struct teller* teller, int* port) {
  struct sockaddr_in address;
  int length = sizeof address;
  int on = 1;
  uv_os_fd_t fd;
  uv_ip4_addr("127.0.0.1", *port, &address);
  int rc = uv_tcp_init_ex(&teller->loop, &teller->listener, AF_INET);
  teller->listener.data = teller;
  if (rc == 0)
    rc = uv_fileno((uv_handle_t*)&teller->listener, &fd);
  if (rc == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    rc = uv_translate_sys_error(errno);
  if (rc == 0)
    rc = uv_tcp_bind(&teller->listener, (struct sockaddr*)&address, 0);
  if (rc == 0)
    rc = uv_listen((uv_stream_t*)&teller->listener, 511, on_client);
  if (rc == 0)
    rc = uv_tcp_getsockname(&teller->listener, (struct sockaddr*)&address,
                            &length);
  *port = ntohs(address.sin_port);
  return rc;
}

static void on_client(uv_stream_t* listener, int status) {
  if (status == 0)
    connection_accept(listener->data);
}

static void run(void* arg) {
  struct teller* teller = arg;
  teller->locks.data = teller;
  must_succeed(pkd_loop_attach(&teller->locks, &teller->loop));
  uv_run(&teller->loop, UV_RUN_DEFAULT);
}

static void on_stop(uv_async_t* async) {
  struct teller* teller = async->data;
  if (teller->stopping)
    return;
  teller->stopping = true;
  uv_close((uv_handle_t*)&teller->listener, NULL);
  struct connection* next = NULL;
  for (struct connection* c = teller->connections; c != NULL; c = next) {
    next = c->next;
    connection_close(c);
  }
  teller_connection_freed(teller); /* there may have been none */
}
