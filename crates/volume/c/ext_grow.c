/* Growing ext: the last group becomes whole, and new ones follow it.
 *
 *   groups  [0 │ 1 │ 2 ]                         descriptors of groups are at the beginning: each block of them has room for
 *           [0 │ 1 │ 2….│ 3* │ 4* │ 5* ]         some dozen groups, and more such blocks were reserved when it was made
 *
 * Bitmaps and inode tables of new groups are placed as the library places them in a new file system, those of one flexible
 * group together. Where groups carry checksums the new ones are marked as not yet begun: nothing of them is written then.
 * The room that is added must read as zero. */
#include "ext.h"

#include <string.h>

/* A last group with less room than this for content is left out; resize2fs does the same. */
#define LEAST 50

/* Blocks that hold descriptors, or are reserved for them. */
static blk64_t descriptor_blocks(void)
{
    blk64_t reserved = ext2fs_has_feature_resize_inode(fs->super) ? fs->super->s_reserved_gdt_blocks : 0;
    return fs->desc_blocks + reserved;
}

/* What the device has room for, as far as descriptors, numbers of inodes and numbers of blocks go. */
static blk64_t blocks_to_have(void)
{
    struct ext2_super_block *super = fs->super;
    blk64_t first = super->s_first_data_block, of_group = EXT2_BLOCKS_PER_GROUP(super);
    blk64_t groups = descriptor_blocks() * EXT2_DESC_PER_BLOCK(super);
    blk64_t blocks = device_size() / fs->blocksize;
    if (groups > UINT32_MAX / super->s_inodes_per_group)
        groups = UINT32_MAX / super->s_inodes_per_group;
    if (blocks > first + groups * of_group)
        blocks = first + groups * of_group;
    if (!ext2fs_has_feature_64bit(super) && blocks > UINT32_MAX)
        blocks = UINT32_MAX;
    if (blocks <= ext2fs_blocks_count(super))
        return ext2fs_blocks_count(super);
    blk64_t rest = (blocks - first) % of_group, taken = 2 + fs->inode_blocks_per_group;
    if (ext2fs_bg_has_super(fs, (dgrp_t)((blocks - first) / of_group)))
        taken += 1 + descriptor_blocks();
    return rest > 0 && rest < taken + LEAST ? blocks - rest : blocks;
}

/* Superblock, descriptors and bitmaps in memory become those of a file system of this many blocks. */
static errcode_t widen(blk64_t blocks)
{
    struct ext2_super_block *super = fs->super;
    blk64_t old = ext2fs_blocks_count(super), first = super->s_first_data_block;
    unsigned long old_desc_blocks = fs->desc_blocks;
    double reserved = (double)ext2fs_r_blocks_count(super) / (double)old;
    ext2fs_blocks_count_set(super, blocks);
    ext2fs_r_blocks_count_set(super, (blk64_t)(reserved * (double)blocks));
    super->s_overhead_clusters = 0; /* The kernel counts it anew. */
    fs->group_desc_count = (dgrp_t)((blocks - first + EXT2_BLOCKS_PER_GROUP(super) - 1) / EXT2_BLOCKS_PER_GROUP(super));
    fs->desc_blocks = (fs->group_desc_count + EXT2_DESC_PER_BLOCK(super) - 1) / EXT2_DESC_PER_BLOCK(super);
    super->s_inodes_count = super->s_inodes_per_group * fs->group_desc_count;
    if (fs->desc_blocks > old_desc_blocks) {
        size_t had = old_desc_blocks * fs->blocksize, has = (size_t)fs->desc_blocks * fs->blocksize;
        errcode_t error = ext2fs_resize_mem(had, has, &fs->group_desc);
        if (error)
            return error;
        memset((char *)fs->group_desc + had, 0, has - had);
        if (ext2fs_has_feature_resize_inode(super))
            super->s_reserved_gdt_blocks -= (uint16_t)(fs->desc_blocks - old_desc_blocks);
    }
    blk64_t last = EXT2_GROUPS_TO_BLOCKS(super, fs->group_desc_count) - 1 + first;
    errcode_t error = ext2fs_resize_inode_bitmap2(super->s_inodes_count, super->s_inodes_count, fs->inode_map);
    if (!error)
        error = ext2fs_resize_block_bitmap2(blocks - 1, last, fs->block_map);
    if (!error) /* What the last group had no blocks for may be marked. */
        for (blk64_t block = old; block < blocks && block % EXT2_BLOCKS_PER_GROUP(super) != first; block++)
            ext2fs_unmark_block_bitmap2(fs->block_map, block);
    return error;
}

