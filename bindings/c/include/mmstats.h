/* mmstats: publish the live state of a program as typed fields in a memory-mapped file.
 *
 * C99 and later, and C++11 and later (see mmstats.hpp for RAII). README.md has the first steps.
 *
 * A program lists its fields in a table, with the place of each one's handle in a struct of its own. Each
 * thread attaches: the handles in its struct then update its own lane of the file. A handle is only used by
 * the thread that attached it, until mmstats_detach(). Counters and gauges are updated inline, by plain loads
 * and stores; everything else is a call. Handles of fields of the whole program (MMSTATS_SHARED) may be used by any
 * thread while the lane that attached them is.
 *
 * No update fails. What could not be attached is updated in a place that no reader sees, so a program need
 * not look at errors, unless mmstats_start() gives NULL: mmstats_problem() tells them. Text is UTF-8 and ends with a zero byte; where it is not
 * UTF-8 it is cut before the first wrong byte.
 */
#ifndef MMSTATS_H
#define MMSTATS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface. A library with another one refuses to start. */
#define MMSTATS_ABI 1

/* --- Kinds, types, options --------------------------------------------------------------------------- */

/* Kinds of fields, and the handle of each. */
enum mmstats_kind {
    MMSTATS_COUNTER = 1,     /* mmstats_counter: a sum that only grows */
    MMSTATS_FLOAT_COUNTER,   /* mmstats_float_counter */
    MMSTATS_GAUGE,           /* mmstats_gauge_u64, _i64, _f64, mmstats_flag, by type (0: f64) */
    MMSTATS_TIMESTAMP,       /* mmstats_timestamp: shown as its age */
    MMSTATS_TEXT,            /* mmstats_text, of `capacity` bytes (0: 64) */
    MMSTATS_BLOB,            /* mmstats_blob, of `capacity` bytes (0: 64) */
    MMSTATS_ARRAY,           /* mmstats_array, of `count` elements of `type` (0: f64) */
    MMSTATS_STATE,           /* mmstats_state: one of `names` */
    MMSTATS_GROUP,           /* mmstats_group: `members`, a consistent snapshot */
    MMSTATS_TIMER,           /* mmstats_timer: count, sum, minimum, maximum, last */
    MMSTATS_LATENCY,         /* mmstats_timer: a timer with quantiles */
    MMSTATS_HISTOGRAM,       /* mmstats_histogram of u64 */
    MMSTATS_FLOAT_HISTOGRAM, /* mmstats_float_histogram */
    MMSTATS_AVERAGE,         /* mmstats_average: the mean of all values */
    MMSTATS_WINDOW,          /* mmstats_window: the mean of the last `count` f64 (0: 100) */
    MMSTATS_RATE,            /* mmstats_rate: a counter with its rate over 1, 5, 15 minutes */
    MMSTATS_EVENTS,          /* mmstats_events: the last `count` lines (0: 63) of `capacity` bytes (0: 112) */
    MMSTATS_ACTIVITY,        /* mmstats_activity: `count` rows (0: 8) of `capacity` bytes (0: 48) */
    MMSTATS_INFO             /* mmstats_info: the constant `value` */
};

/* Types of gauges, elements and members. */
enum mmstats_type {
    MMSTATS_U8 = 1,
    MMSTATS_U16,
    MMSTATS_U32,
    MMSTATS_U64,
    MMSTATS_I8,
    MMSTATS_I16,
    MMSTATS_I32,
    MMSTATS_I64,
    MMSTATS_F32,
    MMSTATS_F64,
    MMSTATS_BOOL
};

/* How the values of threads and processes combine; 0 is the rule of the kind. */
enum mmstats_aggregation {
    MMSTATS_SUM = 1,
    MMSTATS_MIN,
    MMSTATS_MAX,
    MMSTATS_MEAN,
    MMSTATS_EACH
};

/* Flags of a field. */
enum mmstats_field_flag {
    /* Of the whole program instead of one for each thread: any thread updates it, under a lock. The last value
     * set counts. A gauge has the handle mmstats_shared. */
    MMSTATS_SHARED = 1,
    /* A timer or latency also shows the sections in progress, and since when. */
    MMSTATS_RUNNING = 2,
    /* A member of a group that only grows, of type u64. */
    MMSTATS_GROWS = 4
};

