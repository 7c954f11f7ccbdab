/* SPDX-License-Identifier: MIT */
/* A scope: greenlets that end before the block that spawned them. */
#include <stdio.h>
#include <string.h>

#include <grove.h>

static void *fetch(void *name)
{
    bool slow = strcmp(name, "slow") == 0;

    if (grove_sleep(slow ? 10 : 0.05) < 0) {
        printf("%s is given up: %s\n", (char *)name, strerror(errno));
        return NULL;
    }
    if (strcmp(name, "broken") == 0)
        grove_fail(EIO, "it is broken");
    printf("%s is fetched\n", (char *)name);
    return NULL;
}

/* Fetches both, in [seconds] at most. What one can't have makes the other useless. */
static int fetch_both(char *one, char *other, double seconds)
{
    grove_scope_t scope;

    if (grove_scope_open(&scope, GROVE_CANCEL_ON_FAILURE) < 0)
        return -1;
    grove_scope_deadline(&scope, seconds);
    grove_release(grove_scope_spawn(&scope, fetch, one));
    grove_release(grove_scope_spawn(&scope, fetch, other));
    return grove_scope_close(&scope); /* by now both have ended, whatever happened */
}

static void show(char *one, char *other, double seconds)
{
    int failed = fetch_both(one, other, seconds);

    printf("%s and %s: %s\n", one, other, failed ? strerror(errno) : "all there");
}

int main(void)
{
    show("left", "right", 1);
    show("broken", "slow", 1);
    show("right", "slow", 1);
}
