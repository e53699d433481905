/* NTFS by libntfs-3g. What a Unix name has no word for is told as the attributes that ntfs-3g itself shows: the security
 * descriptor, attributes, reparse point, object id, extended attributes and the name for DOS. */
#include "ntfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STREAMS_LIMIT 65536u
#define EXTENTS_LIMIT (1u << 20)
/* Bytes of keys of an encrypted file: Windows takes no more. */
#define KEYS_LIMIT (256 << 10)
/* Encryption goes by sectors, of which the last is filled up. */
#define SECTOR 512u

ntfs_volume *volume;
struct SECURITY_CONTEXT security;
char value[VALUE_LIMIT];

int ntfs_wrong(const char *doing)
{
    char text[256];
    enum failure kind = CORRUPT;
    int error = errno;
    if (error == ENOSPC)
        kind = FULL;
    if (error == ENOENT)
        kind = MISSING;
    if (error == EINVAL || error == EEXIST || error == ENOTEMPTY || error == ENAMETOOLONG)
        kind = INVALID;
    if (error == EOPNOTSUPP || error == EPERM)
        kind = UNSUPPORTED;
    snprintf(text, sizeof text, "%s: %s", doing, strerror(error));
    return fail(kind, text);
}

int ntfs_wrong_record(uint64_t node)
{
    char doing[64];
    snprintf(doing, sizeof doing, "file record %llu", (unsigned long long)node);
    return ntfs_wrong(doing);
}

static int is_closed(void)
{
    RESTART_PAGE_HEADER *page = NULL;
    ntfs_inode *record = ntfs_inode_open(volume, FILE_LogFile);
    ntfs_attr *log = record ? ntfs_attr_open(record, AT_DATA, AT_UNNAMED, 0) : NULL;
    int closed = log && ntfs_check_logfile(log, &page) && ntfs_is_logfile_clean(log, page);
    free(page);
    if (log)
        ntfs_attr_close(log);
    if (record)
        ntfs_inode_close(record);
    return closed;
}

static int open_with(int writable)
{
    struct ntfs_device *device = ntfs_device_alloc("disk", 0, &operations, NULL);
    if (!device)
        _exit(OUT_OF_MEMORY);
    volume = ntfs_device_mount(device, writable ? 0 : NTFS_MNT_RDONLY);
    if (volume) {
        ntfs_create_lru_caches(volume); /* Without them the library finds no name. */
        return 0;
    }
    if (errno == EPERM)
        return fail(UNSUPPORTED, "Windows is hibernated or was not shut down (fast start-up counts too): start it and shut it down wholly");
    if (errno == EOPNOTSUPP)
        return fail(UNSUPPORTED, "its log was not closed: start Windows and shut it down wholly");
    return ntfs_wrong("its first records are not understood");
}

static int ntfs_files_open(int writable)
{
    ntfs_log_set_handler(ntfs_log_handler_null);
    if (open_with(writable))
        return -1;
    if (volume->flags & VOLUME_IS_DIRTY)
        return fail(UNSUPPORTED, "it is marked dirty: let Windows check it (chkdsk)");
    if (ntfs_volume_check_hiberfile(volume, 0) < 0)
        return fail(UNSUPPORTED, "Windows is hibernated in it: start it and shut it down wholly");
    if (!is_closed())
        return fail(UNSUPPORTED, "its log was not closed: start Windows and shut it down wholly");
    if (volume->major_ver < 3)
        return fail(UNSUPPORTED, "NTFS before version 3 is not read");
    ntfs_set_shown_files(volume, FALSE, TRUE, FALSE);
    security.vol = volume;
    put_u64(FILE_root);
    put_u32(volume->cluster_size);
    put_u64(ntfs_bytes());
    return 0;
}

static struct moment moment_of(uint64_t ticks)
{
    struct moment moment = {(int64_t)(ticks / TICKS) - EPOCH, (uint32_t)(ticks % TICKS) * 100};
    return moment;
}

const int order[MOMENTS] = {BORN, MODIFIED, ACCESSED, CHANGED};

