/* Making, changing and removing entries of NTFS. */
#include "ntfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Records below are those of the file system itself. */
#define NODE_FIRST_USER 24u

static uint64_t ticks_of(const struct moment *moment)
{
    return (uint64_t)(moment->seconds + EPOCH) * TICKS + moment->nanoseconds / 100;
}

/* A name as a request carries it. */
struct text {
    ntfschar text[NTFS_MAX_NAME_LEN];
    uint8_t length;
};

static int take_name_text(struct request *request, struct text *name)
{
    uint32_t length;
    const uint8_t *bytes = take_bytes(request, &length);
    if (length == 0 || length % 2 || length / 2 > NTFS_MAX_NAME_LEN)
        return fail(INVALID, "no entry can have this name");
    memcpy(name->text, bytes, length);
    name->length = (uint8_t)(length / 2);
    for (unsigned i = 0; i < name->length; i++)
        if (name->text[i] == 0 || name->text[i] == const_cpu_to_le16('/'))
            return fail(INVALID, "no entry can have this name");
    return 0;
}

int ntfs_make(struct request *request)
{
    struct text name;
    uint64_t parent = take_u64(request);
    if (take_name_text(request, &name))
        return -1;
    enum kind kind = take_u8(request);
    if (kind != FOLDER && kind != FILE_)
        return fail(INVALID, "NTFS has files and folders only");
    ntfs_inode *folder = ntfs_inode_open(volume, parent);
    if (!folder)
        return ntfs_wrong_record(parent);
    ntfs_inode *made = NULL;
    if (ntfs_inode_lookup_by_name(folder, name.text, name.length) != (u64)-1)
        errno = EEXIST;
    else
        made = ntfs_create(folder, const_cpu_to_le32(0), name.text, name.length, kind == FOLDER ? S_IFDIR : S_IFREG);
    int result = made ? 0 : ntfs_wrong("the entry cannot be made");
    if (made) {
        put_made(made->mft_no);
        if (ntfs_inode_close_in_dir(made, folder))
            result = ntfs_wrong("the entry cannot be made");
    }
    if (ntfs_inode_close(folder) && !result)
        result = ntfs_wrong_record(parent);
    return result;
}

int ntfs_add_name(struct request *request)
{
    struct text name;
    uint64_t parent = take_u64(request);
    if (take_name_text(request, &name))
        return -1;
    uint64_t node = take_u64(request);
    ntfs_inode *record = node < NODE_FIRST_USER ? NULL : ntfs_inode_open(volume, node);
    if (!record)
        return ntfs_wrong_record(node);
    ntfs_inode *folder = ntfs_inode_open(volume, parent);
    int result = 0;
    if (!folder)
        result = ntfs_wrong_record(parent);
    else if (is_folder(record))
        result = fail(INVALID, "a folder has one name");
    else if (ntfs_link(record, folder, name.text, name.length))
        result = ntfs_wrong("the name cannot be added");
    if (ntfs_inode_close_in_dir(record, folder ? folder : record) && !result)
        result = ntfs_wrong_record(node);
    if (folder && ntfs_inode_close(folder) && !result)
        result = ntfs_wrong_record(parent);
    return result;
}

int ntfs_remove(struct request *request)
{
    struct text name;
    uint64_t parent = take_u64(request);
    if (take_name_text(request, &name))
        return -1;
    ntfs_inode *folder = ntfs_inode_open(volume, parent);
    if (!folder)
        return ntfs_wrong_record(parent);
    u64 found = ntfs_inode_lookup_by_name(folder, name.text, name.length);
    ntfs_inode *record = NULL;
    if (found != (u64)-1 && MREF(found) >= NODE_FIRST_USER)
        record = ntfs_inode_open(volume, MREF(found));
    if (!record) {
        ntfs_inode_close(folder);
        errno = ENOENT;
        return ntfs_wrong("the entry cannot be found");
    }
    /* Closes both, whatever happens. */
    return ntfs_delete(volume, NULL, record, folder, name.text, name.length) ? ntfs_wrong("the entry cannot be removed") : 0;
}

/* The attributes that a request brings; what it lacks is removed. */
struct wanted {
    const uint8_t *bytes[7];
    uint32_t lengths[7];
};
enum { DESCRIPTOR, ATTRIBUTES, DOS_NAME, EAS, OBJECT_ID, REPARSE, VERSIONS, WANTED };

