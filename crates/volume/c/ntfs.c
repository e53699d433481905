/* NTFS by libntfs-3g. What a Unix name has no word for is told as the attributes that ntfs-3g itself shows: the security
 * descriptor, attributes, reparse point, object id, extended attributes and the name for DOS. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>
#include <ntfs-3g/attrib.h>
#include <ntfs-3g/cache.h>
#include <ntfs-3g/device.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/ea.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/logfile.h>
#include <ntfs-3g/logging.h>
#include <ntfs-3g/object_id.h>
#include <ntfs-3g/reparse.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/unistr.h>
#include <ntfs-3g/volume.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From 1 January 1601 to 1970, in seconds. */
#define EPOCH 11644473600LL
#define TICKS 10000000u
#define VALUE_LIMIT 65536
#define STREAMS_LIMIT 65536u
#define EXTENTS_LIMIT (1u << 20)

/* Records below are those of the file system itself. */
#define NODE_FIRST_USER 24u

static ntfs_volume *volume;
static struct SECURITY_CONTEXT security;
static char value[VALUE_LIMIT];

static int wrong(const char *doing)
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

static int wrong_record(uint64_t node)
{
    char doing[64];
    snprintf(doing, sizeof doing, "file record %llu", (unsigned long long)node);
    return wrong(doing);
}

/* The disk as libntfs-3g wants it. */

static s64 position;

static int disk_open(struct ntfs_device *device, int flags)
{
    NDevSetOpen(device);
    if ((flags & O_RDWR) != O_RDWR)
        NDevSetReadOnly(device);
    return 0;
}

static int disk_close(struct ntfs_device *device)
{
    NDevClearOpen(device);
    return 0;
}

static s64 disk_seek(struct ntfs_device *device, s64 offset, int whence)
{
    (void)device;
    position = whence == SEEK_SET ? offset : whence == SEEK_CUR ? position + offset : (s64)device_size() + offset;
    return position;
}

static s64 disk_pread(struct ntfs_device *device, void *bytes, s64 count, s64 offset)
{
    (void)device;
    if (count < 0 || offset < 0 || device_read((uint64_t)offset, bytes, (size_t)count)) {
        errno = EIO;
        return -1;
    }
    return count;
}

static s64 disk_pwrite(struct ntfs_device *device, const void *bytes, s64 count, s64 offset)
{
    if (NDevReadOnly(device) || count < 0 || offset < 0 || (uint64_t)offset > device_size()
        || (uint64_t)count > device_size() - (uint64_t)offset) {
        errno = EIO;
        return -1;
    }
    device_write((uint64_t)offset, bytes, (size_t)count);
    NDevSetDirty(device);
    return count;
}

static s64 disk_read(struct ntfs_device *device, void *bytes, s64 count)
{
    s64 got = disk_pread(device, bytes, count, position);
    position += got > 0 ? got : 0;
    return got;
}

static s64 disk_write(struct ntfs_device *device, const void *bytes, s64 count)
{
    s64 put = disk_pwrite(device, bytes, count, position);
    position += put > 0 ? put : 0;
    return put;
}

static int disk_sync(struct ntfs_device *device)
{
    NDevClearDirty(device);
    return 0;
}

static int disk_stat(struct ntfs_device *device, struct stat *about)
{
    (void)device;
    memset(about, 0, sizeof *about);
    about->st_mode = S_IFREG | 0600;
    about->st_size = (off_t)device_size();
    return 0;
}

static int disk_ioctl(struct ntfs_device *device, unsigned long request, void *argument)
{
    (void)device, (void)request, (void)argument;
    errno = EOPNOTSUPP;
    return -1;
}

static struct ntfs_device_operations operations = {
    .open = disk_open, .close = disk_close, .seek = disk_seek, .read = disk_read, .write = disk_write,
    .pread = disk_pread, .pwrite = disk_pwrite, .sync = disk_sync, .stat = disk_stat, .ioctl = disk_ioctl,
};

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
    return wrong("its first records are not understood");
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
    return 0;
}

