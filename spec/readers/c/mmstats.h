/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mmstats.h: reads and writes images of the mmstats format 3.0. C11 and its standard library only.
 * The reader comes first, then the writer; a program may use either alone.
 *
 * The caller provides the bytes: an array, or memory mapped read-only that a writer is changing.
 * All input is checked before use; there is no allocation, and every loop is bounded. The parts
 * follow FORMAT.md and have its section numbers; comments name the steps of PROTOCOL.md.
 *
 * Memory order: every shared word is loaded with one aligned relaxed atomic load, and
 * atomic_thread_fence(memory_order_acquire) stands where PROTOCOL.md has a fence. The mapped bytes
 * were never declared _Atomic, as C requires: the cast relies on _Atomic integers being lock-free
 * and as large as plain ones, which is asserted below and holds for all compilers with mmap.
 */
#ifndef MMSTATS_H
#define MMSTATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(sizeof(_Atomic uint32_t) == 4 && ATOMIC_INT_LOCK_FREE == 2, "lock-free words");

/* ---- 1. Words ----------------------------------------------------------------- */

/* Bytes of an image: 8-aligned, and `size` of them. */
typedef struct {
    const unsigned char *base;
    uint64_t size;
} mm_memory;

static inline uint32_t mm_le32(uint32_t v)
{
    const unsigned char *b = (const unsigned char *)&v;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* One aligned load; the caller has checked that it is inside. */
static inline uint32_t mm_u32(mm_memory m, uint64_t at)
{
    return mm_le32(atomic_load_explicit((const _Atomic uint32_t *)(const void *)(m.base + at),
                                        memory_order_relaxed));
}

static inline void mm_fence(void)
{
    atomic_thread_fence(memory_order_acquire);
}

/* Whether this machine loads 8 bytes at once. */
#define MM_WIDE (ATOMIC_LLONG_LOCK_FREE == 2 && UINTPTR_MAX > 0xffffffffu)

static inline uint64_t mm_u64(mm_memory m, uint64_t at)
{
#if MM_WIDE
    uint64_t v = atomic_load_explicit((const _Atomic uint64_t *)(const void *)(m.base + at),
                                      memory_order_relaxed);
    const unsigned char *b = (const unsigned char *)&v;
    uint64_t r = 0;
    for (int i = 7; i >= 0; i--)
        r = r << 8 | b[i];
    return r;
#else
    return mm_u32(m, at) | (uint64_t)mm_u32(m, at + 4) << 32;
#endif
}

/* Copies whole words into bytes of one's own; `at` and `size` are multiples of 4. */
static inline void mm_copy(mm_memory m, uint64_t at, void *to, uint64_t size)
{
    unsigned char *out = to;
    for (uint64_t i = 0; i < size; i += 4) {
        uint32_t v = mm_u32(m, at + i);
        for (int k = 0; k < 4; k++)
            out[i + k] = (unsigned char)(v >> 8 * k);
    }
}

/* Little-endian numbers in bytes of one's own. */
static inline uint64_t mm_get(const unsigned char *p, int size)
{
    uint64_t v = 0;
    while (size-- > 0)
        v = v << 8 | p[size];
    return v;
}

static inline uint64_t mm_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* ---- 8. Checksum ---------------------------------------------------------------- */

typedef struct {
    uint64_t a, b;
} mm_sum;

static inline void mm_sum_word(mm_sum *s, uint32_t word)
{
    s->a = (s->a + word) % 4294967295u;
    s->b = (s->b + s->a) % 4294967295u;
}

static inline void mm_sum_image(mm_sum *s, mm_memory m, uint64_t at, uint64_t size)
{
    for (uint64_t i = 0; i < size; i += 4)
        mm_sum_word(s, mm_u32(m, at + i));
}

static inline void mm_sum_bytes(mm_sum *s, const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i += 4)
        mm_sum_word(s, (uint32_t)mm_get(p + i, 4));
}

static inline uint64_t mm_sum_end(const mm_sum *s)
{
    return s->b << 32 | s->a;
}

/* ---- 3. Header ------------------------------------------------------------------ */

enum { MM_BUILDING = 1, MM_LIVE = 2, MM_CLOSED = 3 };

typedef struct {
    mm_memory memory;
    unsigned char instance[16];
    uint16_t minor;
    uint32_t part, descriptor_offset, descriptor_capacity, descriptor_size, heap_offset, heap_size,
        lanes_offset, lane_stride, lane_capacity, cells_offset;
    /* The changing part, as it was when the image was opened. */
    uint32_t state, field_count, heap_used, lanes_used;
} mm_image;

static inline uint64_t mm_presence_bytes(uint32_t capacity)
{
    return 8 * (((uint64_t)capacity + 63) / 64);
}