static int take_wanted(struct request *request, struct wanted *wanted)
{
    static const char *const names[WANTED] = {"system.ntfs_acl", "system.ntfs_attrib", "system.ntfs_dos_name",
        "system.ntfs_ea", "system.ntfs_object_id", "system.ntfs_reparse_data", "system.ntfs_versions"};
    memset(wanted, 0, sizeof *wanted);
    for (uint32_t count = take_u32(request); count > 0; count--) {
        const char *name = take_text(request);
        uint32_t length;
        const uint8_t *bytes = take_bytes(request, &length);
        int known = 0;
        while (known < WANTED && strcmp(names[known], name))
            known++;
        if (known == WANTED || length == 0 || (known == VERSIONS && length != VERSIONS_LENGTH))
            return fail(INVALID, "NTFS has no such attribute");
        wanted->bytes[known] = bytes;
        wanted->lengths[known] = length;
    }
    return 0;
}

/* Does nothing where the name is right already, or where none is wanted for one of several names: the name for DOS may belong to another
 * of them in this folder, and the library removes none then. The library closes both records. */
static int set_dos_name(uint64_t node, uint64_t parent, const struct wanted *wanted)
{
    ntfs_inode *record = ntfs_inode_open(volume, node), *folder = record ? ntfs_inode_open(volume, parent) : NULL;
    if (!record || !folder) {
        if (record)
            ntfs_inode_close(record);
        return ntfs_wrong_record(node);
    }
    uint32_t now = (uint32_t)dos_name_of(record, parent);
    int is_right = now == wanted->lengths[DOS_NAME] && (now == 0 || !memcmp(value, wanted->bytes[DOS_NAME], now));
    if (is_right || (wanted->lengths[DOS_NAME] == 0 && links_of(record) > 1)) {
        ntfs_inode_close(folder);
        return ntfs_inode_close(record) ? ntfs_wrong_record(node) : 0;
    }
    if (wanted->lengths[DOS_NAME] == 0)
        return ntfs_remove_ntfs_dos_name(record, folder) ? ntfs_wrong("the name for DOS cannot be removed") : 0;
    return ntfs_set_ntfs_dos_name(record, folder, (const char *)wanted->bytes[DOS_NAME], wanted->lengths[DOS_NAME], 0)
        ? ntfs_wrong("the name for DOS cannot be set") : 0;
}

typedef int (*remover)(ntfs_inode *);
typedef int (*setter)(ntfs_inode *, const char *, size_t, int);

static int set_or_remove(ntfs_inode *record, ATTR_TYPES type, const struct wanted *wanted, int which, setter set, remover remove)
{
    if (wanted->lengths[which])
        return set(record, (const char *)wanted->bytes[which], wanted->lengths[which], 0);
    return ntfs_attr_exist(record, type, AT_UNNAMED, 0) ? remove(record) : 0;
}

static int set_object_id(ntfs_inode *record, const char *bytes, size_t length, int flags)
{
    return ntfs_set_ntfs_object_id(record, bytes, length, flags);
}

static int set_attributes(ntfs_inode *record, const struct wanted *wanted)
{
    const char *acl = (const char *)wanted->bytes[DESCRIPTOR], *bits = (const char *)wanted->bytes[ATTRIBUTES];
    if (acl && ntfs_set_ntfs_acl(&security, record, acl, wanted->lengths[DESCRIPTOR], 0))
        return ntfs_wrong("the security descriptor cannot be set");
    if (set_or_remove(record, AT_EA, wanted, EAS, ntfs_set_ntfs_ea, ntfs_remove_ntfs_ea))
        return ntfs_wrong("the extended attributes cannot be set");
    if (set_or_remove(record, AT_OBJECT_ID, wanted, OBJECT_ID, set_object_id, ntfs_remove_ntfs_object_id))
        return ntfs_wrong("the object id cannot be set");
    if (set_or_remove(record, AT_REPARSE_POINT, wanted, REPARSE, ntfs_set_ntfs_reparse_data, ntfs_remove_ntfs_reparse_data))
        return ntfs_wrong("the reparse point cannot be set");
    if (bits && ntfs_set_ntfs_attrib(record, bits, wanted->lengths[ATTRIBUTES], 0))
        return ntfs_wrong("the attributes cannot be set");
    return 0;
}

