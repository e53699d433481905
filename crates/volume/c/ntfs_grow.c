/* Growing NTFS: three things know its size.
 *
 *   boot sector   how many sectors; a copy lies in the last sector behind them
 *   $Bitmap       a bit for each cluster, in whole eight bytes; those that stand for nothing are set
 *   $BadClus      a hole as large as the volume
 *
 * The room that is added must read as zero: the longer $Bitmap lies in its beginning. */
#include "ntfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the boot sector has the number of sectors. */
#define SECTORS_AT 0x28

uint64_t ntfs_bytes(void)
{
    return (uint64_t)volume->nr_clusters << volume->cluster_size_bits;
}

/* The record of an attribute's first extent, in a search that the caller ends. */
static ATTR_RECORD *record_of(const ntfs_attr *data, ntfs_attr_search_ctx **search)
{
    *search = ntfs_attr_get_search_ctx(data->ni, NULL);
    if (!*search || ntfs_attr_lookup(data->type, data->name, data->name_len, CASE_SENSITIVE, 0, NULL, 0, *search))
        return NULL;
    return (*search)->attr;
}

/* Clusters from `lcn` on become the end of the $Bitmap, which is then `bytes` long. */
static int lengthen_bitmap(ntfs_attr *bitmap, LCN lcn, s64 clusters, s64 bytes)
{
    ntfs_attr_search_ctx *search;
    s64 had = bitmap->allocated_size >> volume->cluster_size_bits;
    if (clusters > 0) {
        /* The library takes runs to be in whole pages of memory. */
        runlist_element *more = memory(4096), *all;
        more[0] = (runlist_element){.vcn = had, .lcn = lcn, .length = clusters};
        more[1] = (runlist_element){.vcn = had + clusters, .lcn = LCN_ENOENT, .length = 0};
        all = ntfs_runlists_merge(bitmap->rl, more);
        if (!all)
            return -1;
        bitmap->rl = all;
        bitmap->allocated_size = (had + clusters) << volume->cluster_size_bits;
        if (ntfs_attr_update_mapping_pairs(bitmap, 0))
            return -1;
    }
    bitmap->data_size = bitmap->initialized_size = bytes;
    bitmap->ni->data_size = bytes;
    ATTR_RECORD *record = record_of(bitmap, &search);
    if (record) {
        record->data_size = record->initialized_size = cpu_to_sle64(bytes);
        NInoFileNameSetDirty(bitmap->ni);
        ntfs_inode_mark_dirty(search->ntfs_ino);
    }
    if (search)
        ntfs_attr_put_search_ctx(search);
    return record ? 0 : -1;
}

static int grow_bitmap(s64 old, s64 clusters)
{
    ntfs_attr *bitmap = volume->lcnbmp_na;
    s64 bytes = (clusters + 63) / 64 * 8;
    s64 room = bitmap->allocated_size;
    s64 more = bytes > room ? (bytes - room + volume->cluster_size - 1) >> volume->cluster_size_bits : 0;
    if (!NAttrNonResident(bitmap) || ntfs_attr_map_whole_runlist(bitmap) || bitmap->data_size * 8 < old) {
        errno = EIO;
        return -1;
    }
    s64 had = bitmap->data_size * 8 < clusters ? bitmap->data_size * 8 : clusters;
    if (lengthen_bitmap(bitmap, old, more, bytes) || (had > old && ntfs_bitmap_clear_run(bitmap, old, had - old))
        || (more > 0 && ntfs_bitmap_set_run(bitmap, old, more)))
        return -1;
    return bytes * 8 > clusters ? ntfs_bitmap_set_run(bitmap, clusters, bytes * 8 - clusters) : 0;
}

/* Writes the runs of $Bad, whose last is a hole, anew; its record must have room for them. */
static int write_bad(ntfs_attr *bad, s64 clusters)
{
    ntfs_attr_search_ctx *search;
    ATTR_RECORD *record = record_of(bad, &search);
    int result = -1, length = ntfs_get_size_for_mapping_pairs(volume, bad->rl, 0, 4096);
    if (record && length > 0) {
        uint16_t at = le16_to_cpu(record->mapping_pairs_offset);
        result = ntfs_attr_record_resize(search->mrec, record, (uint32_t)(at + length + 7) & ~7u);
        if (!result)
            result = ntfs_mapping_pairs_build(volume, (u8 *)record + at, length, bad->rl, 0, NULL);
        if (!result) {
            record->highest_vcn = cpu_to_sle64(clusters - 1);
            record->allocated_size = record->data_size = cpu_to_sle64(clusters << volume->cluster_size_bits);
            if (record->initialized_size)
                record->initialized_size = record->data_size;
            ntfs_inode_mark_dirty(search->ntfs_ino);
        }
    }
    if (search)
        ntfs_attr_put_search_ctx(search);
    return result;
}

static int grow_bad(s64 clusters)
{
    static ntfschar name[4] = {const_cpu_to_le16('$'), const_cpu_to_le16('B'), const_cpu_to_le16('a'), const_cpu_to_le16('d')};
    ntfs_inode *record = ntfs_inode_open(volume, FILE_BadClus);
    ntfs_attr *bad = record ? ntfs_attr_open(record, AT_DATA, name, 4) : NULL;
    int result = -1;
    if (bad && NAttrNonResident(bad) && !ntfs_attr_map_whole_runlist(bad) && bad->rl && bad->rl->length > 0) {
        runlist_element *last = bad->rl;
        while (last[1].length > 0)
            last++;
        errno = EOPNOTSUPP; /* Its last cluster is a bad one: no virtual disk has those. */
        if (last->lcn == LCN_HOLE) {
            last->length = clusters - last->vcn;
            last[1].vcn = clusters;
            result = write_bad(bad, clusters);
        }
    }
    if (bad)
        ntfs_attr_close(bad);
    return record && ntfs_inode_close(record) ? -1 : result;
}

/* Both boot sectors, for this many sectors. */
static int grow_boot(uint64_t sectors)
{
    uint8_t boot[4096];
    size_t length = volume->sector_size;
    if (length < 512 || length > sizeof boot || device_read(0, boot, length)) {
        errno = EIO;
        return -1;
    }
    memcpy(boot + SECTORS_AT, &sectors, 8);
    device_write(sectors * length, boot, length);
    device_write(0, boot, length);
    return 0;
}

int ntfs_grow(void)
{
    uint64_t sectors = device_size() / volume->sector_size - 1;
    s64 old = volume->nr_clusters;
    s64 clusters = (s64)(sectors * volume->sector_size) >> volume->cluster_size_bits;
    if (clusters > old) {
        volume->nr_clusters = clusters;
        if (grow_bitmap(old, clusters) || grow_bad(clusters) || grow_boot(sectors))
            return ntfs_wrong("it cannot be grown");
    }
    put_u64(ntfs_bytes());
    return 0;
}
