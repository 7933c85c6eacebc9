/* SPDX-License-Identifier: MIT
 *
 * 08_key_value_server.c - a server on several loops, and clients that lock keys.
 *
 *   08_key_value_server 6400        serves; talk to it by `nc localhost 6400`
 *   08_key_value_server             plays eight clients of its own, and ends
 *
 *   SET key value     ok                       GET key     value, or nothing
 *   LOCK key          ok, as soon as nobody else has it
 *   UNLOCK            ok
 *
 * Two loops serve one listening socket and share the values. GET and SET copy a
 * few bytes: data-critical, a pkd_rwlock_t. LOCK is kept until the client says
 * UNLOCK, over any number of round trips: logic-critical, so whoever waits for it
 * waits in the queue of that key, a pkd_async_keyed_t, and its loop serves the
 * others meanwhile. A client that hangs up gives up its place, or its lock. */
#include <parkade/async/keyed.h>
#include <parkade/rwlock.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  LOOPS = 2,
  WORKERS = 6,
  ROUNDS = 50,
  DESERTERS = 2,
  KEYS = 64,
  NAME = PKD_ASYNC_KEY_INLINE, /* a key is copied into the request that locks */
  VALUE = 64
};

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "08_key_value_server: %s\n", pkd_strerror(err));
  exit(1);
}

/* ---- what all loops share ------------------------------------------------- */

static pkd_async_keyed_t keys; /* all-zero is ready */

static struct {
  pkd_rwlock_t lock;
  int count; /* this and the rest: under lock */
  struct {
    char name[NAME + 1];
    char value[VALUE];
  } entry[KEYS];
} store;

/* Callers hold the lock. */
static int find(const char* name) {
  for (int i = 0; i < store.count; i++)
    if (strcmp(store.entry[i].name, name) == 0)
      return i;
  return -1;
}

static void get(const char* name, char value[VALUE]) {
  value[0] = '\0';
  PKD_WITH_RDLOCK(&store.lock) {
    int at = find(name);
    if (at >= 0)
      strcpy(value, store.entry[at].value);
  }
}

static bool set(const char* name, const char* value) {
  bool done = false;
  PKD_WITH_WRLOCK(&store.lock) {
    int at = find(name);
    if (at < 0 && store.count < KEYS) {
      at = store.count++;
      strcpy(store.entry[at].name, name);
    }
    if (at >= 0)
      strcpy(store.entry[at].value, value);
    done = at >= 0;
  }
  return done;
}

/* ---- a client of a loop ---------------------------------------------------- */

struct side {
  uv_thread_t thread;
  uv_loop_t uv;
  pkd_loop_t locks;
  uv_tcp_t listener;
  uv_async_t stop;
  int clients;
};

struct client {
  uv_tcp_t tcp;
  struct side* side;
  pkd_req_t ticket; /* waits for a key, or holds one */
  bool waiting;
  bool holding;
  bool closed;
  size_t length;
  char input[256]; /* what has come and was not looked at */
};

static bool obey(struct client* client, char* line);
static void on_mine(pkd_req_t* ticket, int status);
static void on_closed(uv_handle_t* handle);

static void hang_up(struct client* client) {
  if (uv_is_closing((uv_handle_t*)&client->tcp))
    return;
  if (client->waiting)
    pkd_req_cancel(&client->ticket); /* on_mine() is told, and comes later */
  if (client->holding)
    must(pkd_async_keyed_unlock(&client->ticket, &keys));
  uv_close((uv_handle_t*)&client->tcp, on_closed);
}

/* The memory goes when neither the socket nor a lock knows it any more. */
static void forget(struct client* client) {
  if (client->closed && !client->waiting)
    free(client);
}

static void on_closed(uv_handle_t* handle) {
  struct client* client = handle->data;
  client->side->clients--;
  client->closed = true;
  forget(client);
}

