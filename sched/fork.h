/* SPDX-License-Identifier: MIT */
#ifndef SCHED_FORK_H
#define SCHED_FORK_H

/*
 * fork(2). The child has one thread and a copy of everything else in whatever state it
 * was; hubs share their kernel objects with the parent's. So the child forgets the
 * runtime: its memory and descriptors are left as they are, and the next use starts one
 * afresh, with the calling thread as worker 0. In the child, the function of the
 * greenlet that called fork is all there is of it; when it ends, the process exits.
 *
 * Nothing is locked around the fork: each lock of the library is made anew in the
 * child, and what it guarded is forgotten with it.
 */

/* Takes care of all later forks. Once per process; 0 or -1 with errno. */
int fork_prepare(void);

/* Each part's share, called in the child only. */
void record_forget(void);
void inject_forget(void);
void idle_forget(void);
void stack_forget(void);
void guest_forget(void);
void worker_forget(void);
void runtime_forget(void);
void deadlock_forget(void);
void clock_forget(void);
void monitor_forget(void);
void lane_forget(void);
void helpers_forget(void);

#endif
