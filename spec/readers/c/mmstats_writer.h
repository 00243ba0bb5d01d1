/*
 * mmstats_writer.h: writes images of the mmstats format 3.0. C11.
 *
 * One writer, one lane: counters (u64), gauges (f64, without a value until one is set) and texts.
 * Declare the fields, make the image in memory of one's own (zeroed, 64-aligned: a mapped file, a
 * static array), update, close. Nothing is allocated. An update is a store or a few (PROTOCOL.md
 * sections 2.1, 3 and 4).
 */
#ifndef MMSTATS_WRITER_H
#define MMSTATS_WRITER_H

#include "mmstats.h"

enum { MM_MAX_FIELDS = 64 };

typedef struct {
    const char *label, *unit, *help;
    uint8_t type, kind, aggregation, storage; /* MM_U64 and so on */
    uint32_t count;                           /* 1, or the capacity of a text */
    uint16_t flags;
    /* Filled in by mmw_size(). */
    uint32_t place, slot_size;
    uint8_t slot_bits;
} mmw_field;

typedef struct {
    unsigned char *base;
    mmw_field *fields;
    uint32_t count, descriptors, heap, heap_used, lanes, stride, size;
} mmw_image;

static inline mmw_field mmw_counter(const char *label, const char *unit, const char *help)
{
    return (mmw_field){label, unit, help, MM_U64, MM_COUNTER, 1, MM_ATOMIC, 1, 0, 0, 0, 0};
}

static inline mmw_field mmw_gauge(const char *label, const char *unit, const char *help)
{
    return (mmw_field){label, unit, help, MM_F64, MM_GAUGE, 1, MM_ATOMIC, 1, MM_OPTIONAL, 0, 0, 0};
}

static inline mmw_field mmw_text(const char *label, const char *help, uint32_t capacity)
{
    return (mmw_field){label, "", help, MM_TEXT, MM_GAUGE, 5, MM_LATCHED, capacity, MM_OPTIONAL,
                       0, 0, 0};
}

static inline uint32_t mmw_string_size(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    return length ? (uint32_t)mm_up(2 + length, 4) : 0;
}

/* Lays the image out and returns its size; 0 if a field breaks a limit of section 9. */
static inline uint32_t mmw_size(mmw_image *w, mmw_field *fields, uint32_t count)
{
    uint64_t heap = 0, cell = 64 + mm_presence_bytes(count);
    if (count > MM_MAX_FIELDS)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        mmw_field *f = &fields[i];
        size_t label = strlen(f->label), unit = strlen(f->unit), help = strlen(f->help);
        if (label < 1 || label > 255 || unit > 63 || help > 4096 || f->count < 1 ||
            f->count > 1048560)
            return 0;
        heap += mmw_string_size(f->label) + mmw_string_size(f->unit) + mmw_string_size(f->help);
        f->place = (uint32_t)cell;
        cell += 8;
        if (f->storage == MM_LATCHED) {
            f->slot_size = (uint32_t)mm_up(8 + (uint64_t)f->count, 8);
            f->slot_bits = f->slot_size <= 32 ? 1 : 2;
            cell += (uint64_t)f->slot_size << f->slot_bits;
        }
    }
    *w = (mmw_image){.fields = fields, .count = count, .descriptors = 192};
    w->heap = 192 + 64 * count;
    w->heap_used = (uint32_t)heap;
    w->lanes = (uint32_t)mm_up(w->heap + mm_up(heap, 8), 64);
    w->stride = (uint32_t)mm_up(cell, 64);
    w->size = w->lanes + w->stride;
    return cell < 1u << 30 ? w->size : 0;
}

/* Little-endian stores before the image is live; nobody reads it yet. */
static inline void mmw_put(mmw_image *w, uint32_t at, uint64_t value, int size)
{
    for (int k = 0; k < size; k++)
        w->base[at + (uint32_t)k] = (unsigned char)(value >> 8 * k);
}

/* One store of a word that readers load. */
static inline void mmw_store32(mmw_image *w, uint32_t at, uint32_t value, memory_order order)
{
    atomic_store_explicit((_Atomic uint32_t *)(void *)(w->base + at), mm_le32(value), order);
}

static inline void mmw_store64(mmw_image *w, uint32_t at, uint64_t value)
{
    unsigned char bytes[8];
    uint64_t native;
    for (int k = 0; k < 8; k++)
        bytes[k] = (unsigned char)(value >> 8 * k);
    memcpy(&native, bytes, 8);
    atomic_store_explicit((_Atomic uint64_t *)(void *)(w->base + at), native, memory_order_relaxed);
}

