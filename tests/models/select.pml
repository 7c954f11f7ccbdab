/* SPDX-License-Identifier: MIT */
/*
 * Selects that meet in channels (sched/waiter.h: struct choice; sync/select.c,
 * sync/queue.c, sync/queue_publish.c).
 *
 * Two selects lie crosswise over two channels: one puts into channel 0 or gets from 1,
 * the other gets from 0 or puts into 1. A plain putter waits for ever at channel 0, a
 * plain getter at channel 1, and the first select may run out of time. Memory is
 * sequentially consistent here: all that is shared is changed inside sections, but for
 * [winner] (a compare-and-swap, acquire and release) and [linked] (waiter->list; stored
 * with release, read by detach with acquire).
 *
 * Each waiter, and the choice of each select, is alive from its publishing to the end
 * of its withdrawal; every access to it from elsewhere asserts that.
 *
 * Invariants: each operation that happens has one partner; a select does one, or none
 * and has run out of time; nobody touches what isn't alive; and when nothing can move
 * any more, no two of those that are parked could have met.
 *
 * Mutants, each must fail: -DCLAIM_LATE (after the waiter is out of its list),
 * -DNO_RECHECK (published without a look at the other list), -DNO_START_OVER (parks
 * although the object turned out ready), -DGIVE_UP_BY_STORE, and with -DALONE, where
 * one select gets from and puts into the same channel, -DOWN_COUNTED (his own waiters
 * in the other list make the object ready, for ever).
 */

#define SELECTS 2
#define PARTIES 4 /* the selects, then the plain putter and getter */
#define WAITERS 6
#define OPEN 255  /* of a choice */
#define PARKED 254 /* won by nobody: given up */

/* Waiters 2p and 2p+1 are those of select p; 4 and 5 those of the plain ones. */
#define OWNER(w) ((w) < 4 -> (w) / 2 : (w) - 2)
#define PLAIN(w) ((w) >= 4)
#ifdef ALONE
#define CHANNEL(w) 0
#else
#define CHANNEL(w) ((w) % 2)
#endif
#define PUTS(w) ((w) == 0 || (w) == 3 || (w) == 4)

bool inside[2];           /* the section of each channel */
bool linked[WAITERS], alive[WAITERS];
byte winner[SELECTS] = OPEN;
bool choice_alive[SELECTS];
bool message[PARTIES];    /* the wake is in the inbox */
byte operations[PARTIES]; /* that happened */
bool parked[PARTIES], ended[PARTIES], out_of_time;
byte puts, gets;

inline enter(channel)
{
    atomic { !inside[channel] -> inside[channel] = true }
}

inline leave(channel)
{
    inside[channel] = false
}

/* Sets [claimed]. */
inline claim(w)
{
    atomic {
        assert(alive[w]);
        if
        :: PLAIN(w) -> claimed = true
        :: else ->
           assert(choice_alive[OWNER(w)]);
           claimed = (winner[OWNER(w)] == OPEN);
           if
           :: claimed -> winner[OWNER(w)] = w
           :: else
           fi
        fi
    }
}

inline unlink(w)
{
    atomic { assert(alive[w] && linked[w]); linked[w] = false }
}

inline happens(w)
{
    operations[OWNER(w)]++;
    assert(operations[OWNER(w)] == 1);
    puts = puts + PUTS(w);
    gets = gets + !PUTS(w)
}

#define COUNTERPART(w, other) \
    (linked[other] && CHANNEL(other) == CHANNEL(w) && PUTS(other) != PUTS(w))

/* Sets [other] to the first or any other of those who wait for an operation like that
 * of w's counterpart; WAITERS if there is none. */
inline find(w)
{
    if
    :: COUNTERPART(w, 0) -> other = 0
    :: COUNTERPART(w, 1) -> other = 1
    :: COUNTERPART(w, 2) -> other = 2
    :: COUNTERPART(w, 3) -> other = 3
    :: COUNTERPART(w, 4) -> other = 4
    :: COUNTERPART(w, 5) -> other = 5
    :: else -> other = WAITERS
    fi
}

/* A put or get that doesn't wait: waiter_pop, and the wake after the section. Comes
 * inside it; leaves it only after success. [claimed] tells. */
inline offer(w)
{
    claimed = false;
    do
    :: atomic { !claimed -> find(w) };
       if
       :: other == WAITERS -> break
       :: else
       fi;
#ifdef CLAIM_LATE
       unlink(other);
       claim(other)
#else
       claim(other);
       unlink(other)
#endif
    :: claimed -> break
    od;
    if
    :: claimed ->
       leave(CHANNEL(w));
       atomic {
           assert(alive[other] && !message[OWNER(other)]);
           happens(w); happens(other);
           message[OWNER(other)] = true
       }
    :: else
    fi;
    other = 0
}

