/* SPDX-License-Identifier: MIT */
/* Two actors send each other messages. */
#include <stdio.h>

#include <grove.h>

struct player {
    const char *sound;
    grove_actor_t *actor;
    struct player *other;
};

/* Deals with one message, the number of strokes that are left. */
static void play(grove_actor_t *self, void *message, void *arg)
{
    struct player *me = arg;
    long left = (long)message;

    printf("%s, %ld to go\n", me->sound, left);
    if (left > 0)
        grove_actor_send(me->other->actor, (void *)(left - 1), GROVE_FOREVER);
    if (left <= 1)
        grove_actor_stop(self); /* that was the last message for this one */
}

int main(void)
{
    struct player ping = {.sound = "ping"}, pong = {.sound = "pong"};

    ping.other = &pong;
    pong.other = &ping;
    ping.actor = grove_actor_new(play, &ping);
    pong.actor = grove_actor_new(play, &pong);
    if (!ping.actor || !pong.actor)
        return 1;
    grove_actor_send(ping.actor, (void *)5, GROVE_FOREVER);
    grove_actor_join(ping.actor, GROVE_FOREVER);
    grove_actor_join(pong.actor, GROVE_FOREVER);
    if (grove_actor_send(ping.actor, (void *)1, GROVE_FOREVER) < 0 && errno == EPIPE)
        puts("the game is over");
    grove_actor_free(ping.actor);
    grove_actor_free(pong.actor);
}
