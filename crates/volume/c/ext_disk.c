/* The disk as libext2fs wants it: blocks of a size that it sets. */
#include "ext.h"

#include <stdlib.h>
#include <string.h>

static errcode_t io_open(const char *name, int flags, io_channel *made)
{
    io_channel channel = memory(sizeof *channel);
    (void)flags;
    memset(channel, 0, sizeof *channel);
    channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    channel->name = strdup(name);
    channel->block_size = 1024;
    channel->refcount = 1;
    channel->manager = &disk_manager;
    *made = channel;
    return 0;
}

static errcode_t io_close(io_channel channel)
{
    if (--channel->refcount > 0)
        return 0;
    free(channel->name);
    free(channel);
    return 0;
}

static errcode_t io_size(io_channel channel, int size)
{
    channel->block_size = size;
    return 0;
}

/* A negative count is of bytes. */
static size_t bytes_of(io_channel channel, int count)
{
    return count < 0 ? (size_t)-(int64_t)count : (size_t)count * (size_t)channel->block_size;
}

static errcode_t io_read(io_channel channel, unsigned long long block, int count, void *bytes)
{
    uint64_t offset;
    if (__builtin_mul_overflow(block, (uint64_t)channel->block_size, &offset)
        || device_read(offset, bytes, bytes_of(channel, count)))
        return EXT2_ET_SHORT_READ;
    return 0;
}

static errcode_t io_read32(io_channel channel, unsigned long block, int count, void *bytes)
{
    return io_read(channel, block, count, bytes);
}

static errcode_t io_write(io_channel channel, unsigned long long block, int count, const void *bytes)
{
    uint64_t offset;
    size_t length = bytes_of(channel, count);
    if (__builtin_mul_overflow(block, (uint64_t)channel->block_size, &offset) || offset > device_size()
        || length > device_size() - offset)
        return EXT2_ET_SHORT_WRITE;
    device_write(offset, bytes, length);
    return 0;
}

static errcode_t io_write32(io_channel channel, unsigned long block, int count, const void *bytes)
{
    return io_write(channel, block, count, bytes);
}

static errcode_t io_write_byte(io_channel channel, unsigned long offset, int count, const void *bytes)
{
    (void)channel;
    if (count < 0 || offset > device_size() || (uint64_t)count > device_size() - offset)
        return EXT2_ET_SHORT_WRITE;
    device_write(offset, bytes, (size_t)count);
    return 0;
}

static errcode_t io_flush(io_channel channel)
{
    (void)channel;
    return 0;
}

struct struct_io_manager disk_manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "disk",
    .open = io_open,
    .close = io_close,
    .set_blksize = io_size,
    .read_blk = io_read32,
    .write_blk = io_write32,
    .flush = io_flush,
    .write_byte = io_write_byte,
    .read_blk64 = io_read,
    .write_blk64 = io_write,
};
