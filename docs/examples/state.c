/* SPDX-License-Identifier: MIT */
/* What a greenlet tells about itself. A failure stays in the greenlet that failed: it
 * is reported on stderr, and whoever asks for the value gets the error. */
#include <stdio.h>
#include <string.h>

#include <grove.h>

static void *win(void *arg)
{
    (void)arg;
    return "a prize";
}

static void *lose(void *arg)
{
    (void)arg;
    grove_fail(ERANGE, "%d is too much", 11);
}

static void show(const char *name, grove_t *g)
{
    printf("%s: started %d, ready %d, successful %d\n", name, grove_started(g),
        grove_ready(g), grove_successful(g));
}

int main(void)
{
    grove_t *both[] = {grove_spawn(win, NULL), grove_spawn(lose, NULL)};
    grove_t *winner = both[0], *loser = both[1];
    void *value = NULL;

    show("winner", winner);
    show("loser", loser);
    grove_joinall(both, 2, GROVE_FOREVER); /* 0: that one failed is not our failure */
    show("winner", winner);
    show("loser", loser);

    printf("value: %s\n", (char *)grove_value(winner));
    printf("error: %s, %s\n", strerror(grove_error(loser)), grove_error_text(loser));
    if (grove_get(loser, GROVE_FOREVER, &value) < 0)
        printf("getting its value: %s\n", strerror(errno));
    grove_release(winner);
    grove_release(loser);
}