/* Whether a waiter in the other list may still win and isn't the caller's own. */
#ifdef OWN_COUNTED
#define OTHERS(w, o) true
#else
#define OTHERS(w, o) (OWNER(o) != OWNER(w))
#endif
#define MAY_WIN(w, o) (COUNTERPART(w, o) && \
    (PLAIN(o) || (OTHERS(w, o) && winner[OWNER(o)] == OPEN)))
#define SOMEBODY_WAITS(w) (MAY_WIN(w, 0) || MAY_WIN(w, 1) || MAY_WIN(w, 2) || \
    MAY_WIN(w, 3) || MAY_WIN(w, 4) || MAY_WIN(w, 5))

inline publish(w)
{
    enter(CHANNEL(w));
    atomic {
#ifdef NO_RECHECK
        ready = false;
#else
        ready = SOMEBODY_WAITS(w);
#endif
        linked[w] = !ready; alive[w] = !ready
    }
    leave(CHANNEL(w))
}

inline withdraw(w)
{
    if
    :: !linked[w]
    :: linked[w] ->
       enter(CHANNEL(w));
       if
       :: linked[w] -> unlink(w)
       :: !linked[w]
       fi;
       leave(CHANNEL(w))
    fi;
    alive[w] = false
}

/* Sets [claimed]: whether nobody was first. */
inline give_up(me)
{
    atomic {
#ifdef GIVE_UP_BY_STORE
        claimed = true;
#else
        claimed = (winner[me] == OPEN);
#endif
        if
        :: claimed -> winner[me] = PARKED
        :: else
        fi
    }
}

proctype Select(byte me; bool may_time_out)
{
    byte first, second, other;
    bool claimed, ready;

    if
    :: first = 2 * me; second = first + 1
    :: second = 2 * me; first = second + 1
    fi;
again:
    enter(CHANNEL(first));
    offer(first);
    if
    :: claimed -> goto end
    :: else -> leave(CHANNEL(first))
    fi;
    enter(CHANNEL(second));
    offer(second);
    if
    :: claimed -> goto end
    :: else -> leave(CHANNEL(second))
    fi;

    atomic { winner[me] = OPEN; choice_alive[me] = true };
    publish(first);
    if
    :: !ready -> publish(second)
    :: ready
    fi;
#ifdef NO_START_OVER
    ready = false;
#endif
    if
    :: ready ->
       give_up(me);
       if
       :: claimed ->
          withdraw(first); withdraw(second);
#ifdef ALONE
          assert(false); /* for whose sake? */
#endif
          atomic { choice_alive[me] = false; claimed = false; ready = false };
          goto again
       :: else
       fi
    :: !ready
    fi;

    parked[me] = true;
    do
    :: atomic { message[me] -> message[me] = false; parked[me] = false; break }
    :: may_time_out && !out_of_time ->
       give_up(me);
       if
       :: claimed -> out_of_time = true; parked[me] = false; break
       :: else -> may_time_out = false /* its wake is on the way */
       fi
    od;
    withdraw(first); withdraw(second);
    choice_alive[me] = false;
    assert(winner[me] == PARKED || winner[me] / 2 == me);
    assert((operations[me] == 1) == (winner[me] != PARKED));
end:
    atomic {
        ended[me] = true;
        assert(operations[me] == 1 || (out_of_time && operations[me] == 0))
    }
}

/* Puts or gets without a choice. */
proctype Plain(byte me; byte w)
{
    byte other;
    bool claimed;

    enter(CHANNEL(w));
    offer(w);
    if
    :: claimed -> goto end
    :: else
    fi;
    atomic { linked[w] = true; alive[w] = true };
    leave(CHANNEL(w));
    parked[me] = true;
    atomic { message[me] -> message[me] = false; parked[me] = false };
    assert(!linked[w]);
    alive[w] = false;
end:
    ended[me] = true;
    assert(operations[me] == 1)
}

#define RESTS(p) (ended[p] || parked[p])

init
{
    bool in_time;

    if
    :: in_time = true
    :: in_time = false
    fi;
    atomic {
#ifdef ALONE
        run Select(0, false)
#else
        run Select(0, !in_time); run Select(1, false); run Plain(2, 4); run Plain(3, 5)
#endif
    }
    timeout; /* nothing else can move */
    assert(puts == gets);
#ifdef ALONE
    assert(parked[0])
#else
    assert(RESTS(0) && RESTS(1) && RESTS(2) && RESTS(3));
    /* All could meet the second select, and nobody else. */
    assert(!parked[1] || (!parked[0] && !parked[2] && !parked[3]))
#endif
}
