/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The command of CONFORMANCE.md around mmstats.h:  reader [--repeat N] FILE */
#define _POSIX_C_SOURCE 200809L

#include "mmstats.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A file that is cut short while it is mapped ends the read, not the program. */
static sigjmp_buf shrunk;

static void on_bus(int signal_number)
{
    (void)signal_number;
    siglongjmp(shrunk, 1);
}

/* The document of a look, until it is known to belong together. */
static FILE *out;

static void print_text(const unsigned char *p, size_t size)
{
    putc('"', out);
    for (size_t i = 0; i < size; i++) {
        if (p[i] == '"' || p[i] == '\\')
            fprintf(out, "\\%c", p[i]);
        else if (p[i] < 0x20 || p[i] == 0x7F)
            fprintf(out, "\\u%04x", p[i]);
        else
            putc(p[i], out);
    }
    putc('"', out);
}

static const char *const types[] = {"unknown", "u8",  "u16", "u32",  "u64",  "i8",   "i16",
                                    "i32",     "i64", "f32", "f64",  "bool", "text", "bytes"};

static void print_number(const mm_field *f, const unsigned char *p)
{
    int size = (int)mm_element_size(f);
    uint64_t v = mm_get(p, size);
    if (f->type == MM_F32 || f->type == MM_F64)
        fprintf(out, "\"%0*" PRIx64 "\"", 2 * size, v);
    else if (f->type == MM_BOOL)
        fprintf(out, "\"%s\"", v ? "true" : "false");
    else if (f->type >= MM_I8 && f->type <= MM_I64) {
        /* The sign, by hand: shifts of negative numbers are implementation-defined. */
        bool negative = v >> (8 * size - 1) & 1;
        uint64_t mask = size == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * size) - 1;
        fprintf(out, "\"%s%" PRIu64 "\"", negative ? "-" : "", negative ? (~v + 1) & mask : v);
    } else
        fprintf(out, "\"%" PRIu64 "\"", v);
}

/* A value in the form of heap and slots, after mm_check_value(). */
static void print_value(const mm_field *f, const unsigned char *p)
{
    fprintf(out, "{\"%s\": ", types[f->type]);
    if (mm_is_blob(f)) {
        uint32_t length = (uint32_t)mm_get(p, 4);
        if (f->type == MM_TEXT) {
            print_text(p + 8, length);
        } else {
            putc('"', out);
            for (uint32_t k = 0; k < length; k++)
                fprintf(out, "%02x", p[8 + k]);
            putc('"', out);
        }
        fprintf(out, ", \"cut\": %s}", mm_get(p + 4, 4) & 1 ? "true" : "false");
        return;
    }
    if (!(f->flags & MM_ARRAY)) {
        print_number(f, p);
    } else {
        for (uint32_t k = 0; k < f->count; k++) {
            fputs(k ? ", " : "[", out);
            print_number(f, p + (size_t)k * mm_element_size(f));
        }
        putc(']', out);
    }
    putc('}', out);
}

static void print_verdict(mm_verdict verdict, const char *code)
{
    if (verdict == MM_DAMAGED)
        fprintf(out, "{\"verdict\": \"damaged\", \"code\": \"%s\"}", code);
    else
        fputs("{\"verdict\": \"contended\"}", out);
}

/* Room for any slot, and for the elements of any journal. */
static unsigned char slot_room[1048576];
static uint64_t element_room[65536], word_room[131072];

static void print_checked(const mm_field *f, const unsigned char *p)
{
    const char *code = mm_check_value(f, p);
    if (code)
        print_verdict(MM_DAMAGED, code);
    else
        print_value(f, p);
}

static void print_table(const mm_image *i, const mm_field *f, uint32_t lane, uint32_t state)
{
    uint64_t refused, used = mm_rows(i, f, lane, &refused);
    const char *between = "";
    fputs("{\"rows\": [", out);
    for (uint32_t row = 0; state == 1 && row < f->param; row++) {
        if (!(used >> row & 1))
            continue;
        mm_verdict verdict = mm_read_row(i, f, lane, row, slot_room);
        const unsigned char *p = slot_room + f->member;
        const char *code = verdict == MM_CONSISTENT ? mm_check_value(f, p) : NULL;
        fprintf(out, "%s{\"row\": \"%" PRIu32 "\", ", between, row);
        between = ", ";
        if (code) {
            fprintf(out, "\"verdict\": \"damaged\", \"code\": \"%s\"}", code);
        } else if (verdict != MM_CONSISTENT) {
            fputs("\"verdict\": \"contended\"}", out);
        } else {
            fprintf(out, "\"since\": \"%" PRIu64 "\", \"number\": \"%" PRIu64 "\", \"text\": ",
                   mm_get(slot_room, 8), mm_get(slot_room + 8, 8));
            print_text(p + 8, (size_t)mm_get(p, 4));
            fprintf(out, ", \"cut\": %s}", mm_get(p + 4, 4) & 1 ? "true" : "false");
        }
    }
    fprintf(out, "], \"refused\": \"%" PRIu64 "\"}", refused);
}

