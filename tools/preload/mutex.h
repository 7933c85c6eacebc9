/* SPDX-License-Identifier: MIT
 *
 * mutex.h - what a condition does with a mutex of ours. */
#ifndef PKD_PRELOAD_MUTEX_H
#define PKD_PRELOAD_MUTEX_H

#include "layout.h"

/** Takes the owner from a mutex that the calling thread holds, so that what is
 * left is a plain mutex, held once.
 *
 * @return how often it was held; 0: it is not the caller's, nothing changed */
uint32_t mutex_disown(pthread_mutex_t* object);

/** The reverse. */
void mutex_own_again(pthread_mutex_t* object, uint32_t count);

#endif