static struct moment moment_of(uint64_t ticks)
{
    struct moment moment = {(int64_t)(ticks / TICKS) - EPOCH, (uint32_t)(ticks % TICKS) * 100};
    return moment;
}

static uint64_t ticks_of(const struct moment *moment)
{
    return (uint64_t)(moment->seconds + EPOCH) * TICKS + moment->nanoseconds / 100;
}

/* The order of $STANDARD_INFORMATION. */
static const int order[MOMENTS] = {BORN, MODIFIED, ACCESSED, CHANGED};

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

static void put_attribute(const char *name, int length, uint32_t *count)
{
    if (length <= 0)
        return;
    put_bytes(name, strlen(name));
    put_bytes(value, (size_t)length);
    ++*count;
}

/* The name for DOS that a file has in a folder, into `value`: its length, or 0. The library's own way to ask gives none
 * of a file with several names. */
static int dos_name_of(ntfs_inode *record, uint64_t folder)
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
            return wrong_record(record->mft_no);
        put_attribute("system.ntfs_ea", length, &count);
    }
    if (ntfs_attr_exist(record, AT_OBJECT_ID, AT_UNNAMED, 0))
        put_attribute("system.ntfs_object_id", ntfs_get_ntfs_object_id(record, value, sizeof value), &count);
    if (ntfs_attr_exist(record, AT_REPARSE_POINT, AT_UNNAMED, 0)) {
        length = ntfs_get_ntfs_reparse_data(record, value, sizeof value);
        if (length <= 0)
            return wrong_record(record->mft_no);
        put_attribute("system.ntfs_reparse_data", length, &count);
    }
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

static uint32_t links_of(ntfs_inode *record)
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

static int is_folder(ntfs_inode *record)
{
    return (record->mrec->flags & MFT_RECORD_IS_DIRECTORY) != 0;
}

