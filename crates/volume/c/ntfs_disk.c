/* The disk as libntfs-3g wants it: a device that is read and written anywhere. */
#include "ntfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

struct ntfs_device_operations operations = {
    .open = disk_open, .close = disk_close, .seek = disk_seek, .read = disk_read, .write = disk_write,
    .pread = disk_pread, .pwrite = disk_pwrite, .sync = disk_sync, .stat = disk_stat, .ioctl = disk_ioctl,
};
