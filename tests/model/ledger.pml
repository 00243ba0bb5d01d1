/*
 * Ledgers of applications, spec/PROTOCOL.md section 10, for the model checker spin: written from
 * the document, apart from the code. Run it by `tests/model/run`.
 *
 * N members count 1 each. Each ends: it closes, takes itself in, and removes its file. A starter is
 * the start of another program: it takes in the members that have ended, and removes their files. A
 * reader looks meanwhile. Every process may stop for ever after each of its steps: that is a process
 * that was stopped, or killed (a member that is killed has ended, as if it had closed).
 *
 * A list of a directory is not one step: a name that comes or goes during it may be seen or not.
 *
 * What must hold: at each moment each member is in a file or in the highest ledger (checked at each
 * removal); and a reader counts each member exactly once, or says that its look is incomplete.
 *
 * N members, KEPT of them that a ledger names although they have no files, STARTS with a starter, READS
 * with a reader.
 * Faults are planted by the names in `run`.
 */
#ifndef N
#define N 2
#endif
#ifndef KEPT
#define KEPT 1
#endif
/* Generations: each process may link an outdated one again. */
#ifndef G
#define G (N + 2)
#endif
/* Attempts of the reader. */
#define TRIES 2
#define BIT(i) (1 << (i))
#define HAS(set, i) (((set) >> (i)) & 1)

/* Whether a name is free to link. */
#ifdef REPLACES
#define FREE(g) true
#else
#define FREE(g) (!there[g])
#endif
/* Whether member i, of which `seen` says if it has a file, needs no name in the ledger any more. */
#ifdef FORGETS
#define GONE(i, later) true
#elif defined(NO_KEPT)
#define GONE(i, later) (!HAS(seen, i))
#else
#define GONE(i, later) (!HAS(seen, i) && (later) >= KEPT)
#endif

/* The members that a ledger took in, the place of each in their order (0: not taken in), and those
   that it supersedes. Number 0 is no ledger: empty, and always there. */
typedef Ledger { byte place[N]; byte names };
Ledger ledger[G + 1];
bool there[G + 1];
byte count[G + 1];
bool file[N], ended[N];

/* Each member is in a file or in the highest ledger. To be called within d_step. */
inline check() {
    best = G;
    do :: best > 0 && !there[best] -> best-- :: else -> break od;
    i = 0;
    do
    :: i < N -> assert(file[i] || ledger[best].place[i] > 0); i++
    :: else -> break
    od;
    best = 0;
    i = 0
}

/* T1, V1, V2: the highest generation of a list; 0 if there is none. */
inline list(found) {
    d_step { found = 0; at = G };
    do
    :: d_step { at > 0 && found == 0 -> if :: there[at] -> found = at :: else -> at-- fi }
    :: else -> at = 0; break
    od
}

/* T3 and T4 in one step: what was written before T4 has no name. `base` may have lost its name
   meanwhile: what was read of it stays. */
inline publish() {
    d_step {
        if
        :: base + 1 <= G && FREE(base + 1) ->
            best = base + 1;
            there[best] = true;
            count[best] = old_count;
            ledger[best].names = old.names | more;
            i = 0;
            do
            :: i < N ->
                ledger[best].place[i] = old.place[i];
                /* Not twice. */
                assert(!HAS(more, i) || old.place[i] == 0);
                if
                :: HAS(more, i) -> count[best] = count[best] + 1; ledger[best].place[i] = count[best]
                :: else
                fi;
                i++
            :: else -> break
            od;
            i = 0;
            do
            :: i < N ->
                if
                :: HAS(old.names, i) && GONE(i, count[best] - old.place[i]) ->
                    ledger[best].names = ledger[best].names & ~BIT(i)
                :: else
                fi;
                i++
            :: else -> break
            od;
            i = 0;
            best = 0;
            linked = true
        :: else -> linked = false
        fi
    }
}

/* T0 */
inline count_members() {
    list(base);
    skip;
    d_step { since = 0; known = 0; if :: there[base] -> since = count[base]; known = ledger[base].names :: else fi; base = 0 }
}