static int put_record_facts(ntfs_inode *record)
{
    struct facts facts = {0, 0, 0, 0, {{0, 0}}};
    uint64_t ticks[MOMENTS];
    if (ntfs_inode_get_times(record, (char *)ticks, sizeof ticks) != sizeof ticks)
        return -1;
    for (int i = 0; i < MOMENTS; i++)
        facts.moments[order[i]] = moment_of(ticks[i]);
    put_facts(&facts);
    return 0;
}

int is_folder(ntfs_inode *record)
{
    return (record->mrec->flags & MFT_RECORD_IS_DIRECTORY) != 0;
}

/* Where the three numbers behind a record's bits lie, if it has them. Windows keeps in them that names in a folder differ by the
 * size of letters; as nobody has told how, they are kept whole. */
uint8_t *versions_of(ntfs_attr_search_ctx *search)
{
    if (ntfs_attr_lookup(AT_STANDARD_INFORMATION, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, search)
        || le32_to_cpu(search->attr->value_length) < offsetof(STANDARD_INFORMATION, v1_end))
        return NULL;
    return (uint8_t *)search->attr + le16_to_cpu(search->attr->value_offset) + offsetof(STANDARD_INFORMATION, maximum_versions);
}

/* Their length where one of them is not 0, and 0 otherwise. */
static int get_versions(ntfs_inode *record)
{
    static const char none[VERSIONS_LENGTH];
    int length = 0;
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(record, NULL);
    const uint8_t *versions = search ? versions_of(search) : NULL;
    if (versions && memcmp(versions, none, sizeof none)) {
        memcpy(value, versions, sizeof none);
        length = sizeof none;
    }
    if (search)
        ntfs_attr_put_search_ctx(search);
    return length;
}

static void put_attribute(const char *name, int length, uint32_t *count)
{
    if (length <= 0)
        return;
    put_bytes(name, strlen(name));
    put_bytes(value, (size_t)length);
    ++*count;
}

/* The library's own way to ask gives none of a file with several names. */
int dos_name_of(ntfs_inode *record, uint64_t folder)
{
    ntfschar name[NTFS_MAX_NAME_LEN];
    uint8_t length = 0;
    char *text = NULL;
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(record, NULL);
    while (search && !ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, search)) {
        const FILE_NAME_ATTR *found = (const void *)((const uint8_t *)search->attr + le16_to_cpu(search->attr->value_offset));
        if ((found->file_name_type & FILE_NAME_DOS) && MREF_LE(found->parent_directory) == folder) {
            length = found->file_name_length;
            memcpy(name, found->file_name, length * 2u);
        }
    }
    if (search)
        ntfs_attr_put_search_ctx(search);
    if (length == 0)
        return 0;
    ntfs_name_upcase(name, length, volume->upcase, volume->upcase_len);
    int size = ntfs_ucstombs(name, length, &text, 0);
    if (size > 0 && size <= (int)sizeof value)
        memcpy(value, text, (size_t)size);
    free(text);
    return size > 0 && size <= (int)sizeof value ? size : 0;
}

/* What tells the keys of an encrypted file (EFS) from others: FNV-1a of where they are kept. The keys are of no use outside of its Windows,
 * and a disk may have many. Its length, or 0. */
static int get_keys_sum(ntfs_inode *record)
{
    static ntfschar name[] = {const_cpu_to_le16('$'), const_cpu_to_le16('E'), const_cpu_to_le16('F'), const_cpu_to_le16('S')};
    uint64_t sum = 0xcbf29ce484222325u;
    ntfs_attr *keys = ntfs_attr_open(record, AT_LOGGED_UTILITY_STREAM, name, sizeof name / sizeof *name);
    if (!keys)
        return 0;
    s64 got, at = 0;
    while (at < KEYS_LIMIT && (got = ntfs_attr_pread(keys, at, sizeof value, value)) > 0) {
        for (s64 i = 0; i < got; i++)
            sum = (sum ^ (uint8_t)value[i]) * 0x100000001b3u;
        at += got;
    }
    ntfs_attr_close(keys);
    memcpy(value, &sum, sizeof sum);
    return sizeof sum;
}