/* A member of a group. */
typedef struct mmstats_member {
    const char *label;
    const char *unit; /* or NULL */
    const char *help; /* or NULL */
    uint32_t type;    /* enum mmstats_type; 0: f64 */
    uint32_t flags;   /* MMSTATS_GROWS or 0 */
} mmstats_member;

/* A field. Initialize it by name; what is not set is zero, the default. All that it points to is copied. */
typedef struct mmstats_field {
    const char *label;
    const char *help; /* or NULL */
    const char *unit; /* or NULL: that of the kind */
    size_t offset;    /* of its handle, in the struct of handles */
    uint32_t kind;    /* enum mmstats_kind */
    uint32_t type;    /* enum mmstats_type */
    uint32_t capacity;
    uint32_t count;
    uint32_t flags;       /* enum mmstats_field_flag */
    uint32_t aggregation; /* enum mmstats_aggregation */
    double error;         /* of quantiles, relative; 0: 0.05 */
    double low, high;     /* range of a histogram or latency; 0, 0: that of the kind */
    const char *const *attributes; /* key, value, key, value, ..., NULL; or NULL */
    const char *const *names;      /* of states, NULL at the end */
    const mmstats_member *members;
    size_t member_count;
    const char *const *labels; /* NULL at the end. A family: one field for each combination of their values, with
                                * the handle mmstats_family */
    const char *value;         /* of MMSTATS_INFO */
    uint32_t cap;              /* of a family: most combinations; 0: 1,000 */
    uint32_t reserved;         /* 0 */
} mmstats_field;

/* Flags of a publisher. */
enum mmstats_flag_of_options {
    MMSTATS_OR_PRIVATE = 1,     /* private memory where publishing is impossible, instead of an error */
    MMSTATS_HIDDEN = 2,         /* nothing is published; all works as usual */
    MMSTATS_KEEP = 4,           /* the files stay after mmstats_close() */
    MMSTATS_NO_THREAD = 8,      /* no thread looks after the files */
    MMSTATS_NO_ENVIRONMENT = 16, /* MMSTATS_NAME and the like are not read */
    MMSTATS_FOR_GROUP = 32,     /* the group may read the files */
    MMSTATS_FOR_EVERYBODY = 64  /* everybody may read the files */
};

/* Options of a publisher: MMSTATS_OPTIONS, changed. */
typedef struct mmstats_options {
    size_t size;  /* of this struct */
    uint32_t abi; /* MMSTATS_ABI */
    uint32_t flags;
    const mmstats_field *fields;
    size_t field_count;
    size_t field_size;       /* sizeof(mmstats_field) */
    const char *name;        /* or NULL: that of the program */
    const char *directory;   /* or NULL: that of the user */
    const char *application; /* or NULL: see MMSTATS_APPLICATION */
    const char *file;        /* a path: values are kept from run to run; or NULL */
    uint32_t lanes;          /* threads in the first file; 0: 8 */
    uint32_t reserve_fields; /* room in the first file for fields that mmstats_add() adds: their number, */
    uint32_t reserve_text;   /* bytes of their strings, */
    uint32_t reserve_values; /* and bytes of their values */
    double sample_seconds;   /* between two calls of a callback; 0: 1 */
} mmstats_options;

#define MMSTATS_OPTIONS                                                                                       \
    {                                                                                                         \
        sizeof(mmstats_options), MMSTATS_ABI, 0, NULL, 0, sizeof(mmstats_field), NULL, NULL, NULL, NULL, 0, 0, \
            0, 0, 0                                                                                           \
    }

/* Results of calls that can fail. mmstats_error() has the text. */
enum mmstats_result {
    MMSTATS_OK = 0,
    MMSTATS_E_ARGUMENT = 1,  /* a pointer is NULL, a number is none of its list */
    MMSTATS_E_ABI = 2,       /* the library has another interface */
    MMSTATS_E_FIELD = 3,     /* a field breaks a rule of the format, or its name is taken */
    MMSTATS_E_SYSTEM = 4,    /* the system refused */
    MMSTATS_E_FORKED = 5,    /* the publisher belongs to the parent process */
    MMSTATS_E_CLOSED = 6,    /* the publisher is closed */
    MMSTATS_E_REENTRANT = 7, /* called from within the library */
    MMSTATS_E_OTHER = 8
};