/* An answer is short: a client whose socket has no room for it does not listen. */
static void say(struct client* client, const char* text) {
  char line[VALUE + 2];
  int length = snprintf(line, sizeof line, "%s\n", text);
  uv_buf_t buffer = uv_buf_init(line, (unsigned)length);
  if (uv_try_write((uv_stream_t*)&client->tcp, &buffer, 1) != length)
    hang_up(client);
}

/* Takes the lines that have come, one after the other; while the client waits for
 * a key they stay where they are. */
static void look(struct client* client) {
  char* end;
  while (!client->waiting && !uv_is_closing((uv_handle_t*)&client->tcp) &&
         (end = memchr(client->input, '\n', client->length)) != NULL) {
    size_t used = (size_t)(end - client->input) + 1;
    *end = '\0';
    if (!obey(client, client->input))
      say(client, "error");
    client->length -= used;
    memmove(client->input, client->input + used, client->length);
  }
  if (client->length == sizeof client->input)
    hang_up(client);
}

/* Returns whether `line` was understood. */
static bool obey(struct client* client, char* line) {
  char* rest = NULL;
  const char* verb = strtok_r(line, " \r", &rest);
  const char* key = strtok_r(NULL, " \r", &rest);
  const char* text = strtok_r(NULL, " \r", &rest);
  char value[VALUE];

  if (verb == NULL || (key != NULL && strlen(key) > NAME) ||
      (text != NULL && strlen(text) >= VALUE))
    return false;
  if (strcmp(verb, "GET") == 0 && key != NULL) {
    get(key, value);
    say(client, value);
    return true;
  }
  if (strcmp(verb, "SET") == 0 && text != NULL && set(key, text)) {
    say(client, "ok");
    return true;
  }
  if (strcmp(verb, "LOCK") == 0 && key != NULL && !client->holding) {
    must(pkd_async_keyed_lock(&client->side->locks, &client->ticket, &keys, key,
                              strlen(key), on_mine));
    client->waiting = true;
    return true;
  }
  if (strcmp(verb, "UNLOCK") == 0 && client->holding) {
    client->holding = false;
    must(pkd_async_keyed_unlock(&client->ticket, &keys));
    say(client, "ok");
    return true;
  }
  return false;
}

static void on_mine(pkd_req_t* ticket, int status) {
  struct client* client = ticket->data;
  client->waiting = false;
  if (status != 0) { /* hung up meanwhile */
    forget(client);
    return;
  }
  client->holding = true;
  say(client, "ok");
  look(client);
}

/* ---- the network ------------------------------------------------------------ */

static void on_alloc(uv_handle_t* handle, size_t hint, uv_buf_t* buffer) {
  struct client* client = handle->data;
  (void)hint;
  *buffer = uv_buf_init(client->input + client->length,
                        (unsigned)(sizeof client->input - client->length));
}

static void on_read(uv_stream_t* stream, ssize_t count,
                    const uv_buf_t* buffer) {
  struct client* client = stream->data;
  (void)buffer;
  if (count < 0) {
    hang_up(client);
    return;
  }
  client->length += (size_t)count;
  look(client);
}

static void on_connection(uv_stream_t* listener, int status) {
  struct side* side = listener->data;
  struct client* client = calloc(1, sizeof *client);
  if (status != 0 || client == NULL) {
    free(client);
    return;
  }
  client->side = side;
  client->tcp.data = client->ticket.data = client;
  must(uv_tcp_init(&side->uv, &client->tcp));
  side->clients++;
  if (uv_accept(listener, (uv_stream_t*)&client->tcp) != 0 ||
      uv_read_start((uv_stream_t*)&client->tcp, on_alloc, on_read) != 0)
    hang_up(client); /* another loop was faster */
}

/* ---- the server ------------------------------------------------------------- */

static void close_client(uv_handle_t* handle, void* side) {
  if (handle->type == UV_TCP && handle->data != side)
    hang_up(handle->data);
}

