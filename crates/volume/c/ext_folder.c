/* Names in folders of ext: found, added and taken away. What libext2fs has for this reads a folder from its first block on each
 * time, so long folders have the index that the kernel makes for them (htree), and a name is looked for where its hash says:
 *
 *   block 0   "." ".." │ which hash, levels │ limit, count │ block │ hash, block │ hash, block …     the root of the index
 *   block n   an empty entry │ limit, count │ block │ hash, block …                               a level between, where needed
 *   block m   entries in no order: those of hashes from its own in the index up to that of the next
 *
 * A hash with its lowest bit set says that entries of the hash below it go on there. Layout:
 * https://docs.kernel.org/filesystems/ext4/directory.html
 */
#include "ext.h"

#include <stdlib.h>
#include <string.h>

/* Blocks of a folder that is read whole, to its end, rather than given an index: lost+found has no more. */
#define SHORT 16u
/* Bytes of a folder that are kept in memory while it is given an index; longer ones are left as they are. */
#define LONG (32u << 20)
/* Where the root of an index has its description, and its entries. */
#define ROOT 24u
#define ROOT_ENTRIES 32u
#define BLOCK_OF_INDEX 0x0fffffffu
/* Blocks that are looked at for one name, at most: so many have the same hash only where somebody made them so. */
#define LOOKS 4096u

struct search {
    ext2_ino_t folder;
    struct ext2_inode inode;
    const char *name;
    size_t length;
    ext2_dirhash_t hash;
    unsigned levels, looks;
    /* Where it is: a block in memory, an entry in that, and the one before in the same block. */
    blk64_t block;
    uint8_t *bytes;
    struct ext2_dir_entry *found, *before;
};

static int has_index(const struct ext2_inode *folder)
{
    return ext2fs_has_feature_dir_index(fs->super) && (folder->i_flags & EXT2_INDEX_FL);
}

/* A block in memory for each level of an index, and for entries. */
static uint8_t *room(unsigned level)
{
    static uint8_t *blocks[EXT4_HTREE_LEVEL + 1];
    if (!blocks[level])
        blocks[level] = memory(fs->blocksize);
    return blocks[level];
}

static errcode_t load(ext2_ino_t folder, struct ext2_inode *inode, uint64_t number, uint8_t *bytes, blk64_t *block)
{
    int flags = 0;
    errcode_t error = ext2fs_bmap2(fs, folder, inode, NULL, 0, number, &flags, block);
    if (!error && (*block == 0 || (flags & BMAP_RET_UNINIT)))
        error = EXT2_ET_DIR_CORRUPTED;
    return error ? error : ext2fs_read_dir_block4(fs, *block, bytes, 0, folder);
}

/* The same for a search, which looks at no more blocks than the folder has. */
static errcode_t look(struct search *search, uint64_t number, uint8_t *bytes, blk64_t *block)
{
    if (search->looks == LOOKS || search->looks == EXT2_I_SIZE(&search->inode) / fs->blocksize)
        return EXT2_ET_DIR_CORRUPTED;
    search->looks++;
    return load(search->folder, &search->inode, number, bytes, block);
}

/* The entry at a place of a block, and in `length` its bytes; NULL where there can be none. */
static struct ext2_dir_entry *entry_at(uint8_t *bytes, unsigned at, unsigned *length)
{
    struct ext2_dir_entry *entry = (void *)(bytes + at);
    if (at + 8 > fs->blocksize || ext2fs_get_rec_len(fs, entry, length) || *length < 8 || *length % 4
        || *length > fs->blocksize - at || (unsigned)ext2fs_dirent_name_len(entry) + 8 > *length)
        return NULL;
    return entry;
}

static int is_named(const struct ext2_dir_entry *entry, const char *name, size_t length)
{
    return entry->inode && (size_t)ext2fs_dirent_name_len(entry) == length && !memcmp(entry->name, name, length);
}

static errcode_t find_in_entries(struct search *search, uint32_t number)
{
    unsigned length;
    search->bytes = room(EXT4_HTREE_LEVEL);
    search->before = NULL;
    errcode_t error = look(search, number, search->bytes, &search->block);
    for (unsigned at = 0; !error && at < fs->blocksize; at += length) {
        search->found = entry_at(search->bytes, at, &length);
        if (!search->found)
            return EXT2_ET_DIR_CORRUPTED;
        if (is_named(search->found, search->name, search->length))
            return 0;
        search->before = search->found;
    }
    return error ? error : EXT2_ET_FILE_NOT_FOUND;
}

