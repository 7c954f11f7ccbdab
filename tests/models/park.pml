/* SPDX-License-Identifier: MIT */
/*
 * How workers park and who wakes them (sched/idle.c), under x86-TSO.
 *
 * One word for all, `idle`: searching << 16 | sleeping, two counts. It is changed by
 * atomic read-modify-writes only; `sleeping` and the list of sleepers only under the
 * idle lock (a lock: parking costs microseconds anyway, and a waker that has claimed
 * a wake must be sure to find its sleeper).
 * Per worker: `listed` (on the list of sleepers; idle lock), `asleep` (a wake costs a
 * system call; set by the worker, taken back by xchg), an event fd (sticky token).
 *
 *   transition              who, when                            idle word
 *   start searching         worker that has run dry, if fewer    searching+1
 *                           than half of all search (CAS)
 *   stop searching          searcher that found something to     searching-1
 *                           run, before it runs it
 *   park                    searcher (or who may not search)     sleeping+1,
 *                           that found nothing; lists itself,    searching-1 if
 *                           sets asleep; lock                    it searched: one RMW
 *   wake one                anybody, if searching == 0 and       searching+1,
 *                           sleeping > 0; unlists one; lock      sleeping-1: one RMW
 *   unpark, still listed    the worker itself, whatever woke it  sleeping-1
 *   unpark, not listed      it was woken as a searcher           -
 *
 * submit   push on own deque; barrier_light(); read idle; wake one if called for
 * park     transition; barrier_heavy(); look at all deques and the own inbox; nothing:
 *          sleep on the event fd with the hub; something: unpark, and search (with
 *          searching+1 if it was still listed, whatever the limit)
 * stop     transition; if that was the last searcher and somebody sleeps:
 *          barrier_heavy(); if any deque, the own one too, still holds something,
 *          wake one
 * post     push on the target's inbox (RMW); read its asleep; if set and xchg(asleep, 0)
 *          gave 1, signal its event fd
 * signal   wake one also does the last step of post on the worker it unlisted, after
 *          the lock; a late signal is a spurious wake, nothing more
 *
 * Nobody counted as searching runs a greenlet: an item pushed while searching > 0 wakes
 * nobody and relies on the searchers. The last of them either parks and re-checks, or
 * stops and re-checks. Pushes before the point of the heavy barrier in the pusher's
 * instruction stream are seen by the re-check; a push after it reads idle after it, and
 * sees searching == 0.
 *
 * Invariant (checked when nothing can move any more): no item lies in a deque while a
 * worker sleeps, and no inbox of a sleeping worker holds anything; the submitter and
 * whoever got an item may be busy for ever. Of the owner's pops only the effect is here:
 * deque.pml has the rest.
 *
 * Mutants, each must fail: -DNO_HEAVY_BARRIER, -DNO_RECHECK, -DNO_HAND_OVER (the last
 * searcher does not wake the next), -DNO_INBOX_RECHECK.
 */

#ifndef WORKERS
#define WORKERS 3 /* all but 0 look for work; 0 pushes ITEMS and never comes back */
#endif
#ifndef ITEMS
#define ITEMS 2
#endif

byte searching, sleeping; /* the idle word: one object, read and changed as one */
bool listed[4], asleep[4], token[4], busy[4];
byte inbox[4];
byte items[4];    /* in the deques, as memory has them */
byte buffered[4]; /* pushed, but still in the owner's store buffer */

inline drain(owner)
{
    items[owner] = items[owner] + buffered[owner]; buffered[owner] = 0
}

inline barrier_heavy()
{
#ifndef NO_HEAVY_BARRIER
    d_step { drain(0); drain(1); drain(2); drain(3) }
#else
    skip
#endif
}

/* Looks at the deques one by one. */
inline look_at_deques()
{
    do
    :: d_step { !found && i < WORKERS -> found = (items[i] > 0); i++ }
    :: else -> break
    od;
    i = 0
}

inline signal(who)
{
    if
    :: d_step { asleep[who] -> asleep[who] = false }; token[who] = true
    :: !asleep[who]
    fi
}

