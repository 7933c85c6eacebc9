/* SPDX-License-Identifier: MIT
 *
 * keyed_name.c - the bytes of a key, and the name under which it stands in the lot.
 *
 * A name is an address that belongs to nobody. Where addresses have a bit to spare,
 * it is computed so that the keyed mutex can be found again from the name and the
 * key; where they have none, few names must do, and a request remembers its mutex,
 * too. */
#include "keyed.h"

#include "request.h"

#include <string.h>

/* How many names there are where addresses have no bit to spare; a test makes
 * it three, on any machine, so that many keys share each. */
#if !defined(PKD_KEYED_NAMES) && UINTPTR_MAX <= UINT32_MAX
#define PKD_KEYED_NAMES 65536
#endif

/* Then a request has to remember its mutex, too. */
#ifdef PKD_KEYED_NAMES
enum { MUTEX = sizeof(((pkd_req_t*)0)->extra) / sizeof(uint64_t) - 1 };
#define INLINE (MUTEX * sizeof(uint64_t))
#else
#define INLINE PKD_ASYNC_KEY_INLINE
#endif

#define ODD UINT64_C(0x9e3779b97f4a7c15)
#define ODD_INVERSE UINT64_C(0xf1de83e19937733d) /* ODD * it = 1, modulo 2^64 */

void pkd__key_set(pkd_req_t* req, const pkd_async_keyed_t* keyed,
                  const void* key, size_t length) {
  if (length > INLINE)
    memcpy(req->extra, &key, sizeof key);
  else if (length != 0)
    memcpy(req->extra, key, length);
#ifdef PKD_KEYED_NAMES
  req->extra[MUTEX] = (uintptr_t)keyed;
#else
  (void)keyed;
#endif
}

static const void* bytes_of(const pkd_req_t* req) {
  const void* key = req->extra;

  if (pkd__want(req) > INLINE)
    memcpy(&key, req->extra, sizeof key);
  return key;
}

/* The finaliser of MurmurHash3, word by word. Good enough to spread; that keys
 * which agree in it are told apart does not depend on it. */
static uint64_t mix(uint64_t h) {
  h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
  h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return h ^ h >> 33;
}

/* An address that differs from run to run. In the explorer it is a number: the place
 * of a key in the lot is not to depend on what the linker does with all the rest. */
static uint64_t seed(void) {
#ifdef PKD_KEYED_SEED
  return PKD_KEYED_SEED;
#else
  static const char anchor;

  return (uintptr_t)&anchor;
#endif
}

static uint64_t hash(const void* key, size_t length) {
  uint64_t h = seed() + length * ODD;
  const unsigned char* rest = key;

  while (length != 0) {
    size_t n = length < 8 ? length : 8;
    uint64_t word = 0;

    memcpy(&word, rest, n);
    h = mix(h ^ word);
    rest += n;
    length -= n;
  }
  return h;
}

#ifndef PKD_KEYED_NAMES

/* Names have the top bit, which no address of a program has. The product is one
 * to one modulo 2^63: equal keys of two keyed mutexes never share a name, and
 * the mutex can be found again. */
#define TOP (UINT64_C(1) << 63)

void* pkd__keyed_name(const pkd_async_keyed_t* keyed, const void* key,
                      size_t length) {
  return (void*)(uintptr_t)(((uintptr_t)keyed * ODD + hash(key, length)) | TOP);
}

const void* pkd__keyed_owner(const pkd_req_t* req) {
  uint64_t name = (uintptr_t)pkd__object_of(req);
  uint64_t product = name - hash(bytes_of(req), pkd__want(req));

  return (const void*)(uintptr_t)(product * ODD_INVERSE & ~TOP);
}

static bool same_mutex(const pkd_req_t* a, const pkd_req_t* b) {
  (void)a;
  (void)b;
  return true;
}

#else

/* No address is free here: names are the bytes of a table that is never touched.
 */
static const char names[PKD_KEYED_NAMES];

void* pkd__keyed_name(const pkd_async_keyed_t* keyed, const void* key,
                      size_t length) {
  uint64_t h = mix((uintptr_t)keyed * ODD + hash(key, length));
  return (void*)(uintptr_t)&names[h % sizeof names];
}

const void* pkd__keyed_owner(const pkd_req_t* req) {
  return (const void*)(uintptr_t)req->extra[MUTEX];
}

static bool same_mutex(const pkd_req_t* a, const pkd_req_t* b) {
  return pkd__keyed_owner(a) == pkd__keyed_owner(b);
}

#endif

bool pkd__same_key(const pkd_req_t* a, const pkd_req_t* b) {
  uint32_t length = pkd__want(a);

  return a == b || (length == pkd__want(b) && same_mutex(a, b) &&
                    memcmp(bytes_of(a), bytes_of(b), length) == 0);
}