/* Takes from the root how many levels there are, and which hash is meant. */
static errcode_t take_root(struct search *search, const uint8_t *bytes)
{
    const struct ext2_dx_root_info *root = (const void *)(bytes + ROOT);
    int hash = root->hash_version;
    if (root->indirect_levels >= ext2_dir_htree_level(fs))
        return EXT2_ET_DIR_CORRUPTED;
    if (hash > EXT2_HASH_TEA)
        return EXT2_ET_DIRHASH_UNSUPP;
    if (fs->super->s_flags & EXT2_FLAGS_UNSIGNED_HASH)
        hash += EXT2_HASH_LEGACY_UNSIGNED;
    search->levels = root->indirect_levels;
    return ext2fs_dirhash(hash, search->name, (int)search->length, fs->super->s_hash_seed, &search->hash, NULL);
}

/* Below a block of the index; level 0 is its root. */
static errcode_t find_below(struct search *search, uint32_t number, unsigned level)
{
    struct ext2_dx_countlimit *head;
    blk64_t scratch;
    uint8_t *bytes = room(level);
    errcode_t error = look(search, number, bytes, &scratch);
    if (!error && level == 0)
        error = take_root(search, bytes);
    if (!error)
        error = ext2fs_get_dx_countlimit(fs, (void *)bytes, &head, NULL);
    if (error)
        return error;
    const struct ext2_dx_entry *entries = (const void *)head;
    unsigned count = head->count, at = 0;
    if (count == 0 || count > head->limit)
        return EXT2_ET_DIR_CORRUPTED;
    /* The last whose hash is not above; the first has none. */
    for (unsigned end = count; end - at > 1;) {
        unsigned middle = at + (end - at) / 2;
        if (entries[middle].hash <= search->hash)
            at = middle;
        else
            end = middle;
    }
    do {
        uint32_t next = entries[at].block & BLOCK_OF_INDEX;
        error = level < search->levels ? find_below(search, next, level + 1) : find_in_entries(search, next);
    } while (error == EXT2_ET_FILE_NOT_FOUND && ++at < count && entries[at].hash == (search->hash | 1));
    return error;
}

errcode_t folder_find(ext2_ino_t folder, const char *name, ext2_ino_t *node)
{
    struct search search = {.folder = folder, .name = name, .length = strlen(name)};
    errcode_t error = ext2fs_read_inode(fs, folder, &search.inode);
    if (error)
        return error;
    if (!has_index(&search.inode))
        return ext2fs_lookup(fs, folder, name, (int)search.length, NULL, node);
    error = find_below(&search, 0, 0);
    if (!error)
        *node = search.found->inode;
    return error;
}

/* Joins its room to that of the entry before it. The index stays as it is, with room where the name was. */
static errcode_t take_away(struct search *search)
{
    unsigned before, length;
    errcode_t error = 0;
    if (!search->before) {
        search->found->inode = 0;
    } else {
        error = ext2fs_get_rec_len(fs, search->before, &before);
        if (!error)
            error = ext2fs_get_rec_len(fs, search->found, &length);
        if (!error)
            error = ext2fs_set_rec_len(fs, before + length, search->before);
    }
    return error ? error : ext2fs_write_dir_block4(fs, search->block, search->bytes, 0, search->folder);
}

errcode_t folder_drop(ext2_ino_t folder, const char *name, ext2_ino_t node)
{
    struct search search = {.folder = folder, .name = name, .length = strlen(name)};
    errcode_t error = ext2fs_read_inode(fs, folder, &search.inode);
    if (error)
        return error;
    if (!has_index(&search.inode))
        return ext2fs_unlink(fs, folder, name, node, 0);
    error = find_below(&search, 0, 0);
    return error ? error : take_away(&search);
}

/* Whether an index can be made for a folder that has none. */
static int may_have_index(const struct ext2_inode *folder)
{
    uint64_t size = EXT2_I_SIZE(folder);
    return ext2fs_has_feature_dir_index(fs->super) && !(folder->i_flags & (EXT2_INDEX_FL | EXT4_INLINE_DATA_FL))
        && fs->super->s_def_hash_version <= EXT2_HASH_TEA && fs->blocksize < 65536 && size > 0 && size <= LONG
        && size % fs->blocksize == 0;
}

/* Adds to a folder what is in the blocks that it had. */
static errcode_t add_again(ext2_ino_t folder, uint8_t *bytes, uint64_t blocks)
{
    char name[EXT2_NAME_LEN + 1];
    errcode_t error = 0;
    for (uint64_t number = 0; number < blocks; number++) {
        unsigned length;
        for (unsigned at = 0; at < fs->blocksize && !error; at += length) {
            const struct ext2_dir_entry *entry = entry_at(bytes + number * fs->blocksize, at, &length);
            if (!entry)
                return EXT2_ET_DIR_CORRUPTED;
            if (entry->inode == 0 || is_named(entry, ".", 1) || is_named(entry, "..", 2))
                continue;
            size_t size = (size_t)ext2fs_dirent_name_len(entry);
            memcpy(name, entry->name, size);
            name[size] = 0;
            if (size == 0 || strlen(name) != size)
                return EXT2_ET_DIR_CORRUPTED;
            error = ext2fs_link(fs, folder, name, entry->inode, ext2fs_dirent_file_type(entry));
        }
    }
    return error;
}