static int set_versions(ntfs_inode *record, const struct wanted *wanted)
{
    static const uint8_t none[VERSIONS_LENGTH];
    const uint8_t *to_be = wanted->lengths[VERSIONS] ? wanted->bytes[VERSIONS] : none;
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(record, NULL);
    uint8_t *versions = search ? versions_of(search) : NULL;
    if (versions && memcmp(versions, to_be, VERSIONS_LENGTH)) {
        memcpy(versions, to_be, VERSIONS_LENGTH);
        ntfs_inode_mark_dirty(search->ntfs_ino);
    }
    if (search)
        ntfs_attr_put_search_ctx(search);
    return versions ? 0 : ntfs_wrong_record(record->mft_no);
}

/* The library sets three times and stamps the fourth: it is put right behind it. */
static int set_times(ntfs_inode *record, const struct facts *facts)
{
    uint64_t ticks[MOMENTS];
    for (int i = 0; i < MOMENTS; i++)
        ticks[i] = ticks_of(&facts->moments[order[i]]);
    if (ntfs_inode_set_times(record, (const char *)ticks, 24, 0))
        return ntfs_wrong_record(record->mft_no);
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(record, NULL);
    if (!search)
        return ntfs_wrong_record(record->mft_no);
    if (ntfs_attr_lookup(AT_STANDARD_INFORMATION, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, search) == 0) {
        STANDARD_INFORMATION *about = (void *)((uint8_t *)search->attr + le16_to_cpu(search->attr->value_offset));
        about->last_mft_change_time = cpu_to_sle64((s64)ticks[3]);
        record->last_mft_change_time = about->last_mft_change_time;
        ntfs_inode_mark_dirty(search->ntfs_ino);
    }
    ntfs_attr_put_search_ctx(search);
    return 0;
}

int ntfs_describe(struct request *request)
{
    struct wanted wanted;
    struct facts facts;
    uint32_t length;
    uint64_t node = take_node(request), parent = take_u64(request);
    take_bytes(request, &length);
    take_facts(request, &facts);
    if (take_wanted(request, &wanted))
        return -1;
    if (node != FILE_root && node < NODE_FIRST_USER)
        return fail(INVALID, "files of the file system itself are not changed");
    if (node != FILE_root && set_dos_name(node, parent, &wanted))
        return -1;
    ntfs_inode *record = ntfs_inode_open(volume, node);
    if (!record)
        return ntfs_wrong_record(node);
    int result = set_attributes(record, &wanted);
    if (!result)
        result = set_versions(record, &wanted);
    if (!result)
        result = set_times(record, &facts);
    if (ntfs_inode_close(record) && !result)
        result = ntfs_wrong_record(node);
    return result;
}

/* An empty stream of this name, compressed or not. */
static ntfs_attr *stream_anew(ntfs_inode *record, ntfschar *name, uint32_t length, int compressed)
{
    ATTR_FLAGS flags = compressed ? ATTR_IS_COMPRESSED : const_cpu_to_le16(0);
    ntfs_attr *data = ntfs_attr_open(record, AT_DATA, name, length);
    if (!data) {
        if (ntfs_attr_add(record, AT_DATA, name, (u8)length, NULL, 0))
            return NULL;
        data = ntfs_attr_open(record, AT_DATA, name, length);
    }
    if (!data || ntfs_attr_truncate(data, 0))
        return NULL;
    if (((data->data_flags ^ flags) & ATTR_COMPRESSION_MASK) == 0)
        return data;
    ntfs_attr_close(data);
    /* The library believes the file's bit, not that of its empty content. */
    if (length == 0)
        record->flags = compressed ? record->flags | FILE_ATTR_COMPRESSED : record->flags & ~FILE_ATTR_COMPRESSED;
    if (ntfs_attr_set_flags(record, AT_DATA, name, (u8)length, flags, ATTR_COMPRESSION_MASK))
        return NULL;
    return ntfs_attr_open(record, AT_DATA, name, length);
}

/* Clusters for all of a stream, and no holes. The library takes one piece of free space in each stretch of the disk, and says that
 * the disk is full where those are not enough: less at once always finds what is free. */
static int grow_solid(ntfs_attr *data, s64 size)
{
    s64 stride = size, cluster = (s64)volume->cluster_size;
    if (!ntfs_attr_truncate_solid(data, size))
        return 0;
    while (errno == ENOSPC && stride > cluster) {
        stride = (stride / 2 + cluster - 1) / cluster * cluster;
        s64 end = data->data_size;
        while (end < size && !ntfs_attr_truncate_solid(data, size - end > stride ? end + stride : size))
            end = data->data_size;
        if (end == size)
            return 0;
    }
    return -1;
}

/* Clusters for all of an empty stream, which count as written: the parent writes them. Streams that are small enough stay
 * among metadata. */
