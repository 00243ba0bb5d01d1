/*
 * Ledgers of applications, spec/PROTOCOL.md section 10, for the model checker spin: written from
 * the document, apart from the code. Run it by `tests/model/run`.
 *
 * N instances count 1 each. Each ends: it closes, takes itself into the ledger, and removes its
 * file; at any step it may stop for ever, or die, and then its file stays. A helper is the start
 * of another program: it takes in who has ended, and sweeps the files of those. A reader looks
 * meanwhile. A list of a directory is not one step: a name that comes or goes during it may be
 * seen or not. Lists are read from the highest generation down, so that they miss what comes.
 *
 * What must hold: the reader counts every instance at most once, and each that was there when it
 * began exactly once, or says that its look is incomplete; and no instance is ever in neither a
 * file nor the newest ledger.
 *
 * -DN=.. instances, -DKEPT=.. instances that a ledger names although they have no
 * files, -DDEATHS=.. deaths, -DREADS a reader in the place of a judge of what is there. Faults
 * are planted by the names in `run`.
 */
#ifndef N
#define N 3
#endif
#ifndef KEPT
#define KEPT 1
#endif
/* A stale generation may be linked again by each process. */
#define G (2 * N + 2)
#define TRIES 2
#ifndef DEATHS
#define DEATHS 1
#endif
#define BIT(i) (1 << (i))
#define HAS(set, i) (((set) >> (i)) & 1)

/* Whether a name is free to link. */
#ifdef REPLACES
#define FREE(g) true
#else
#define FREE(g) (!ledger[g].there)
#endif
/* Whether instance i, after which `later` others were taken in, need not be named any more. */
#ifdef FORGETS
#define GONE(i, later) true
#elif defined(NO_KEPT)
#define GONE(i, later) (!HAS(seen, i))
#else
#define GONE(i, later) (!HAS(seen, i) && (later) >= KEPT)
#endif

typedef Ledger { bool there; byte taken; byte names; byte count; byte place[N] };
/* Number 0 is no ledger: empty, and always there. */
Ledger ledger[G + 1];
bool file[N], ended[N], killed[N];
/* Who may still look. */
byte begun;

/* The highest generation of a list; 0 if there is none. */
inline list(best, at) {
    at = G;
    best = 0;
    do
    :: at > 0 && best == 0 -> if :: ledger[at].there -> best = at :: else -> at-- fi
    :: else -> break
    od
}

/* Writes generation base + 1, with the instances `more`: linked without replacing. */
inline publish(base, more, linked, i) {
    skip;
    d_step {
        linked = false;
        if
        :: base + 1 <= G && FREE(base + 1) ->
            linked = true;
            ledger[base + 1].there = true;
            ledger[base + 1].taken = old.taken | more;
            ledger[base + 1].names = old.names | more;
            ledger[base + 1].count = old.count;
            i = 0;
            do
            :: i < N ->
                ledger[base + 1].place[i] = old.place[i];
                if
                :: HAS(more, i) ->
                    ledger[base + 1].count = ledger[base + 1].count + 1;
                    ledger[base + 1].place[i] = ledger[base + 1].count
                :: else
                fi;
                i++
            :: else -> break
            od;
            /* Drops who has no file and is not one of the last. */
            i = 0;
            do
            :: i < N ->
                if
                :: HAS(old.names, i) && GONE(i, ledger[base + 1].count - old.place[i]) ->
                    ledger[base + 1].names = ledger[base + 1].names & ~BIT(i)
                :: else
                fi;
                i++
            :: else -> break
            od;
            i = 0
        :: else
        fi
    }
}

/* Which instances have files. */
inline list_files(set, i) {
    set = 0;
    i = 0;
    do
    :: i < N -> if :: file[i] -> set = set | BIT(i) :: else fi; i++
    :: else -> break
    od;
    i = 0
}

inline load(base) {
    skip;
    d_step {
        old.taken = ledger[base].taken;
        old.names = ledger[base].names;
        old.count = ledger[base].count;
        i = 0;
        do
        :: i < N -> old.place[i] = ledger[base].place[i]; i++
        :: else -> break
        od;
        i = 0
    }
}

