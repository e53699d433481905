/* ext2, ext3 and ext4 by libext2fs: opening and reading. Content never passes here: files are told as extents, and grow as
 * allocated blocks. */
#include "ext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a tree of extents may hold; more is a lie or not worth keeping. */
#define STEPS_LIMIT (4u << 20)
#define TARGET_LIMIT 65536u
/* Blocks of a folder that are read for one answer. Blocks of pointers that lead to one another can make any number of a few. */
#define BLOCKS_LIMIT (1u << 20)
/* Features under which writing would need more than is done here: compression, filesystems apart, mmp, large attributes
 * in inodes, encryption, folders that fold case | quotas, clusters, snapshots, read-only, projects, shared blocks,
 * verity. */
#define INCOMPATIBLE_TO_WRITE (0x1u | 0x8u | 0x100u | 0x400u | 0x10000u | 0x20000u)
#define READ_ONLY_TO_WRITE (0x80u | 0x100u | 0x200u | 0x800u | 0x1000u | 0x2000u | 0x4000u | 0x8000u)
#define ORPHANS_PRESENT 0x10000u

ext2_filsys fs;

int ext_wrong(errcode_t error, const char *doing)
{
    char text[256];
    enum failure kind = CORRUPT;
    if (error == EXT2_ET_BLOCK_ALLOC_FAIL || error == EXT2_ET_INODE_ALLOC_FAIL || error == EXT2_ET_DIR_NO_SPACE)
        kind = FULL;
    if (error == EXT2_ET_FILE_NOT_FOUND)
        kind = MISSING;
    if (error == EXT2_ET_EA_NO_SPACE || error == EXT2_ET_INVALID_ARGUMENT)
        kind = INVALID;
    if (error == EXT2_ET_UNSUPP_FEATURE || error == EXT2_ET_RO_UNSUPP_FEATURE)
        kind = UNSUPPORTED;
    snprintf(text, sizeof text, "%s: %s", doing, error_message(error));
    return fail(kind, text);
}

/* An unclean journal is refused, not replayed: replaying is what the system does when it starts. */
static int check(int writable)
{
    struct ext2_super_block *super = fs->super;
    if (super->s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER)
        return fail(UNSUPPORTED, "its journal holds changes that were not made yet: the system was not shut down; start it and shut it down");
    if (super->s_state & EXT2_ERROR_FS)
        return fail(CORRUPT, "it is marked as having errors: check it with e2fsck");
    if (!(super->s_state & EXT2_VALID_FS) || super->s_last_orphan || (super->s_feature_ro_compat & ORPHANS_PRESENT))
        return fail(UNSUPPORTED, "it was not unmounted cleanly: start the system and shut it down, or check it with e2fsck");
    if (!writable)
        return 0;
    if ((super->s_feature_incompat & INCOMPATIBLE_TO_WRITE) || (super->s_feature_ro_compat & READ_ONLY_TO_WRITE))
        return fail(UNSUPPORTED, "it uses features that are not written here (encryption, quotas, clusters, verity or folded case)");
    return 0;
}

static int ext_open(int writable)
{
    int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP | (writable ? EXT2_FLAG_RW : 0);
    errcode_t error;
    struct ext2_inode root;
    initialize_ext2_error_table();
    error = ext2fs_open("disk", flags, 0, 0, &disk_manager, &fs);
    if (error)
        return ext_wrong(error, "its superblock or descriptors are not understood");
    if (check(writable))
        return -1;
    error = ext2fs_read_inode(fs, EXT2_ROOT_INO, &root);
    if (error || !LINUX_S_ISDIR(root.i_mode))
        return fail(CORRUPT, "its root is no folder");
    fs->flags |= EXT2_FLAG_MASTER_SB_ONLY;
    if (writable && (error = ext2fs_read_bitmaps(fs)))
        return ext_wrong(error, "its bitmaps cannot be read");
    put_u64(EXT2_ROOT_INO);
    put_u32(fs->blocksize);
    put_u64(ext_bytes());
    return 0;
}

errcode_t inode_of(uint64_t node, struct ext2_inode_large **inode)
{
    /* Every inode has at least the fields of today in memory, whatever it has on the disk. */
    static union {
        struct ext2_inode_large inode;
        uint8_t bytes[65536];
    } room;
    size_t size = EXT2_INODE_SIZE(fs->super);
    if (node == 0 || node > fs->super->s_inodes_count)
        return EXT2_ET_BAD_INODE_NUM;
    memset(&room.inode, 0, sizeof room.inode);
    *inode = &room.inode;
    return ext2fs_read_inode_full(fs, (ext2_ino_t)node, (struct ext2_inode *)&room.inode,
                                  (int)(size < sizeof room ? size : sizeof room));
}