/* Every value that there is. Of several names in one folder, the name for DOS is that of the one made for Windows; `folder`
 * is 0 where it is not to be told. */
static int put_attributes(ntfs_inode *record, uint64_t folder)
{
    size_t place = put_later_u32();
    uint32_t count = 0;
    int length = ntfs_get_ntfs_acl(&security, record, value, sizeof value);
    if (length > (int)sizeof value)
        return fail(UNSUPPORTED, "a security descriptor is longer than any that Windows makes");
    put_attribute("system.ntfs_acl", length, &count);
    put_attribute("system.ntfs_attrib", ntfs_get_ntfs_attrib(record, value, sizeof value), &count);
    if (folder)
        put_attribute("system.ntfs_dos_name", dos_name_of(record, folder), &count);
    if (ntfs_attr_exist(record, AT_EA, AT_UNNAMED, 0)) {
        length = ntfs_get_ntfs_ea(record, value, sizeof value);
        if (length < 0)
            return ntfs_wrong_record(record->mft_no);
        put_attribute("system.ntfs_ea", length, &count);
    }
    if (ntfs_attr_exist(record, AT_OBJECT_ID, AT_UNNAMED, 0))
        put_attribute("system.ntfs_object_id", ntfs_get_ntfs_object_id(record, value, sizeof value), &count);
    if (ntfs_attr_exist(record, AT_REPARSE_POINT, AT_UNNAMED, 0)) {
        length = ntfs_get_ntfs_reparse_data(record, value, sizeof value);
        if (length <= 0)
            return ntfs_wrong_record(record->mft_no);
        put_attribute("system.ntfs_reparse_data", length, &count);
    }
    if ((record->flags & FILE_ATTR_ENCRYPTED) && !is_folder(record))
        put_attribute("system.ntfs_efs_sum", get_keys_sum(record), &count);
    put_attribute("system.ntfs_versions", get_versions(record), &count);
    put_now_u32(place, count);
    return 0;
}

/* The streams, and in `links` how many names for people there are. */
static int put_streams(ntfs_inode *record)
{
    size_t place = put_later_u32();
    uint32_t count = 0;
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(record, NULL);
    if (!search)
        return -1;
    while (!ntfs_attr_lookup(AT_DATA, NULL, 0, CASE_SENSITIVE, 0, NULL, 0, search)) {
        ATTR_RECORD *found = search->attr;
        s64 size = ntfs_get_attribute_value_length(found);
        if (found->non_resident && found->lowest_vcn)
            continue; /* More of a stream that was counted. */
        if (size < 0 || ++count > STREAMS_LIMIT) {
            errno = EIO;
            break;
        }
        put_bytes((const uint8_t *)found + le16_to_cpu(found->name_offset), found->name_length * 2u);
        put_u64((uint64_t)size);
    }
    int error = errno;
    ntfs_attr_put_search_ctx(search);
    put_now_u32(place, count);
    errno = error;
    return error == ENOENT ? 0 : -1;
}

uint32_t links_of(ntfs_inode *record)
{
    uint32_t links = 0;
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(record, NULL);
    while (search && links < UINT16_MAX
           && !ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, search)) {
        const FILE_NAME_ATTR *name = (const void *)((const uint8_t *)search->attr + le16_to_cpu(search->attr->value_offset));
        links += name->file_name_type != FILE_NAME_DOS;
    }
    if (search)
        ntfs_attr_put_search_ctx(search);
    return links;
}

static int put_entry(uint64_t node, uint64_t folder)
{
    ntfs_inode *record = ntfs_inode_open(volume, node);
    int result = 0;
    if (!record)
        return ntfs_wrong_record(node);
    put_u64(node);
    put_u8(is_folder(record) ? FOLDER : FILE_);
    if (put_record_facts(record))
        result = ntfs_wrong_record(node);
    put_u32(links_of(record));
    put_u32(0);
    put_u32(0);
    put_bytes("", 0);
    if (!result)
        result = put_attributes(record, folder);
    if (!result && put_streams(record))
        result = ntfs_wrong_record(node);
    ntfs_inode_close(record);
    return result;
}

