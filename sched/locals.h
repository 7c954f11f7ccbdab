/* SPDX-License-Identifier: MIT */
#ifndef SCHED_LOCALS_H
#define SCHED_LOCALS_H

/* Locals as the scheduler sees them: a table that comes with a greenlet and goes with
 * it. Both are set by the layer above before any greenlet has some. */

/* Destroys the table, which is NULL then, and its values. In the greenlet that ends it
 * may switch, locals may be set again, and it may not return, but end the greenlet
 * anew; of one that never ran, in whoever ends that. */
extern void (*locals_end)(void **locals);

/* In *locals a new table with copies of those locals of the caller that are inherited,
 * NULL if there are none. 0, or -1 with errno. Never switches. */
extern int (*locals_inherit)(void **locals);

#endif
