/* Threads, forks and failures of a C program, for tests/programs.rs: life HOW. It prints `ready` and ends when its
 * standard input does. */
#define _POSIX_C_SOURCE 200809L
#include <mmstats.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct handles {
    mmstats_counter count;
    mmstats_gauge_i64 gauge;
    mmstats_flag flag;
    mmstats_text text;
    mmstats_family family;
    mmstats_timer timer;
    mmstats_events events;
    mmstats_shared leads;
    mmstats_family wide;
};

#define AT(member) offsetof(struct handles, member)

static const char *const labels[] = {"thread", NULL};
static const char *const many[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r",
                                   "s", "t", "u", "v", "w", "x", "y", "z", "0", "1", "2", "3", "4", "5", "6", NULL};
static const mmstats_field fields[] = {
    {.label = "count", .kind = MMSTATS_COUNTER, .offset = AT(count)},
    {.label = "gauge", .kind = MMSTATS_GAUGE, .type = MMSTATS_I64, .offset = AT(gauge)},
    {.label = "flag", .kind = MMSTATS_GAUGE, .type = MMSTATS_BOOL, .offset = AT(flag)},
    {.label = "text", .kind = MMSTATS_TEXT, .offset = AT(text)},
    {.label = "by", .kind = MMSTATS_COUNTER, .labels = labels, .offset = AT(family)},
    {.label = "timer", .kind = MMSTATS_TIMER, .offset = AT(timer)},
    {.label = "events", .kind = MMSTATS_EVENTS, .offset = AT(events)},
    {.label = "leads", .kind = MMSTATS_GAUGE, .type = MMSTATS_BOOL, .flags = MMSTATS_SHARED, .offset = AT(leads)},
    {.label = "wide", .kind = MMSTATS_COUNTER, .labels = many, .offset = AT(wide)},
};

static mmstats_publisher *publisher;

static void check(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s: %s\n", what, mmstats_error());
        _exit(1);
    }
}

static void start(mmstats_options options) {
    options.fields = fields;
    options.field_count = sizeof fields / sizeof fields[0];
    check(mmstats_start(&publisher, &options) == MMSTATS_OK, "start");
}

static void update(const struct handles *my, const char *thread, int times) {
    mmstats_counter by;
    mmstats_family_get(my->family, &thread, 1, &by);
    for (int i = 0; i < times; i++) {
        mmstats_incr(my->count);
        mmstats_incr(by);
        mmstats_gauge_add_i64(my->gauge, 1);
        mmstats_flag_set(my->flag, i & 1);
        mmstats_text_set(my->text, "working");
        mmstats_timer_record(my->timer, 100);
    }
}

static void *thread(void *name) {
    struct handles my;
    mmstats_lane *lane = mmstats_attach(publisher, &my);
    check(lane != NULL, "attach");
    update(&my, name, 1000);
    mmstats_detach(lane);
    return NULL;
}

static void threads(int rounds, int at_once) {
    static char *names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                            "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};
    pthread_t all[20];
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < at_once; i++) {
            check(pthread_create(&all[i], NULL, thread, names[i]) == 0, "pthread_create");
        }
        for (int i = 0; i < at_once; i++) {
            pthread_join(all[i], NULL);
        }
    }
}

static struct handles of_main;
static void on_signal(int number) {
    (void)number;
    mmstats_incr(of_main.count);
}