/* Checks the header, in the order of section 10; NULL, or the code of the first broken rule. */
static inline const char *mm_open(mm_memory m, mm_image *image)
{
    static const unsigned char magic[8] = {0x89, 0x4D, 0x4D, 0x53, 0x0D, 0x0A, 0x1A, 0x0A};
    unsigned char h[128];
    if (memcmp(m.base, magic, m.size < 8 ? (size_t)m.size : 8) != 0)
        return "bad-magic";
    if (m.size < 192)
        return "too-short";
    /* A copy: the bytes that are checked are those that are used. */
    mm_copy(m, 0, h, 128);
    if (memcmp(h, magic, 8) != 0)
        return "bad-magic";
    if (mm_get(h + 8, 2) != 3)
        return "unsupported-major";
    mm_sum sum = {0, 0};
    mm_sum_bytes(&sum, h, 120);
    if (mm_sum_end(&sum) != mm_get(h + 120, 8))
        return "header-checksum";
    if (mm_get(h + 12, 2) > 0)
        return "unsupported-minor";
    if (mm_get(h + 16, 8) != 0)
        return "required-features";
    uint64_t header_size = mm_get(h + 14, 2), file_size = mm_get(h + 52, 4);
    if (header_size < 192 || header_size % 64 || header_size > m.size)
        return "header-size";
    if (file_size > m.size)
        return "file-size";
    mm_image i = {.memory = m,
                  .minor = (uint16_t)mm_get(h + 10, 2),
                  .part = (uint32_t)mm_get(h + 48, 4),
                  .descriptor_offset = (uint32_t)mm_get(h + 56, 4),
                  .descriptor_capacity = (uint32_t)mm_get(h + 60, 4),
                  .descriptor_size = (uint32_t)mm_get(h + 64, 2),
                  .heap_offset = (uint32_t)mm_get(h + 68, 4),
                  .heap_size = (uint32_t)mm_get(h + 72, 4),
                  .lanes_offset = (uint32_t)mm_get(h + 76, 4),
                  .lane_stride = (uint32_t)mm_get(h + 80, 4),
                  .lane_capacity = (uint32_t)mm_get(h + 84, 4),
                  .cells_offset = (uint32_t)mm_get(h + 88, 4)};
    memcpy(i.instance, h + 32, 16);
    if (i.descriptor_size < 64 || i.descriptor_size % 8)
        return "descriptor-size";
    if (i.descriptor_capacity > 16777216 || i.lane_capacity < 1 || i.lane_capacity > 65536)
        return "limit";
    if (i.descriptor_offset % 8 || i.heap_offset % 8 || i.heap_size % 8 || i.lanes_offset % 64 ||
        i.lane_stride % 64 || i.cells_offset % 8)
        return "alignment";
    uint64_t descriptors = (uint64_t)i.descriptor_capacity * i.descriptor_size;
    uint64_t lanes = (uint64_t)i.lane_capacity * i.lane_stride;
    if (i.descriptor_offset < header_size || i.heap_offset < i.descriptor_offset + descriptors ||
        i.lanes_offset < (uint64_t)i.heap_offset + i.heap_size)
        return "section-order";
    /* The sections are in order, so the end of the last one is the end of all. */
    if (i.lanes_offset + lanes > file_size)
        return "section-bounds";
    if (i.cells_offset < 64 + mm_presence_bytes(i.descriptor_capacity) ||
        i.cells_offset > i.lane_stride)
        return "lane-layout";
    i.state = mm_u32(m, 128);
    mm_fence();
    if (i.state == MM_BUILDING)
        return "building";
    if (i.state != MM_LIVE && i.state != MM_CLOSED)
        return "bad-state";
    i.field_count = mm_u32(m, 132);
    mm_fence();
    i.heap_used = mm_u32(m, 136);
    i.lanes_used = mm_u32(m, 140);
    mm_fence();
    if (i.field_count > i.descriptor_capacity)
        return "field-count";
    if (i.heap_used > i.heap_size)
        return "heap-used";
    if (i.lanes_used > i.lane_capacity)
        return "lanes-used";
    *image = i;
    return NULL;
}

/* ---- 4. Descriptors --------------------------------------------------------------- */

enum { MM_U8 = 1, MM_U16, MM_U32, MM_U64, MM_I8, MM_I16, MM_I32, MM_I64, MM_F32, MM_F64, MM_BOOL,
       MM_TEXT, MM_BYTES };
enum { MM_COUNTER = 1, MM_GAUGE, MM_INFO, MM_STATE, MM_HISTOGRAM, MM_AVERAGE, MM_TIMER, MM_EVENTS,
       MM_WINDOW, MM_RATE, MM_TIMESTAMP, MM_ACTIVITY, MM_RUNNING };
enum { MM_CONSTANT = 1, MM_ATOMIC, MM_LATCHED, MM_JOURNAL, MM_TABLE };
enum { MM_ROWS = 32 }; /* where row 0 of a table is */
enum { MM_OPTIONAL = 1, MM_ARRAY = 2, MM_MEMBER = 4 };
enum { MM_FIELD_LIVE = 1, MM_FIELD_RETIRED = 2 };
enum { MM_S_LABEL, MM_S_UNIT, MM_S_HELP, MM_S_ATTRIBUTES, MM_S_DETAIL, MM_STRINGS };

