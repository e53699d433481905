/* What the parts of ext share: ext.c opens and reads, ext_disk.c shows the disk to the library, ext_write.c writes,
 * ext_folder.c knows names. */
#ifndef SHALE_EXT_H
#define SHALE_EXT_H

#include "files.h"

#include <et/com_err.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <ext2fs/ext2_ext_attr.h>

/* Flags of an inode that people and programs set; the others say how its content is kept. */
#define FLAGS_KEPT 0x0203c0ffu

extern ext2_filsys fs;
extern struct struct_io_manager disk_manager;

/* Fail for the library's reason; what was done, or which inode, goes in front of it. */
int ext_wrong(errcode_t error, const char *doing);
int ext_wrong_inode(errcode_t error, uint64_t node);

/* The inode, in memory that the next call uses again. */
errcode_t inode_of(uint64_t node, struct ext2_inode_large **inode);
enum kind kind_of(uint16_t mode);
/* How many bytes of an inode beyond the first 128 mean something. */
size_t extra_of(const struct ext2_inode_large *inode);
/* The attributes as they lie on the disk: access lists too. */
errcode_t attributes_open(ext2_ino_t node, struct ext2_xattr_handle **handle);
/* Whether an attribute is a small file's content, kept in its inode. */
int is_content(const char *name);
int put_map(uint64_t node);

/* ext_folder.c. Before a folder changes, it is made ready: one that is long gets an index. */
errcode_t folder_ready(ext2_ino_t folder);
errcode_t folder_find(ext2_ino_t folder, const char *name, ext2_ino_t *node);
/* The name must not be there, or be that of `node`. */
errcode_t folder_add(ext2_ino_t folder, const char *name, ext2_ino_t node, int type);
errcode_t folder_drop(ext2_ino_t folder, const char *name, ext2_ino_t node);

/* ext_write.c */
int ext_make(struct request *request);
int ext_link(struct request *request);
int ext_remove(struct request *request);
int ext_describe(struct request *request);
int ext_size(struct request *request);
int ext_write(struct request *request);

/* ext_grow.c */
int ext_grow(void);
uint64_t ext_bytes(void);

#endif
