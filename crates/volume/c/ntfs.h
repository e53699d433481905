/* What the parts of NTFS share: ntfs.c opens and reads, ntfs_disk.c shows the disk to the library, ntfs_write.c writes. */
#ifndef SHALE_NTFS_H
#define SHALE_NTFS_H

#include "files.h"

#include <stdarg.h>
#include <sys/stat.h> /* What the headers of libntfs-3g count on, and do not include. */
#include <sys/types.h>

#include <ntfs-3g/attrib.h>
#include <ntfs-3g/bitmap.h>
#include <ntfs-3g/cache.h>
#include <ntfs-3g/device.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/ea.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/logfile.h>
#include <ntfs-3g/logging.h>
#include <ntfs-3g/object_id.h>
#include <ntfs-3g/reparse.h>
#include <ntfs-3g/runlist.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/unistr.h>
#include <ntfs-3g/volume.h>

/* From 1 January 1601 to 1970, in seconds. */
#define EPOCH 11644473600LL
#define TICKS 10000000u
#define VALUE_LIMIT 65536

/* Why the content of an encrypted file is neither read nor replaced. */
#define ONLY_IN_ITS_WINDOWS \
    "it is encrypted with EFS, so only the account that encrypted it can use it, in its own Windows: decrypt it there (cipher /d)"

extern ntfs_volume *volume;
extern struct SECURITY_CONTEXT security;
extern struct ntfs_device_operations operations;
/* Room for one value of an attribute. */
extern char value[VALUE_LIMIT];
/* The order of times in $STANDARD_INFORMATION. */
extern const int order[MOMENTS];

/* Fail for the reason in errno; what was done, or which file record, goes in front of it. */
int ntfs_wrong(const char *doing);
int ntfs_wrong_record(uint64_t node);

int is_folder(ntfs_inode *record);
/* The name for DOS that a file has in a folder, into `value`: its length, or 0. */
int dos_name_of(ntfs_inode *record, uint64_t folder);
/* How many names a record has, not counting those for DOS. */
uint32_t links_of(ntfs_inode *record);
/* The numbers about versions of a record, where it has them; `search` ends there. */
#define VERSIONS_LENGTH 12
uint8_t *versions_of(ntfs_attr_search_ctx *search);
/* Where the first `known` bytes of the content of a stream lie, whose runs are in memory. */
int put_runs(const ntfs_attr *data, uint64_t known);

struct stream {
    ntfs_inode *record;
    ntfs_attr *data;
};
int stream_open(struct stream *stream, uint64_t node, const uint8_t *name, uint32_t length);

/* ntfs_write.c */
int ntfs_make(struct request *request);
int ntfs_add_name(struct request *request);
int ntfs_remove(struct request *request);
int ntfs_describe(struct request *request);
int ntfs_size(struct request *request);
int ntfs_write(struct request *request);

/* ntfs_grow.c */
int ntfs_grow(void);
uint64_t ntfs_bytes(void);

#endif