static int ntfs_entry(uint64_t node)
{
    return put_entry(node, 0);
}

struct names {
    struct name {
        uint64_t node;
        uint16_t length;
        uint8_t type;
        ntfschar text[NTFS_MAX_NAME_LEN];
    } *all;
    size_t count, room;
    uint32_t before; /* Entries that are still to be passed over. */
    int more;
};

static int take_name(void *to, const ntfschar *text, const int length, const int type, const s64 place, const MFT_REF found,
                     const unsigned kind)
{
    struct names *names = to;
    (void)place, (void)kind;
    if (type == FILE_NAME_DOS || length <= 0 || length > NTFS_MAX_NAME_LEN)
        return 0;
    /* "." and "..", which libntfs-3g adds. */
    if (length <= 2 && text[0] == const_cpu_to_le16('.') && text[length - 1] == const_cpu_to_le16('.'))
        return 0;
    if (names->before > 0) {
        names->before--;
        return 0;
    }
    if (names->count == PART_LIMIT) {
        names->more = 1;
        return 1;
    }
    if (names->count == names->room) {
        names->room = names->room ? names->room * 2 : 64;
        names->all = realloc(names->all, names->room * sizeof *names->all);
        if (!names->all)
            _exit(OUT_OF_MEMORY);
    }
    struct name *name = &names->all[names->count++];
    name->node = MREF(found);
    name->length = (uint16_t)length;
    name->type = (uint8_t)type;
    memcpy(name->text, text, (size_t)length * 2);
    return 0;
}

static int ntfs_folder(uint64_t node, uint32_t from)
{
    struct names names = {.before = from};
    s64 place = 0;
    int result = 0;
    ntfs_inode *folder = ntfs_inode_open(volume, node);
    if (!folder)
        return ntfs_wrong_record(node);
    if (!is_folder(folder)) {
        errno = ENOTDIR;
        result = ntfs_wrong_record(node);
    } else if (ntfs_readdir(folder, &place, &names, take_name) && !names.more) {
        result = ntfs_wrong_record(node);
    }
    size_t count = put_later_u32(), i;
    for (i = 0; i < names.count && result == 0 && !answer_is_full(); i++) {
        put_bytes(names.all[i].text, names.all[i].length * 2u);
        result = put_entry(names.all[i].node, names.all[i].type & FILE_NAME_WIN32 ? node : 0);
    }
    put_now_u32(count, (uint32_t)i);
    put_u8(names.more || i < names.count);
    free(names.all);
    ntfs_inode_close(folder);
    return result;
}

int stream_open(struct stream *stream, uint64_t node, const uint8_t *name, uint32_t length)
{
    static ntfschar text[NTFS_MAX_NAME_LEN];
    if (length % 2 || length / 2 > NTFS_MAX_NAME_LEN)
        return fail(INVALID, "no stream can have this name");
    stream->record = ntfs_inode_open(volume, node);
    if (!stream->record)
        return ntfs_wrong_record(node);
    if (length > 0)
        memcpy(text, name, length);
    stream->data = ntfs_attr_open(stream->record, AT_DATA, length ? text : AT_UNNAMED, length / 2);
    if (stream->data)
        return 0;
    ntfs_wrong_record(node);
    ntfs_inode_close(stream->record);
    return -1;
}

static void stream_close(struct stream *stream)
{
    ntfs_attr_close(stream->data);
    ntfs_inode_close(stream->record);
}

int put_runs(const ntfs_attr *data, uint64_t known)
{
    size_t place = put_later_u32();
    uint32_t count = 0;
    uint64_t cluster = volume->cluster_size;
    for (const runlist_element *run = data->rl; run && run->length > 0; run++) {
        if (run->lcn < 0)
            continue;
        uint64_t start = (uint64_t)run->vcn * cluster, length = (uint64_t)run->length * cluster;
        if (start >= known)
            break; /* Was never written: reads as zero. */
        device_share((uint64_t)run->lcn * cluster, length);
        put_u64(start);
        put_u64((uint64_t)run->lcn * cluster);
        put_u64(length < known - start ? length : known - start);
        if (++count > EXTENTS_LIMIT)
            return fail(UNSUPPORTED, "a file is in too many pieces");
    }
    put_now_u32(place, count);
    return 0;
}

