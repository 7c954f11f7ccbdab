/* SPDX-License-Identifier: MIT */
/* A variable of which each greenlet has its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

static void forget(void *name)
{
    printf("forgetting %s\n", (char *)name);
    free(name);
}

static grove_local_t user = GROVE_LOCAL_INIT(forget);

/* Deep in a program, without an argument that says for whom it works. */
static void log_line(const char *text)
{
    const char *name = grove_local_get(&user);

    printf("[%s] %s\n", name ? name : "nobody", text);
}

static void *session(void *name)
{
    char *copy = strdup(name);

    if (!copy || grove_local_set(&user, copy) < 0) {
        free(copy);
        return NULL;
    }
    log_line("logs in");
    grove_yield();
    log_line("logs out");
    return NULL;
}

int main(void)
{
    grove_t *both[] = {grove_spawn(session, "Ada"), grove_spawn(session, "Bo")};

    log_line("waits");
    grove_joinall(both, 2, GROVE_FOREVER);
    log_line("is done");
    grove_release(both[0]);
    grove_release(both[1]);
}
