/* SPDX-License-Identifier: MIT */
/*
 * The deque of sched/deque.h under x86-TSO: one owner, two thieves.
 *
 * Only the owner does plain stores (slots and bottom): they go through its store buffer,
 * a FIFO that memory empties at any time. The thieves change top by compare-and-swap
 * alone. barrier_light() is nothing; barrier_heavy() empties the owner's buffer.
 * Growth is left out: the ring has SIZE slots that are used again and again, and the
 * owner pushes only what fits, by its known_top.
 *
 * Invariant: every item pushed is taken exactly once.
 *
 * Also models Chase and Lev's original, -DNO_CLAIM: right with -DBATCH=1.
 * Mutants, each must fail: -DNO_HEAVY_BARRIER (with and without claims), -DNO_CLAIM with
 * batches, -DWITHDRAW (a thief that finds nothing takes its claim back).
 */

#ifndef BATCH
#define BATCH 2
#endif
#ifndef ITEMS
#define ITEMS 3 /* pushed in all */
#endif
#ifndef POPS
#define POPS 3 /* by the owner, while the thieves are at it */
#endif
#define STEALS 2 /* attempts of each thief */
#define SIZE 2
#define FIRST 1 /* the first index: bottom - 1 stays a byte */

byte index = FIRST, claim; /* top: one word, always read and changed as one */
byte bottom = FIRST, slot[SIZE];
bool taken[ITEMS + 1];
byte thieves_done;

#define BOTTOM SIZE /* addresses below: slots */
chan buffer = [3] of { byte, byte };

inline write_oldest(a, v) /* memory takes the oldest entry of the buffer */
{
    buffer ? a, v;
    if
    :: a == BOTTOM -> bottom = v
    :: else -> slot[a] = v
    fi;
    a = 0; v = 0
}

inline drain(a, v)
{
    do
    :: len(buffer) > 0 -> write_oldest(a, v)
    :: else -> break
    od
}

inline take(item)
{
    assert(item > 0 && !taken[item]); taken[item] = true
}

/* Owner's or thief's compare-and-swap of top; `won` tells. */
inline swap_top(old_index, old_claim, new_index, new_claim)
{
    won = (index == old_index && claim == old_claim);
    if
    :: won -> index = new_index; claim = new_claim
    :: else
    fi
}

proctype Owner()
{
    byte own = FIRST, known = FIRST, mine[SIZE], pushed, pops, t, k, a, v;
    bool won, last;

operate:
    do
    :: pushed < ITEMS && own - known < SIZE ->
       d_step { pushed++; mine[own % SIZE] = pushed }
       buffer ! own % SIZE, pushed;
       own++;
       buffer ! BOTTOM, own
    :: pushed < ITEMS && own - known == SIZE && index > known -> known = index
    :: pops < POPS -> pops++; /* deque_pop */
       own--;
       buffer ! BOTTOM, own;
       atomic {
#ifdef NO_CLAIM
           if
           :: own > index -> take(mine[own % SIZE])
           :: else -> own++; goto limited
           fi
#else
           if
           :: own >= index + claim -> take(mine[own % SIZE])
           :: else -> own++; goto limited
           fi
#endif
       }
    :: pops < POPS -> pops++; goto oldest /* deque_take_oldest */
    :: pushed == ITEMS || pops == POPS -> break
    od;
    /* The thieves are gone: what is left is taken, so that nothing can be lost. */
    thieves_done == 2 -> last = true;
    goto oldest;

limited:
    buffer ! BOTTOM, own;
oldest:
    atomic {
        t = index; k = claim;
        if
        :: t >= own && last -> goto end
        :: t >= own && !last -> t = 0; k = 0; goto operate
        :: else
        fi
    }
    atomic {
        drain(a, v);
        swap_top(t, k, t + 1, 0);
        if
        :: won -> take(mine[t % SIZE]); won = false; t = 0; k = 0;
           if
           :: last -> goto oldest
           :: else -> goto operate
           fi
        :: else -> goto oldest
        fi
    }
end:
    assert(index == own)
}

proctype Thief()
{
    byte tries, t, k, n, b, a, v, item[BATCH];
    bool won;

    do
    :: tries == STEALS -> break
    :: tries < STEALS -> tries++;
       atomic { t = index; k = claim };
       if
       :: bottom <= t -> goto next
       :: bottom > t
       fi;
#ifndef NO_CLAIM
       if
       :: k > 0
       :: k == 0 ->
          if
          :: n = 1
          :: n = BATCH
          fi;
          atomic { swap_top(t, 0, t, n); k = n; n = 0 };
          if
          :: !won -> goto next
          :: else
          fi
       fi;
#endif
#ifndef NO_HEAVY_BARRIER
       atomic { drain(a, v) };
#endif
       atomic {
           b = bottom;
           n = (b > t -> b - t : 0);
#ifdef NO_CLAIM
           n = (n > BATCH -> BATCH : n)
#else
           n = (n > k -> k : n)
#endif
       };
       if
       :: n == 0 ->
#ifdef WITHDRAW
          atomic { swap_top(t, k, t, 0) };
#endif
          goto next
       :: n > 0
       fi;
       do
       :: a < n -> atomic { item[a] = slot[(t + a) % SIZE]; a++ }
       :: a == n -> break
       od;
       atomic {
           a = 0;
           swap_top(t, k, t + n, 0);
           do
           :: won && a < n -> take(item[a]); a++
           :: else -> break
           od
       }
next:
       atomic { t = 0; k = 0; n = 0; b = 0; a = 0; won = false; item[0] = 0; item[BATCH - 1] = 0 }
    od;
    thieves_done++
}

proctype Memory()
{
    byte a, v;
end:
    do
    :: atomic { len(buffer) > 0 -> write_oldest(a, v) }
    od
}

init
{
    atomic { run Owner(); run Thief(); run Thief(); run Memory() }
}
