/* What a file system does: one table for each library. Every function answers by put_…, or by saying why not. */
#ifndef SHALE_FILES_H
#define SHALE_FILES_H

#include "wire.h"

enum kind { FOLDER = 1, FILE_ = 2, LINK = 3, CHARACTERS = 4, BLOCKS = 5, PIPE = 6, SOCKET_ = 7 };

/* 1 January 1970 is the beginning; NTFS has whole hundreds of nanoseconds. */
struct moment {
    int64_t seconds;
    uint32_t nanoseconds;
};
enum { MODIFIED, ACCESSED, CHANGED, BORN, MOMENTS };

/* Metadata of an entry as the wire carries it, apart from attributes. */
struct facts {
    uint16_t mode;
    uint32_t owner, group, flags;
    struct moment moments[MOMENTS];
};

/* Node 0 in a request is the entry that was made last: its number need not have come back to the parent. */
uint64_t take_node(struct request *request);
void put_made(uint64_t node);

void put_facts(const struct facts *facts);
void take_facts(struct request *request, struct facts *facts);

/* Says why a request fails; the request is over. Returns -1. */
int fail(enum failure kind, const char *text);

/* All return 0 when they have answered in full, or -1 after fail(). */
struct file_system {
    int (*open)(int writable);
    /* Its entries from this number on: u32 count, the entries, and u8 whether there are more. */
    int (*folder)(uint64_t node, uint32_t from);
    int (*entry)(uint64_t node);
    int (*map)(uint64_t node, const uint8_t *stream, uint32_t length);
    int (*read)(uint64_t node, const uint8_t *stream, uint32_t length, uint64_t offset, uint32_t count);
    int (*make)(struct request *request);
    int (*link)(struct request *request);
    int (*remove)(struct request *request);
    int (*describe)(struct request *request);
    int (*size)(struct request *request);
    int (*write)(struct request *request);
    /* As large as the disk is now: the bytes it has then. The room behind its end reads as zero. */
    int (*grow)(void);
    int (*close)(void);
};

extern const struct file_system ext, ntfs;

/* The program: serves requests until its socket is closed. */
void files_serve(void);

#endif
