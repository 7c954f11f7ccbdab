/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CGROUP_H
#define SCHED_CGROUP_H

/*
 * How many CPUs' worth of time the control groups of this process grant it: the
 * smallest quota of its own group and all ancestors that can be seen, rounded up, in
 * versions 1 and 2 alike. 0: no limit, or none to be found. -1: ENOMEM.
 *
 * `root` is put before every path ("" for this machine), so that a test can lay out
 * proc and sys below a directory of its own.
 */
int cgroup_cpu_limit(const char *root);

#endif