static int allocate(ntfs_attr *data, uint64_t size)
{
    if (grow_solid(data, (s64)size))
        return -1;
    if (!NAttrNonResident(data))
        return 0;
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(data->ni, NULL);
    if (!search)
        return -1;
    int missing = ntfs_attr_lookup(data->type, data->name, data->name_len, CASE_SENSITIVE, 0, NULL, 0, search);
    if (!missing) {
        data->initialized_size = (s64)size;
        search->attr->initialized_size = cpu_to_sle64((s64)size);
        ntfs_inode_mark_dirty(search->ntfs_ino);
    }
    ntfs_attr_put_search_ctx(search);
    return missing ? -1 : ntfs_attr_map_whole_runlist(data);
}

struct sizing {
    uint64_t node, size, covered;
    ntfschar name[NTFS_MAX_NAME_LEN];
    uint32_t length;
    int compressed;
};

static int take_sizing(struct request *request, struct sizing *sizing)
{
    uint32_t length;
    sizing->node = take_node(request);
    const uint8_t *name = take_bytes(request, &length);
    sizing->size = take_u64(request);
    sizing->covered = 0;
    for (uint32_t count = take_u32(request); count > 0; count--) {
        take_u64(request);
        sizing->covered += take_u64(request);
    }
    sizing->compressed = take_u8(request);
    sizing->length = length / 2;
    if (length % 2 || sizing->length > NTFS_MAX_NAME_LEN || sizing->node < NODE_FIRST_USER)
        return fail(INVALID, "no stream can have this name");
    memcpy(sizing->name, name, length);
    return 0;
}

/* Gives a stream a new size. One that is whole and not compressed is answered with where its content goes; any other is
 * written through here. */
static int size_stream(ntfs_inode *record, struct sizing *sizing)
{
    uint64_t size = sizing->size;
    ntfschar *name = sizing->length ? sizing->name : AT_UNNAMED;
    ntfs_attr *data = size > INT64_MAX ? NULL : stream_anew(record, name, sizing->length, sizing->compressed);
    if (!data)
        return ntfs_wrong_record(sizing->node);
    int whole = size > 0 && sizing->covered == size && !sizing->compressed, result = 0;
    if (whole ? allocate(data, size) : sizing->covered < size && ntfs_attr_truncate(data, (s64)size))
        result = ntfs_wrong_record(sizing->node);
    int direct = whole && NAttrNonResident(data);
    put_u8((uint8_t)direct);
    put_u64(size);
    if (!direct)
        put_u32(0);
    else if (!result)
        result = put_runs(data, (uint64_t)data->allocated_size);
    ntfs_attr_close(data);
    return result;
}

int ntfs_size(struct request *request)
{
    struct sizing sizing;
    if (take_sizing(request, &sizing))
        return -1;
    ntfs_inode *record = ntfs_inode_open(volume, sizing.node);
    if (!record)
        return ntfs_wrong_record(sizing.node);
    int result = 0;
    if (record->flags & FILE_ATTR_ENCRYPTED && !is_folder(record))
        result = fail(UNSUPPORTED, ONLY_IN_ITS_WINDOWS);
    else if (sizing.size != UINT64_MAX)
        result = size_stream(record, &sizing);
    else if (ntfs_attr_remove(record, AT_DATA, sizing.length ? sizing.name : AT_UNNAMED, sizing.length))
        result = ntfs_wrong_record(sizing.node);
    if (ntfs_inode_close(record) && !result)
        result = ntfs_wrong_record(sizing.node);
    return result;
}

int ntfs_write(struct request *request)
{
    struct stream stream;
    uint64_t node = take_u64(request);
    uint32_t length, count;
    const uint8_t *name = take_bytes(request, &length);
    uint64_t offset = take_u64(request);
    const uint8_t *bytes = take_bytes(request, &count);
    int result = 0;
    if (offset > INT64_MAX || node < NODE_FIRST_USER)
        return fail(INVALID, "nothing can be written there");
    if (stream_open(&stream, node, name, length))
        return -1;
    for (uint32_t done = 0; done < count && !result;) {
        s64 put = ntfs_attr_pwrite(stream.data, (s64)(offset + done), count - done, bytes + done);
        if (put <= 0)
            result = ntfs_wrong_record(node);
        else
            done += (uint32_t)put;
    }
    if (!result && ntfs_attr_pclose(stream.data))
        result = ntfs_wrong_record(node);
    ntfs_attr_close(stream.data);
    if (ntfs_inode_close(stream.record) && !result)
        result = ntfs_wrong_record(node);
    return result;
}
