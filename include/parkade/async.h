/* SPDX-License-Identifier: MIT
 *
 * async.h - all of libparkade-uv: locks for the tasks of libuv loops. */
#ifndef PARKADE_ASYNC_H
#define PARKADE_ASYNC_H

#include <parkade/async/barrier.h>
#include <parkade/async/cancel.h>
#include <parkade/async/cond.h>
#include <parkade/async/cycle.h>
#include <parkade/async/event.h>
#include <parkade/async/gate.h>
#include <parkade/async/keyed.h>
#include <parkade/async/loop.h>
#include <parkade/async/many.h>
#include <parkade/async/mutex.h>
#include <parkade/async/once.h>
#include <parkade/async/req.h>
#include <parkade/async/rwlock.h>
#include <parkade/async/sem.h>
#include <parkade/async/take.h>
#include <parkade/async/work.h>

#endif
