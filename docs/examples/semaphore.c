/* SPDX-License-Identifier: MIT */
/* A semaphore: how many may be at something. */
#include <stdio.h>
#include <string.h>

#include <grove.h>

static grove_semaphore_t seats = GROVE_BOUNDED_SEMAPHORE_INIT(2);

static void *dine(void *name)
{
    if (grove_semaphore_acquire(&seats, 0.05) < 0) {
        printf("%s leaves: %s\n", (char *)name, strerror(errno));
        return NULL;
    }
    printf("%s sits down, %d free\n", (char *)name, grove_semaphore_value(&seats));
    grove_sleep(0.03);
    printf("%s gets up\n", (char *)name);
    grove_semaphore_release(&seats);
    return NULL;
}

int main(void)
{
    grove_t *guests[] = {
        grove_spawn(dine, "Ada"),
        grove_spawn(dine, "Bo"),
        grove_spawn(dine, "Cy"),
        grove_spawn(dine, "Di"),
        grove_spawn(dine, "Ed"),
    };

    grove_joinall(guests, 5, GROVE_FOREVER);
    for (int i = 0; i < 5; i++)
        grove_release(guests[i]);
    /* A bounded semaphore knows how many there were. */
    if (grove_semaphore_release(&seats) < 0 && errno == EOVERFLOW)
        puts("nobody sat there");
}
