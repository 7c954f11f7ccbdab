/* SPDX-License-Identifier: MIT */
/*
 * Waiters and who ends their waits (sched/waiter.h): wakes from other workers, timeouts
 * and kills on the waiter's own. Each waiter has a worker of its own, as two of one
 * worker can't race. Memory is sequentially consistent: what is shared is changed
 * inside the section, but for [linked] (waiter->list), which detach reads outside
 * (acquire, against the release of who unlinks).
 *
 * Three objects, of which one is compiled:
 *   (none)       an event (sync/event.c): set once; the last of those who return frees
 *                it, if it found the event set
 *   -DITEMS      a queue (sync/queue.c): items are handed over
 *   -DPERMITS    a lock (sync/permits.c) with barging; the last waiter is a select's,
 *                which wants the permit handed over
 *
 * Invariants: exactly one of wake, timeout and kill ends a wait, and a detach after
 * that returns false; nobody touches a waiter whose owner has returned, nor an object
 * that is freed; no item and no permit is lost or doubled; and when nothing can move
 * any more, nobody is parked without having been woken.
 *
 * Mutants, each must fail: -DNO_RECHECK (detach doesn't look again inside the section),
 * -DWAKE_INSIDE (before the section is left), -DTOUCH_AFTER_WAKE (the chain's next is
 * read after the wake), -DLOOK_OUTSIDE (who finds the event set doesn't go through the
 * section); with PERMITS: -DNO_LAST_TRY (who is woken and then out of time just leaves),
 * -DNO_PASS_ON (so does who is woken and then killed), -DPUBLISH_BLINDLY (a select's
 * waiter is linked though a permit is free).
 */

#ifdef PERMITS
#define WAITERS 3
#else
#define WAITERS 2
#endif
#define NOBODY 255

bool inside, freed; /* of the object: its section, and whether it is gone */
bool linked[WAITERS], alive[WAITERS];
bool message[WAITERS]; /* the wake is in the inbox */
bool ready[WAITERS];   /* in the run queue */
byte result[WAITERS];
byte item[WAITERS];
bool over[WAITERS]; /* its owner has returned for good */

#define WOKEN 0
#define INTERRUPTED 1

inline enter()
{
    atomic { !inside -> assert(!freed); inside = true }
}

inline leave()
{
    atomic { assert(!freed && inside); inside = false }
}

inline link(w)
{
    atomic { assert(!linked[w]); linked[w] = true; alive[w] = true; result[w] = WOKEN }
}

inline unlink(w)
{
    atomic { assert(alive[w]); linked[w] = false }
}

inline wake(w)
{
    atomic { assert(alive[w] && !message[w] && !ready[w]); message[w] = true }
}

/* Timeout or kill, on the waiter's own worker. */
inline cancel(me)
{
    if
    :: linked[me] ->
       enter();
#ifdef NO_RECHECK
       detached = true;
       linked[me] = false;
#else
       if
       :: linked[me] -> unlink(me); detached = true
       :: !linked[me]
       fi;
#endif
       leave()
    :: !linked[me]
    fi;
    atomic {
        if
        :: detached ->
           assert(!ready[me]); /* once only */
           ready[me] = true; result[me] = INTERRUPTED; detached = false
        :: else
        fi
    }
}

/* Nothing may come from elsewhere to the rescue of who waits for ever. */
inline draw_fate()
{
    if
    :: timer_fired = true
    :: timer_fired = false
    fi;
    if
    :: killed = true
    :: killed = false
    fi
}

/* The timer and a kill come once each, or not at all; also between wake and run. */
inline park(me)
{
    do
    :: atomic { message[me] -> message[me] = false; assert(!ready[me]); ready[me] = true }
    :: !timer_fired -> timer_fired = true; cancel(me)
    :: !killed -> killed = true; cancel(me)
    :: atomic {
           ready[me] ->
           assert(!linked[me] && !message[me]);
           ready[me] = false; alive[me] = false; break
       }
    od
}

#ifdef PERMITS

byte permits = 1, woken, holders;
bool impatient[WAITERS], handed[WAITERS];

#define HAND_OVER(w) (linked[w] && impatient[w])
#define WAKE(w) (linked[w] && !impatient[w] && woken < permits)

/* permits_next. Whoever was woken once is in front of all that weren't; a select's
 * waiter is anywhere. Sets [next]. */
inline find_next()
{
    next = NOBODY;
    if
    :: permits && HAND_OVER(0) -> next = 0
    :: permits && HAND_OVER(1) -> next = 1
    :: permits && HAND_OVER(2) -> next = 2
    :: permits && WAKE(0) -> next = 0
    :: permits && WAKE(1) -> next = 1
    :: else
    fi;
    if
    :: next == NOBODY
    :: else ->
       if
       :: impatient[next] -> permits--; handed[next] = true
       :: else -> woken++
       fi;
       unlink(next)
    fi
}

