/* SPDX-License-Identifier: MIT */
/*
 * Variables of which each greenlet has its own, after gevent.local. A thread outside
 * greenlets, its main greenlet included, has its own as well.
 */
#ifndef GROVE_LOCAL_H
#define GROVE_LOCAL_H

#include <grove/base.h>

GROVE_BEGIN

/* A variable; usually static. Private. */
typedef struct {
    void (*destructor_)(void *value);
    uint64_t id_;
    void *(*copy_)(void *value);
} grove_local_t;

/*
 * [destructor] (NULL: none) is called with each value that isn't NULL when the greenlet
 * it belongs to ends, by that greenlet, the last set first; of a thread, when that
 * ends. One that ends the greenlet itself (grove_fail) keeps none of the others from
 * being called.
 */
/* clang-format off */
#define GROVE_LOCAL_INIT(destructor) {(destructor), 0, NULL}
/* clang-format on */

/*
 * The same for a variable that a greenlet spawned with grove_attr_t.inherit_locals gets
 * from the one that spawns it; no other spawn inherits anything. The value there is
 * what copy(value) returns, called by the spawn for each value that isn't NULL, in the
 * order in which they were first set; it must neither block nor end the greenlet. NULL
 * with errno set fails the spawn; with errno 0 the new greenlet begins without one. The
 * copies are destroyed like any value, also of a greenlet that is killed before it ran:
 * then by whoever ends it, where the destructor must not block.
 */
/* clang-format off */
#define GROVE_LOCAL_INIT_INHERITED(destructor, copy) {(destructor), 0, (copy)}
/* clang-format on */

/* The calling greenlet's value; NULL until it has set one. Never switches. Any context
 * but signal handlers. */
GROVE_API void *grove_local_get(const grove_local_t *local);

/* Sets the calling greenlet's value. The destructor isn't called for the one replaced.
 * Errors: ENOMEM. Never switches. Any context but signal handlers. */
GROVE_API int grove_local_set(grove_local_t *local, void *value);

GROVE_END

#endif