static void on_stop(uv_async_t* stop) {
  struct side* side = stop->data;
  uv_walk(&side->uv, close_client, side);
  uv_close((uv_handle_t*)&side->listener, NULL);
  uv_close((uv_handle_t*)stop, NULL);
  must(pkd_loop_detach(&side->locks, NULL));
}

/* A loop is attached by the thread that runs it. */
static void serve(void* arg) {
  struct side* side = arg;
  must(pkd_loop_attach(&side->locks, &side->uv));
  must(uv_run(&side->uv, UV_RUN_DEFAULT));
  must(uv_loop_close(&side->uv));
}

/* All loops listen on one socket; whoever is awake first takes the client. */
static void start(struct side sides[LOOPS], int listening) {
  for (int i = 0; i < LOOPS; i++) {
    struct side* side = &sides[i];
    must(uv_loop_init(&side->uv));
    must(uv_tcp_init(&side->uv, &side->listener));
    must(uv_async_init(&side->uv, &side->stop, on_stop));
    side->listener.data = side->stop.data = side;
    must(uv_tcp_open(&side->listener, i == 0 ? listening : dup(listening)));
    must(uv_listen((uv_stream_t*)&side->listener, 128, on_connection));
    must(uv_thread_create(&side->thread, serve, side));
  }
}

static void finish(struct side sides[LOOPS], bool stop) {
  for (int i = 0; i < LOOPS; i++) {
    if (stop)
      must(uv_async_send(&sides[i].stop));
    uv_thread_join(&sides[i].thread);
  }
}

static struct sockaddr_in address;

static int listen_at(int port) {
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr*)&address, size) != 0 ||
      getsockname(fd, (struct sockaddr*)&address, &size) != 0) {
    perror("08_key_value_server");
    exit(1);
  }
  return fd;
}

/* ---- clients of its own, on threads that may block -------------------------- */

static int call(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) != 0) {
    perror("08_key_value_server");
    exit(1);
  }
  return fd;
}

static void ask(int fd, const char* question, char answer[VALUE]) {
  size_t length = 0;
  dprintf(fd, "%s\n", question);
  do {
    if (length == VALUE || read(fd, &answer[length], 1) != 1) {
      fputs("08_key_value_server: no answer\n", stderr);
      exit(1);
    }
  } while (answer[length++] != '\n');
  answer[length - 1] = '\0';
}

/* Reads and writes in two round trips. The lock keeps them together. */
static void work(void* arg) {
  int fd = call();
  char text[VALUE];
  char change[VALUE];
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    ask(fd, "LOCK visits", text);
    ask(fd, "GET visits", text);
    snprintf(change, sizeof change, "SET visits %d", atoi(text) + 1);
    ask(fd, change, text);
    ask(fd, "UNLOCK", text);
  }
  close(fd);
}

/* Hangs up while it waits, or has the lock and does not give it back. */
static void desert(void* arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    int fd = call();
    dprintf(fd, "LOCK visits\n");
    close(fd);
  }
}

static int play(struct side sides[LOOPS]) {
  uv_thread_t players[WORKERS + DESERTERS];
  int fd;
  char visits[VALUE];

  for (int i = 0; i < WORKERS + DESERTERS; i++)
    must(uv_thread_create(&players[i], i < WORKERS ? work : desert, NULL));
  for (int i = 0; i < WORKERS + DESERTERS; i++)
    uv_thread_join(&players[i]);
  fd = call();
  ask(fd, "LOCK visits", visits); /* no deserter has kept it */
  ask(fd, "GET visits", visits);
  close(fd);
  finish(sides, true);
  printf("%s visits, %d by each of %d clients\n", visits, ROUNDS, WORKERS);
  return atoi(visits) == WORKERS * ROUNDS ? 0 : 1;
}

int main(int argc, char** argv) {
  static struct side sides[LOOPS];
  start(sides, listen_at(argc > 1 ? atoi(argv[1]) : 0));
  if (argc == 1)
    return play(sides);
  finish(sides, false);
  return 0;
}
