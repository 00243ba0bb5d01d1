/* A field of each kind. */
#include <mmstats.h>
#include <stdio.h>

struct handles {
    mmstats_counter counter;
    mmstats_float_counter seconds;
    mmstats_gauge_u64 u64;
    mmstats_gauge_i64 i64;
    mmstats_gauge_f64 f64;
    mmstats_flag flag;
    mmstats_shared leader_term;
    mmstats_timestamp reloaded;
    mmstats_text text;
    mmstats_text leader;
    mmstats_blob blob;
    mmstats_array array;
    mmstats_state state;
    mmstats_group group;
    mmstats_timer timer;
    mmstats_timer latency;
    mmstats_histogram sizes;
    mmstats_float_histogram ratios;
    mmstats_average average;
    mmstats_window window;
    mmstats_rate rate;
    mmstats_events events;
    mmstats_activity activity;
    mmstats_info version;
    mmstats_family family;
};

#define AT(member) offsetof(struct handles, member)

static const char *const states[] = {"starting", "serving", "draining", NULL};
static const char *const labels[] = {"method", "code", NULL};
static const char *const shard[] = {"shard", "7", NULL};
static const mmstats_member pool[] = {
    {.label = "idle", .type = MMSTATS_U32, .unit = "jobs"},
    {.label = "done", .flags = MMSTATS_GROWS},
};

static const mmstats_field fields[] = {
    {.label = "counter", .kind = MMSTATS_COUNTER, .offset = AT(counter), .help = "A sum.", .attributes = shard},
    {.label = "seconds", .kind = MMSTATS_FLOAT_COUNTER, .offset = AT(seconds), .unit = "seconds"},
    {.label = "u64", .kind = MMSTATS_GAUGE, .type = MMSTATS_U64, .offset = AT(u64), .aggregation = MMSTATS_MAX},
    {.label = "i64", .kind = MMSTATS_GAUGE, .type = MMSTATS_I64, .offset = AT(i64)},
    {.label = "f64", .kind = MMSTATS_GAUGE, .offset = AT(f64)},
    {.label = "flag", .kind = MMSTATS_GAUGE, .type = MMSTATS_BOOL, .offset = AT(flag)},
    {.label = "leader.term", .kind = MMSTATS_GAUGE, .type = MMSTATS_U64, .flags = MMSTATS_SHARED,
     .offset = AT(leader_term)},
    {.label = "reloaded", .kind = MMSTATS_TIMESTAMP, .offset = AT(reloaded)},
    {.label = "text", .kind = MMSTATS_TEXT, .capacity = 8, .offset = AT(text)},
    {.label = "leader", .kind = MMSTATS_TEXT, .flags = MMSTATS_SHARED, .offset = AT(leader)},
    {.label = "blob", .kind = MMSTATS_BLOB, .offset = AT(blob)},
    {.label = "array", .kind = MMSTATS_ARRAY, .type = MMSTATS_U16, .count = 3, .offset = AT(array)},
    {.label = "state", .kind = MMSTATS_STATE, .names = states, .offset = AT(state)},
    {.label = "pool", .kind = MMSTATS_GROUP, .members = pool, .member_count = 2, .offset = AT(group)},
    {.label = "timer", .kind = MMSTATS_TIMER, .flags = MMSTATS_RUNNING, .offset = AT(timer)},
    {.label = "latency", .kind = MMSTATS_LATENCY, .error = 0.1, .offset = AT(latency)},
    {.label = "sizes", .kind = MMSTATS_HISTOGRAM, .unit = "bytes", .offset = AT(sizes)},
    {.label = "ratios", .kind = MMSTATS_FLOAT_HISTOGRAM, .low = 0.01, .high = 10, .offset = AT(ratios)},
    {.label = "average", .kind = MMSTATS_AVERAGE, .offset = AT(average)},
    {.label = "window", .kind = MMSTATS_WINDOW, .count = 4, .offset = AT(window)},
    {.label = "rate", .kind = MMSTATS_RATE, .offset = AT(rate)},
    {.label = "events", .kind = MMSTATS_EVENTS, .count = 7, .offset = AT(events)},
    {.label = "activity", .kind = MMSTATS_ACTIVITY, .count = 2, .offset = AT(activity)},
    {.label = "version", .kind = MMSTATS_INFO, .value = "1.4.2", .offset = AT(version)},
    {.label = "requests", .kind = MMSTATS_COUNTER, .labels = labels, .cap = 10, .offset = AT(family)},
};