/* An empty group behind all others. */
static errcode_t add_group(dgrp_t group)
{
    uint32_t inodes = fs->super->s_inodes_per_group;
    if (ext2fs_has_group_desc_csum(fs)) {
        int is_last = group == fs->group_desc_count - 1;
        ext2fs_bg_flags_set(fs, group, EXT2_BG_INODE_UNINIT | EXT2_BG_INODE_ZEROED | (is_last ? 0 : EXT2_BG_BLOCK_UNINIT));
        ext2fs_bg_itable_unused_set(fs, group, inodes);
    }
    ext2fs_bg_free_inodes_count_set(fs, group, inodes);
    fs->super->s_free_inodes_count += inodes;
    ext2fs_reserve_super_and_bgd(fs, group, fs->block_map);
    return ext2fs_allocate_group_table(fs, group, NULL);
}

/* Counts what is free from this group on, and all. */
static errcode_t count_free(dgrp_t from)
{
    blk64_t all = 0, used = 0;
    for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
        if (group >= from) {
            errcode_t error = ext2fs_count_used_clusters(fs, ext2fs_group_first_block2(fs, group),
                                                         ext2fs_group_last_block2(fs, group), &used);
            if (error)
                return error;
            ext2fs_bg_free_blocks_count_set(fs, group, (uint32_t)(ext2fs_group_blocks_count(fs, group) - used));
            ext2fs_group_desc_csum_set(fs, group);
        }
        all += ext2fs_bg_free_blocks_count(fs, group);
    }
    ext2fs_free_blocks_count_set(fs->super, all);
    return 0;
}

/* The inode that holds the blocks reserved for descriptors, told anew: some became descriptors, and new groups have
 * copies. */
static errcode_t renew_reserved(void)
{
    struct ext2_inode inode;
    if (!ext2fs_has_feature_resize_inode(fs->super))
        return 0;
    errcode_t error = ext2fs_read_inode(fs, EXT2_RESIZE_INO, &inode);
    if (error)
        return error;
    if (!inode.i_block[EXT2_DIND_BLOCK])
        return EXT2_ET_RESIZE_INODE_CORRUPT;
    ext2fs_iblk_set(fs, &inode, 1);
    error = ext2fs_write_inode(fs, EXT2_RESIZE_INO, &inode);
    if (!error)
        error = ext2fs_zero_blocks2(fs, inode.i_block[EXT2_DIND_BLOCK], 1, NULL, NULL);
    return error ? error : ext2fs_create_resize_inode(fs);
}

static errcode_t grow_to(blk64_t blocks)
{
    dgrp_t old = fs->group_desc_count, first = old - 1;
    if (ext2fs_has_feature_flex_bg(fs->super))
        first -= first % (1u << fs->super->s_log_groups_per_flex);
    errcode_t error = widen(blocks);
    for (dgrp_t group = old; group < fs->group_desc_count && !error; group++)
        error = add_group(group);
    if (!error)
        error = count_free(first);
    if (!error)
        error = renew_reserved();
    fs->flags &= ~EXT2_FLAG_MASTER_SB_ONLY; /* Every copy of the superblock and descriptors, this time. */
    ext2fs_mark_super_dirty(fs);
    ext2fs_mark_bb_dirty(fs);
    ext2fs_mark_ib_dirty(fs);
    return error;
}

uint64_t ext_bytes(void)
{
    return ext2fs_blocks_count(fs->super) * fs->blocksize;
}

int ext_grow(void)
{
    blk64_t blocks = blocks_to_have();
    if (ext2fs_has_feature_meta_bg(fs->super) || ext2fs_has_feature_sparse_super2(fs->super))
        return fail(UNSUPPORTED, "file systems with meta_bg or sparse_super2 are not grown here: use resize2fs in the system");
    if (blocks > ext2fs_blocks_count(fs->super)) {
        errcode_t error = grow_to(blocks);
        if (error)
            return ext_wrong(error, "it cannot be grown");
    }
    put_u64(ext_bytes());
    return 0;
}
