/* SPDX-License-Identifier: MIT */
/* What holds for actors and scopes in every order of events: see seeds.h. */
#include <grove.h>

#include "tests/sync/seeds.h"

static void pass_time(void)
{
    if (dice(2))
        grove_yield();
    if (dice(2))
        grove_sleep(dice_pause());
}

/* Actors. */

enum { SENDERS = 3, MESSAGES = 4 };

static grove_actor_t *actor;
static char sent[SENDERS][MESSAGES], handled[SENDERS][MESSAGES];
static int last_handled[SENDERS], in_handler;
static bool handler_ends;

static void note_message(intptr_t message)
{
    intptr_t sender = (message - 1) / MESSAGES, number = (message - 1) % MESSAGES;

    if (!CHECK(message > 0 && sender < SENDERS))
        return;
    handled[sender][number]++;
    CHECK(number > last_handled[sender]);
    last_handled[sender] = (int)number;
}

static void handle(grove_actor_t *self, void *message, void *arg)
{
    CHECK(self == actor && arg == &actor);
    CHECK_EQUAL(in_handler++, 0);
    note_message((intptr_t)message);
    pass_time();
    in_handler--;
    if (handler_ends && dice(8) == 0)
        grove_exit(NULL);
}

static void *send_all(void *arg)
{
    intptr_t sender = (intptr_t)arg;

    for (intptr_t i = 0; i < MESSAGES; i++) {
        void *message = (void *)(sender * MESSAGES + i + 1);
        if (grove_actor_send(actor, message, dice_timeout()) == 0)
            sent[sender][i]++;
        else
            CHECK(errno == ETIMEDOUT || errno == ECANCELED || errno == EPIPE);
    }
    return arg;
}

static void check_messages(void)
{
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < MESSAGES; j++)
            CHECK_EQUAL(handled[i][j], sent[i][j]);
}

/* Every message that was sent was handled or is given back, in its order. */
static void an_actor(void)
{
    static const grove_affinity_t affinities[] = {GROVE_LOCAL, GROVE_ANY};
    grove_attr_t attr = {.affinity = affinities[dice(2)]};
    grove_t *g[SENDERS];
    void *message;

    memset(sent, 0, sizeof sent);
    memset(handled, 0, sizeof handled);
    memset(last_handled, -1, sizeof last_handled);
    in_handler = 0;
    handler_ends = dice(2);
    actor = grove_actor_new_with(&attr, dice(3), handle, &actor);
    for (intptr_t i = 0; i < SENDERS; i++)
        g[i] = seeds_go(send_all, i);
    grove_sleep(dice_pause());
    grove_kill(g[0], 0);
    if (dice(2)) {
        CHECK_EQUAL((dice(2) ? grove_actor_stop : grove_actor_kill)(actor), 0);
        CHECK_ERROR(grove_actor_send(actor, actor, 0), EPIPE);
    }
    seeds_finish(g, SENDERS);
    grove_actor_stop(actor);
    CHECK_EQUAL(grove_actor_join(actor, SEEDS_HANG), 0);
    while (grove_actor_take(actor, &message) == 0)
        note_message((intptr_t)message);
    CHECK_EQUAL(grove_actor_free(actor), 0);
    check_messages();
}
SEEDED(an_actor)

/* Scopes. */

static grove_scope_t outer_scope;

/* What a child is told: how deep scopes may lie in it, whether it is the outer's, and
 * whether it has to fail.
 */
enum { DEPTH = 3, OUTERS = 4, FAILS = 8 };

static bool ends_by_cancel;
static int children_begun, children_ended, outers_failed;

static void *be_child(void *arg);

static void spawn_child(grove_scope_t *scope, intptr_t depth)
{
    intptr_t told = scope == &outer_scope ? depth | OUTERS : depth;
    grove_t *g =
        (dice(2) ? grove_scope_go : grove_scope_spawn)(scope, be_child, (void *)told);

    if (g)
        grove_release(g);
    else
        CHECK_EQUAL(errno, ECANCELED);
}

static void end_of_child(void *arg)
{
    (void)arg;
    children_ended++;
}

static void fail_child(bool of_outer)
{
    outers_failed += of_outer;
    grove_fail(EIO, "no");
}

