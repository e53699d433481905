/* Making, changing and removing entries of ext. */
#include "ext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Most links of a folder that every kernel takes. */
#define LINKS_LIMIT 64998

static errcode_t inode_write(ext2_ino_t node, struct ext2_inode_large *inode)
{
    return ext2fs_write_inode_full(fs, node, (struct ext2_inode *)inode, EXT2_INODE_SIZE(fs->super));
}

static void moment_split(const struct moment *moment, uint32_t *seconds, uint32_t *extra)
{
    uint64_t above = (uint64_t)(moment->seconds - (int64_t)(int32_t)moment->seconds) >> 32;
    *seconds = (uint32_t)moment->seconds;
    *extra = (uint32_t)(above & 3) | moment->nanoseconds << 2;
}

static int name_is_bad(const char *name)
{
    size_t length = strlen(name);
    return length == 0 || length > EXT2_NAME_LEN || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..");
}

/* EXT2_ET_DIR_EXISTS where a folder, which is made ready for it, has the name. */
static errcode_t name_is_free(ext2_ino_t folder, const char *name)
{
    ext2_ino_t scratch;
    errcode_t error = folder_ready(folder);
    if (!error)
        error = folder_find(folder, name, &scratch);
    return error == EXT2_ET_FILE_NOT_FOUND ? 0 : error ? error : EXT2_ET_DIR_EXISTS;
}

struct making {
    ext2_ino_t parent;
    const char *name;
    enum kind kind;
    uint32_t major, minor;
    const char *target;
};

static errcode_t make_folder(const struct making *making, ext2_ino_t node)
{
    struct ext2_inode parent;
    errcode_t error = ext2fs_read_inode(fs, making->parent, &parent);
    if (error)
        return error;
    if (parent.i_links_count >= LINKS_LIMIT)
        return EXT2_ET_DIR_NO_SPACE;
    error = ext2fs_mkdir(fs, making->parent, node, NULL);
    return error ? error : folder_add(making->parent, making->name, node, EXT2_FT_DIR);
}

static errcode_t make_link(const struct making *making, ext2_ino_t node)
{
    errcode_t error = ext2fs_symlink(fs, making->parent, node, NULL, making->target);
    return error ? error : folder_add(making->parent, making->name, node, EXT2_FT_SYMLINK);
}

static errcode_t make_other(const struct making *making, ext2_ino_t node)
{
    static const struct { uint16_t mode; int type; } types[] = {
        [FILE_] = {LINUX_S_IFREG, EXT2_FT_REG_FILE}, [CHARACTERS] = {LINUX_S_IFCHR, EXT2_FT_CHRDEV},
        [BLOCKS] = {LINUX_S_IFBLK, EXT2_FT_BLKDEV}, [PIPE] = {LINUX_S_IFIFO, EXT2_FT_FIFO},
        [SOCKET_] = {LINUX_S_IFSOCK, EXT2_FT_SOCK},
    };
    uint32_t major = making->major, minor = making->minor;
    struct ext2_inode inode;
    memset(&inode, 0, sizeof inode);
    inode.i_mode = types[making->kind].mode | 0600;
    inode.i_links_count = 1;
    if (making->kind == CHARACTERS || making->kind == BLOCKS) {
        /* Small numbers as ever; larger ones behind them. */
        if (major < 256 && minor < 256)
            inode.i_block[0] = major << 8 | minor;
        else
            inode.i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
    }
    if (making->kind == FILE_ && ext2fs_has_feature_extents(fs->super))
        inode.i_flags |= EXT4_EXTENTS_FL;
    errcode_t error = ext2fs_write_new_inode(fs, node, &inode);
    if (error)
        return error;
    if (inode.i_flags & EXT4_EXTENTS_FL) {
        ext2_extent_handle_t handle;
        error = ext2fs_extent_open2(fs, node, &inode, &handle); /* Writes the empty tree's header into the inode. */
        if (error)
            return error;
        ext2fs_extent_free(handle);
        error = ext2fs_write_inode(fs, node, &inode);
        if (error)
            return error;
    }
    error = folder_add(making->parent, making->name, node, types[making->kind].type);
    if (!error)
        ext2fs_inode_alloc_stats2(fs, node, +1, 0);
    return error;
}