typedef struct {
    uint32_t index;
    uint8_t type, kind, aggregation, storage, slot_bits, level;
    uint16_t flags;
    uint32_t count, place, slot_size, member, param, state;
    uint32_t string[MM_STRINGS]; /* offset of the text, after its length; 0: none */
    uint32_t length[MM_STRINGS];
    uint32_t names;              /* of a state: how many */
} mm_field;

/* Goes through the descriptors; begin with all zeros. */
typedef struct {
    uint32_t next;
    uint64_t cells_end, members_end, constants;
    bool in_group, counter; /* inside a group; the field before can have a rate */
    uint32_t place, slot_size;
    uint8_t slot_bits;
} mm_cursor;

static inline bool mm_known_type(const mm_field *f)
{
    return f->type >= MM_U8 && f->type <= MM_BYTES;
}

static inline bool mm_known_storage(const mm_field *f)
{
    return f->storage >= MM_CONSTANT && f->storage <= MM_TABLE;
}

static inline bool mm_is_blob(const mm_field *f)
{
    return f->type == MM_TEXT || f->type == MM_BYTES;
}

static inline uint32_t mm_element_size(const mm_field *f)
{
    static const uint8_t size[] = {0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1, 1, 1};
    return size[f->type];
}

/* Bytes of a value in slot or heap; 8 of an unknown type (section 10). */
static inline uint64_t mm_value_size(const mm_field *f)
{
    if (!mm_known_type(f))
        return 8;
    return mm_is_blob(f) ? 8 + (uint64_t)f->count : (uint64_t)f->count * mm_element_size(f);
}

static inline uint32_t mm_slots(const mm_field *f)
{
    return f->slot_bits >= 1 && f->slot_bits <= 16 ? 1u << f->slot_bits : 0;
}

/* Bytes of a row of a table. */
static inline uint64_t mm_row_size(const mm_field *f)
{
    return 8 + (uint64_t)mm_slots(f) * f->slot_size;
}

static inline bool mm_good_count(const mm_field *f)
{
    if (mm_is_blob(f))
        return f->count >= 1 && f->count <= 1048560;
    if (f->flags & MM_ARRAY)
        return f->count >= 1 && mm_value_size(f) <= 1048576;
    return f->count == 1;
}

static inline bool mm_in_heap(const mm_image *i, uint64_t at, uint64_t size)
{
    return at >= i->heap_offset && at + size <= (uint64_t)i->heap_offset + i->heap_used;
}

/* One byte of the heap. */
static inline unsigned char mm_byte(mm_memory m, uint64_t at)
{
    return (unsigned char)(mm_u32(m, at & ~(uint64_t)3) >> 8 * (at & 3));
}

/* Strict UTF-8 (RFC 3629): no surrogates, no overlong forms. `get` gives byte i. */
static inline bool mm_utf8_next(const unsigned char *p, size_t size, size_t *i)
{
    unsigned char c = p[(*i)++];
    if (c < 0x80)
        return true;
    int more = c >= 0xC2 && c <= 0xDF ? 1 : (c & 0xF0) == 0xE0 ? 2 : c >= 0xF0 && c <= 0xF4 ? 3 : 0;
    unsigned low = 0x80, high = 0xBF;
    if (c == 0xE0)
        low = 0xA0;
    if (c == 0xED)
        high = 0x9F;
    if (c == 0xF0)
        low = 0x90;
    if (c == 0xF4)
        high = 0x8F;
    if (!more)
        return false;
    for (; more > 0; more--, low = 0x80, high = 0xBF) {
        if (*i >= size || p[*i] < low || p[*i] > high)
            return false;
        (*i)++;
    }
    return true;
}

static inline bool mm_utf8(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size;)
        if (!mm_utf8_next(p, size, &i))
            return false;
    return true;
}

/* Copies a string of a field; `out` has 4,096 bytes. Returns its length. */
static inline size_t mm_string(const mm_image *i, const mm_field *f, int which, unsigned char *out)
{
    for (uint32_t k = 0; k < f->length[which]; k++)
        out[k] = mm_byte(i->memory, (uint64_t)f->string[which] + k);
    return f->length[which];
}

/* Section 5: `key=value` items separated by zero bytes, no key twice. */
static inline bool mm_attributes(const unsigned char *p, size_t size)
{
    for (size_t at = 0; at <= size;) {
        const unsigned char *zero = memchr(p + at, 0, size - at);
        size_t end = zero ? (size_t)(zero - p) : size;
        const unsigned char *equals = memchr(p + at, '=', end - at);
        size_t key = equals ? (size_t)(equals - p) - at : 0;
        if (key < 1 || key > 63)
            return false;
        for (size_t k = at; k < at + key; k++) {
            unsigned char c = p[k];
            bool good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
            if (!good)
                return false;
        }
        for (size_t before = 0; before < at;) {
            if (memcmp(p + before, p + at, key + 1) == 0)
                return false;
            before += strlen((const char *)p + before) + 1;
        }
        at = end + 1;
    }
    return true;
}

