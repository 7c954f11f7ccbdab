/* SPDX-License-Identifier: MIT */
/* Reports say where in the program a greenlet was spawned, whichever call did it. */
#include <grove/actor.h>
#include <grove/group.h>
#include <grove/parallel.h>
#include <grove/scope.h>

#include "tests/sync/runtimes.h"

/* The functions of this program that spawn lie in a section of their own, of which the
 * linker says where it begins and ends. */
#define SPAWNS __attribute__((noinline, section("spawn_sites")))
extern char __start_spawn_sites[], __stop_spawn_sites[];

static bool among_those_that_spawn(const void *site)
{
    return (const char *)site >= __start_spawn_sites &&
           (const char *)site < __stop_spawn_sites;
}

enum { WAYS = 10 };

static void *nothing(void *arg)
{
    return arg;
}

static void no_message(grove_actor_t *actor, void *message, void *arg)
{
    (void)actor, (void)message, (void)arg;
}

SPAWNS static void spawn_in_each_way(
    grove_t **made, grove_group_t *group, grove_scope_t *scope)
{
    static const grove_attr_t attr = {.name = "site"};

    made[0] = must(grove_spawn(nothing, NULL));
    made[1] = must(grove_go(nothing, NULL));
    made[2] = must(grove_spawn_later(0, nothing, NULL));
    made[3] = must(grove_spawn_with(&attr, nothing, NULL));
    made[4] = must(grove_group_spawn(group, nothing, NULL));
    made[5] = must(grove_group_go(group, nothing, NULL));
    made[6] = must(grove_group_apply_async(group, nothing, NULL));
    made[7] = must(grove_scope_spawn(scope, nothing, NULL));
    made[8] = must(grove_scope_go(scope, nothing, NULL));
    made[9] = must(grove_scope_spawn_with(scope, &attr, nothing, NULL));
}

static void spawns_are_the_callers(void)
{
    grove_group_t *group = grove_group_new();
    grove_t *made[WAYS];
    grove_scope_t scope;

    CHECK_EQUAL(grove_scope_open(&scope, GROVE_CANCEL_ON_FAILURE), 0);
    spawn_in_each_way(made, group, &scope);
    for (int i = 0; i < WAYS; i++) {
        if (!CHECK(among_those_that_spawn(made[i]->spawned_at)))
            printf("# way %d\n", i);
        grove_await(made[i]);
    }
    CHECK_EQUAL(grove_scope_close(&scope), 0);
    grove_group_free(group);
}
EVERYWHERE(spawns_are_the_callers)

SPAWNS static void make_actors(grove_actor_t **actor)
{
    actor[0] = grove_actor_new(no_message, NULL);
    actor[1] = grove_actor_new_with(NULL, 1, no_message, NULL);
}

static void actors_are_the_callers(void)
{
    grove_actor_t *actor[2];

    make_actors(actor);
    for (int i = 0; i < 2; i++) {
        CHECK(among_those_that_spawn(grove_actor_greenlet(actor[i])->spawned_at));
        grove_actor_stop(actor[i]);
        CHECK_EQUAL(grove_actor_join(actor[i], GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_actor_free(actor[i]), 0);
    }
}
EVERYWHERE(actors_are_the_callers)

SPAWNS static void look_at_site(size_t begin, size_t end, void *arg)
{
    (void)begin, (void)end, (void)arg;
    CHECK(among_those_that_spawn(grove_current()->spawned_at));
    grove_yield(); /* so that others take their share */
}

static void what_a_loop_runs_is_the_callers(void)
{
    CHECK_EQUAL(grove_parallel_for(0, 200, 1, look_at_site, NULL), 0);
}
EVERYWHERE(what_a_loop_runs_is_the_callers)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("spawns are the caller's", spawns_are_the_callers),
        TEST("actors are the caller's", actors_are_the_callers),
        TEST("what a loop runs is the caller's", what_a_loop_runs_is_the_callers),
    };
    return harness_main("spawn site", tests, sizeof tests / sizeof *tests);
}