inline wake_one()
{
    atomic {
        if
        :: searching == 0 && listed[1] -> who = 1
        :: searching == 0 && listed[2] -> who = 2
        :: searching == 0 && listed[3] -> who = 3
        :: else -> who = 0
        fi;
        if
        :: who -> listed[who] = false; sleeping--; searching++
        :: else
        fi
    }
    if
    :: who -> signal(who); who = 0
    :: else
    fi
}

proctype Submitter()
{
    byte who, n;
    do
    :: n < ITEMS ->
       atomic { buffered[0]++; n++ }
       if /* barrier_light() does nothing */
       :: searching == 0 && sleeping > 0 -> wake_one()
       :: searching > 0 || sleeping == 0
       fi
    :: n == ITEMS -> break
    od
}

proctype Worker(byte me)
{
    byte who, i;
    bool found, got, searched;

working: /* not counted anywhere */
    if
    :: d_step { items[me] + buffered[me] > 0 -> drain(me); items[me]--; got = true };
       goto got_work
    :: d_step { inbox[me] > 0 -> inbox[me]-- }; goto working
    :: items[me] + buffered[me] == 0 && inbox[me] == 0
    fi;
    atomic {
        if
        :: searching * 2 < WORKERS -> searching++; searched = true
        :: else -> goto park
        fi
    }

search:
    if /* steal one; or two: the second goes on the own deque; or overlook all */
    :: atomic { items[0] > 0 -> items[0]--; got = true }
    :: atomic { items[1] > 0 -> items[1]--; got = true }
    :: atomic { items[2] > 0 -> items[2]--; got = true }
    :: atomic { items[0] > 1 -> items[0] = items[0] - 2; got = true; buffered[me]++ }
    :: true
    fi;
    atomic {
        if
        :: !got && inbox[me] == 0 -> goto park
        :: else -> drain(me); searching--; searched = false /* stop searching */
        fi;
        if
        :: searching > 0 || sleeping == 0 -> goto got_work
        :: else
        fi
    }
#ifndef NO_HAND_OVER
    barrier_heavy();
    look_at_deques();
    if
    :: found -> found = false; wake_one()
    :: else
    fi;
#endif

got_work:
    if
    :: got -> busy[me] = true; goto gone /* for ever */
    :: got = false; goto working
    fi;

park:
    atomic {
        drain(me); listed[me] = true; asleep[me] = true; sleeping++;
        searching = searching - searched; searched = false
    }
    barrier_heavy();
#ifndef NO_RECHECK
    look_at_deques();
#endif
#ifndef NO_INBOX_RECHECK
    found = found || inbox[me] > 0;
#endif
    if
    :: found
    :: !found && token[me] -> token[me] = false /* asleep in the hub till then */
    fi;
    atomic {
        asleep[me] = false;
        if
        :: !listed[me] -> searched = true
        :: listed[me] && found -> sleeping--; searching++; searched = true
        :: else -> sleeping--
        fi;
        listed[me] = false; found = false;
        if
        :: searched -> goto search
        :: else -> goto working
        fi
    }
gone:
    skip
}

proctype Poster(byte to)
{
    inbox[to]++; /* RMW: nothing stays in the store buffer */
    signal(to)
}

/* A timer or an fd wakes a worker for a reason of its own. */
proctype Spurious(byte to)
{
    token[to] = true
}

/* Store buffers drain on their own, too, in the end. */
proctype Memory()
{
end:
    do
    :: d_step { buffered[0] > 0 -> buffered[0]--; items[0]++ }
    :: d_step { buffered[1] > 0 -> buffered[1]--; items[1]++ }
    :: d_step { buffered[2] > 0 -> buffered[2]--; items[2]++ }
    :: d_step { buffered[3] > 0 -> buffered[3]--; items[3]++ }
    od
}

#define FINE(w) (busy[w] || (inbox[w] == 0 && items[0] + items[1] + items[2] + items[3] == 0))

init
{
    atomic {
        run Submitter(); run Worker(1); run Worker(2); run Memory();
#if WORKERS > 3
        run Worker(3)
#else
        run Poster(1); run Spurious(2)
#endif
    }
    timeout; /* nothing else can move */
    assert(FINE(1) && FINE(2) && (WORKERS < 4 || FINE(3)))
}