/* The number of items of a detail, or 0 if one is not as the kind asks. */
static inline uint32_t mm_items(const mm_field *f, const unsigned char *p, size_t size)
{
    uint32_t items = 0;
    if (size == 0)
        return 0;
    for (size_t at = 0; at <= size; items++) {
        const unsigned char *zero = memchr(p + at, 0, size - at);
        size_t end = zero ? (size_t)(zero - p) : size, length = end - at;
        if (f->kind == MM_STATE && (length < 1 || length > 63))
            return 0;
        if (f->kind == MM_RATE) {
            bool nonzero = false;
            for (size_t k = at; k < end; k++) {
                if (p[k] < '0' || p[k] > '9')
                    return 0;
                nonzero |= p[k] != '0';
            }
            if (length > 6 || !nonzero)
                return 0;
        }
        at = end + 1;
    }
    return items;
}

static inline bool mm_kind_allows(const mm_field *f)
{
    bool array = f->flags & MM_ARRAY;
    bool wide = f->type == MM_U64 || f->type == MM_I64 || f->type == MM_F64;
    if (f->storage == MM_TABLE && f->kind >= MM_COUNTER && f->kind <= MM_RUNNING &&
        f->kind != MM_ACTIVITY)
        return false;
    switch (f->kind) {
    case MM_COUNTER:
        return f->type <= MM_U64 || f->type == MM_F32 || f->type == MM_F64;
    case MM_STATE:
        return f->type <= MM_U32 && !array && f->storage != MM_JOURNAL;
    case MM_HISTOGRAM:
        return f->type == MM_U64 && array && f->count >= 3 &&
               (f->storage == MM_JOURNAL || !mm_known_storage(f));
    case MM_AVERAGE:
        return wide && array && f->count == 2 && f->storage != MM_JOURNAL;
    case MM_TIMER:
        return f->type == MM_U64 && array && f->count == 5 && f->storage != MM_JOURNAL;
    case MM_EVENTS:
        return f->type == MM_TEXT && (f->storage == MM_LATCHED || !mm_known_storage(f));
    case MM_WINDOW:
        return wide && !array && (f->storage == MM_LATCHED || !mm_known_storage(f));
    case MM_RATE:
        return f->type == MM_U64 && array && f->count == 2 &&
               (f->storage == MM_LATCHED || !mm_known_storage(f));
    case MM_TIMESTAMP:
        return (f->type == MM_U64 || f->type == MM_I64) && !array && f->storage != MM_JOURNAL;
    case MM_RUNNING:
        return f->type == MM_U64 && !array && f->storage != MM_JOURNAL;
    case MM_ACTIVITY:
        return f->type == MM_TEXT && (f->storage == MM_TABLE || !mm_known_storage(f));
    default:
        return true;
    }
}

static inline bool mm_good_param(const mm_field *f, uint32_t items, bool counter)
{
    int scale = (int8_t)(f->param & 0xFF);
    unsigned values = f->param >> 8 & 0xFF;
    if (f->kind == MM_ACTIVITY || f->storage == MM_TABLE)
        return f->member == 16 && f->param >= 1 && f->param <= 64;
    switch (f->kind) {
    case MM_STATE:
        return items >= 1 && items <= 1024;
    case MM_HISTOGRAM:
        return scale >= -4 && scale <= 8 && (values == MM_U64 || values == MM_F64) &&
               f->slot_size >= 40 && f->count >= 3;
    case MM_EVENTS:
        return f->member == 8;
    case MM_WINDOW:
        return f->param >= 1 && (uint64_t)f->param + 2 <= mm_slots(f);
    case MM_RATE:
        return counter && f->param >= 1 && items >= 1 && items <= 8;
    default:
        return true;
    }
}

