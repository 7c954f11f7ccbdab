/* SPDX-License-Identifier: MIT */
/* A day of timers in no time, in an order that a number decides. */
#include <stdio.h>

#include <grove.h>

static int served;

static void *customer(void *arg)
{
    double *waited = arg, came = grove_now();

    grove_sleep(600);
    *waited += grove_now() - came;
    served++;
    return NULL;
}

static void *shop(void *arg)
{
    for (int hour = 0; hour < 24; hour++) {
        grove_release(grove_spawn(customer, arg));
        grove_sleep(3600);
    }
    return NULL;
}

int main(void)
{
    double waited = 0;
    grove_config_t config = {.workers = 1, .seed = 1, .clock = GROVE_CLOCK_VIRTUAL};

    if (grove_init(&config) < 0)
        return 1;
    grove_await(grove_spawn(shop, &waited));
    printf("%d customers in %.0f hours, each took %.0f minutes\n", served,
        grove_now() / 3600, waited / served / 60);
}