static void print_in_lane(const mm_image *i, const mm_field *f, uint32_t lane, uint32_t state)
{
    if (state > 2) {
        print_verdict(MM_DAMAGED, "lane-state");
    } else if (state == 0 || !mm_present(i, f, lane)) {
        fputs("{\"verdict\": \"absent\"}", out);
    } else if (f->storage == MM_ATOMIC) {
        unsigned char p[8];
        const char *code = mm_read_atomic(i, f, lane, p);
        if (code)
            print_verdict(MM_DAMAGED, code);
        else
            print_value(f, p);
    } else if (f->storage == MM_LATCHED) {
        mm_verdict verdict = mm_read_slot(i, f, lane, slot_room);
        if (verdict != MM_CONSISTENT)
            print_verdict(verdict, NULL);
        else
            print_checked(f, slot_room + f->member);
    } else if (f->storage == MM_TABLE) {
        print_table(i, f, lane, state);
    } else {
        mm_verdict verdict = mm_read_journal(i, f, lane, element_room, word_room);
        if (verdict != MM_CONSISTENT) {
            print_verdict(verdict, "value-total");
            return;
        }
        fputs("{\"u64\": [", out);
        for (uint32_t k = 0; k < f->count; k++)
            fprintf(out, "%s\"%" PRIu64 "\"", k ? ", " : "", element_room[k]);
        fprintf(out, "], \"total\": \"%" PRIu64 "\", \"words\": [", word_room[0]);
        for (uint32_t k = 2; k < f->slot_size / 8; k++)
            fprintf(out, "%s\"%" PRIu64 "\"", k > 2 ? ", " : "", word_room[k]);
        fputs("]}", out);
    }
}

/* Items separated by zero bytes, each printed by `print`. */
static void print_items(const unsigned char *p, size_t size, bool pairs)
{
    for (size_t at = 0; size && at <= size;) {
        const unsigned char *zero = memchr(p + at, 0, size - at);
        size_t end = zero ? (size_t)(zero - p) : size;
        if (at)
            fputs(", ", out);
        if (pairs) {
            /* Without one the strings have changed since they were checked: the look is thrown away. */
            const unsigned char *equals = memchr(p + at, '=', end - at);
            if (!equals)
                return;
            print_text(p + at, (size_t)(equals - p) - at);
            fputs(": ", out);
            at = (size_t)(equals - p) + 1;
        }
        print_text(p + at, end - at);
        at = end + 1;
    }
}

static void print_field(const mm_image *i, const mm_field *f, const uint32_t *states)
{
    static const char *const names[] = {"label", "unit", "help"};
    static const char *const kinds[] = {"unknown", "counter", "gauge",  "info",   "state",
                                        "histogram", "average", "timer", "events", "window",
                                        "rate",    "timestamp", "activity", "running"};
    static const char *const rules[] = {"unknown", "sum", "min", "max", "mean", "each"};
    static const char *const storages[] = {"unknown", "constant", "atomic",
                                           "latched", "journal",  "table"};
    static const char *const levels[] = {"info", "diagnostic", "debug"};
    unsigned char text[4096];
    putc('{', out);
    for (int s = MM_S_LABEL; s <= MM_S_HELP; s++) {
        fprintf(out, "\"%s\": ", names[s]);
        print_text(text, mm_string(i, f, s, text));
        fputs(", ", out);
    }
    fputs("\"attributes\": {", out);
    print_items(text, mm_string(i, f, MM_S_ATTRIBUTES, text), true);
    fprintf(out, "}, \"type\": \"%s\", \"kind\": \"%s\", \"aggregation\": \"%s\", \"storage\": \"%s\"",
           types[f->type <= MM_BYTES ? f->type : 0], kinds[f->kind <= MM_RUNNING ? f->kind : 0],
           rules[f->aggregation <= 5 ? f->aggregation : 0],
           storages[mm_known_storage(f) ? f->storage : 0]);
    fprintf(out, ", \"level\": \"%s\", \"count\": \"%" PRIu32 "\", \"param\": \"%" PRIu32
           "\", \"detail\": [",
           levels[f->level < 2 ? f->level : 2], f->count, f->param);
    print_items(text, mm_string(i, f, MM_S_DETAIL, text), false);
    putc(']', out);
    if (f->state == MM_FIELD_RETIRED) {
        fputs(", \"retired\": true", out);
    } else if (mm_known_type(f) && f->storage == MM_CONSTANT) {
        uint64_t size = mm_value_size(f);
        if (mm_is_blob(f)) {
            uint32_t length = mm_u32(i->memory, f->place);
            size = 8 + (uint64_t)(length < f->count ? length : f->count);
        }
        fputs(", \"value\": ", out);
        /* Its length may have changed since it was checked. */
        if (!mm_in_heap(i, f->place, mm_up(size, 8))) {
            print_verdict(MM_DAMAGED, "cell-place");
        } else {
            mm_copy(i->memory, f->place, slot_room, mm_up(size, 8));
            print_checked(f, slot_room);
        }
    } else if (mm_known_type(f) && mm_known_storage(f)) {
        fputs(", \"lanes\": [", out);
        for (uint32_t lane = 0; lane < i->lanes_used; lane++) {
            if (lane)
                fputs(", ", out);
            print_in_lane(i, f, lane, states[lane]);
        }
        putc(']', out);
    }
    putc('}', out);
}