/* The rules from slots to cell-overlap; remembers the cell for the field after. */
static inline const char *mm_layout(const mm_image *i, const mm_field *f, mm_cursor *c,
                                    bool constant_known)
{
    if (!mm_known_storage(f))
        return NULL; /* as if it was not there: a group continues after it */
    bool group = false, in_group = false;
    uint32_t slots = mm_slots(f);
    if (f->storage >= MM_LATCHED) {
        uint32_t least = f->storage == MM_JOURNAL ? 16 : 8;
        if (!slots || f->slot_size % 8 || f->slot_size < least || f->slot_size > 1048576)
            return "slots";
    } else if (f->slot_bits || f->slot_size) {
        return "slots";
    }
    if (f->storage == MM_LATCHED || f->storage == MM_TABLE) {
        group = f->flags & MM_MEMBER;
        in_group = group && c->in_group && c->place == f->place && c->slot_size == f->slot_size &&
                   c->slot_bits == f->slot_bits;
        bool past = mm_known_type(f) ? f->member + mm_value_size(f) > f->slot_size
                                     : f->member >= f->slot_size;
        if (f->member % 8 || past || (in_group && f->member < c->members_end))
            return "member";
    } else if (f->member) {
        return "member";
    }
    uint64_t end = c->cells_end;
    if (f->storage == MM_CONSTANT) {
        if (f->place % 8 || !constant_known || !mm_in_heap(i, f->place, 1))
            return "cell-place";
    } else {
        end = (uint64_t)f->place + 8 + (uint64_t)slots * f->slot_size;
        if (f->storage == MM_JOURNAL)
            end += 8 * (uint64_t)f->count;
        if (f->storage == MM_TABLE)
            end = (uint64_t)f->place + MM_ROWS + f->param * mm_row_size(f);
        if (f->place % 8 || f->place < i->cells_offset || end > i->lane_stride)
            return "cell-place";
        if (!in_group && f->place < (c->cells_end ? c->cells_end : i->cells_offset))
            return "cell-overlap";
    }
    c->cells_end = end;
    c->in_group = group;
    c->place = f->place;
    c->slot_size = f->slot_size;
    c->slot_bits = f->slot_bits;
    c->members_end = mm_up(f->member + mm_value_size(f), 8);
    return NULL;
}

static inline const char *mm_check(const mm_image *i, mm_field *f, const unsigned char d[64],
                                   mm_cursor *c, bool counter)
{
    static const int at[MM_STRINGS] = {0, 4, 8, 12, 44};
    static const uint32_t limit[MM_STRINGS] = {255, 63, 4096, 4096, 4096};
    if (f->state != MM_FIELD_LIVE && f->state != MM_FIELD_RETIRED)
        return "field-state";
    mm_sum sum = {0, 0};
    mm_sum_bytes(&sum, d, 48);
    for (int s = 0; s < MM_STRINGS; s++) {
        uint32_t place = (uint32_t)mm_get(d + at[s], 4);
        if (!place && s != MM_S_LABEL)
            continue;
        if (place % 4 || !mm_in_heap(i, place, 4))
            return "string-place";
        uint32_t length = mm_u32(i->memory, place) & 0xFFFF;
        uint64_t whole = mm_up(2 + (uint64_t)length, 4);
        if (length < 1 || length > limit[s] || !mm_in_heap(i, place, whole))
            return "string-length";
        f->string[s] = place + 2;
        f->length[s] = length;
        mm_sum_image(&sum, i->memory, place, whole);
    }
    bool known = mm_known_type(f), constant = false;
    if (f->storage == MM_CONSTANT) {
        uint64_t size = mm_value_size(f);
        constant = known && mm_good_count(f) && f->place % 8 == 0;
        if (constant && mm_is_blob(f)) {
            constant = mm_in_heap(i, f->place, 8);
            if (constant) {
                uint32_t length = mm_u32(i->memory, f->place);
                size = 8 + (uint64_t)(length < f->count ? length : f->count);
            }
        }
        size = mm_up(size, 8);
        constant = constant && mm_in_heap(i, f->place, size);
        if (constant) {
            c->constants += size; /* they do not overlap: this bounds the work */
            if (c->constants > 2 * (uint64_t)i->heap_used)
                return "cell-overlap";
            mm_sum_image(&sum, i->memory, f->place, size);
        }
        constant = constant || !known;
    }
    if ((f->storage != MM_CONSTANT || (constant && known)) && mm_sum_end(&sum) != mm_get(d + 56, 8))
        return "field-checksum";
    unsigned char text[4096];
    uint32_t items = 0;
    for (int s = 0; s < MM_STRINGS; s++)
        if (!mm_utf8(text, mm_string(i, f, s, text)))
            return "utf8";
    size_t size = mm_string(i, f, MM_S_ATTRIBUTES, text);
    if (size && !mm_attributes(text, size))
        return "attributes";
    size = mm_string(i, f, MM_S_DETAIL, text);
    items = mm_items(f, text, size);
    f->names = items;
    if (known && !mm_good_count(f))
        return "count";
    if (f->storage == MM_JOURNAL && (f->count < 2 || f->count > 65536))
        return "count";
    uint16_t flags = f->flags & (MM_OPTIONAL | MM_ARRAY | MM_MEMBER);
    if ((mm_is_blob(f) && flags & MM_ARRAY) ||
        (f->storage == MM_CONSTANT && flags & (MM_OPTIONAL | MM_MEMBER)) ||
        (f->storage == MM_ATOMIC && (flags & (MM_ARRAY | MM_MEMBER) || mm_is_blob(f))) ||
        (f->storage == MM_JOURNAL && (flags != MM_ARRAY || (known && f->type != MM_U64))) ||
        (f->storage == MM_TABLE && (flags || (known && f->type != MM_TEXT))))
        return "type-storage";
    if (known && !mm_kind_allows(f))
        return "kind-type";
    if (!mm_good_param(f, items, counter))
        return "kind-param";
    return mm_layout(i, f, c, constant);
}