static void ready(void) {
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    mmstats_options options = MMSTATS_OPTIONS;
    if (how[0] == 't') { /* threads */
        start(options);
        threads(50, 20);
        ready();
    } else if (how[0] == 'f') { /* fork, while another thread updates, or without other threads */
        int alone = argc > 2;
        pthread_t other;
        options.flags = alone ? MMSTATS_NO_THREAD : 0;
        start(options);
        mmstats_lane *lane = mmstats_attach(publisher, &of_main);
        if (alone) {
            thread("other");
        } else {
            check(pthread_create(&other, NULL, thread, "other") == 0, "pthread_create");
        }
        for (int i = 0; i < 10; i++) {
            pid_t child = fork();
            if (child == 0) {
                check(mmstats_is_forked(publisher) == 1, "forked");
                mmstats_incr(of_main.count); /* in a private copy */
                mmstats_detach(lane);
                check(mmstats_restart(publisher) == MMSTATS_OK, "restart");
                check(mmstats_is_forked(publisher) == 0, "not forked");
                lane = mmstats_attach(publisher, &of_main);
                check(lane != NULL, "attach in the child");
                update(&of_main, "child", 7);
                mmstats_detach(lane);
                mmstats_close(publisher);
                exit(0);
            }
            int status;
            check(waitpid(child, &status, 0) == child && status == 0, "child");
        }
        if (!alone) {
            pthread_join(other, NULL);
        }
        update(&of_main, "main", 3);
        ready();
        mmstats_detach(lane);
    } else if (how[0] == 's') { /* signals */
        start(options);
        mmstats_lane *lane = mmstats_attach(publisher, &of_main);
        struct sigaction action = {0};
        action.sa_handler = on_signal;
        sigaction(SIGUSR1, &action, NULL);
        for (int i = 0; i < 1000; i++) {
            raise(SIGUSR1);
        }
        ready();
        mmstats_detach(lane);
    } else if (how[0] == 'r') { /* refused: every update goes to a place that no reader sees */
        options.directory = "/nonexistent/mmstats";
        options.fields = fields;
        options.field_count = sizeof fields / sizeof fields[0];
        check(mmstats_start(&publisher, &options) == MMSTATS_E_SYSTEM, "refused");
        check(mmstats_problem(publisher) != NULL, "problem");
        mmstats_lane *lane = mmstats_attach(publisher, &of_main);
        check(lane == NULL && mmstats_error()[0] != 0, "no lane");
        update(&of_main, "main", 10);
        mmstats_gauge_clear(of_main.gauge.gauge);
        update(&of_main, "main", 10);
        mmstats_detach(lane);
        mmstats_close(publisher);
        options.abi = MMSTATS_ABI + 1;
        check(mmstats_start(&publisher, &options) == MMSTATS_E_ABI && publisher == NULL, "abi");
        options.abi = MMSTATS_ABI;
        mmstats_field wrong[] = {fields[0], fields[0]};
        options.directory = NULL;
        options.fields = wrong;
        options.field_count = 2;
        check(mmstats_start(&publisher, &options) == MMSTATS_E_FIELD, "a name twice");
        mmstats_attach(publisher, &of_main);
        mmstats_incr(of_main.count);
        mmstats_close(publisher);
        wrong[1].label = "other";
        wrong[1].kind = 99;
        check(mmstats_start(&publisher, &options) == MMSTATS_E_ARGUMENT, "a kind that is none");
        mmstats_close(publisher);
        wrong[1].kind = MMSTATS_GAUGE;
        wrong[1].type = MMSTATS_U8;
        check(mmstats_start(&publisher, &options) == MMSTATS_E_ARGUMENT, "a gauge of u8");
        mmstats_close(publisher);
        const char *const none[] = {NULL};
        mmstats_field text[] = {fields[3], fields[3]}; /* an empty list of labels makes no family */
        text[0].labels = text[1].labels = none;
        options.fields = text;
        check(mmstats_start(&publisher, &options) == MMSTATS_E_FIELD, "a text twice");
        mmstats_attach(publisher, &of_main);
        mmstats_text_set(of_main.text, "unseen");
        mmstats_close(publisher);
        check(mmstats_start(NULL, &options) == MMSTATS_E_ARGUMENT, "NULL");
        mmstats_close(NULL);
        mmstats_detach(NULL);
        publisher = NULL;
        return 0;
    } else if (how[0] == 'c') { /* closed before the lane is detached */
        start(options);
        mmstats_lane *lane = mmstats_attach(publisher, &of_main);
        update(&of_main, "main", 5);
        mmstats_close(publisher);
        update(&of_main, "main", 5);
        mmstats_detach(lane);
        return 0;
    } else if (how[0] == 'g') { /* cleared, then set again */
        start(options);
        mmstats_lane *lane = mmstats_attach(publisher, &of_main);
        mmstats_gauge_set_i64(of_main.gauge, -5);
        mmstats_gauge_clear(of_main.gauge.gauge);
        mmstats_flag_set(of_main.flag, 1);
        mmstats_shared_set_u64(of_main.leads, 2);
        mmstats_counter wide;
        mmstats_family_get(of_main.wide, many, sizeof many / sizeof many[0] - 1, &wide);
        mmstats_incr(wide);
        ready();
        mmstats_detach(lane);
    } else if (how[0] == 'b') { /* bytes that are no UTF-8 */
        start(options);
        mmstats_lane *lane = mmstats_attach(publisher, &of_main);
        check(mmstats_events_record(of_main.events, "whole") == 1, "a whole line");
        check(mmstats_events_record(of_main.events, "ab\xff") == 0, "a line that is cut");
        check(mmstats_text_set_n(of_main.text, "ab\xff", 3) == 0, "a text that is cut, with a length");
        check(mmstats_text_set(of_main.text, "whole") == 1, "a whole text");
        check(mmstats_text_set(of_main.text, "ab\xff") == 0, "a text that is cut");
        ready();
        mmstats_detach(lane);
    } else {
        return 2;
    }
    mmstats_close(publisher);
    return 0;
}