typedef struct mmstats_publisher mmstats_publisher;
typedef struct mmstats_lane mmstats_lane; /* of a thread */

/* --- Handles ----------------------------------------------------------------------------------------- */

/* Filled by mmstats_attach(). `at` is never NULL then. */
typedef struct mmstats_counter {
    void *at;
} mmstats_counter;

typedef struct mmstats_gauge {
    void *at;
    uint32_t *presence;
    uint32_t bit; /* in the byte order of the word */
    uint32_t reserved;
} mmstats_gauge;

/* Of a field of this thread, or of the program. */
typedef struct mmstats_handle {
    const void *own;
    const void *shared;
} mmstats_handle;

typedef struct mmstats_gauge_u64 { mmstats_gauge gauge; } mmstats_gauge_u64;
typedef struct mmstats_gauge_i64 { mmstats_gauge gauge; } mmstats_gauge_i64;
typedef struct mmstats_gauge_f64 { mmstats_gauge gauge; } mmstats_gauge_f64;
typedef struct mmstats_flag { mmstats_gauge gauge; } mmstats_flag;
typedef struct mmstats_float_counter { mmstats_handle handle; } mmstats_float_counter;
typedef struct mmstats_shared { mmstats_handle handle; } mmstats_shared;
typedef struct mmstats_timestamp { mmstats_handle handle; } mmstats_timestamp;
typedef struct mmstats_text { mmstats_handle handle; } mmstats_text;
typedef struct mmstats_blob { mmstats_handle handle; } mmstats_blob;
typedef struct mmstats_array { mmstats_handle handle; } mmstats_array;
typedef struct mmstats_state { mmstats_handle handle; } mmstats_state;
typedef struct mmstats_group { mmstats_handle handle; } mmstats_group;
typedef struct mmstats_timer { mmstats_handle handle; } mmstats_timer;
typedef struct mmstats_histogram { mmstats_handle handle; } mmstats_histogram;
typedef struct mmstats_float_histogram { mmstats_handle handle; } mmstats_float_histogram;
typedef struct mmstats_average { mmstats_handle handle; } mmstats_average;
typedef struct mmstats_window { mmstats_handle handle; } mmstats_window;
typedef struct mmstats_rate { mmstats_handle handle; } mmstats_rate;
typedef struct mmstats_events { mmstats_handle handle; } mmstats_events;
typedef struct mmstats_activity { mmstats_handle handle; } mmstats_activity;
typedef struct mmstats_info { mmstats_handle handle; } mmstats_info;
typedef struct mmstats_family { mmstats_handle handle; } mmstats_family;

/* --- Publisher --------------------------------------------------------------------------------------- */

/* The version of the library's interface: MMSTATS_ABI. */
uint32_t mmstats_abi(void);

/* The text of the last error of a call of this thread, until its next call; "" if there was none. */
const char *mmstats_error(void);

/* Publishes. Settings come from the environment (MMSTATS_NAME and the like), then from `options`.
 * On an error *publisher is one that publishes nothing and takes every call, or NULL if the options are not of
 * this interface or there is no memory. */
int mmstats_start(mmstats_publisher **publisher, const mmstats_options *options);

/* Ends publishing: the file is closed and removed, unless MMSTATS_KEEP. Lanes stay usable until their threads
 * detach; readers do not see their updates. No other thread may use `publisher` meanwhile or afterwards. NULL is
 * ignored. A program that ends without this looks like a crashed one. */
void mmstats_close(mmstats_publisher *publisher);

/* Why readers do not see all values at present, until the next call of this thread; NULL if they do. */
const char *mmstats_problem(mmstats_publisher *publisher);

/* The path of file `index`, from 0, until the next call of this thread; NULL past the last. */
const char *mmstats_path(mmstats_publisher *publisher, size_t index);

/* Writes the files to disk, if they are on one. */
int mmstats_flush(mmstats_publisher *publisher);