int ext_make(struct request *request)
{
    struct making making;
    ext2_ino_t node;
    making.parent = (ext2_ino_t)take_u64(request);
    making.name = take_text(request);
    making.kind = take_u8(request);
    making.major = take_u32(request);
    making.minor = take_u32(request);
    making.target = take_text(request);
    if (name_is_bad(making.name) || making.kind < FOLDER || making.kind > SOCKET_)
        return fail(INVALID, "this name cannot be given to an entry");
    int mode = making.kind == FOLDER ? LINUX_S_IFDIR : LINUX_S_IFREG;
    errcode_t error = name_is_free(making.parent, making.name);
    if (error == EXT2_ET_DIR_EXISTS)
        return fail(INVALID, "there is an entry of this name already");
    if (!error)
        error = ext2fs_new_inode(fs, making.parent, mode, NULL, &node);
    if (!error && making.kind == FOLDER)
        error = make_folder(&making, node);
    else if (!error && making.kind == LINK)
        error = make_link(&making, node);
    else if (!error)
        error = make_other(&making, node);
    if (error)
        return ext_wrong(error, "the entry cannot be made");
    put_made(node);
    return 0;
}

static int type_of(uint16_t mode)
{
    static const int types[] = {[FOLDER] = EXT2_FT_DIR, [FILE_] = EXT2_FT_REG_FILE, [LINK] = EXT2_FT_SYMLINK,
        [CHARACTERS] = EXT2_FT_CHRDEV, [BLOCKS] = EXT2_FT_BLKDEV, [PIPE] = EXT2_FT_FIFO, [SOCKET_] = EXT2_FT_SOCK};
    return types[kind_of(mode)];
}

int ext_link(struct request *request)
{
    struct ext2_inode_large *inode;
    ext2_ino_t parent = (ext2_ino_t)take_u64(request);
    const char *name = take_text(request);
    uint64_t node = take_u64(request);
    errcode_t error = name_is_bad(name) ? EXT2_ET_DIR_EXISTS : name_is_free(parent, name);
    if (error == EXT2_ET_DIR_EXISTS)
        return fail(INVALID, "this name cannot be given to an entry, or is taken");
    if (error)
        return ext_wrong(error, "the name cannot be added");
    error = inode_of(node, &inode);
    if (error)
        return ext_wrong_inode(error, node);
    if (LINUX_S_ISDIR(inode->i_mode) || inode->i_links_count >= LINKS_LIMIT)
        return fail(INVALID, "it cannot have another name");
    int type = type_of(inode->i_mode);
    error = folder_add(parent, name, (ext2_ino_t)node, type);
    if (!error)
        error = inode_of(node, &inode);
    if (!error) {
        inode->i_links_count++;
        error = inode_write((ext2_ino_t)node, inode);
    }
    return error ? ext_wrong(error, "the name cannot be added") : 0;
}

static int take_any(ext2_ino_t folder, int entry, struct ext2_dir_entry *found, int offset, int blocksize, char *block, void *to)
{
    (void)folder, (void)offset, (void)blocksize, (void)block;
    if (entry != DIRENT_OTHER_FILE || found->inode == 0)
        return 0;
    *(int *)to = 1;
    return DIRENT_ABORT;
}

