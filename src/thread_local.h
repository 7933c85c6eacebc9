/* SPDX-License-Identifier: MIT
 *
 * thread_local.h - a thread's own variable that is read without a call.
 *
 * In a shared library the compiler asks the loader where such a variable is, by a
 * call, unless it is told that the place is known once the library is loaded.
 * glibc has room for that also in libraries that come late, by dlopen; others may
 * refuse them. */
#ifndef PKD_THREAD_LOCAL_H
#define PKD_THREAD_LOCAL_H

#include <stdint.h> /* with glibc: __GLIBC__ */

#if defined(__ELF__) && defined(__GLIBC__)
#define PKD__THREAD_LOCAL                                                      \
  _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define PKD__THREAD_LOCAL _Thread_local
#endif

#endif
