/* The disk as the parent shows it, with pages of it in memory. Changes stay in their pages until the file system is closed, or
 * a page is needed for another: the same blocks of metadata change again and again.
 *
 *   page        [ 512 │ 512 │ ……│ 512 ]      at the place its number says, so that nothing is searched
 *   is_dirty       1     0         0         which parts are to be written: what lies between them may be content, which the
 *                                            parent writes itself
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 32 MiB. */
#define PAGE 4096u
#define PAGES 8192u
#define PART 512u
/* Pages read at once when one is missing. */
#define STROKE 4u
/* What is longer is content or whole tables, and goes past the pages. */
#define DIRECT (128u << 10)
/* Most bytes that are asked for, or told, at once. */
#define MOST (1u << 20)

static uint64_t size;
static uint8_t *pages;
static struct {
    uint64_t number; /* One more than the page's: 0 is an empty place. */
    uint8_t is_dirty;
} *places;

void device_size_set(uint64_t bytes)
{
    size = bytes;
    pages = memory((size_t)PAGES * PAGE);
    places = memory(PAGES * sizeof *places);
    memset(places, 0, PAGES * sizeof *places);
}

uint64_t device_size(void)
{
    return size;
}

static uint8_t *bytes_at(uint64_t number)
{
    return pages + (size_t)(number % PAGES) * PAGE;
}

static int is_here(uint64_t number)
{
    return places[number % PAGES].number == number + 1;
}

/* Writes what changed in the page at a place. */
static void clean(unsigned place)
{
    unsigned dirty = places[place].is_dirty, from = 0;
    uint64_t start = (places[place].number - 1) * PAGE;
    while (dirty >> from) {
        unsigned to = from;
        while (dirty >> to & 1)
            to++;
        if (to > from) {
            uint64_t offset = start + from * PART, length = (to - from) * PART;
            /* The disk may end inside of a page. */
            wire_tell(offset, pages + (size_t)place * PAGE + from * PART, (uint32_t)(length < size - offset ? length : size - offset));
        }
        from = to + 1;
    }
    places[place].is_dirty = 0;
}

static void load(uint64_t number)
{
    static uint8_t stroke[STROKE * PAGE];
    uint64_t first = number - number % STROKE;
    uint64_t start = first * PAGE;
    uint64_t length = size - start < sizeof stroke ? size - start : sizeof stroke;
    memset(stroke, 0, sizeof stroke);
    wire_ask(start, stroke, (uint32_t)length);
    for (unsigned i = 0; i < STROKE; i++) {
        if (is_here(first + i))
            continue; /* It may be newer. */
        clean((unsigned)((first + i) % PAGES));
        memcpy(bytes_at(first + i), stroke + i * PAGE, PAGE);
        places[(first + i) % PAGES].number = first + i + 1;
    }
}

/* Writes and forgets pages of a range. */
static void forget(uint64_t offset, uint64_t length)
{
    uint64_t first = offset / PAGE, last = (offset + length - 1) / PAGE;
    unsigned steps = last - first < PAGES ? (unsigned)(last - first) + 1 : PAGES;
    for (unsigned i = 0; i < steps && length > 0; i++) {
        unsigned place = (unsigned)((first + i) % PAGES);
        uint64_t number = places[place].number;
        if (number > first && number <= last + 1) {
            clean(place);
            places[place].number = 0;
        }
    }
}

static int is_inside(uint64_t offset, uint64_t length)
{
    return offset <= size && length <= size - offset;
}

int device_read(uint64_t offset, void *bytes, size_t length)
{
    uint8_t *to = bytes;
    if (!is_inside(offset, length))
        return -1;
    if (length >= DIRECT)
        forget(offset, length);
    while (length > 0) {
        uint64_t number = offset / PAGE;
        size_t part = PAGE - offset % PAGE;
        if (length >= DIRECT) {
            part = length < MOST ? length : MOST;
            wire_ask(offset, to, (uint32_t)part);
        } else {
            part = part < length ? part : length;
            if (!is_here(number))
                load(number);
            memcpy(to, bytes_at(number) + offset % PAGE, part);
        }
        to += part;
        offset += part;
        length -= part;
    }
    return 0;
}

/* Writes into a page. One that is replaced whole need not be read. */
static void write_page(uint64_t number, size_t inside, const uint8_t *from, size_t length)
{
    unsigned first = (unsigned)(inside / PART), last = (unsigned)((inside + length - 1) / PART);
    if (!is_here(number) && length < PAGE) {
        load(number);
    } else if (!is_here(number)) {
        clean((unsigned)(number % PAGES));
        places[number % PAGES].number = number + 1;
    }
    memcpy(bytes_at(number) + inside, from, length);
    places[number % PAGES].is_dirty |= (uint8_t)((2u << last) - (1u << first));
}

void device_write(uint64_t offset, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    if (!is_inside(offset, length))
        _exit(BAD_MESSAGE);
    if (length >= DIRECT)
        forget(offset, length);
    while (length > 0) {
        size_t part = PAGE - offset % PAGE;
        if (length >= DIRECT) {
            part = length < MOST ? length : MOST;
            wire_tell(offset, from, (uint32_t)part);
        } else {
            part = part < length ? part : length;
            write_page(offset / PAGE, offset % PAGE, from, part);
        }
        from += part;
        offset += part;
        length -= part;
    }
}

void device_share(uint64_t offset, uint64_t length)
{
    if (length > 0 && is_inside(offset, length))
        forget(offset, length);
}

void device_flush(void)
{
    for (unsigned place = 0; place < PAGES; place++)
        clean(place);
}