/* Makes the image in `base`: zeroed, 64-aligned, of mmw_size() bytes. */
static inline void mmw_create(mmw_image *w, void *base, const unsigned char instance[16])
{
    static const unsigned char magic[8] = {0x89, 0x4D, 0x4D, 0x53, 0x0D, 0x0A, 0x1A, 0x0A};
    w->base = base;
    mmw_store32(w, 128, MM_BUILDING, memory_order_relaxed);
    memcpy(w->base, magic, 8);
    memcpy(w->base + 32, instance, 16);
    mmw_put(w, 8, 3, 2);
    mmw_put(w, 14, 192, 2);
    mmw_put(w, 52, w->size, 4);
    mmw_put(w, 56, w->descriptors, 4);
    mmw_put(w, 60, w->count, 4);
    mmw_put(w, 64, 64, 2);
    mmw_put(w, 68, w->heap, 4);
    mmw_put(w, 72, mm_up(w->heap_used, 8), 4);
    mmw_put(w, 76, w->lanes, 4);
    mmw_put(w, 80, w->stride, 4);
    mmw_put(w, 84, 1, 4);
    mmw_put(w, 88, 64 + mm_presence_bytes(w->count), 4);
    mm_sum sum = {0, 0};
    mm_sum_bytes(&sum, w->base, 120);
    mmw_put(w, 120, mm_sum_end(&sum), 8);
    uint32_t heap = w->heap;
    for (uint32_t i = 0; i < w->count; i++) {
        const mmw_field *f = &w->fields[i];
        const char *texts[] = {f->label, f->unit, f->help};
        uint32_t d = w->descriptors + 64 * i;
        const uint32_t first = heap;
        for (uint32_t k = 0; k < 3; k++) {
            uint32_t size = mmw_string_size(texts[k]);
            if (!size)
                continue;
            mmw_put(w, d + 4 * k, heap, 4);
            mmw_put(w, heap, strlen(texts[k]), 2);
            memcpy(w->base + heap + 2, texts[k], strlen(texts[k]));
            heap += size;
        }
        mmw_put(w, d + 16, f->type, 1);
        mmw_put(w, d + 17, f->kind, 1);
        mmw_put(w, d + 18, f->aggregation, 1);
        mmw_put(w, d + 19, f->storage, 1);
        mmw_put(w, d + 20, f->count, 4);
        mmw_put(w, d + 24, f->place, 4);
        mmw_put(w, d + 28, f->slot_size, 4);
        mmw_put(w, d + 36, f->slot_bits, 1);
        mmw_put(w, d + 38, f->flags, 2);
        mmw_put(w, d + 48, MM_FIELD_LIVE, 4);
        mm_sum of = {0, 0};
        mm_sum_bytes(&of, w->base + d, 48);
        mm_sum_bytes(&of, w->base + first, heap - first);
        mmw_put(w, d + 56, mm_sum_end(&of), 8);
    }
    mmw_put(w, w->lanes, 1, 4);     /* the lane is owned */
    mmw_put(w, w->lanes + 4, 1, 4); /* once */
    mmw_store32(w, 136, w->heap_used, memory_order_relaxed);
    mmw_store32(w, 132, w->count, memory_order_release);
    mmw_store32(w, 140, 1, memory_order_release);
    mmw_store32(w, 128, MM_LIVE, memory_order_release);
}

/* Says that an OPTIONAL field has a value, after the value is there (section 4). */
static inline void mmw_present(mmw_image *w, uint32_t field, bool present)
{
    uint32_t at = w->lanes + 64 + field / 32 * 4, bit = 1u << field % 32;
    uint32_t word = (uint32_t)mm_get(w->base + at, 4);
    if (!!(word & bit) != present)
        mmw_store32(w, at, present ? word | bit : word & ~bit, memory_order_release);
}

/* The one writer may read its own bytes as it likes. */
static inline void mmw_add(mmw_image *w, uint32_t field, uint64_t n)
{
    uint32_t at = w->lanes + w->fields[field].place;
    mmw_store64(w, at, mm_get(w->base + at, 8) + n);
}

static inline void mmw_set(mmw_image *w, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    mmw_store64(w, w->lanes + w->fields[field].place, bits);
    mmw_present(w, field, true);
}

/* Publishes a text (section 2.1); one that is too long is cut at a character. */
static inline void mmw_set_text(mmw_image *w, uint32_t field, const char *text)
{
    const mmw_field *f = &w->fields[field];
    size_t length = strlen(text);
    bool cut = length > f->count;
    if (cut)
        for (length = f->count; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80;)
            length--;
    uint32_t cell = w->lanes + f->place;
    uint32_t n = (uint32_t)mm_get(w->base + cell, 4) + 1; /* W1 */
    atomic_thread_fence(memory_order_release);            /* W2 */
    uint32_t slot = cell + 8 + (n & ((1u << f->slot_bits) - 1)) * f->slot_size;
    mmw_store32(w, slot, (uint32_t)length, memory_order_relaxed); /* W3 */
    mmw_store32(w, slot + 4, cut, memory_order_relaxed);
    for (size_t i = 0; i < length; i += 4) {
        unsigned char word[4] = {0};
        memcpy(word, text + i, length - i < 4 ? length - i : 4);
        mmw_store32(w, slot + 8 + (uint32_t)i, (uint32_t)mm_get(word, 4), memory_order_relaxed);
    }
    mmw_store32(w, cell, n, memory_order_release); /* W4 */
    mmw_present(w, field, true);                   /* W5 */
}

/* No value changes any more. */
static inline void mmw_close(mmw_image *w)
{
    mmw_store32(w, 128, MM_CLOSED, memory_order_release);
}

#endif