/* Takes the instances `ended_ones` in; done when the newest ledger names them all. */
inline take_in(ended_ones) {
    do
    :: list(base, at);
       /* Removed since: the list again. */
       if
       :: base > 0 && !ledger[base].there -> skip
       :: else ->
           load(base);
           more = ended_ones & ~old.names;
           if
           :: more == 0 -> break
           :: else ->
               list_files(seen, i);
               publish(base, more, linked, i);
#ifdef NO_VERIFY
               if :: linked -> base = base + 1; break :: else fi
#endif
           fi
       fi
    od;
    /* Older ones, the oldest first. */
    at = 1;
    removed = 0;
    do
    :: at < base -> if :: ledger[at].there -> removed = removed | BIT(at) :: else fi; at++
    :: else -> break
    od;
    at = 1;
    do
    :: at < base -> if :: HAS(removed, at) -> ledger[at].there = false :: else fi; at++
    :: else -> break
    od
}

proctype Instance(byte me) {
    byte base, at, more, seen, i;
    int removed;
    bool linked;
    Ledger old;
    {
        ended[me] = true;
#ifdef REMOVES_FIRST
        file[me] = false;
#endif
        take_in(BIT(me));
        file[me] = false
    } unless {
        killed[me]
    }
}

/* Kills DEATHS instances at most, at any step. */
proctype Killer() {
    byte deaths, i;
    do
    :: deaths < DEATHS ->
        select(i : 0 .. N - 1);
        skip;
        d_step { killed[i] = true; ended[i] = true; deaths++ }
    :: else -> break
    od
}

proctype Helper() {
    byte base, at, more, seen, i, who;
    int removed;
    bool linked;
    Ledger old;
    i = 0;
    do
    :: i < N -> if :: file[i] && ended[i] -> who = who | BIT(i) :: else fi; i++
    :: else -> break
    od;
    i = 0;
    take_in(who);
    /* A sweep. */
    do
    :: i < N -> if :: HAS(who, i) -> file[i] = false :: else fi; i++
    :: else -> break
    od
}

/* The instances that a newest ledger or a file has. */
inline truth(set) {
    skip;
    d_step {
        at = G;
        do
        :: at > 0 && !ledger[at].there -> at--
        :: else -> break
        od;
        set = ledger[at].taken;
        i = 0;
        do
        :: i < N -> if :: file[i] -> set = set | BIT(i) :: else fi; i++
        :: else -> break
        od;
        i = 0;
        at = 0
    }
}

proctype Reader() {
    byte before, newest, again, at, i, listed, mapped, must, tries, count;
    bool whole;
    truth(must);
    do
    :: tries < TRIES && !whole ->
        tries++;
        list(before, at);
        if
        :: before > 0 && !ledger[before].there -> goto next
        :: else
        fi;
        count = ledger[before].count;
#ifdef LEDGER_FIRST
        newest = before;
#endif
        list_files(listed, i);
        mapped = 0;
        do
        :: i < N -> if :: HAS(listed, i) && file[i] -> mapped = mapped | BIT(i) :: else fi; i++
        :: else -> break
        od;
        i = 0;
#ifndef LEDGER_FIRST
        list(newest, at);
        if
        :: newest > 0 && !ledger[newest].there -> goto next
        :: else
        fi;
        list(again, at);
        whole = again == newest && ledger[newest].count - count <= KEPT;
#else
        whole = true;
#endif
next:   skip
    :: else -> break
    od;
    if
    :: whole ->
        skip;
        d_step {
            i = 0;
            do
            :: i < N ->
                count = HAS(ledger[newest].taken, i);
                if
                :: HAS(mapped, i) && !HAS(ledger[newest].names, i) -> count++
                :: else
                fi;
                assert(count <= 1);
                assert(count == 1 || !HAS(must, i));
                i++
            :: else -> break
            od
        }
    :: else
    fi
}

/* Nobody is lost. */
proctype Judge() {
    byte at, i, set;
    truth(set);
    assert(set == (1 << N) - 1)
}

init {
    byte i;
    atomic {
        ledger[0].there = true;
        do
        :: i < N -> file[i] = true; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < N -> run Instance(i); i++
        :: else -> break
        od;
        run Helper();
        run Killer();
#ifdef READS
        run Reader()
#else
        run Judge()
#endif
    }
}
