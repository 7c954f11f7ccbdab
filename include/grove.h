/* SPDX-License-Identifier: MIT */
/* The whole of libgrove; each part stands in a header of its own. */
#ifndef GROVE_H
#define GROVE_H

#include <grove/actor.h>
#include <grove/barrier.h>
#include <grove/base.h>
#include <grove/cond.h>
#include <grove/config.h>
#include <grove/event.h>
#include <grove/greenlet.h>
#include <grove/group.h>
#include <grove/io.h>
#include <grove/iter.h>
#include <grove/iwait.h>
#include <grove/local.h>
#include <grove/lock.h>
#include <grove/net.h>
#include <grove/once.h>
#include <grove/parallel.h>
#include <grove/queue.h>
#include <grove/result.h>
#include <grove/runtime.h>
#include <grove/rwlock.h>
#include <grove/scope.h>
#include <grove/select.h>
#include <grove/semaphore.h>
#include <grove/server.h>
#include <grove/signal.h>
#include <grove/threadpool.h>
#include <grove/timeout.h>
#include <grove/waitgroup.h>

#endif