/*
 * The next field: false if there is none. *code is NULL, or the rule that damages it; then only
 * the index of the field is valid.
 */
static inline bool mm_next(const mm_image *i, mm_cursor *c, mm_field *f, const char **code)
{
    unsigned char d[64];
    if (c->next >= i->field_count)
        return false;
    uint64_t at = i->descriptor_offset + (uint64_t)c->next * i->descriptor_size;
    mm_field made = {.index = c->next++};
    made.state = mm_u32(i->memory, at + 48);
    mm_copy(i->memory, at, d, 64);
    made.type = d[16];
    made.kind = d[17];
    made.aggregation = d[18];
    made.storage = d[19];
    made.count = (uint32_t)mm_get(d + 20, 4);
    made.place = (uint32_t)mm_get(d + 24, 4);
    made.slot_size = (uint32_t)mm_get(d + 28, 4);
    made.member = (uint32_t)mm_get(d + 32, 4);
    made.slot_bits = d[36];
    made.level = d[37];
    made.flags = (uint16_t)mm_get(d + 38, 2);
    made.param = (uint32_t)mm_get(d + 40, 4);
    *f = made;
    bool counter = c->counter;
    *code = mm_check(i, f, d, c, counter);
    c->counter = !*code && f->kind == MM_COUNTER && f->type == MM_U64 && !(f->flags & MM_ARRAY) &&
                 (f->storage == MM_ATOMIC || f->storage == MM_LATCHED);
    return true;
}

/* ---- Room that is used again (PROTOCOL.md section 5.2) ----------------------------- */

#define MM_ATTEMPTS 16

/* Q1 and Q2. Descriptors, their strings and values come after it. */
static inline uint32_t mm_begin_look(mm_memory m)
{
    uint32_t reuses = m.size < 192 ? 0 : mm_u32(m, 156);
    mm_fence();
    return reuses;
}

/*
 * Q4 to Q6: whether all that was loaded since mm_begin_look() belongs together. If not, throw it away
 * and look again, at most MM_ATTEMPTS times.
 */
static inline bool mm_end_look(mm_memory m, uint32_t reuses)
{
    mm_fence();
    return (m.size < 192 ? 0 : mm_u32(m, 156)) == reuses;
}

/* ---- 7. Lanes --------------------------------------------------------------------- */

static inline uint64_t mm_lane(const mm_image *i, uint32_t lane)
{
    return i->lanes_offset + (uint64_t)lane * i->lane_stride;
}

/* 0 never claimed, 1 owned, 2 returned; others are damage. */
static inline uint32_t mm_lane_state(const mm_image *i, uint32_t lane)
{
    uint32_t state = mm_u32(i->memory, mm_lane(i, lane));
    mm_fence(); /* before presence and values: PROTOCOL.md section 5.2 */
    return state;
}

/* Whether the field has a value there (PROTOCOL.md section 4). */
static inline bool mm_present(const mm_image *i, const mm_field *f, uint32_t lane)
{
    if (!(f->flags & MM_OPTIONAL))
        return true;
    uint32_t word = mm_u32(i->memory, mm_lane(i, lane) + 64 + f->index / 32 * 4);
    mm_fence();
    return word >> f->index % 32 & 1;
}

/* ---- 6. Values --------------------------------------------------------------------- */

typedef enum { MM_CONSISTENT, MM_CONTENDED, MM_DAMAGED } mm_verdict;

/* PROTOCOL.md section 2.2: the newest slot of the cell there, of slot_size bytes, into `out`. */
static inline mm_verdict mm_read_cell(const mm_image *i, const mm_field *f, uint64_t cell,
                                      unsigned char *out)
{
    uint32_t slots = mm_slots(f);
    for (int attempt = 0; attempt < MM_ATTEMPTS; attempt++) {
        uint32_t a = mm_u32(i->memory, cell); /* R1 */
        mm_fence();                           /* R2, partner W4 */
        mm_copy(i->memory, cell + 8 + (uint64_t)(a & (slots - 1)) * f->slot_size, out,
                f->slot_size);                /* R3 */
        mm_fence();                           /* R4, partner W2 */
        uint32_t b = mm_u32(i->memory, cell); /* R5 */
        if (b - a <= slots - 2)               /* R6; the two seconds are the caller's */
            return MM_CONSISTENT;
    }
    return MM_CONTENDED;
}

/* The newest slot of a latched field. */
static inline mm_verdict mm_read_slot(const mm_image *i, const mm_field *f, uint32_t lane,
                                      unsigned char *out)
{
    return mm_read_cell(i, f, mm_lane(i, lane) + f->place, out);
}

/*
 * PROTOCOL.md section 11.3: a bit for each row in use of a table, and how often none was free. The
 * lane is owned (state 1): others have no rows.
 */
