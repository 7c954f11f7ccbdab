/* SPDX-License-Identifier: MIT */
#ifndef SCHED_ANSWER_H
#define SCHED_ANSWER_H

#include <errno.h>

/* What a public function returns for an error number: 0 for 0, else -1 with errno. */
static inline int answer(int error)
{
    if (__builtin_expect(error == 0, 1))
        return 0;
    errno = error;
    return -1;
}

#endif
