/* SPDX-License-Identifier: MIT */
/* A signal ends the program cleanly: its handler is a greenlet, which may do anything.
 */
#include <signal.h>
#include <stdio.h>

#include <grove.h>

static void close_files(void *arg)
{
    (void)arg;
    puts("the files are closed");
}

static void *run_forever(void *arg)
{
    grove_defer(close_files, NULL);
    puts("running");
    grove_sleep(1000);
    return arg;
}

static void stop(int number, void *running)
{
    printf("%s: stopping\n", number == SIGQUIT ? "SIGQUIT" : "another signal");
    grove_kill(running, GROVE_FOREVER); /* it may block, as any greenlet */
}

/* What otherwise somebody at the terminal does, with Ctrl-\. */
static void *press_quit(void *arg)
{
    raise(SIGQUIT);
    return arg;
}

int main(void)
{
    grove_t *running = grove_spawn(run_forever, NULL);
    grove_signal_t *on_quit = grove_signal_handle(SIGQUIT, stop, running);

    grove_release(grove_spawn_later(0.01, press_quit, NULL));
    grove_join(running, GROVE_FOREVER);
    grove_signal_cancel(on_quit);
    puts("stopped");
    grove_release(running);
}