static int put_entry(uint64_t node, uint64_t folder)
{
    ntfs_inode *record = ntfs_inode_open(volume, node);
    int result = 0;
    if (!record)
        return wrong_record(node);
    put_u64(node);
    put_u8(is_folder(record) ? FOLDER : FILE_);
    if (put_record_facts(record))
        result = wrong_record(node);
    put_u32(links_of(record));
    put_u32(0);
    put_u32(0);
    put_bytes("", 0);
    if (!result)
        result = put_attributes(record, folder);
    if (!result && put_streams(record))
        result = wrong_record(node);
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

static int ntfs_folder(uint64_t node)
{
    struct names names = {NULL, 0, 0};
    s64 place = 0;
    int result = 0;
    ntfs_inode *folder = ntfs_inode_open(volume, node);
    if (!folder)
        return wrong_record(node);
    if (!is_folder(folder)) {
        errno = ENOTDIR;
        result = wrong_record(node);
    } else if (ntfs_readdir(folder, &place, &names, take_name)) {
        result = wrong_record(node);
    }
    put_u32((uint32_t)names.count);
    for (size_t i = 0; i < names.count && result == 0; i++) {
        put_bytes(names.all[i].text, names.all[i].length * 2u);
        result = put_entry(names.all[i].node, names.all[i].type & FILE_NAME_WIN32 ? node : 0);
        if (result == 0 && answer_is_full())
            result = fail(UNSUPPORTED, "a folder has more entries than can be told at once");
    }
    free(names.all);
    ntfs_inode_close(folder);
    return result;
}

struct stream {
    ntfs_inode *record;
    ntfs_attr *data;
};

static int stream_open(struct stream *stream, uint64_t node, const uint8_t *name, uint32_t length)
{
    static ntfschar text[NTFS_MAX_NAME_LEN];
    if (length % 2 || length / 2 > NTFS_MAX_NAME_LEN)
        return fail(INVALID, "no stream can have this name");
    stream->record = ntfs_inode_open(volume, node);
    if (!stream->record)
        return wrong_record(node);
    if (length > 0)
        memcpy(text, name, length);
    stream->data = ntfs_attr_open(stream->record, AT_DATA, length ? text : AT_UNNAMED, length / 2);
    if (stream->data)
        return 0;
    wrong_record(node);
    ntfs_inode_close(stream->record);
    return -1;
}

static void stream_close(struct stream *stream)
{
    ntfs_attr_close(stream->data);
    ntfs_inode_close(stream->record);
}

static int put_runs(const ntfs_attr *data)
{
    size_t place = put_later_u32();
    uint32_t count = 0;
    uint64_t cluster = volume->cluster_size, known = (uint64_t)data->initialized_size;
    for (const runlist_element *run = data->rl; run && run->length > 0; run++) {
        if (run->lcn < 0)
            continue;
        uint64_t start = (uint64_t)run->vcn * cluster, length = (uint64_t)run->length * cluster;
        if (start >= known)
            break; /* Was never written: reads as zero. */
        put_u64(start);
        put_u64((uint64_t)run->lcn * cluster);
        put_u64(length < known - start ? length : known - start);
        if (++count > EXTENTS_LIMIT)
            return fail(UNSUPPORTED, "a file is in too many pieces");
    }
    put_now_u32(place, count);
    return 0;
}

static int ntfs_map(uint64_t node, const uint8_t *name, uint32_t length)
{
    struct stream stream;
    int result = 0;
    if (stream_open(&stream, node, name, length))
        return -1;
    ntfs_attr *data = stream.data;
    int direct = NAttrNonResident(data) && !(data->data_flags & ATTR_COMPRESSION_MASK);
    put_u8((uint8_t)direct);
    put_u64((uint64_t)data->data_size);
    if (data->data_flags & ATTR_IS_ENCRYPTED)
        result = fail(UNSUPPORTED, "a file is encrypted (EFS)");
    else if (!direct)
        put_u32(0);
    else if (ntfs_attr_map_whole_runlist(data))
        result = wrong_record(node);
    else
        result = put_runs(data);
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
    uint8_t *bytes = memory(count);
    s64 got = ntfs_attr_pread(stream.data, (s64)offset, count, bytes);
    int result = got < 0 ? wrong_record(node) : 0;
    if (got >= 0)
        put_bytes(bytes, (size_t)got);
    free(bytes);
    stream_close(&stream);
    return result;
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

static int ntfs_make(struct request *request)
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
        return wrong_record(parent);
    ntfs_inode *made = NULL;
    if (ntfs_inode_lookup_by_name(folder, name.text, name.length) != (u64)-1)
        errno = EEXIST;
    else
        made = ntfs_create(folder, const_cpu_to_le32(0), name.text, name.length, kind == FOLDER ? S_IFDIR : S_IFREG);
    int result = made ? 0 : wrong("the entry cannot be made");
    if (made) {
        put_u64(made->mft_no);
        if (ntfs_inode_close_in_dir(made, folder))
            result = wrong("the entry cannot be made");
    }
    if (ntfs_inode_close(folder) && !result)
        result = wrong_record(parent);
    return result;
}

static int ntfs_add_name(struct request *request)
{
    struct text name;
    uint64_t parent = take_u64(request);
    if (take_name_text(request, &name))
        return -1;
    uint64_t node = take_u64(request);
    ntfs_inode *record = node < NODE_FIRST_USER ? NULL : ntfs_inode_open(volume, node);
    if (!record)
        return wrong_record(node);
    ntfs_inode *folder = ntfs_inode_open(volume, parent);
    int result = 0;
    if (!folder)
        result = wrong_record(parent);
    else if (is_folder(record))
        result = fail(INVALID, "a folder has one name");
    else if (ntfs_link(record, folder, name.text, name.length))
        result = wrong("the name cannot be added");
    if (ntfs_inode_close_in_dir(record, folder ? folder : record) && !result)
        result = wrong_record(node);
    if (folder && ntfs_inode_close(folder) && !result)
        result = wrong_record(parent);
    return result;
}

static int ntfs_remove(struct request *request)
{
    struct text name;
    uint64_t parent = take_u64(request);
    if (take_name_text(request, &name))
        return -1;
    ntfs_inode *folder = ntfs_inode_open(volume, parent);
    if (!folder)
        return wrong_record(parent);
    u64 found = ntfs_inode_lookup_by_name(folder, name.text, name.length);
    ntfs_inode *record = NULL;
    if (found != (u64)-1 && MREF(found) >= NODE_FIRST_USER)
        record = ntfs_inode_open(volume, MREF(found));
    if (!record) {
        ntfs_inode_close(folder);
        errno = ENOENT;
        return wrong("the entry cannot be found");
    }
    /* Closes both, whatever happens. */
    return ntfs_delete(volume, NULL, record, folder, name.text, name.length) ? wrong("the entry cannot be removed") : 0;
}

/* The attributes that a request brings; what it lacks is removed. */
struct wanted {
    const uint8_t *bytes[6];
    uint32_t lengths[6];
};
enum { DESCRIPTOR, ATTRIBUTES, DOS_NAME, EAS, OBJECT_ID, REPARSE, WANTED };

static int take_wanted(struct request *request, struct wanted *wanted)
{
    static const char *const names[WANTED] = {"system.ntfs_acl", "system.ntfs_attrib", "system.ntfs_dos_name",
        "system.ntfs_ea", "system.ntfs_object_id", "system.ntfs_reparse_data"};
    memset(wanted, 0, sizeof *wanted);
    for (uint32_t count = take_u32(request); count > 0; count--) {
        const char *name = take_text(request);
        uint32_t length;
        const uint8_t *bytes = take_bytes(request, &length);
        int known = 0;
        while (known < WANTED && strcmp(names[known], name))
            known++;
        if (known == WANTED || length == 0)
            return fail(INVALID, "NTFS has no such attribute");
        wanted->bytes[known] = bytes;
        wanted->lengths[known] = length;
    }
    return 0;
}

/* Does nothing where the name is right already. The library closes both records. */
static int set_dos_name(uint64_t node, uint64_t parent, const struct wanted *wanted)
{
    ntfs_inode *record = ntfs_inode_open(volume, node), *folder = record ? ntfs_inode_open(volume, parent) : NULL;
    if (!record || !folder) {
        if (record)
            ntfs_inode_close(record);
        return wrong_record(node);
    }
    uint32_t now = (uint32_t)dos_name_of(record, parent);
    if (now == wanted->lengths[DOS_NAME] && (now == 0 || !memcmp(value, wanted->bytes[DOS_NAME], now))) {
        ntfs_inode_close(folder);
        return ntfs_inode_close(record) ? wrong_record(node) : 0;
    }
    if (wanted->lengths[DOS_NAME] == 0)
        return ntfs_remove_ntfs_dos_name(record, folder) ? wrong("the name for DOS cannot be removed") : 0;
    return ntfs_set_ntfs_dos_name(record, folder, (const char *)wanted->bytes[DOS_NAME], wanted->lengths[DOS_NAME], 0)
        ? wrong("the name for DOS cannot be set") : 0;
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
        return wrong("the security descriptor cannot be set");
    if (set_or_remove(record, AT_EA, wanted, EAS, ntfs_set_ntfs_ea, ntfs_remove_ntfs_ea))
        return wrong("the extended attributes cannot be set");
    if (set_or_remove(record, AT_OBJECT_ID, wanted, OBJECT_ID, set_object_id, ntfs_remove_ntfs_object_id))
        return wrong("the object id cannot be set");
    if (set_or_remove(record, AT_REPARSE_POINT, wanted, REPARSE, ntfs_set_ntfs_reparse_data, ntfs_remove_ntfs_reparse_data))
        return wrong("the reparse point cannot be set");
    if (bits && ntfs_set_ntfs_attrib(record, bits, wanted->lengths[ATTRIBUTES], 0))
        return wrong("the attributes cannot be set");
    return 0;
}

/* The library sets three times and stamps the fourth: it is put right behind it. */
static int set_times(ntfs_inode *record, const struct facts *facts)
{
    uint64_t ticks[MOMENTS];
    for (int i = 0; i < MOMENTS; i++)
        ticks[i] = ticks_of(&facts->moments[order[i]]);
    if (ntfs_inode_set_times(record, (const char *)ticks, 24, 0))
        return wrong_record(record->mft_no);
    ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(record, NULL);
    if (!search)
        return wrong_record(record->mft_no);
    if (ntfs_attr_lookup(AT_STANDARD_INFORMATION, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, search) == 0) {
        STANDARD_INFORMATION *about = (void *)((uint8_t *)search->attr + le16_to_cpu(search->attr->value_offset));
        about->last_mft_change_time = cpu_to_sle64((s64)ticks[3]);
        record->last_mft_change_time = about->last_mft_change_time;
        ntfs_inode_mark_dirty(search->ntfs_ino);
    }
    ntfs_attr_put_search_ctx(search);
    return 0;
}

static int ntfs_describe(struct request *request)
{
    struct wanted wanted;
    struct facts facts;
    uint32_t length;
    uint64_t node = take_u64(request), parent = take_u64(request);
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
        return wrong_record(node);
    int result = set_attributes(record, &wanted);
    if (!result)
        result = set_times(record, &facts);
    if (ntfs_inode_close(record) && !result)
        result = wrong_record(node);
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
    if (ntfs_attr_set_flags(record, AT_DATA, name, (u8)length, flags, ATTR_COMPRESSION_MASK))
        return NULL;
    return ntfs_attr_open(record, AT_DATA, name, length);
}

/* Clusters for all of an empty stream, which count as written: the parent writes them. Streams that are small enough stay
 * among metadata. */
static int allocate(ntfs_attr *data, uint64_t size)
{
    if (ntfs_attr_truncate_solid(data, (s64)size))
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
    sizing->node = take_u64(request);
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
        return wrong_record(sizing->node);
    int whole = size > 0 && sizing->covered == size && !sizing->compressed, result = 0;
    if (whole ? allocate(data, size) : sizing->covered < size && ntfs_attr_truncate(data, (s64)size))
        result = wrong_record(sizing->node);
    int direct = whole && NAttrNonResident(data);
    put_u8((uint8_t)direct);
    put_u64(size);
    if (!direct)
        put_u32(0);
    else if (!result)
        result = put_runs(data);
    ntfs_attr_close(data);
    return result;
}

static int ntfs_size(struct request *request)
{
    struct sizing sizing;
    if (take_sizing(request, &sizing))
        return -1;
    ntfs_inode *record = ntfs_inode_open(volume, sizing.node);
    if (!record)
        return wrong_record(sizing.node);
    int result = 0;
    if (sizing.size != UINT64_MAX)
        result = size_stream(record, &sizing);
    else if (ntfs_attr_remove(record, AT_DATA, sizing.length ? sizing.name : AT_UNNAMED, sizing.length))
        result = wrong_record(sizing.node);
    if (ntfs_inode_close(record) && !result)
        result = wrong_record(sizing.node);
    return result;
}

static int ntfs_write(struct request *request)
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
            result = wrong_record(node);
        else
            done += (uint32_t)put;
    }
    if (!result && ntfs_attr_pclose(stream.data))
        result = wrong_record(node);
    ntfs_attr_close(stream.data);
    if (ntfs_inode_close(stream.record) && !result)
        result = wrong_record(node);
    return result;
}

static int ntfs_close(void)
{
    int error = ntfs_umount(volume, FALSE);
    volume = NULL;
    return error ? wrong("its last changes cannot be written") : 0;
}

const struct file_system ntfs = {ntfs_files_open, ntfs_folder, ntfs_entry, ntfs_map, ntfs_read, ntfs_make, ntfs_add_name,
    ntfs_remove, ntfs_describe, ntfs_size, ntfs_write, ntfs_close};
