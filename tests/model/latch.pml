/*
 * The latched cell of spec/PROTOCOL.md section 2, and presence (section 4), for the model
 * checker spin: written from the document, apart from the code. Run it by `tests/model/run`.
 *
 * Memory is weak, as C11, C++11 and Rust say it is, in views. A place keeps all messages that
 * were ever stored there, in order. A thread has a view: for each place the oldest message that
 * it may still read. A load takes any message from there on. A message carries the view that
 * its release store, or the release fence before it, gave it; an acquire fence adds to a
 * thread's view those of all messages it has read. So stores become visible late and in any
 * order, unless fences forbid it. (Left out is load buffering, a load that returns a store which
 * is done later: it takes a thread that stores after it has loaded what others store, and readers
 * store nothing.)
 *
 * There is one writer at a time. It may die after any store, and another one attaches; or
 * nobody comes any more. Between them lies a lock, so the next one has seen all stores. Readers
 * do not see each other: one stands for any number.
 *
 * -DS=.. slots, -DW=.. words, -DP=.. publishes at most, -DD=.. deaths at most, -DFROM=.. number
 * of the value at the beginning (numbers are modulo M), -DREADS=.. reads. Faults are planted by
 * the names in `run`.
 */
#ifndef S
#define S 2
#endif
#ifndef W
#define W 2
#endif
#ifndef P
#define P 3
#endif
#ifndef D
#define D 1
#endif
#ifndef FROM
#define FROM 0
#endif
#ifndef READS
#define READS 1
#endif
#define M 16
#define TRIES 3

#ifdef BOUND
#define MOST (S - 1)
#else
#define MOST (S - 2)
#endif

#define SEQ 0
#define PRESENCE 1
#define WORD(n, i) (2 + ((n) % S) * W + (i))
#define PLACES (2 + S * W)
/* Messages of a place: the one at the beginning, one for each publish, some half-written. */
#define DEPTH (P + D + 1)

typedef View { byte at[PLACES] };
typedef Place { byte count; byte value[DEPTH]; View view[DEPTH] };
Place memory[PLACES];

/* Writer's side: all stores so far are in its view, so its view is the counts. */
View released;  /* at its last release fence */
bool ready;
byte published; /* the number whose seq was stored last */

inline release_fence() {
    d_step {
        for (k : 0 .. PLACES - 1) { released.at[k] = memory[k].count - 1 }
    }
}

/* A store; `release` gives the message the whole view of the writer. */
inline store(place, what, release) {
    d_step {
        t = memory[place].count;
        assert(t < DEPTH);
        memory[place].value[t] = what;
        memory[place].count = t + 1;
        for (k : 0 .. PLACES - 1) {
            if
            :: release -> memory[place].view[t].at[k] = memory[k].count - 1
            :: else -> memory[place].view[t].at[k] = released.at[k]
            fi
        }
        memory[place].view[t].at[place] = t;
        t = 0; k = 0
    }
}

#define LATEST(place) memory[place].value[memory[place].count - 1]

/* What must hold whenever a writer dies: the slot of the last number is whole. */
inline whole() {
    d_step {
        for (k : 0 .. W - 1) { assert(LATEST(WORD(published, k)) == published) }
        k = 0
    }
}

#define LAST_SEQ LATEST(SEQ)