static void *sleep_until_cancelled(void *arg)
{
    CHECK(grove_sleep(SEEDS_HANG) < 0);
    return arg;
}

/* Its opener has no blocking call that could fail, so only the outer scope's cancel can
 * end the child. */
static void await_cancel(grove_scope_t *inner)
{
    grove_t *g = grove_scope_go(inner, sleep_until_cancelled, NULL);

    if (!g)
        return;
    for (int turns = 0; !grove_ready(g) && CHECK(turns < 1000000); turns++)
        grove_yield();
    grove_release(g);
}

/* With a scope of its own. */
static void open_inner(intptr_t depth)
{
    grove_scope_t scope;

    if (grove_scope_open(&scope, dice(2)) < 0) {
        CHECK(errno == ECANCELED || errno == ETIMEDOUT);
        return;
    }
    for (uint32_t n = dice(3); n > 0; n--)
        spawn_child(&scope, depth - 1);
    if (ends_by_cancel && dice(4) == 0)
        await_cancel(&scope);
    pass_time();
    if (dice(4) == 0)
        grove_exit(NULL); /* which closes it, too */
    if (dice(4) == 0)
        grove_scope_cancel(&scope);
    grove_scope_close(&scope);
}

static void *be_child(void *arg)
{
    intptr_t depth = (intptr_t)arg & DEPTH;

    children_begun++;
    CHECK_EQUAL(grove_defer(end_of_child, NULL), 0);
    pass_time();
    if ((intptr_t)arg & FAILS)
        fail_child(true);
    if (depth > 0 && dice(2))
        open_inner(depth);
    else if (depth > 0 && dice(4) == 0)
        spawn_child(&outer_scope, 0);
    else if (ends_by_cancel && dice(4) == 0)
        CHECK(grove_sleep(SEEDS_HANG) < 0); /* wherever it lies inside */
    else if (dice(8) == 0)
        fail_child((intptr_t)arg & OUTERS);
    return NULL;
}

/* A child's failure that may have been the scope's is EIO; a cancel is told by what the
 * scenario has done. */
static void check_outcome(int error, bool may_be_cancelled, bool has_deadline)
{
    CHECK(error == 0 || (error == EIO && outers_failed > 0) ||
          (error == ECANCELED && may_be_cancelled) ||
          (error == ETIMEDOUT && has_deadline));
    CHECK(error != 0 || outers_failed == 0);
}

static void *open_outer(void *arg)
{
    bool cancels = dice(4) == 0, has_deadline = dice(4) == 0;
    bool fails = dice(4) == 0;

    ends_by_cancel = cancels || has_deadline || fails;
    CHECK_EQUAL(grove_scope_open(&outer_scope,
                    fails || dice(2) ? GROVE_CANCEL_ON_FAILURE : GROVE_COLLECT_ALL),
        0);
    if (has_deadline)
        CHECK_EQUAL(grove_scope_deadline(&outer_scope, dice_pause()), 0);
    for (uint32_t n = 1 + dice(3); n > 0; n--)
        spawn_child(&outer_scope, 2);
    if (fails)
        spawn_child(&outer_scope, FAILS);
    pass_time();
    if (cancels)
        CHECK_EQUAL(grove_scope_cancel(&outer_scope), 0);
    int error = grove_scope_close(&outer_scope) < 0 ? errno : 0;
    CHECK_EQUAL(children_begun, children_ended);
    bool was_killed = grove_kill_clear() != 0;
    CHECK(was_killed <= (arg != NULL));
    check_outcome(error, cancels || arg, has_deadline);
    /* Nothing of it is left; but a kill may be late. */
    CHECK(grove_sleep(0) == 0 || arg);
    return NULL;
}

/* No child outlives it, and its outcome is what happened. */
static void a_scope(void)
{
    bool kills = dice(4) == 0;
    grove_t *opener;

    children_begun = children_ended = outers_failed = 0;
    opener = seeds_go(open_outer, kills);
    grove_sleep(dice_pause());
    if (kills)
        grove_kill(opener, 0);
    seeds_finish(&opener, 1);
    CHECK_EQUAL(children_begun, children_ended);
}
SEEDED(a_scope)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("an actor", an_actor),
        TEST("a scope", a_scope),
    };
    return harness_main("seeds actors", tests, sizeof tests / sizeof *tests);
}
