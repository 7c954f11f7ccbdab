/* SPDX-License-Identifier: MIT */
/* What holds for what is waited for besides locks and queues, in every order of events:
 * see seeds.h. */
#include <grove.h>

#include "tests/sync/runtimes.h"
#include "tests/sync/seeds.h"

/* Who gives up doesn't take what others wait for along: in each scenario some wait
 * hastily, with a timeout or to be killed, and some patiently, and those must come
 * through. */
enum { HASTY = 3, PATIENT = 3 };

static bool is_hasty(intptr_t number)
{
    return number < HASTY;
}

static double patience(intptr_t number)
{
    return is_hasty(number) ? dice_timeout() : SEEDS_HANG;
}

static void check_gave_up(intptr_t number)
{
    CHECK(is_hasty(number));
    CHECK(errno == ETIMEDOUT || errno == ECANCELED);
}

static void go_all(grove_t **g, grove_fn fn)
{
    for (intptr_t i = 0; i < HASTY + PATIENT; i++)
        g[i] = seeds_go(fn, i);
}

static void kill_one(grove_t **g)
{
    if (dice(2))
        grove_kill(g[dice(HASTY)], 0);
}

static void finish_hasty(grove_t **g)
{
    for (int i = 0; i < HASTY; i++)
        grove_kill(g[i], 0);
    seeds_finish(g, HASTY);
}

static void finish_patient(grove_t **g)
{
    seeds_finish(g + HASTY, PATIENT);
}

/* Conds. */

static grove_cond_t cond;
static grove_lock_t lock;
static grove_rlock_t rlock;
static bool uses_rlock;
static int inside, tokens, hasty_took;

static int take_lock(void)
{
    return uses_rlock ? grove_rlock_acquire(&rlock, SEEDS_HANG)
                      : grove_lock_acquire(&lock, SEEDS_HANG);
}

static void enter(void)
{
    CHECK_EQUAL(inside++, 0);
}

static void leave(void)
{
    CHECK_EQUAL(--inside, 0);
}

static void give_lock(void)
{
    leave();
    CHECK_EQUAL(
        uses_rlock ? grove_rlock_release(&rlock) : grove_lock_release(&lock), 0);
}

static int wait_for_signal(double timeout)
{
    leave();
    int status = uses_rlock ? grove_cond_wait_rlock(&cond, &rlock, timeout)
                            : grove_cond_wait(&cond, &lock, timeout);
    enter(); /* whatever came of it */
    return status;
}

static void *take_token(void *arg)
{
    intptr_t number = (intptr_t)arg;
    int status;

    if (take_lock() < 0) {
        check_gave_up(number);
        return NULL;
    }
    enter();
    do
        status = tokens > 0 ? 0 : wait_for_signal(patience(number));
    while (status == 0 && tokens == 0);
    if (status < 0)
        check_gave_up(number);
    else
        tokens--, hasty_took += is_hasty(number);
    if (dice(2))
        grove_yield();
    give_lock();
    return NULL;
}

/* Changes under the lock, and signals under it or afterwards. */
static void change_and_tell(int *what, int (*tell)(grove_cond_t *))
{
    bool under_lock = dice(2);

    if (CHECK_EQUAL(take_lock(), 0))
        enter();
    ++*what;
    if (under_lock)
        CHECK_EQUAL(tell(&cond), 0);
    if (dice(2))
        grove_yield();
    give_lock();
    if (!under_lock)
        CHECK_EQUAL(tell(&cond), 0);
}

static void add_token(void)
{
    change_and_tell(&tokens, grove_cond_signal);
}

static void begin_cond(void)
{
    cond = (grove_cond_t)GROVE_COND_INIT;
    lock = (grove_lock_t)GROVE_LOCK_INIT;
    rlock = (grove_rlock_t)GROVE_RLOCK_INIT;
    uses_rlock = dice(2);
    inside = tokens = hasty_took = 0;
}

/* A signal given to one that times out or is killed goes to the next. */
static void signals_of_a_cond(void)
{
    grove_t *g[HASTY + PATIENT];

    begin_cond();
    go_all(g, take_token);
    for (int i = 0; i < PATIENT; i++) {
        grove_sleep(dice_pause());
        add_token();
        kill_one(g);
    }
    finish_hasty(g);
    for (int i = hasty_took; i > 0; i--)
        add_token();
    finish_patient(g);
    CHECK_EQUAL(tokens, 0);
    CHECK(!grove_lock_locked(&lock) && !grove_rlock_locked(&rlock));
}
SEEDED(signals_of_a_cond)

static int opened;