/* Writes the document to `out`; returns the code of a refusal. */
static const char *print_document(mm_memory memory)
{
    static const char *const states[] = {"never", "owned", "returned", "damaged"};
    static uint32_t state[65536];
    mm_image image;
    const char *code = mm_open(memory, &image);
    if (code)
        return code;
    fprintf(out, "{\"format\": \"3.%u\", \"state\": \"%s\", \"instance\": \"", image.minor,
           image.state == MM_CLOSED ? "closed" : "live");
    for (int k = 0; k < 16; k++)
        fprintf(out, "%02x", image.instance[k]);
    fprintf(out, "\", \"part\": \"%" PRIu32 "\", \"lanes\": [", image.part);
    for (uint32_t lane = 0; lane < image.lanes_used; lane++) {
        state[lane] = mm_lane_state(&image, lane);
        fprintf(out, "%s\"%s\"", lane ? ", " : "", states[state[lane] < 3 ? state[lane] : 3]);
    }
    fputs("], \"fields\": [", out);
    mm_cursor cursor = {0};
    mm_field field;
    while (mm_next(&image, &cursor, &field, &code)) {
        if (field.index)
            fputs(", ", out);
        if (code)
            fprintf(out, "{\"damaged\": \"%s\"}", code);
        else
            print_field(&image, &field, state);
    }
    fputs("]}\n", out);
    return NULL;
}

/*
 * Prints the document, or the code of a refusal. Returns the exit code: 2 if room was used again during
 * each look.
 */
static int print_look(mm_memory memory)
{
    for (int attempt = 0; attempt < MM_ATTEMPTS; attempt++) {
        char *text = NULL;
        size_t size = 0;
        out = open_memstream(&text, &size);
        if (!out)
            return perror("memory"), 3;
        uint32_t reuses = mm_begin_look(memory);
        const char *code = print_document(memory);
        bool settled = mm_end_look(memory, reuses), written = fclose(out) == 0;
        if (settled && written) {
            if (code)
                printf("{\"refused\": \"%s\"}\n", code);
            else
                fwrite(text, 1, size, stdout);
        }
        free(text);
        if (!written)
            return perror("memory"), 3;
        /* The writer comes to an end meanwhile. */
        if (!settled)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        else
            return fflush(stdout) != 0 ? 3 : code ? 1 : 0;
    }
    return fputs("room of fields was used again during each look\n", stderr), 2;
}

int main(int argc, char **argv)
{
    long times = 1;
    if (argc == 4 && strcmp(argv[1], "--repeat") == 0)
        times = strtol(argv[2], NULL, 10);
    else if (argc != 2)
        return fputs("usage: reader [--repeat N] FILE\n", stderr), 3;
    const char *path = argv[argc - 1];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return perror(path), 3;
    if (!S_ISREG(status.st_mode))
        return fprintf(stderr, "%s is not a regular file\n", path), 3;
    _Alignas(8) unsigned char small[192] = {0};
    mm_memory memory = {small, (uint64_t)status.st_size};
    if (memory.size < 192) {
        ssize_t got = read(fd, small, sizeof small);
        memory.size = got < 0 ? 0 : (uint64_t)got;
    } else {
        void *base = mmap(NULL, (size_t)memory.size, PROT_READ, MAP_SHARED, fd, 0);
        if (base == MAP_FAILED)
            return perror(path), 3;
        memory.base = base;
    }
    struct sigaction action = {.sa_handler = on_bus};
    sigaction(SIGBUS, &action, NULL);
    if (sigsetjmp(shrunk, 1))
        return fputs("the file was cut short while it was read\n", stderr), 3;
    int code = 0;
    while (code == 0 && times-- > 0)
        code = print_look(memory);
    return code;
}