/* T1 to T6 for the members `who`. */
inline take_in() {
    do
    :: list(base);
       atomic {
           if
           :: base > 0 && !there[base] -> skip /* T1 again */
           :: else ->
               d_step {
                   /* What the members' files look like is seen with the ledger: later they are fewer. */
                   old.names = ledger[base].names;
                   old_count = count[base];
                   seen = 0;
                   i = 0;
                   do
                   :: i < N ->
                       old.place[i] = ledger[base].place[i];
                       seen = seen | (file[i] << i);
                       i++
                   :: else -> break
                   od;
                   i = 0;
                   more = who & ~old.names;
                   too_late = false;
#ifndef NO_LIMIT_SINCE
                   too_late = old_count - since > KEPT;
#endif
               };
               if
               :: more == 0 -> break
               :: more != 0 && too_late -> more = 0; goto left
               :: else
               fi
           fi
       };
       if
       :: more != 0 ->
           publish();
#ifdef NO_VERIFY
           if :: linked -> base = base + 1; break :: else fi
#endif
       :: else
       fi
    od;
    skip; /* T6 */
    at = 1;
    do
    :: at < base -> d_step { there[at] = false; at++; check() }
    :: else -> break
    od;
    skip;
    d_step { at = 0; base = 0; more = 0; seen = 0; old_count = 0; old.names = 0; linked = false; too_late = false;
        do :: i < N -> old.place[i] = 0; i++ :: else -> break od; i = 0 }
}

proctype Member(byte me) {
    byte base, at, more, seen, i, who, best, old_count, since, known;
    bool linked, too_late;
    Ledger old;
    count_members();
    d_step { ended[me] = true; who = BIT(me) };
#ifdef REMOVES_FIRST
    d_step { file[me] = false; check() };
#endif
    take_in();
    skip;
    d_step { file[me] = false; check(); who = 0 };
left:
    skip
}

proctype Starter() {
    byte base, at, more, seen, i, who, best, old_count, since, known;
    bool linked, too_late;
    Ledger old;
    count_members();
    /* Files that it opens, and that nobody locks. Of those that the ledger names it removes the files
       anyway. */
    d_step {
        do :: i < N -> who = who | ((file[i] && ended[i]) << i); i++ :: else -> break od;
        i = 0;
#ifndef KNOWN_TOO
        who = who & ~known;
#endif
        known = 0
    };
    take_in();
    do
    :: d_step { i < N -> if :: HAS(who, i) -> file[i] = false :: else fi; i++ }
    :: else -> break
    od;
left:
    skip
}

proctype Reader() {
    byte before, newest, again, at, i, mapped, tries, taken, later, earlier, names;
    bool whole;
    /* Of the highest ledger. */
    byte has;
    do
    :: tries < TRIES && !whole ->
        tries++;
        /* V1 */
        list(before);
        if
        :: atomic { before > 0 && !there[before] -> goto next }
        :: d_step { else -> taken = count[before]; earlier = ledger[before].names }
        fi;
        /* Of the files listed, those that are still there when they are opened. */
        mapped = 0;
        do
        :: d_step { i < N -> mapped = mapped | (file[i] << i); i++ }
        :: atomic { else -> i = 0; break }
        od;
        /* V2 */
#ifdef LEDGER_FIRST
        newest = before;
#else
        list(newest);
#endif
        if
        :: atomic { newest > 0 && !there[newest] -> goto next }
        :: d_step {
               else ->
               later = count[newest];
               names = ledger[newest].names;
               has = 0;
               i = 0;
               do
               :: i < N -> has = has | ((ledger[newest].place[i] > 0) << i); i++
               :: else -> break
               od;
               i = 0
           }
        fi;
#ifdef LEDGER_FIRST
        again = newest;
#elif defined(NO_SECOND_LIST)
        again = newest;
#else
        list(again);
#endif
        /* V3 */
        whole = (again == newest);
#ifndef NO_LIMIT
        whole = whole && later - taken <= KEPT;
#endif
#ifndef FORGOTTEN_COUNTS
        whole = whole && (mapped & earlier & ~names) == 0;
#endif
next:   skip
    :: else -> break
    od;
    /* V4 */
    if
    :: whole ->
        skip;
        d_step {
            i = 0;
            do
            :: i < N ->
                taken = HAS(has, i);
                if
                :: HAS(mapped, i) && !HAS(names, i) -> taken++
                :: else
                fi;
                assert(taken == 1);
                i++
            :: else -> break
            od
        }
    :: else
    fi
}

init {
    byte i;
    atomic {
        there[0] = true;
        do :: i < N -> file[i] = true; i++ :: else -> break od;
        i = 0;
        do :: i < N -> run Member(i); i++ :: else -> break od;
#ifdef STARTS
        run Starter();
#endif
#ifdef READS
        run Reader()
#endif
    }
}