static void *wait_until_opened(void *arg)
{
    intptr_t number = (intptr_t)arg;

    if (take_lock() < 0) {
        check_gave_up(number);
        return NULL;
    }
    enter();
    while (!opened) {
        if (wait_for_signal(patience(number)) == 0) {
            CHECK(opened);
            continue;
        }
        check_gave_up(number);
        break;
    }
    give_lock();
    return NULL;
}

static void a_broadcast(void)
{
    grove_t *g[HASTY + PATIENT];

    begin_cond();
    opened = 0;
    go_all(g, wait_until_opened);
    grove_sleep(dice_pause());
    kill_one(g);
    change_and_tell(&opened, grove_cond_broadcast);
    kill_one(g);
    finish_patient(g);
    finish_hasty(g);
    CHECK(!grove_lock_locked(&lock) && !grove_rlock_locked(&rlock));
}
SEEDED(a_broadcast)

/* Readers and writers. */

enum { TURNS = 3 };

static grove_rwlock_t rwlock;
static int readers, writers;

static void read_for_a_while(void)
{
    readers++;
    CHECK_EQUAL(writers, 0);
    if (dice(2))
        grove_yield();
    CHECK_EQUAL(writers, 0);
    readers--;
    CHECK_EQUAL(grove_rwlock_release_read(&rwlock), 0);
}

static void write_for_a_while(void)
{
    CHECK_EQUAL(writers++, 0);
    CHECK_EQUAL(readers, 0);
    if (dice(2))
        grove_yield();
    CHECK_EQUAL(readers, 0);
    writers--;
    if (dice(4) == 0) {
        CHECK_EQUAL(grove_rwlock_downgrade(&rwlock), 0);
        read_for_a_while();
        return;
    }
    CHECK_EQUAL(grove_rwlock_release_write(&rwlock), 0);
}

static void *read_and_write(void *arg)
{
    for (int i = 0; i < TURNS; i++) {
        bool writes = dice(2);
        double timeout = patience((intptr_t)arg);
        if ((writes ? grove_rwlock_acquire_write : grove_rwlock_acquire_read)(
                &rwlock, timeout) < 0)
            check_gave_up((intptr_t)arg);
        else
            (writes ? write_for_a_while : read_for_a_while)();
    }
    return NULL;
}

static void check_rwlock_free(void)
{
    CHECK_EQUAL(readers + writers, 0);
    CHECK_EQUAL(grove_rwlock_acquire_write(&rwlock, 0), 0);
    CHECK_EQUAL(grove_rwlock_release_write(&rwlock), 0);
    CHECK_ERROR(grove_rwlock_release_read(&rwlock), EPERM);
}

static void readers_or_a_writer(void)
{
    grove_t *g[HASTY + PATIENT];

    rwlock = (grove_rwlock_t)GROVE_RWLOCK_INIT;
    readers = writers = 0;
    go_all(g, read_and_write);
    for (int i = 0; i < 3; i++) {
        grove_sleep(dice_pause());
        kill_one(g);
    }
    finish_patient(g);
    finish_hasty(g);
    check_rwlock_free();
}
SEEDED(readers_or_a_writer)

/* In the order of their calls, whoever gives up in between. */

enum { QUEUED = HASTY + PATIENT, COMING = 0, GONE };

static bool writes[QUEUED];
static char standing[QUEUED];

/* Who came before and is still there may only be a reader beside a reader. */
static void check_turn(intptr_t number)
{
    for (intptr_t i = HASTY; i < number; i++)
        CHECK(standing[i] == GONE || !(writes[i] || writes[number]));
}

static void *queue_up(void *arg)
{
    intptr_t number = (intptr_t)arg;
    double timeout = patience(number);

    if ((writes[number] ? grove_rwlock_acquire_write : grove_rwlock_acquire_read)(
            &rwlock, timeout) < 0) {
        check_gave_up(number);
        return NULL;
    }
    check_turn(number);
    standing[number] = GONE; /* before the release, which lets the next in */
    (writes[number] ? write_for_a_while : read_for_a_while)();
    return NULL;
}

static bool is_queued(const grove_t *g)
{
    struct wait_list *list = (struct wait_list *)&rwlock.waiters_;
    const struct waiter *waiter;

    section_enter(&list->section);
    for (waiter = list->first; waiter && waiter->greenlet != g; waiter = waiter->next)
        ;
    section_leave(&list->section);
    return waiter != NULL;
}

