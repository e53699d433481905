/* Stands before the C library that Wine asks for the space of its drives: each has 100 GiB, and 1 GiB of it is free. */
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#define TOLD(call, type)                        \
    int call(int file, struct type *space)      \
    {                                           \
        (void)file;                             \
        memset(space, 0, sizeof *space);        \
        space->f_bsize = space->f_frsize = 4096; \
        space->f_blocks = 100UL << 18;          \
        space->f_bfree = space->f_bavail = 1UL << 18; \
        return 0;                               \
    }

TOLD(fstatfs, statfs)
TOLD(fstatvfs, statvfs)