/* Two more bits of seconds, and nanoseconds, where the inode has room for them. */
static struct moment moment_of(uint32_t seconds, uint32_t extra)
{
    struct moment moment = {(int64_t)(int32_t)seconds + ((int64_t)(extra & 3) << 32), extra >> 2};
    return moment;
}

enum kind kind_of(uint16_t mode)
{
    switch (mode & LINUX_S_IFMT) {
    case LINUX_S_IFDIR: return FOLDER;
    case LINUX_S_IFREG: return FILE_;
    case LINUX_S_IFLNK: return LINK;
    case LINUX_S_IFCHR: return CHARACTERS;
    case LINUX_S_IFBLK: return BLOCKS;
    case LINUX_S_IFIFO: return PIPE;
    case LINUX_S_IFSOCK: return SOCKET_;
    default: return 0;
    }
}

size_t extra_of(const struct ext2_inode_large *inode)
{
    return EXT2_INODE_SIZE(fs->super) > EXT2_GOOD_OLD_INODE_SIZE ? inode->i_extra_isize : 0;
}

static void put_inode_facts(const struct ext2_inode_large *inode)
{
    struct facts facts = {inode->i_mode & 07777, inode_uid(*inode), inode_gid(*inode), inode->i_flags & FLAGS_KEPT, {{0, 0}}};
    int extra = extra_of(inode) >= 16, born = extra_of(inode) >= 24;
    facts.moments[MODIFIED] = moment_of(inode->i_mtime, extra ? inode->i_mtime_extra : 0);
    facts.moments[ACCESSED] = moment_of(inode->i_atime, extra ? inode->i_atime_extra : 0);
    facts.moments[CHANGED] = moment_of(inode->i_ctime, extra ? inode->i_ctime_extra : 0);
    facts.moments[BORN] = moment_of(born ? inode->i_crtime : 0, born ? inode->i_crtime_extra : 0);
    put_facts(&facts);
}

static errcode_t put_target(ext2_ino_t node, struct ext2_inode_large *inode)
{
    uint64_t size = EXT2_I_SIZE(inode);
    if (size == 0 || size > TARGET_LIMIT)
        return EXT2_ET_FILESYSTEM_CORRUPTED;
    if (ext2fs_is_fast_symlink((struct ext2_inode *)inode)) {
        if (size > sizeof inode->i_block)
            return EXT2_ET_FILESYSTEM_CORRUPTED;
        put_bytes(inode->i_block, size);
        return 0;
    }
    ext2_file_t file;
    unsigned got = 0;
    errcode_t error = ext2fs_file_open2(fs, node, (struct ext2_inode *)inode, 0, &file);
    if (error)
        return error;
    char *target = memory(size);
    error = ext2fs_file_read(file, target, (unsigned)size, &got);
    ext2fs_file_close(file);
    if (!error && got != size)
        error = EXT2_ET_FILESYSTEM_CORRUPTED;
    if (!error)
        put_bytes(target, size);
    free(target);
    return error;
}

int is_content(const char *name)
{
    return strcmp(name, "system.data") == 0; /* A small file kept in its inode. */
}

static int put_attribute(char *name, char *value, size_t length, void *count)
{
    if (is_content(name))
        return 0;
    put_bytes(name, strlen(name));
    put_bytes(value, length);
    ++*(uint32_t *)count;
    return 0;
}

errcode_t attributes_open(ext2_ino_t node, struct ext2_xattr_handle **handle)
{
    unsigned flags = XATTR_HANDLE_FLAG_RAW;
    errcode_t error = ext2fs_xattrs_open(fs, node, handle);
    if (error)
        return error;
    error = ext2fs_xattrs_flags(*handle, &flags, NULL);
    if (!error)
        error = ext2fs_xattrs_read(*handle);
    if (error)
        ext2fs_xattrs_close(handle);
    return error;
}

static errcode_t put_attributes(ext2_ino_t node, const struct ext2_inode_large *inode)
{
    struct ext2_xattr_handle *handle;
    size_t place = put_later_u32(), extra = extra_of(inode);
    uint32_t count = 0, magic = 0;
    size_t at = EXT2_GOOD_OLD_INODE_SIZE + extra;
    if (extra > 0 && at + 4 <= EXT2_INODE_SIZE(fs->super))
        memcpy(&magic, (const uint8_t *)inode + at, 4);
    if (magic != EXT2_EXT_ATTR_MAGIC && !ext2fs_file_acl_block(fs, (const struct ext2_inode *)inode))
        return 0;
    errcode_t error = attributes_open(node, &handle);
    if (error)
        return error;
    error = ext2fs_xattrs_iterate(handle, put_attribute, &count);
    ext2fs_xattrs_close(&handle);
    put_now_u32(place, count);
    return error;
}

