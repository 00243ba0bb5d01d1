/* A plugin's view, for tests/programs.rs: unload LIBRARY. A thread loads the library, publishes and closes; then the
 * program unloads it. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <mmstats.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *library;
static sigjmp_buf before;

static void on_bus(int number) {
    (void)number;
    siglongjmp(before, 1);
}

static void *publish(void *unused) {
    (void)unused;
    int (*start)(mmstats_publisher **, const mmstats_options *);
    void (*close)(mmstats_publisher *);
    void *symbol = dlsym(library, "mmstats_start");
    memcpy(&start, &symbol, sizeof start);
    symbol = dlsym(library, "mmstats_close");
    memcpy(&close, &symbol, sizeof close);
    mmstats_options options = MMSTATS_OPTIONS;
    mmstats_publisher *publisher;
    if (start(&publisher, &options) != MMSTATS_OK) {
        return NULL;
    }
    close(publisher);
    return &library;
}

int main(int argc, char **argv) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_bus;
    sigaction(SIGBUS, &action, NULL);
    library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (library == NULL) {
        return 2;
    }
    pthread_t thread;
    void *published;
    pthread_create(&thread, NULL, publish, NULL);
    pthread_join(thread, &published);
    if (published == NULL || dlclose(library) != 0) {
        return 3;
    }
    sleep(1); /* the library's threads end */
    /* A fault of the program's own file is the program's. */
    FILE *file = tmpfile();
    if (file == NULL || ftruncate(fileno(file), 4096) != 0) {
        return 4;
    }
    volatile char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    if (mapped == MAP_FAILED || ftruncate(fileno(file), 0) != 0) {
        return 4;
    }
    if (sigsetjmp(before, 1) == 0) {
        mapped[0] = 1;
        return 5;
    }
    return 0;
}