/* --- Threads and forks ------------------------------------------------------------------------------- */

/* Claims a lane for this thread and fills the handles at the offsets of the table in `handles`. After an error
 * the result is NULL, and the handles update a place that no reader sees. Only where `publisher` is NULL, which
 * has no table, are they left as they were, and must not be used. */
mmstats_lane *mmstats_attach(mmstats_publisher *publisher, void *handles);

/* As mmstats_attach(), for a lane that says that it is of the thread with the system's id `thread`, and `name`
 * (or NULL). The handles stay on the calling thread. */
mmstats_lane *mmstats_attach_for(mmstats_publisher *publisher, void *handles, uint64_t thread, const char *name);

/* Hands the lane back, on the thread that attached it, after its last update. Counters, timers, histograms and
 * averages keep their values; gauges, texts and states have none. NULL is ignored. */
void mmstats_detach(mmstats_lane *lane);

/* Whether this process was forked off the one that publishes: handles then update a private copy. */
int mmstats_is_forked(const mmstats_publisher *publisher);

/* Publishes the same fields anew, with their keys and without their values, in a forked child: attach again
 * afterwards. Lanes of before may still be detached. Callbacks are not taken over. */
int mmstats_restart(mmstats_publisher *publisher);

/* --- Fields that come and go ------------------------------------------------------------------------- */

/* A field that was added while the program runs. */
typedef struct mmstats_key {
    uint64_t number; /* 0 is none */
} mmstats_key;

/* Adds a field; its offset is not used. */
int mmstats_add(mmstats_publisher *publisher, const mmstats_field *field, mmstats_key *key);

/* Fills the handle of its kind at `handle`, until the lane is detached. */
int mmstats_attach_key(mmstats_lane *lane, mmstats_key key, void *handle);

/* Removes the field. Its handles keep working, unseen. */
int mmstats_retire(mmstats_publisher *publisher, mmstats_key key);

/* Adds a gauge of f64 whose value `callback(argument)` gives on a thread of the library, once a second or as
 * the options say; NaN is no value. A call may still be running when mmstats_close() returns, so the argument
 * stays valid until the program ends. */
int mmstats_sample(mmstats_publisher *publisher, const mmstats_field *field, double (*callback)(void *), void *argument);

/* --- Updates by call ---------------------------------------------------------------------------------
 *
 * No update fails. None allocates, but mmstats_family_get(), and those of arrays of bool and of groups with more
 * than 64 members. */

void mmstats_counter_add_call(mmstats_counter counter, uint64_t n);
void mmstats_counter_set_call(mmstats_counter counter, uint64_t value);
uint64_t mmstats_counter_get_call(mmstats_counter counter);
/* The 64 bits of a u64, i64 or f64. */
void mmstats_gauge_set_call(mmstats_gauge gauge, uint64_t bits);
uint64_t mmstats_gauge_get_call(mmstats_gauge gauge);
void mmstats_flag_set_call(mmstats_gauge gauge, int value);
/* Removes the value: readers see that it is absent. A later addition begins with the last value. */
void mmstats_gauge_clear(mmstats_gauge gauge);

/* A number that is negative or not finite is counted as refused. */
void mmstats_float_counter_add(mmstats_float_counter counter, double n);

/* The function of the gauge's type; a flag is set by mmstats_shared_set_u64(), to 0 or another number. Others do
 * nothing. */
void mmstats_shared_set_u64(mmstats_shared gauge, uint64_t value);
void mmstats_shared_set_i64(mmstats_shared gauge, int64_t value);
void mmstats_shared_set_f64(mmstats_shared gauge, double value);
void mmstats_shared_add_f64(mmstats_shared gauge, double n);
void mmstats_shared_add_i64(mmstats_shared gauge, int64_t n);
/* For an MMSTATS_SHARED counter. */
void mmstats_shared_incr(mmstats_shared counter, uint64_t n);

void mmstats_timestamp_now(mmstats_timestamp timestamp);
void mmstats_timestamp_set(mmstats_timestamp timestamp, uint64_t nanoseconds_since_1970);
void mmstats_timestamp_clear(mmstats_timestamp timestamp);