/* Those that are hasty, the first of the numbers, come in between the others. */
static void a_queue_of_readers_and_writers(void)
{
    grove_t *g[QUEUED];
    intptr_t hasty = 0, patient = HASTY;

    rwlock = (grove_rwlock_t)GROVE_RWLOCK_INIT;
    readers = writers = 0;
    memset(standing, COMING, sizeof standing);
    bool main_writes = dice(2);
    CHECK_EQUAL((main_writes ? grove_rwlock_acquire_write : grove_rwlock_acquire_read)(
                    &rwlock, 0),
        0);
    while (hasty + patient < 2 * HASTY + PATIENT) {
        bool is_next_hasty = hasty < HASTY && (patient == QUEUED || dice(2));
        intptr_t next = is_next_hasty ? hasty++ : patient++;
        writes[next] = dice(2);
        g[next] = seeds_go(queue_up, next);
        while (!is_hasty(next) && standing[next] == COMING && !is_queued(g[next]))
            grove_yield();
    }
    kill_one(g);
    CHECK_EQUAL(
        (main_writes ? grove_rwlock_release_write : grove_rwlock_release_read)(&rwlock),
        0);
    kill_one(g);
    finish_patient(g);
    finish_hasty(g);
    check_rwlock_free();
}
SEEDED(a_queue_of_readers_and_writers)

static void *read_or_give_up_writing(void *arg)
{
    intptr_t number = (intptr_t)arg;

    if (!is_hasty(number)) {
        CHECK_EQUAL(grove_rwlock_acquire_read(&rwlock, SEEDS_HANG), 0);
        read_for_a_while();
    } else {
        CHECK(grove_rwlock_acquire_write(&rwlock, dice_timeout()) < 0);
        check_gave_up(number);
    }
    return NULL;
}

/* Nothing but writers that give up is between those who read: they all get in, while
 * there is always a reader. */
static void readers_behind_writers_that_give_up(void)
{
    grove_t *g[HASTY + PATIENT];

    rwlock = (grove_rwlock_t)GROVE_RWLOCK_INIT;
    readers = writers = 0;
    CHECK_EQUAL(grove_rwlock_acquire_read(&rwlock, 0), 0);
    go_all(g, read_or_give_up_writing);
    grove_sleep(dice_pause());
    finish_hasty(g);
    finish_patient(g);
    CHECK_EQUAL(grove_rwlock_release_read(&rwlock), 0);
    check_rwlock_free();
}
SEEDED(readers_behind_writers_that_give_up)

/* Barriers. */

static grove_barrier_t barrier;
static int passed, hasty_passed, led;

static void *come_to_barrier(void *arg)
{
    int status = grove_barrier_wait(&barrier, patience((intptr_t)arg));

    if (status < 0) {
        check_gave_up((intptr_t)arg);
        return NULL;
    }
    passed++;
    hasty_passed += is_hasty((intptr_t)arg);
    led += status;
    return NULL;
}

/* Each round lets exactly as many through as there are parties, of whom one has led. */
static void a_barrier(void)
{
    grove_t *g[HASTY + PATIENT], *filler[PATIENT];
    int fillers;

    barrier = (grove_barrier_t)GROVE_BARRIER_INIT(PATIENT);
    passed = hasty_passed = led = 0;
    go_all(g, come_to_barrier);
    for (int i = 0; i < 3; i++) {
        grove_sleep(dice_pause());
        kill_one(g);
    }
    finish_hasty(g);
    /* In whole rounds the patient ones come through together with these. */
    fillers = (PATIENT - hasty_passed % PATIENT) % PATIENT;
    for (intptr_t i = 0; i < fillers; i++)
        filler[i] = seeds_go(come_to_barrier, PATIENT);
    finish_patient(g);
    seeds_finish(filler, fillers);
    CHECK_EQUAL(passed, led * PATIENT);
    CHECK_EQUAL(barrier.arrived_, 0);
}
SEEDED(a_barrier)

/* Wait groups. */

static grove_waitgroup_t waitgroup;
static int times_zero;

static void *finish_one(void *arg)
{
    if (dice(2))
        grove_sleep(dice_pause());
    times_zero += grove_waitgroup_count(&waitgroup) == 1;
    CHECK_EQUAL(grove_waitgroup_done(&waitgroup), 0);
    return arg;
}

static void *wait_for_zero(void *arg)
{
    bool was_zero = grove_waitgroup_count(&waitgroup) == 0;
    int before = times_zero;

    if (grove_waitgroup_wait(&waitgroup, patience((intptr_t)arg)) < 0)
        check_gave_up((intptr_t)arg);
    else
        CHECK(was_zero || times_zero > before);
    return NULL;
}