/* Makes "." and "..", which the block begins with, the root of an index of one block. */
static errcode_t put_root(uint8_t *bytes)
{
    struct ext2_dir_entry *self = (void *)bytes, *above = (void *)(bytes + 12);
    if (self->rec_len != 12 || !is_named(self, ".", 1) || !is_named(above, "..", 2))
        return EXT2_ET_DIR_CORRUPTED;
    memset(bytes + ROOT, 0, fs->blocksize - ROOT);
    struct ext2_dx_root_info *root = (void *)(bytes + ROOT);
    struct ext2_dx_countlimit *head = (void *)(bytes + ROOT_ENTRIES);
    struct ext2_dx_entry *first = (void *)head;
    size_t tail = ext2fs_has_feature_metadata_csum(fs->super) ? sizeof(struct ext2_dx_tail) : 0;
    root->hash_version = fs->super->s_def_hash_version;
    root->info_length = sizeof *root;
    head->limit = (uint16_t)((fs->blocksize - ROOT_ENTRIES - tail) / sizeof *first);
    head->count = 1;
    first->block = 1;
    return ext2fs_set_rec_len(fs, fs->blocksize - 12, above);
}

/* Leaves of a folder an index of one block, which is empty. `bytes` is its first block. */
static errcode_t empty(ext2_ino_t folder, struct ext2_inode *inode, uint8_t *bytes)
{
    blk64_t block = 0;
    errcode_t error = put_root(bytes);
    if (!error && EXT2_I_SIZE(inode) > fs->blocksize)
        error = ext2fs_punch(fs, folder, inode, NULL, 1, ~0ULL);
    if (!error)
        error = ext2fs_inode_size_set(fs, inode, fs->blocksize);
    if (!error)
        error = ext2fs_write_inode(fs, folder, inode);
    if (!error)
        error = ext2fs_expand_dir(fs, folder);
    if (!error)
        error = ext2fs_read_inode(fs, folder, inode);
    if (!error)
        error = ext2fs_bmap2(fs, folder, inode, NULL, 0, 0, NULL, &block);
    if (!error)
        error = ext2fs_write_dir_block4(fs, block, bytes, 0, folder);
    if (error)
        return error;
    inode->i_flags |= EXT2_INDEX_FL;
    return ext2fs_write_inode(fs, folder, inode);
}

/* Gives a folder an index: its entries are taken out and put in again. */
static errcode_t make_index(ext2_ino_t folder, struct ext2_inode *inode)
{
    uint64_t blocks = EXT2_I_SIZE(inode) / fs->blocksize;
    uint8_t *bytes = memory(blocks * fs->blocksize), *first = room(0);
    blk64_t scratch;
    errcode_t error = 0;
    for (uint64_t number = 0; number < blocks && !error; number++)
        error = load(folder, inode, number, bytes + number * fs->blocksize, &scratch);
    if (!error) {
        memcpy(first, bytes, fs->blocksize);
        error = empty(folder, inode, first);
    }
    if (!error)
        error = add_again(folder, bytes, blocks);
    free(bytes);
    return error;
}

errcode_t folder_ready(ext2_ino_t folder)
{
    struct ext2_inode inode;
    errcode_t error = ext2fs_check_directory(fs, folder);
    if (!error)
        error = ext2fs_read_inode(fs, folder, &inode);
    if (error || !may_have_index(&inode) || EXT2_I_SIZE(&inode) <= (uint64_t)SHORT * fs->blocksize)
        return error;
    return make_index(folder, &inode);
}

errcode_t folder_add(ext2_ino_t folder, const char *name, ext2_ino_t node, int type)
{
    struct ext2_inode inode;
    errcode_t error = ext2fs_link(fs, folder, name, node, type), missing;
    if (error != EXT2_ET_DIR_NO_SPACE)
        return error;
    if ((missing = ext2fs_read_inode(fs, folder, &inode)))
        return missing;
    if (has_index(&inode))
        return error;
    /* As the kernel does it, when the first block is full. */
    if (may_have_index(&inode) && EXT2_I_SIZE(&inode) == fs->blocksize)
        error = make_index(folder, &inode);
    else
        error = ext2fs_expand_dir(fs, folder);
    return error ? error : ext2fs_link(fs, folder, name, node, type);
}
