/* SPDX-License-Identifier: MIT */
/* A crawler: each page that is found is fetched once, at most three at a time. */
#include <stdio.h>
#include <string.h>

#include <grove.h>

static struct page {
    const char *name;  /* a letter */
    const char *links; /* the names of others */
    bool seen;
} site[] = {{"a", "bcd", false}, {"b", "acd", false}, {"c", "de", false},
    {"d", "abefg", false}, {"e", "", false}, {"f", "ga", false}, {"g", "c", false}};

static grove_queue_t *found;
static int fetching, most;

/* Pages are looked at and marked without a switch in between: no lock is needed. */
static void find(struct page *page)
{
    if (page->seen)
        return;
    page->seen = true;
    grove_queue_put(found, page, GROVE_FOREVER);
}

static void *fetch(void *arg)
{
    struct page *page = arg;

    if (++fetching > most)
        most = fetching;
    grove_sleep(0.01); /* the network */
    printf("%s links to \"%s\"\n", page->name, page->links);
    for (const char *link = page->links; *link; link++)
        find(&site[*link - 'a']);
    fetching--;
    grove_queue_task_done(found); /* its links are in: never all done too soon */
    return NULL;
}

static void *close_when_all_is_done(void *arg)
{
    grove_queue_join(found, GROVE_FOREVER);
    grove_queue_close(found);
    return arg;
}

int main(void)
{
    grove_group_t *fetchers = grove_pool_new(3);
    void *page;

    found = grove_queue_new(GROVE_FIFO, 0);
    if (!fetchers || !found)
        return 1;
    find(&site[0]);
    grove_t *closing = grove_spawn(close_when_all_is_done, NULL);
    while (grove_queue_get(found, GROVE_FOREVER, &page) == 0)
        grove_release(grove_group_spawn(fetchers, fetch, page)); /* waits for a slot */
    grove_await(closing);
    grove_group_join(fetchers, GROVE_FOREVER);
    printf("at most %d at a time\n", most);
    grove_group_free(fetchers);
    grove_queue_free(found);
}
