/* SPDX-License-Identifier: MIT */
#ifndef SCHED_LOCAL_END_H
#define SCHED_LOCAL_END_H

/* Frees the locals of a greenlet that ends; set by the layer above before any greenlet
 * has some. May switch, and may set locals again. */
extern void (*local_end)(void *locals);

#endif
