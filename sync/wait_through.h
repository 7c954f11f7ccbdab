/* SPDX-License-Identifier: MIT */
#ifndef SYNC_WAIT_THROUGH_H
#define SYNC_WAIT_THROUGH_H

/*
 * Calls wait(arg), a blocking call that returns 0 or -1 with errno, until it succeeds,
 * whatever interrupts it: for what others still use and the caller is about to free.
 * Returns the first error, 0 if none. A timeout that fired is used up by this; a kill
 * is put back, and so is the cancel of a scope, so that the caller's next blocking call
 * fails.
 *
 * EDEADLK interrupts like anything else, so [wait] must do what makes it end: else this
 * goes round for ever. Not in hub callbacks.
 */
int wait_through(int (*wait)(void *arg), void *arg);

#endif
