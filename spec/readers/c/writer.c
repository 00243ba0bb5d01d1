/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A publisher in C. Writes what CONFORMANCE.md section 4 describes: level 1, and the attributes of level 2.
 *
 *   writer DESCRIPTION FILE             once, and closes
 *   writer DESCRIPTION FILE SECONDS     changes the values for that long, or until SIGTERM, then closes
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L

#include "mmstats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static char lines[MM_MAX_FIELDS][16384];
static mmw_field fields[MM_MAX_FIELDS];
static const char *values[MM_MAX_FIELDS];
static volatile sig_atomic_t ended;

static void on_end(int number)
{
    ended = number;
}

/* A number of CONFORMANCE.md section 4.1. */
static bool is_number(const char *text, bool is_counter)
{
    char *end;
    errno = 0;
    if (is_counter)
        strtoull(text, &end, 10);
    else
        strtod(text, &end);
    /* Of floats infinity is a number; the largest and smallest set errno too. */
    bool first = (*text >= '0' && *text <= '9') || (!is_counter && (*text == '-' || *text == 'I'));
    return first && *end == 0 && (errno == 0 || !is_counter);
}

/*
 * KIND TAB LABEL TAB UNIT TAB HELP TAB VALUE, and TAB KEY=VALUE for each attribute. Returns the exit code: 1 for a
 * line that is wrong, 2 for a kind that is not supported.
 */
static int describe(const char *path, uint32_t *count)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return perror(path), 1;
    for (*count = 0; *count < MM_MAX_FIELDS && fgets(lines[*count], sizeof lines[0], file); ++*count) {
        char *cells[6], *next = lines[*count];
        char *end = next + strcspn(next, "\n");
        *end = 0;
        /* The sixth cell has all attributes, which are separated by zero bytes then. */
        for (int i = 0; i < 6; i++) {
            cells[i] = next;
            next = next ? strchr(next, '\t') : NULL;
            if (next)
                *next++ = 0;
        }
        if (!cells[4])
            return fprintf(stderr, "%s:%u: five cells are needed\n", path, *count + 1), 1;
        while (next && (next = strchr(next, '\t')))
            *next++ = 0;
        mmw_field *f = &fields[*count];
        const char *kind = cells[0], *digits = kind + strcspn(kind, "0123456789");
        if (strcmp(kind, "counter") == 0)
            *f = mmw_counter(cells[1], cells[2], cells[3]);
        else if (strcmp(kind, "gauge") == 0)
            *f = mmw_gauge(cells[1], cells[2], cells[3]);
        else if (strncmp(kind, "text", 4) == 0 && digits == kind + 4)
            *f = mmw_text(cells[1], cells[3], (uint32_t)strtoul(digits, NULL, 10));
        else
            return fprintf(stderr, "%s:%u: not supported: %s\n", path, *count + 1, kind), 2;
        if (f->type != MM_TEXT && (f->kind == MM_COUNTER || *cells[4]) &&
            !is_number(cells[4], f->kind == MM_COUNTER))
            return fprintf(stderr, "%s:%u: no number: %s\n", path, *count + 1, cells[4]), 1;
        f->attributes = cells[5];
        f->attributes_size = cells[5] ? (size_t)(end - cells[5]) : 0;
        values[*count] = cells[4];
    }
    fclose(file);
    return 0;
}

/* The value of each field; an empty one of a gauge or text is none. */
static void publish(mmw_image *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (fields[i].kind == MM_COUNTER)
            mmw_add(w, i, strtoull(values[i], NULL, 10));
        else if (!*values[i])
            continue;
        else if (fields[i].type == MM_F64)
            mmw_set(w, i, strtod(values[i], NULL));
        else
            mmw_set_text(w, i, values[i]);
    }
}

int main(int argc, char **argv)
{
    mmw_image w;
    uint32_t count;
    signal(SIGTERM, on_end);
    if (argc != 3 && argc != 4)
        return fputs("usage: writer DESCRIPTION FILE [SECONDS]\n", stderr), 3;
    int code = describe(argv[1], &count);
    if (code)
        return code;
    uint32_t size = mmw_size(&w, fields, count);
    if (!size)
        return fputs("a field breaks a limit of the format\n", stderr), 1;
    /* FILES.md section 1: under another name, whole, locked, then linked without replacing. */
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.%ld", argv[2], (long)getpid()) >= (int)sizeof temporary)
        return fputs("the name is too long\n", stderr), 1;
    int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return perror(temporary), 1;
    int status = 1;
    void *base = MAP_FAILED;
    /* Space that is not there is an error here, and no signal later. */
    if (posix_fallocate(fd, 0, size) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char instance[16] = {0};
    int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool good = base != MAP_FAILED && random >= 0 && read(random, instance, 16) == 16;
    if (good) {
        mmw_create(&w, base, instance);
        publish(&w);
        good = link(temporary, argv[2]) == 0;
        unlink(temporary);
    }
    if (!good) {
        perror(argv[2]);
    } else {
        time_t end = time(NULL) + (argc == 4 ? strtol(argv[3], NULL, 10) : 0);
        for (uint64_t n = 1; time(NULL) < end && !ended; n++)
            for (uint32_t i = 0; i < count; i++) {
                char text[64];
                snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, n, n);
                if (fields[i].kind == MM_COUNTER)
                    mmw_add(&w, i, 1);
                else if (fields[i].type == MM_F64)
                    mmw_set(&w, i, (double)n / 2);
                else
                    mmw_set_text(&w, i, text);
            }
        mmw_close(&w);
        status = 0;
    }
    if (!good)
        unlink(temporary);
    return status;
}