/* 1, or 0 if it was cut. */
int mmstats_text_set(mmstats_text text, const char *value);
int mmstats_text_set_n(mmstats_text text, const char *value, size_t length);
void mmstats_text_clear(mmstats_text text);
int mmstats_blob_set(mmstats_blob blob, const void *bytes, size_t length);
void mmstats_blob_clear(mmstats_blob blob);

/* `count` elements of the field's type, a bool as uint8_t. 1, or 0 if the count is not the field's. */
int mmstats_array_set(mmstats_array array, const void *elements, size_t count);

/* 1, or 0 if there is no such state. */
int mmstats_state_set(mmstats_state state, uint32_t number);
void mmstats_state_clear(mmstats_state state);

/* The value of a member: u64 for u8 to u64, i64 for i8 to i64, f64 for f32 and f64, u64 for bool. */
typedef union mmstats_value {
    uint64_t u64;
    int64_t i64;
    double f64;
} mmstats_value;

/* 1, or 0 if the number of values is not that of the members, or one is out of range. */
int mmstats_group_set(mmstats_group group, const mmstats_value *values, size_t count);

void mmstats_timer_record(mmstats_timer timer, uint64_t nanoseconds);

/* A section that is timed. */
typedef struct mmstats_section {
    uint64_t begun;
    uint64_t running;
} mmstats_section;

mmstats_section mmstats_timer_begin(mmstats_timer timer);
void mmstats_timer_end(mmstats_timer timer, mmstats_section section);

void mmstats_histogram_record(mmstats_histogram histogram, uint64_t value);
void mmstats_float_histogram_record(mmstats_float_histogram histogram, double value);
void mmstats_average_record(mmstats_average average, double value);
void mmstats_window_record(mmstats_window window, double value);
void mmstats_rate_add(mmstats_rate rate, uint64_t n);

/* 1, or 0 if the line was cut. */
int mmstats_events_record(mmstats_events events, const char *line);

/* Begins something; 0 if no row is free, which is counted. Each row but 0 is ended once. */
uint32_t mmstats_activity_begin(mmstats_activity activity, const char *text);
void mmstats_activity_set(mmstats_activity activity, uint32_t row, const char *text);
void mmstats_activity_end(mmstats_activity activity, uint32_t row);

/* Fills the handle for these values of the labels, in their order, at `handle`, whose type is that of the
 * family's kind, until the lane is detached. Combinations beyond the cap, and another number of values than
 * labels, share one field. */
void mmstats_family_get(mmstats_family family, const char *const *values, size_t count, void *handle);

/* --- Updates inline ---------------------------------------------------------------------------------- */

/* A 64-bit machine and a compiler with __atomic_*: loads and stores. Else calls. */
#if (defined(__GNUC__) || defined(__clang__)) && UINTPTR_MAX > 0xffffffffu && !defined(MMSTATS_NO_INLINE)
#define MMSTATS_INLINE 1

/* Cells are little-endian. */
static inline uint64_t mmstats_le64(uint64_t bits) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(bits);
#else
    return bits;
#endif
}

static inline uint64_t mmstats_load64(const void *at) {
    return mmstats_le64(__atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED));
}

static inline void mmstats_store64(void *at, uint64_t bits) {
    __atomic_store_n((uint64_t *)at, mmstats_le64(bits), __ATOMIC_RELAXED);
}

/* Shows the value, stored before: release, so that a reader that sees the bit sees the value. */
static inline void mmstats_show(mmstats_gauge gauge) {
    uint32_t bits = __atomic_load_n(gauge.presence, __ATOMIC_RELAXED);
    if ((bits & gauge.bit) == 0) {
        __atomic_store_n(gauge.presence, bits | gauge.bit, __ATOMIC_RELEASE);
    }
}

/* Adds one to a counter. */
static inline void mmstats_incr(mmstats_counter counter) {
    mmstats_store64(counter.at, mmstats_load64(counter.at) + 1);
}

/* Adds `n` to a counter. */
static inline void mmstats_incr_by(mmstats_counter counter, uint64_t n) {
    mmstats_store64(counter.at, mmstats_load64(counter.at) + n);
}