inline wake_next()
{
    if
    :: next != NOBODY -> wake(next)
    :: else
    fi;
    next = NOBODY
}

inline take()
{
    taken = (permits > 0);
    permits = permits - taken
}

inline release()
{
    holders--;
    enter();
    atomic { permits++; assert(permits == 1); find_next() };
    leave();
    wake_next()
}

inline hold()
{
    atomic { holders++; assert(holders == 1) }
}

proctype Owner(byte me)
{
    byte next = NOBODY;
    bool timer_fired, killed, detached, taken, was_woken;

    draw_fate();
again:
    enter();
    atomic {
        take();
        woken = woken - was_woken;
        if
        :: !taken -> link(me); impatient[me] = was_woken
        :: else
        fi
    }
    leave();
    if
    :: taken -> goto got
    :: else
    fi;
    park(me);
    if
    :: result[me] != WOKEN -> assert(!handed[me]); goto end
    :: handed[me] -> goto got
    :: else -> was_woken = true
    fi;
    if
    :: goto again
    :: /* The time is over: the last try. */
       enter();
       atomic {
#ifndef NO_LAST_TRY
           take();
#endif
           woken--
       }
       leave();
       if
       :: taken -> goto got
       :: else -> goto end
       fi
    :: /* Killed: somebody else is woken instead. */
       enter();
       atomic {
           woken--;
#ifndef NO_PASS_ON
           find_next()
#endif
       }
       leave();
       wake_next();
       goto end
    fi;
got:
    hold();
    release();
end:
    over[me] = true
}

/* permits_publish, and what a select does with it. */
proctype Selecting(byte me)
{
    byte next = NOBODY;
    bool timer_fired, killed, detached, taken;

    draw_fate();
again:
    enter();
    take();
    leave();
    if
    :: taken -> goto got
    :: else
    fi;
    enter();
    atomic {
#ifdef PUBLISH_BLINDLY
        link(me); impatient[me] = true
#else
        if
        :: permits == 0 -> link(me); impatient[me] = true
        :: else -> taken = true
        fi
#endif
    }
    leave();
    if
    :: taken -> taken = false; goto again
    :: else
    fi;
    park(me);
    if
    :: result[me] != WOKEN -> assert(!handed[me]); goto end
    :: else -> assert(handed[me])
    fi;
got:
    hold();
    release();
end:
    over[me] = true
}

init
{
    atomic { run Owner(0); run Owner(1); run Selecting(2) }
    timeout; /* nothing else can move */
    assert(over[0] && over[1] && over[2]);
    assert(permits == 1 && woken == 0)
}

#else

bool set; /* the event */
byte count; /* items in the queue */
byte got, returned;
bool last_found_it; /* the event set */

proctype Owner(byte me)
{
    bool timer_fired, killed, detached, found;

    draw_fate();
#ifdef LOOK_OUTSIDE
    if
    :: set -> found = true; goto end
    :: !set
    fi;
#endif
    enter();
    atomic {
        if
        :: set -> found = true
        :: count > 0 -> count--; item[me] = 1; found = true
        :: else -> link(me)
        fi
    }
    leave();
    if
    :: !found -> park(me); found = (result[me] == WOKEN)
    :: found
    fi;
end:
    atomic {
        over[me] = true; returned++;
#ifdef ITEMS
        assert(item[me] == found);
        got = got + item[me]
#else
        if
        :: returned == WAITERS && found -> freed = true
        :: else
        fi
#endif
    }
}

/* Sets the event, or puts an item. */
proctype Waker()
{
    byte first = NOBODY, second = NOBODY;

    enter();
#ifndef ITEMS
    set = true;
#endif
    if
    :: linked[0] -> unlink(0); first = 0
    :: linked[1] -> unlink(1); first = 1
    :: !linked[0] && !linked[1]
    fi;
#ifdef ITEMS
    if
    :: first == NOBODY -> count++
    :: else -> atomic { assert(alive[first]); item[first]++ }
    fi;
#else
    if
    :: linked[0] -> unlink(0); second = 0
    :: linked[1] -> unlink(1); second = 1
    :: !linked[0] && !linked[1]
    fi;
#endif
#ifndef WAKE_INSIDE
    leave();
#endif
    if
    :: first != NOBODY ->
       wake(first);
#ifdef TOUCH_AFTER_WAKE
       assert(alive[first]);
#endif
    :: else
    fi;
    if
    :: second != NOBODY -> wake(second)
    :: else
    fi;
#ifdef WAKE_INSIDE
    leave()
#endif
}

init
{
    atomic {
        run Owner(0); run Owner(1); run Waker();
#ifdef ITEMS
        run Waker()
#endif
    }
    timeout; /* nothing else can move */
#ifdef ITEMS
    assert(over[0] && over[1] && got + count == 2)
#else
    assert(over[0] && over[1] && returned == 2)
#endif
}

#endif