static double queue(void *length) { return *(const double *)length; }

int main(void) {
    mmstats_options options = MMSTATS_OPTIONS;
    options.fields = fields;
    options.field_count = sizeof fields / sizeof fields[0];
    options.flags = MMSTATS_OR_PRIVATE;
    options.sample_seconds = 0.05;
    mmstats_publisher *publisher;
    if (mmstats_start(&publisher, &options) != MMSTATS_OK) {
        fprintf(stderr, "not published: %s\n", mmstats_error());
        return 1;
    }
    struct handles my;
    mmstats_lane *lane = mmstats_attach(publisher, &my);

    mmstats_incr(my.counter);
    mmstats_incr_by(my.counter, 41);
    mmstats_float_counter_add(my.seconds, 2.5);
    mmstats_gauge_set_u64(my.u64, UINT64_MAX);
    mmstats_gauge_set_i64(my.i64, -42);
    mmstats_gauge_add_i64(my.i64, -1);
    mmstats_gauge_set_f64(my.f64, 0.5);
    mmstats_flag_set(my.flag, 1);
    mmstats_shared_set_u64(my.leader_term, 7);
    mmstats_timestamp_now(my.reloaded);
    int whole = mmstats_text_set(my.text, "too long for it");
    mmstats_text_set(my.leader, "node 7");
    mmstats_blob_set(my.blob, "\1\2", 2);
    const uint16_t elements[] = {1, 2, 65535};
    int good = mmstats_array_set(my.array, elements, 3);
    good &= mmstats_state_set(my.state, 1);
    mmstats_value values[2];
    values[0].u64 = 3;
    values[1].u64 = 99;
    good &= mmstats_group_set(my.group, values, 2);
    mmstats_timer_record(my.timer, 1000);
    mmstats_section section = mmstats_timer_begin(my.timer); /* it stays in progress */
    mmstats_timer_end(my.latency, mmstats_timer_begin(my.latency));
    mmstats_histogram_record(my.sizes, 4096);
    mmstats_float_histogram_record(my.ratios, 0.25);
    mmstats_average_record(my.average, 1.5);
    mmstats_window_record(my.window, 2.5);
    mmstats_rate_add(my.rate, 5);
    mmstats_events_record(my.events, "began");
    uint32_t row = mmstats_activity_begin(my.activity, "GET /");
    mmstats_activity_set(my.activity, row, "GET /index.html");
    const char *get_200[] = {"GET", "200"};
    mmstats_counter served;
    mmstats_family_get(my.family, get_200, 2, &served);
    mmstats_incr_by(served, 12);

    const mmstats_field late = {.label = "late", .kind = MMSTATS_TEXT};
    mmstats_key key;
    mmstats_text text;
    if (mmstats_add(publisher, &late, &key) || mmstats_attach_key(lane, key, &text)) {
        fprintf(stderr, "not added: %s\n", mmstats_error());
        return 1;
    }
    mmstats_text_set(text, "added while it runs");
    static double length = 3;
    const mmstats_field sampled = {.label = "queue", .kind = MMSTATS_GAUGE};
    good &= mmstats_sample(publisher, &sampled, queue, &length) == MMSTATS_OK;
    if (whole || !good) {
        fprintf(stderr, "an update failed\n");
        return 1;
    }
    const char *path = mmstats_path(publisher, 0);
    printf("%s\n", path ? path : "nothing is published");
    fflush(stdout);
    getchar();
    mmstats_timer_end(my.timer, section);
    mmstats_activity_end(my.activity, row);
    mmstats_retire(publisher, key);
    mmstats_detach(lane);
    mmstats_close(publisher);
    return 0;
}