/* Frees what an inode that nothing names any more has. */
static errcode_t release(ext2_ino_t node, struct ext2_inode_large *inode, int is_folder)
{
    errcode_t error = 0;
    if (ext2fs_file_acl_block(fs, (struct ext2_inode *)inode))
        error = ext2fs_free_ext_attr(fs, node, inode);
    if (!error && ext2fs_inode_has_valid_blocks2(fs, (struct ext2_inode *)inode))
        error = ext2fs_punch(fs, node, (struct ext2_inode *)inode, NULL, 0, ~0ULL);
    if (error)
        return error;
    inode->i_links_count = 0;
    /* No clock is asked. A number below the count of inodes would be taken as a link in the list of orphans. */
    inode->i_dtime = inode->i_ctime < fs->super->s_inodes_count ? fs->super->s_inodes_count : inode->i_ctime;
    error = inode_write(node, inode);
    ext2fs_inode_alloc_stats2(fs, node, -1, is_folder);
    return error;
}

static errcode_t drop_link_to(ext2_ino_t folder)
{
    struct ext2_inode_large *inode;
    errcode_t error = inode_of(folder, &inode);
    if (error || inode->i_links_count <= 2)
        return error;
    inode->i_links_count--;
    return inode_write(folder, inode);
}

int ext_remove(struct request *request)
{
    ext2_ino_t parent = (ext2_ino_t)take_u64(request), node;
    const char *name = take_text(request);
    struct ext2_inode_large *inode;
    int is_full = 0;
    if (name_is_bad(name))
        return fail(INVALID, "no entry can have this name");
    errcode_t error = folder_ready(parent);
    if (!error)
        error = folder_find(parent, name, &node);
    if (!error)
        error = inode_of(node, &inode);
    if (error)
        return ext_wrong(error, "the entry cannot be found");
    int is_folder = LINUX_S_ISDIR(inode->i_mode);
    if (is_folder)
        error = ext2fs_dir_iterate2(fs, node, 0, NULL, take_any, &is_full);
    if (is_full)
        return fail(INVALID, "a folder that is not empty cannot be removed");
    if (!error)
        error = folder_drop(parent, name, node);
    if (!error)
        error = inode_of(node, &inode);
    if (!error && !is_folder && inode->i_links_count > 1) {
        inode->i_links_count--;
        error = inode_write(node, inode);
    } else if (!error) {
        error = release(node, inode, is_folder);
        if (!error && is_folder)
            error = drop_link_to(parent);
    }
    return error ? ext_wrong(error, "the entry cannot be removed") : 0;
}

struct kept {
    const char **names;
    uint32_t count;
    struct doomed {
        char text[512];
    } *doomed;
    uint32_t doomed_count;
};

static int take_doomed(char *name, char *value, size_t length, void *to)
{
    struct kept *kept = to;
    (void)value, (void)length;
    if (is_content(name))
        return 0;
    for (uint32_t i = 0; i < kept->count; i++)
        if (!strcmp(kept->names[i], name))
            return 0;
    kept->doomed = realloc(kept->doomed, (kept->doomed_count + 1) * sizeof *kept->doomed);
    if (!kept->doomed)
        _exit(OUT_OF_MEMORY);
    snprintf(kept->doomed[kept->doomed_count++].text, sizeof kept->doomed->text, "%s", name);
    return 0;
}

static errcode_t attributes_set(struct request *request, ext2_ino_t node)
{
    struct ext2_xattr_handle *handle;
    struct ext2_inode_large *inode;
    uint32_t count = take_u32(request);
    errcode_t error = inode_of(node, &inode);
    if (error)
        return error;
    if (count == 0 && !ext2fs_file_acl_block(fs, (struct ext2_inode *)inode) && extra_of(inode) == 0)
        return 0;
    if (count > 4096)
        return EXT2_ET_EA_NO_SPACE;
    const char *names[4096];
    const uint8_t *values[4096];
    uint32_t lengths[4096];
    for (uint32_t i = 0; i < count; i++) {
        names[i] = take_text(request);
        values[i] = take_bytes(request, &lengths[i]);
    }
    struct kept kept = {names, count, NULL, 0};
    error = attributes_open(node, &handle);
    if (error)
        return error;
    error = ext2fs_xattrs_iterate(handle, take_doomed, &kept);
    for (uint32_t i = 0; i < kept.doomed_count && !error; i++)
        error = ext2fs_xattr_remove(handle, kept.doomed[i].text);
    for (uint32_t i = 0; i < count && !error; i++)
        error = is_content(names[i]) ? EXT2_ET_INVALID_ARGUMENT : ext2fs_xattr_set(handle, names[i], values[i], lengths[i]);
    free(kept.doomed);
    ext2fs_xattrs_close(&handle);
    return error;
}