static void a_waitgroup(void)
{
    grove_t *worker[4], *g[HASTY + PATIENT];

    waitgroup = (grove_waitgroup_t)GROVE_WAITGROUP_INIT;
    times_zero = 0;
    CHECK_EQUAL(grove_waitgroup_add(&waitgroup, 2), 0);
    go_all(g, wait_for_zero);
    for (intptr_t i = 0; i < 2; i++)
        worker[i] = seeds_go(finish_one, i);
    grove_sleep(dice_pause());
    kill_one(g);
    /* Perhaps it has been 0 in between: who waited then has to go on all the same. */
    CHECK_EQUAL(grove_waitgroup_add(&waitgroup, 2), 0);
    for (intptr_t i = 2; i < 4; i++)
        worker[i] = seeds_go(finish_one, i);
    kill_one(g);
    seeds_finish(worker, 4);
    CHECK_EQUAL(grove_waitgroup_wait(&waitgroup, 0), 0);
    CHECK_ERROR(grove_waitgroup_done(&waitgroup), EINVAL);
    finish_patient(g);
    finish_hasty(g);
}
SEEDED(a_waitgroup)

/* Once. */

static grove_once_t once;
static int running, times_done;

static void not_running(void *arg)
{
    (void)arg;
    running--;
}

/* Ends in one of all the ways there are. */
static int initialise(void *must_succeed)
{
    uint32_t how = must_succeed ? 4 : dice(5);

    CHECK_EQUAL(running++, 0);
    CHECK_EQUAL(times_done, 0);
    if (dice(2) && grove_sleep(dice_pause()) < 0)
        how = 0; /* killed */
    /* Undone when the greenlet has ended, after its defers. */
    if (how <= 1)
        CHECK_EQUAL(grove_defer(not_running, NULL), 0);
    if (how == 0)
        grove_exit(NULL);
    if (how == 1)
        grove_fail(EIO, "no");
    running--;
    times_done += how > 2;
    return how > 2 ? 0 : EIO;
}

static void *run_once(void *arg)
{
    int status =
        grove_once_run(&once, initialise, is_hasty((intptr_t)arg) ? NULL : arg);

    if (status == 0)
        CHECK_EQUAL(times_done, 1);
    else
        CHECK(is_hasty((intptr_t)arg) && (errno == EIO || errno == ECANCELED));
    return NULL;
}

/* The patient ones succeed, whatever those do for whom they wait. */
static void a_once(void)
{
    grove_t *g[HASTY + PATIENT];

    once = (grove_once_t)GROVE_ONCE_INIT;
    running = times_done = 0;
    go_all(g, run_once);
    for (int i = 0; i < 2; i++) {
        grove_sleep(dice_pause());
        kill_one(g);
    }
    finish_patient(g);
    finish_hasty(g);
    CHECK_EQUAL(running, 0);
    CHECK_EQUAL(times_done, 1);
}
SEEDED(a_once)

/* Semaphores: waiting without taking. */

static grove_semaphore_t semaphore;

/* Some only wait for a permit. */
static void *wait_or_take(void *arg)
{
    intptr_t number = (intptr_t)arg;
    bool takes = number % 2;

    if ((takes ? grove_semaphore_acquire : grove_semaphore_wait)(
            &semaphore, patience(number)) < 0)
        check_gave_up(number);
    else if (takes && is_hasty(number))
        hasty_took++;
    return NULL;
}

static void waits_that_take_nothing(void)
{
    enum { TAKEN = 2 }; /* by the patient: 3 and 5 */
    grove_t *g[HASTY + PATIENT];

    semaphore = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
    hasty_took = 0;
    go_all(g, wait_or_take);
    for (int i = 0; i < TAKEN; i++) {
        grove_sleep(dice_pause());
        CHECK_EQUAL(grove_semaphore_release(&semaphore), 0);
        kill_one(g);
    }
    finish_hasty(g);
    for (int i = hasty_took + 1; i > 0; i--)
        CHECK_EQUAL(grove_semaphore_release(&semaphore), 0);
    finish_patient(g);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 1);
}
SEEDED(waits_that_take_nothing)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("signals of a cond", signals_of_a_cond),
        TEST("a broadcast", a_broadcast),
        TEST("readers or a writer", readers_or_a_writer),
        TEST("a queue of readers and writers", a_queue_of_readers_and_writers),
        TEST(
            "readers behind writers that give up", readers_behind_writers_that_give_up),
        TEST("a barrier", a_barrier),
        TEST("a waitgroup", a_waitgroup),
        TEST("a once", a_once),
        TEST("waits that take nothing", waits_that_take_nothing),
    };
    return harness_main("seeds waits", tests, sizeof tests / sizeof *tests);
}