/* Where the file record is that a resident stream lies in, in pieces: records are longer than clusters at times. */
static int put_record_place(const struct stream *stream)
{
    size_t place = put_later_u32();
    uint32_t count = 0, cluster = volume->cluster_size, length = volume->mft_record_size;
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(stream->record, NULL);
    int result = search ? ntfs_attr_lookup(AT_DATA, stream->data->name, stream->data->name_len, CASE_SENSITIVE, 0, NULL, 0, search) : -1;
    for (uint32_t at = 0, part; result == 0 && at < length; at += part) {
        uint64_t offset = search->ntfs_ino->mft_no * length + at;
        LCN there = ntfs_attr_vcn_to_lcn(volume->mft_na, (VCN)(offset / cluster));
        part = cluster - (uint32_t)(offset % cluster);
        part = part < length - at ? part : length - at;
        put_u64(at);
        put_u64((uint64_t)there * cluster + offset % cluster);
        put_u64(part);
        result = there < 0 ? -1 : 0;
        count++;
    }
    if (search)
        ntfs_attr_put_search_ctx(search);
    put_now_u32(place, count);
    return result;
}

static int ntfs_map(uint64_t node, const uint8_t *name, uint32_t length)
{
    struct stream stream;
    int result = 0;
    if (stream_open(&stream, node, name, length))
        return -1;
    ntfs_attr *data = stream.data;
    int is_encrypted = (data->data_flags & ATTR_IS_ENCRYPTED) != 0;
    uint64_t known = (uint64_t)data->initialized_size;
    /* Where nothing was written into an encrypted stream, it reads as zeros like any other. */
    int is_plain = !is_encrypted || known == 0;
    int direct = NAttrNonResident(data) && is_plain && !(data->data_flags & ATTR_COMPRESSION_MASK);
    put_u8(NAttrNonResident(data) ? (uint8_t)direct : 2);
    put_u64((uint64_t)data->data_size);
    if (!NAttrNonResident(data))
        result = put_record_place(&stream) ? ntfs_wrong_record(node) : 0;
    else if (ntfs_attr_map_whole_runlist(data))
        result = ntfs_wrong_record(node);
    else
        result = put_runs(data, is_encrypted ? (known + SECTOR - 1) / SECTOR * SECTOR : known);
    stream_close(&stream);
    return result;
}

static int ntfs_read(uint64_t node, const uint8_t *name, uint32_t length, uint64_t offset, uint32_t count)
{
    struct stream stream;
    if (offset > INT64_MAX)
        return fail(INVALID, "nothing is there");
    if (stream_open(&stream, node, name, length))
        return -1;
    if ((stream.data->data_flags & ATTR_IS_ENCRYPTED) && NAttrNonResident(stream.data)) {
        stream_close(&stream);
        return fail(UNSUPPORTED, ONLY_IN_ITS_WINDOWS);
    }
    uint8_t *bytes = memory(count);
    s64 got = ntfs_attr_pread(stream.data, (s64)offset, count, bytes);
    int result = got < 0 ? ntfs_wrong_record(node) : 0;
    if (got >= 0)
        put_bytes(bytes, (size_t)got);
    free(bytes);
    stream_close(&stream);
    return result;
}

static int ntfs_close(void)
{
    int error = ntfs_umount(volume, FALSE);
    volume = NULL;
    return error ? ntfs_wrong("its last changes cannot be written") : 0;
}

const struct file_system ntfs = {ntfs_files_open, ntfs_folder, ntfs_entry, ntfs_map, ntfs_read, ntfs_make, ntfs_add_name,
    ntfs_remove, ntfs_describe, ntfs_size, ntfs_write, ntfs_grow, ntfs_close};