static void put_device(const struct ext2_inode_large *inode, enum kind kind)
{
    uint32_t old = inode->i_block[0], new = inode->i_block[1];
    int is_device = kind == CHARACTERS || kind == BLOCKS;
    put_u32(!is_device ? 0 : old ? old >> 8 & 0xff : new >> 8 & 0xfff);
    put_u32(!is_device ? 0 : old ? old & 0xff : (new & 0xff) | (new >> 12 & 0xfff00));
}

static errcode_t put_entry(uint64_t node)
{
    struct ext2_inode_large *inode;
    errcode_t error = inode_of(node, &inode);
    if (error)
        return error;
    enum kind kind = kind_of(inode->i_mode);
    if (!kind || inode->i_links_count == 0)
        return EXT2_ET_FILESYSTEM_CORRUPTED;
    put_u64(node);
    put_u8((uint8_t)kind);
    put_inode_facts(inode);
    put_u32(inode->i_links_count);
    put_device(inode, kind);
    if (kind == LINK)
        error = put_target((ext2_ino_t)node, inode);
    else
        put_bytes("", 0);
    if (!error)
        error = put_attributes((ext2_ino_t)node, inode);
    put_u32(kind == FILE_);
    if (kind == FILE_) {
        put_bytes("", 0);
        put_u64(EXT2_I_SIZE(inode));
    }
    return error;
}

int ext_wrong_inode(errcode_t error, uint64_t node)
{
    char doing[64];
    snprintf(doing, sizeof doing, "inode %llu", (unsigned long long)node);
    return ext_wrong(error, doing);
}

static int ext_entry(uint64_t node)
{
    errcode_t error = put_entry(node);
    return error ? ext_wrong_inode(error, node) : 0;
}

struct names {
    struct name {
        ext2_ino_t node;
        uint16_t length;
        char text[EXT2_NAME_LEN];
    } *all;
    size_t count, room;
    uint32_t before; /* Entries that are still to be passed over. */
    uint32_t blocks;
    int more;
};

/* A folder that is kept in its inode tells "." and ".." like any other entry. */
static int is_dots(const struct ext2_dir_entry *found, int length)
{
    return (length == 1 && found->name[0] == '.') || (length == 2 && !memcmp(found->name, "..", 2));
}

static int take_name(ext2_ino_t folder, int entry, struct ext2_dir_entry *found, int offset, int blocksize, char *block, void *to)
{
    struct names *names = to;
    int length = ext2fs_dirent_name_len(found);
    (void)folder, (void)blocksize, (void)block;
    if (offset == 0 && ++names->blocks > BLOCKS_LIMIT)
        return DIRENT_ABORT;
    if (entry != DIRENT_OTHER_FILE || found->inode == 0 || is_dots(found, length))
        return 0;
    if (names->before > 0) {
        names->before--;
        return 0;
    }
    if (names->count == PART_LIMIT) {
        names->more = 1;
        return DIRENT_ABORT;
    }
    if (names->count == names->room) {
        names->room = names->room ? names->room * 2 : 64;
        names->all = realloc(names->all, names->room * sizeof *names->all);
        if (!names->all)
            _exit(OUT_OF_MEMORY);
    }
    struct name *name = &names->all[names->count++];
    name->node = found->inode;
    name->length = (uint16_t)length;
    memcpy(name->text, found->name, (size_t)length);
    return 0;
}

static int ext_folder(uint64_t node, uint32_t from)
{
    struct names names = {.before = from};
    errcode_t error = node > UINT32_MAX ? EXT2_ET_BAD_INODE_NUM : ext2fs_check_directory(fs, (ext2_ino_t)node);
    int result = 0;
    if (!error)
        error = ext2fs_dir_iterate2(fs, (ext2_ino_t)node, DIRENT_FLAG_INCLUDE_EMPTY, NULL, take_name, &names);
    if (!error && names.blocks > BLOCKS_LIMIT)
        error = EXT2_ET_DIR_CORRUPTED;
    if (error)
        result = ext_wrong_inode(error, node);
    size_t place = put_later_u32(), i;
    for (i = 0; i < names.count && result == 0 && !answer_is_full(); i++) {
        put_bytes(names.all[i].text, names.all[i].length);
        error = put_entry(names.all[i].node);
        if (error)
            result = ext_wrong_inode(error, names.all[i].node);
    }
    put_now_u32(place, (uint32_t)i);
    put_u8(names.more || i < names.count);
    free(names.all);
    return result;
}

/* Extents of content, joined as they come. */
struct extents {
    uint32_t count;
    uint32_t steps;
    uint64_t logical, physical, length;
};

static void extent_end(struct extents *extents)
{
    if (extents->length == 0)
        return;
    device_share(extents->physical * fs->blocksize, extents->length * fs->blocksize);
    put_u64(extents->logical * fs->blocksize);
    put_u64(extents->physical * fs->blocksize);
    put_u64(extents->length * fs->blocksize);
    extents->count++;
    extents->length = 0;
}

