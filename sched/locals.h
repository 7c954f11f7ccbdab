/* SPDX-License-Identifier: MIT */
#ifndef SCHED_LOCALS_H
#define SCHED_LOCALS_H

/* Locals as the scheduler sees them: a table that comes with a greenlet and goes with
 * it. Both are set by the layer above before any greenlet has some. */

/* Destroys a table and its values. In the greenlet that ends it may switch, and locals
 * may be set again; of one that never ran, in whoever ends that. */
extern void (*locals_end)(void *locals);

/* In *locals a new table with copies of those locals of the caller that are inherited,
 * NULL if there are none. 0, or -1 with errno. Never switches. */
extern int (*locals_inherit)(void **locals);

#endif