static inline uint64_t mm_rows(const mm_image *i, const mm_field *f, uint32_t lane, uint64_t *refused)
{
    uint64_t cell = mm_lane(i, lane) + f->place;
    uint64_t used = mm_u32(i->memory, cell) | (uint64_t)mm_u32(i->memory, cell + 4) << 32;
    mm_fence();
    *refused = mm_u64(i->memory, cell + 16);
    return f->param < 64 ? used & (((uint64_t)1 << f->param) - 1) : used;
}

/* The newest slot of a row in use. */
static inline mm_verdict mm_read_row(const mm_image *i, const mm_field *f, uint32_t lane, uint32_t row,
                                     unsigned char *out)
{
    return mm_read_cell(i, f, mm_lane(i, lane) + f->place + MM_ROWS + row * mm_row_size(f), out);
}

/*
 * PROTOCOL.md section 9.2: the elements into `e`, of `count` numbers, and the words of the newest
 * slot into `slot`, of slot_size / 8.
 */
static inline mm_verdict mm_read_journal(const mm_image *i, const mm_field *f, uint32_t lane,
                                         uint64_t *e, uint64_t *slot)
{
    mm_memory m = i->memory;
    uint64_t cell = mm_lane(i, lane) + f->place, first = cell + 8;
    uint32_t slots = mm_slots(f);
    uint64_t tail = first + (uint64_t)slots * f->slot_size;
#define MM_SLOT(n) (first + (uint64_t)((n) & (slots - 1)) * f->slot_size)
    for (int attempt = 0; attempt < MM_ATTEMPTS; attempt++) {
        uint32_t a = mm_u32(m, cell); /* K1 */
        mm_fence();                   /* K2 */
        for (uint32_t k = 0; k < f->count; k++)
            e[k] = mm_u64(m, tail + 8 * (uint64_t)k); /* K3 */
        mm_fence();                   /* K4 */
        uint32_t b = mm_u32(m, cell); /* K5 */
        mm_fence();                   /* K6 */
        if (b - a > slots - 2)
            continue;
        /* K7 and K10 in one: the changes are put in as they are loaded, and K8 and K9 say
         * whether that was right. */
        for (uint32_t n = a + 1; n != b + 1; n++) {
            uint64_t change = mm_u64(m, MM_SLOT(n) + 8), index = change & 0xFFFF;
            if (index < f->count) {
                uint64_t ahead = ((change >> 16) - e[index]) & 0xFFFFFFFFFFFF;
                e[index] += ahead < (uint64_t)1 << 47 ? ahead : ahead - ((uint64_t)1 << 48);
            }
        }
        for (uint32_t k = 0; k < f->slot_size / 8; k++)
            slot[k] = mm_u64(m, MM_SLOT(b) + 8 * (uint64_t)k);
        uint64_t next_total = mm_u64(m, MM_SLOT(b + 1)), next = mm_u64(m, MM_SLOT(b + 1) + 8);
        mm_fence();                   /* K8 */
        uint32_t c = mm_u32(m, cell); /* K9 */
        if (c - a > slots - 2)
            continue;
        uint64_t sum = 0, index = next & 0xFFFF;
        for (uint32_t k = 0; k < f->count; k++)
            sum += e[k];
        if (sum == slot[0]) /* K11 */
            return MM_CONSISTENT;
        if (index < f->count) { /* K12 */
            uint64_t old = slot[0] - (sum - e[index]);
            if (((old + next_total - slot[0] - (next >> 16)) & 0xFFFFFFFFFFFF) == 0) {
                e[index] = old;
                return MM_CONSISTENT;
            }
        }
        if (c == a) /* K13 */
            return MM_DAMAGED;
    }
#undef MM_SLOT
    return MM_CONTENDED;
}

/*
 * Checks a value in the form of heap and slots, whose bytes are one's own and as many as
 * mm_value_size(); NULL or the broken rule.
 */
static inline const char *mm_check_value(const mm_field *f, const unsigned char *p)
{
    if (mm_is_blob(f)) {
        uint32_t length = (uint32_t)mm_get(p, 4);
        if (length > f->count)
            return "value-length";
        return f->type == MM_TEXT && !mm_utf8(p + 8, length) ? "value-utf8" : NULL;
    }
    for (uint32_t k = 0; f->type == MM_BOOL && k < f->count; k++)
        if (p[k] > 1)
            return "value-range";
    if (f->kind == MM_STATE && mm_get(p, (int)mm_element_size(f)) >= f->names)
        return "value-range";
    return NULL;
}

/* The scalar of an atomic cell, in the form of a slot, of 8 bytes; NULL or the broken rule. */
static inline const char *mm_read_atomic(const mm_image *i, const mm_field *f, uint32_t lane,
                                         unsigned char out[8])
{
    uint64_t cell = mm_lane(i, lane) + f->place, value;
    uint32_t size = mm_element_size(f);
    if (size == 8) {
        value = mm_u64(i->memory, cell);
    } else {
        uint32_t word = mm_u32(i->memory, cell);
        bool is_signed = f->type >= MM_I8 && f->type <= MM_I32;
        value = word;
        if (size < 4) {
            uint32_t low = word & ((1u << 8 * size) - 1), sign = 1u << (8 * size - 1);
            uint32_t wide = is_signed && low & sign ? low | ~((sign << 1) - 1) : low;
            if (wide != word)
                return "value-range";
        }
    }
    for (int k = 0; k < 8; k++)
        out[k] = (unsigned char)(value >> 8 * k);
    return mm_check_value(f, out);
}