static void extent_add(struct extents *extents, uint64_t logical, uint64_t physical, uint64_t length)
{
    if (extents->length > 0 && extents->logical + extents->length == logical
        && extents->physical + extents->length == physical) {
        extents->length += length;
        return;
    }
    extent_end(extents);
    extents->logical = logical;
    extents->physical = physical;
    extents->length = length;
}

static int take_block(ext2_filsys of, blk64_t *block, e2_blkcnt_t number, blk64_t at, int offset, void *to)
{
    struct extents *extents = to;
    (void)of, (void)at, (void)offset;
    if (extents->steps++ >= fs->super->s_blocks_count || extents->steps > 1u << 30)
        return BLOCK_ABORT | BLOCK_ERROR;
    extent_add(extents, (uint64_t)number, *block, 1);
    return 0;
}

static errcode_t put_tree(ext2_ino_t node, struct ext2_inode *inode, struct extents *extents)
{
    ext2_extent_handle_t handle;
    struct ext2fs_extent extent;
    errcode_t error = ext2fs_extent_open2(fs, node, inode, &handle);
    if (error)
        return error;
    error = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &extent);
    if (error == EXT2_ET_EXTENT_NOT_FOUND || error == EXT2_ET_EXTENT_NO_NEXT || error == EXT2_ET_EXTENT_NO_DOWN) {
        ext2fs_extent_free(handle);
        return 0;
    }
    while (!error) {
        int leaf = extent.e_flags & EXT2_EXTENT_FLAGS_LEAF, second = extent.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT;
        if (++extents->steps > STEPS_LIMIT) {
            error = EXT2_ET_EXTENT_HEADER_BAD;
            break;
        }
        if (leaf && !second && !(extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT))
            extent_add(extents, extent.e_lblk, extent.e_pblk, extent.e_len);
        error = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT, &extent);
    }
    ext2fs_extent_free(handle);
    return error == EXT2_ET_EXTENT_NO_NEXT ? 0 : error;
}

int put_map(uint64_t node)
{
    struct ext2_inode_large *inode;
    struct extents extents = {0, 0, 0, 0, 0};
    errcode_t error = inode_of(node, &inode);
    if (!error && !LINUX_S_ISREG(inode->i_mode))
        error = EXT2_ET_FILESYSTEM_CORRUPTED;
    if (error)
        return ext_wrong_inode(error, node);
    if (inode->i_flags & EXT4_ENCRYPT_FL)
        return fail(UNSUPPORTED, "it is encrypted");
    put_u8(!(inode->i_flags & EXT4_INLINE_DATA_FL));
    put_u64(EXT2_I_SIZE(inode));
    size_t place = put_later_u32();
    if (inode->i_flags & EXT4_INLINE_DATA_FL)
        return 0;
    if (inode->i_flags & EXT4_EXTENTS_FL)
        error = put_tree((ext2_ino_t)node, (struct ext2_inode *)inode, &extents);
    else
        error = ext2fs_block_iterate3(fs, (ext2_ino_t)node, BLOCK_FLAG_DATA_ONLY | BLOCK_FLAG_READ_ONLY, NULL,
                                      take_block, &extents);
    extent_end(&extents);
    put_now_u32(place, extents.count);
    return error ? ext_wrong_inode(error, node) : 0;
}

static int ext_map(uint64_t node, const uint8_t *stream, uint32_t length)
{
    (void)stream;
    return length ? fail(MISSING, "these file systems have no named streams") : put_map(node);
}

/* Only for what lies in its inode. */
static int ext_read(uint64_t node, const uint8_t *stream, uint32_t length, uint64_t offset, uint32_t count)
{
    struct ext2_inode_large *inode;
    ext2_file_t file;
    unsigned got = 0;
    errcode_t error = inode_of(node, &inode);
    (void)stream, (void)length;
    if (!error)
        error = ext2fs_file_open2(fs, (ext2_ino_t)node, (struct ext2_inode *)inode, 0, &file);
    if (error)
        return ext_wrong_inode(error, node);
    uint8_t *bytes = memory(count);
    error = ext2fs_file_llseek(file, offset, EXT2_SEEK_SET, NULL);
    if (!error)
        error = ext2fs_file_read(file, bytes, count, &got);
    ext2fs_file_close(file);
    put_bytes(bytes, got);
    free(bytes);
    return error ? ext_wrong_inode(error, node) : 0;
}

static int ext_close(void)
{
    errcode_t error = ext2fs_close_free(&fs);
    return error ? ext_wrong(error, "its last changes cannot be written") : 0;
}

const struct file_system ext = {ext_open, ext_folder, ext_entry, ext_map, ext_read, ext_make, ext_link, ext_remove,
    ext_describe, ext_size, ext_write, ext_grow, ext_close};