active proctype Writers() {
    byte n, i, t, k, publishes, deaths;
    bool dies;
    /* The cell at the beginning: slots of the last values; of a fresh cell zeros. */
    d_step {
        for (k : 0 .. PLACES - 1) { memory[k].count = 1 }
        memory[SEQ].value[0] = FROM;
        published = FROM;
        if
        :: FROM != 0 ->
            for (t : 0 .. S - 1) {
                n = (FROM + M - t) % M;
                for (k : 0 .. W - 1) { memory[WORD(n, k)].value[0] = n }
            }
        :: else
        fi
        n = 0; t = 0; k = 0
    }
    ready = true;
attach:
    skip;
    d_step {
        /* A new thread has done no fence. */
        for (k : 0 .. PLACES - 1) { released.at[k] = 0 }
        k = 0; dies = false
    }
    do
    :: publishes < P ->
        publishes++;
        n = (LAST_SEQ + 1) % M;                                   /* W1 */
#ifdef ATTACH_SKIPS
        if :: deaths > 0 && publishes == deaths + 1 -> n = (n + 1) % M :: else fi;
#endif
#ifndef NO_W2
        release_fence();                                          /* W2 */
#endif
#ifdef SEQ_FIRST
        store(SEQ, n, true); published = n;
#endif
        i = 0;
        do
        :: i < W && !dies ->                                      /* W3 */
#ifdef IN_PLACE
            store(WORD((n + M - 1) % M, i), n, false);
#else
            store(WORD(n, i), n, false);
#endif
            i++;
            if :: deaths < D -> dies = true :: true fi
        :: else -> break
        od;
        if
        :: dies -> deaths++; whole(); goto attach
        :: else
        fi;
#ifndef SEQ_FIRST
#ifdef W4_RELAXED
        store(SEQ, n, false);                                     /* W4 */
#else
        store(SEQ, n, true);                                      /* W4 */
#endif
        published = n;
#endif
        if
        :: LATEST(PRESENCE) == 0 ->                               /* W5 */
#ifdef W5_RELAXED
            store(PRESENCE, 1, false)
#else
            store(PRESENCE, 1, true)
#endif
        :: else
        fi
    :: break /* It never comes again. */
    od;
    whole()
}

/* Any message that the reader may still read. */
inline load(place, into) {
    atomic {
        t = cur.at[place];
        do
        :: t + 1 < memory[place].count -> t++
        :: break
        od;
        d_step {
            into = memory[place].value[t];
            for (k : 0 .. PLACES - 1) {
                if
                :: memory[place].view[t].at[k] > seen.at[k] -> seen.at[k] = memory[place].view[t].at[k]
                :: else
                fi
            }
            cur.at[place] = t;
            t = 0; k = 0
        }
    }
}

inline acquire_fence() {
    d_step {
        for (k : 0 .. PLACES - 1) {
            if :: seen.at[k] > cur.at[k] -> cur.at[k] = seen.at[k] :: else fi
        }
        k = 0
    }
}

#define AGO(from, to) (((to) + M - (from)) % M)

active proctype Reader() {
    View cur, seen;
    byte a, b, i, t, k, tries, reads, present, number;
    byte copy[W];
    byte least = FROM;
    ready;
    do
    :: reads < READS ->
        reads++;
        load(PRESENCE, present);
#ifndef NO_PRESENCE_FENCE
        acquire_fence();
#endif
        tries = 0;
        do
        :: tries < TRIES ->
            tries++;
            load(SEQ, a);                                         /* R1 */
#ifndef NO_R2
            acquire_fence();                                      /* R2 */
#endif
            number = a;
#ifdef RING
            /* Not the newest, but one of those that a ring keeps. */
            do
            :: AGO(number, a) < S - 1 -> number = (number + M - 1) % M
            :: break
            od;
#endif
            i = 0;
            do
            :: i < W -> load(WORD(number, i), copy[i]); i++       /* R3 */
            :: else -> break
            od;
#ifndef NO_R4
            acquire_fence();                                      /* R4 */
#endif
#ifdef NO_RECHECK
            b = number;
#else
            load(SEQ, b);                                         /* R5 */
#endif
            if
            :: AGO(number, b) <= MOST -> break                    /* R6 */
            :: else
            fi;
            number = 255
        :: else -> break
        od;
        if
        :: number != 255 ->
            d_step {
                for (k : 0 .. W - 1) {
                    /* Of a fresh cell older slots are zeros, which no number announces. */
                    assert(copy[k] == number)
                }
                assert(AGO(least, a) < M / 2);   /* never back */
                assert(!present || a != FROM);   /* a bit announces a value */
                least = a; k = 0
            }
        :: else /* contended */
        fi;
        d_step { a = 0; b = 0; i = 0; number = 0; present = 0; for (k : 0 .. W - 1) { copy[k] = 0 } k = 0 }
    :: else -> break
    od
}
