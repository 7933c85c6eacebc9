/* SPDX-License-Identifier: MIT
 *
 * panic.h - the one way to die: misuse that would corrupt stops the program. */
#ifndef PKD_PANIC_H
#define PKD_PANIC_H

#include <parkade/base.h>

/** Writes "parkade: `call`: `object` `why`" to stderr as one line and aborts.
 *
 * @param call    the public function that was misused
 * @param object  the object it was called on
 * @param why     what is wrong and what to do about it
 * Exported for libparkade-uv and the inline functions of the headers. */
PKD_API void pkd__panic(const char* call, const void* object, const char* why)
    __attribute__((noreturn, cold));

#endif