/* Replaces the sum, for a counter that another part of the program keeps. */
static inline void mmstats_counter_set(mmstats_counter counter, uint64_t value) {
    mmstats_store64(counter.at, value);
}

/* The sum of this thread's lane. */
static inline uint64_t mmstats_counter_get(mmstats_counter counter) {
    return mmstats_load64(counter.at);
}

static inline void mmstats_gauge_set_u64(mmstats_gauge_u64 gauge, uint64_t value) {
    mmstats_store64(gauge.gauge.at, value);
    mmstats_show(gauge.gauge);
}

static inline void mmstats_flag_set(mmstats_flag flag, int value) {
    /* A little-endian word of 4 bytes. */
    uint32_t one = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? UINT32_C(1) << 24 : 1;
    __atomic_store_n((uint32_t *)flag.gauge.at, value ? one : 0, __ATOMIC_RELAXED);
    mmstats_show(flag.gauge);
}

static inline void mmstats_gauge_set_i64(mmstats_gauge_i64 gauge, int64_t value) {
    mmstats_store64(gauge.gauge.at, (uint64_t)value);
    mmstats_show(gauge.gauge);
}

static inline void mmstats_gauge_set_f64(mmstats_gauge_f64 gauge, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    mmstats_store64(gauge.gauge.at, bits);
    mmstats_show(gauge.gauge);
}

/* The last value of this thread's lane; 0 before the first. */
static inline uint64_t mmstats_gauge_get_u64(mmstats_gauge_u64 gauge) {
    return mmstats_load64(gauge.gauge.at);
}

static inline int64_t mmstats_gauge_get_i64(mmstats_gauge_i64 gauge) {
    return (int64_t)mmstats_load64(gauge.gauge.at);
}

static inline double mmstats_gauge_get_f64(mmstats_gauge_f64 gauge) {
    uint64_t bits = mmstats_load64(gauge.gauge.at);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#else

static inline void mmstats_incr(mmstats_counter counter) { mmstats_counter_add_call(counter, 1); }
static inline void mmstats_incr_by(mmstats_counter counter, uint64_t n) {
    mmstats_counter_add_call(counter, n);
}
static inline void mmstats_counter_set(mmstats_counter counter, uint64_t value) {
    mmstats_counter_set_call(counter, value);
}
static inline uint64_t mmstats_counter_get(mmstats_counter counter) {
    return mmstats_counter_get_call(counter);
}
static inline void mmstats_gauge_set_u64(mmstats_gauge_u64 gauge, uint64_t value) {
    mmstats_gauge_set_call(gauge.gauge, value);
}
static inline void mmstats_gauge_set_i64(mmstats_gauge_i64 gauge, int64_t value) {
    mmstats_gauge_set_call(gauge.gauge, (uint64_t)value);
}
static inline void mmstats_gauge_set_f64(mmstats_gauge_f64 gauge, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    mmstats_gauge_set_call(gauge.gauge, bits);
}
static inline void mmstats_flag_set(mmstats_flag flag, int value) {
    mmstats_flag_set_call(flag.gauge, value);
}
static inline uint64_t mmstats_gauge_get_u64(mmstats_gauge_u64 gauge) {
    return mmstats_gauge_get_call(gauge.gauge);
}
static inline int64_t mmstats_gauge_get_i64(mmstats_gauge_i64 gauge) {
    return (int64_t)mmstats_gauge_get_call(gauge.gauge);
}
static inline double mmstats_gauge_get_f64(mmstats_gauge_f64 gauge) {
    uint64_t bits = mmstats_gauge_get_call(gauge.gauge);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif

static inline void mmstats_gauge_add_i64(mmstats_gauge_i64 gauge, int64_t n) {
    mmstats_gauge_set_i64(gauge, (int64_t)((uint64_t)mmstats_gauge_get_i64(gauge) + (uint64_t)n));
}

static inline void mmstats_gauge_add_f64(mmstats_gauge_f64 gauge, double n) {
    mmstats_gauge_set_f64(gauge, mmstats_gauge_get_f64(gauge) + n);
}

#ifdef __cplusplus
}
#endif

#endif
