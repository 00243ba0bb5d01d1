/* A counter and a gauge: the first steps of README.md. */
#include <mmstats.h>
#include <stdio.h>

struct handles {
    mmstats_counter requests;
    mmstats_gauge_f64 load;
};

int main(void) {
    const mmstats_field fields[] = {
        {.label = "requests", .kind = MMSTATS_COUNTER, .offset = offsetof(struct handles, requests)},
        {.label = "load", .kind = MMSTATS_GAUGE, .offset = offsetof(struct handles, load)},
    };
    mmstats_options options = MMSTATS_OPTIONS;
    options.fields = fields;
    options.field_count = sizeof fields / sizeof fields[0];
    mmstats_publisher *publisher;
    if (mmstats_start(&publisher, &options) != MMSTATS_OK) {
        fprintf(stderr, "not published: %s\n", mmstats_error());
    }
    struct handles my;
    mmstats_lane *lane = mmstats_attach(publisher, &my); /* once in each thread */
    mmstats_incr(my.requests);
    mmstats_gauge_set_f64(my.load, 0.5);
    const char *path = mmstats_path(publisher, 0);
    printf("%s\n", path ? path : "nothing is published");
    fflush(stdout);
    getchar(); /* until a key is pressed: see `mmstats show` */
    mmstats_detach(lane);
    mmstats_close(publisher);
    return 0;
}