static void facts_into(const struct facts *facts, struct ext2_inode_large *inode)
{
    uint32_t scratch;
    int extra = extra_of(inode) >= 16, born = extra_of(inode) >= 24;
    inode->i_mode = (inode->i_mode & LINUX_S_IFMT) | (facts->mode & 07777);
    inode->i_uid = (uint16_t)facts->owner;
    ext2fs_set_i_uid_high(*inode, facts->owner >> 16);
    inode->i_gid = (uint16_t)facts->group;
    ext2fs_set_i_gid_high(*inode, facts->group >> 16);
    inode->i_flags = (inode->i_flags & ~FLAGS_KEPT) | (facts->flags & FLAGS_KEPT);
    moment_split(&facts->moments[MODIFIED], &inode->i_mtime, extra ? &inode->i_mtime_extra : &scratch);
    moment_split(&facts->moments[ACCESSED], &inode->i_atime, extra ? &inode->i_atime_extra : &scratch);
    moment_split(&facts->moments[CHANGED], &inode->i_ctime, extra ? &inode->i_ctime_extra : &scratch);
    if (born)
        moment_split(&facts->moments[BORN], &inode->i_crtime, &inode->i_crtime_extra);
}

int ext_describe(struct request *request)
{
    struct facts facts;
    struct ext2_inode_large *inode;
    uint64_t node = take_node(request);
    uint32_t scratch;
    take_u64(request);
    take_bytes(request, &scratch);
    take_facts(request, &facts);
    if (node > UINT32_MAX)
        return fail(INVALID, "there is no such inode");
    errcode_t error = attributes_set(request, (ext2_ino_t)node);
    if (!error)
        error = inode_of(node, &inode);
    if (!error) {
        facts_into(&facts, inode);
        error = inode_write((ext2_ino_t)node, inode);
    }
    return error ? ext_wrong_inode(error, node) : 0;
}

/* Gives a file a new size and blocks for the ranges that hold data; the parent writes what is in them. */
int ext_size(struct request *request)
{
    struct ext2_inode_large *inode;
    uint64_t node = take_node(request), size;
    uint32_t length, count;
    take_bytes(request, &length);
    size = take_u64(request);
    count = take_u32(request);
    errcode_t error = inode_of(node, &inode);
    if (!error && (!LINUX_S_ISREG(inode->i_mode) || length || (inode->i_flags & EXT4_INLINE_DATA_FL)))
        return fail(INVALID, "only files have content, and those kept in an inode are replaced whole");
    if (!error)
        error = ext2fs_punch(fs, (ext2_ino_t)node, (struct ext2_inode *)inode, NULL, 0, ~0ULL);
    if (!error)
        error = ext2fs_inode_size_set(fs, (struct ext2_inode *)inode, size);
    if (!error)
        error = inode_write((ext2_ino_t)node, inode);
    for (uint32_t i = 0; i < count && !error; i++) {
        uint64_t start = take_u64(request), bytes = take_u64(request), block = fs->blocksize;
        if (start % block || bytes > (1ULL << 50) || start > (1ULL << 50))
            return fail(INVALID, "a range does not begin with a block");
        error = ext2fs_fallocate(fs, EXT2_FALLOCATE_FORCE_INIT, (ext2_ino_t)node, NULL, ~0ULL, start / block,
                                 (bytes + block - 1) / block);
    }
    return error ? ext_wrong_inode(error, node) : put_map(node);
}

int ext_write(struct request *request)
{
    (void)request;
    return fail(INVALID, "content is written where the map says");
}