/* ==== The writer ======================================================================
 *
 * One writer, one lane: counters (u64), gauges (f64, without a value until one is set) and texts.
 * Declare the fields, make the image in memory of one's own (zeroed, 64-aligned: a mapped file, a
 * static array), update, close. Nothing is allocated. An update is a store or a few (PROTOCOL.md
 * sections 2.1, 3 and 4). It wants a machine that stores 8 bytes at once; on others a writer
 * latches its 8-byte numbers (FORMAT.md section 6).
 */

enum { MM_MAX_FIELDS = 64 };

typedef struct {
    const char *label, *unit, *help;
    uint8_t type, kind, aggregation, storage; /* MM_U64 and so on */
    uint32_t count;                           /* 1, or the capacity of a text */
    uint16_t flags;
    /* Filled in by mmw_size(). */
    uint32_t place, slot_size;
    uint8_t slot_bits;
    /* `key=value` items with one zero byte between them, and their bytes; or NULL. */
    const char *attributes;
    size_t attributes_size;
} mmw_field;

typedef struct {
    unsigned char *base;
    mmw_field *fields;
    uint32_t count, descriptors, heap, heap_used, lanes, stride, size;
} mmw_image;

static inline mmw_field mmw_counter(const char *label, const char *unit, const char *help)
{
    return (mmw_field){label, unit, help, MM_U64, MM_COUNTER, 1, MM_ATOMIC, 1, 0, 0, 0, 0, NULL, 0};
}

static inline mmw_field mmw_gauge(const char *label, const char *unit, const char *help)
{
    return (mmw_field){label, unit, help, MM_F64, MM_GAUGE, 1, MM_ATOMIC, 1, MM_OPTIONAL, 0, 0, 0,
                       NULL, 0};
}

static inline mmw_field mmw_text(const char *label, const char *help, uint32_t capacity)
{
    return (mmw_field){label, "", help, MM_TEXT, MM_GAUGE, 5, MM_LATCHED, capacity, MM_OPTIONAL,
                       0, 0, 0, NULL, 0};
}

/* A string of the heap with length and padding; nothing if it is empty. */
static inline uint32_t mmw_string_size(size_t length)
{
    return length ? (uint32_t)mm_up(2 + length, 4) : 0;
}

/* Whether the strings of a field keep to sections 4, 5 and 9. */
static inline bool mmw_good_strings(const mmw_field *f)
{
    size_t label = strlen(f->label), unit = strlen(f->unit), help = strlen(f->help);
    const unsigned char *attributes = (const unsigned char *)f->attributes;
    return label >= 1 && label <= 255 && unit <= 63 && help <= 4096 && f->attributes_size <= 4096 &&
           mm_utf8((const unsigned char *)f->label, label) &&
           mm_utf8((const unsigned char *)f->unit, unit) &&
           mm_utf8((const unsigned char *)f->help, help) &&
           (!attributes || (mm_utf8(attributes, f->attributes_size) &&
                            mm_attributes(attributes, f->attributes_size)));
}

/* Lays the image out and returns its size; 0 if a field breaks a limit of section 9. */
static inline uint32_t mmw_size(mmw_image *w, mmw_field *fields, uint32_t count)
{
    uint64_t heap = 0, cell = 64 + mm_presence_bytes(count);
    if (count > MM_MAX_FIELDS)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        mmw_field *f = &fields[i];
        if (!mmw_good_strings(f) || f->count < 1 || f->count > 1048560)
            return 0;
        heap += mmw_string_size(strlen(f->label)) + mmw_string_size(strlen(f->unit)) +
                mmw_string_size(strlen(f->help)) + mmw_string_size(f->attributes_size);
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

/* Little-endian stores before the image is live; no reader uses it yet. */
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
        const char *texts[] = {f->label, f->unit, f->help, f->attributes};
        const size_t sizes[] = {strlen(f->label), strlen(f->unit), strlen(f->help), f->attributes_size};
        uint32_t d = w->descriptors + 64 * i;
        const uint32_t first = heap;
        for (uint32_t k = 0; k < 4; k++) {
            if (!sizes[k])
                continue;
            mmw_put(w, d + 4 * k, heap, 4);
            mmw_put(w, heap, sizes[k], 2);
            memcpy(w->base + heap + 2, texts[k], sizes[k]);
            heap += mmw_string_size(sizes[k]);
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

/* Sets the presence bit of an OPTIONAL field, after its value is stored (section 4). */
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
