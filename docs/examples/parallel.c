/* SPDX-License-Identifier: MIT */
/* Loops over all workers. */
#include <stdio.h>

#include <grove.h>

#define LIMIT 20000

static unsigned char divisors[LIMIT]; /* of each number, up to 255 */

/* Each number belongs to one piece, and each piece to one call: nothing is shared. */
static void count_divisors(size_t begin, size_t end, void *arg)
{
    (void)arg;
    for (size_t n = begin; n < end; n++)
        for (size_t d = 1; d * d <= n; d++)
            if (n % d == 0)
                divisors[n] += d * d == n ? 1 : 2;
}

static void count_primes(size_t begin, size_t end, void *accumulator, void *arg)
{
    long *primes = accumulator;

    (void)arg;
    for (size_t n = begin; n < end; n++)
        *primes += divisors[n] == 2;
}

static void add(void *into, const void *from, void *arg)
{
    (void)arg;
    *(long *)into += *(const long *)from;
}

int main(void)
{
    long primes = 0;

    if (grove_parallel_for(1, LIMIT, 0, count_divisors, NULL) < 0 ||
        grove_parallel_reduce(
            1, LIMIT, 0, sizeof primes, &primes, count_primes, add, NULL) < 0) {
        perror("parallel");
        return 1;
    }
    printf("%ld primes below %d\n", primes, LIMIT);
}
