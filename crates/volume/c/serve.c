/* Takes requests and hands them to the file system that was opened. */
#include "files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum operation { OPEN = 1, FOLDER_ = 2, ENTRY = 3, MAP = 4, READ = 5, MAKE = 6, LINK_ = 7, REMOVE = 8, DESCRIBE = 9, SIZE = 10, WRITE = 11, CLOSE = 12, GROW = 13 };

static enum failure failed;
static char why[512];

int fail(enum failure kind, const char *text)
{
    failed = kind;
    snprintf(why, sizeof why, "%s", text);
    return -1;
}

static uint64_t made;

uint64_t take_node(struct request *request)
{
    uint64_t node = take_u64(request);
    return node ? node : made;
}

void put_made(uint64_t node)
{
    made = node;
    put_u64(node);
}

void put_facts(const struct facts *facts)
{
    put_u16(facts->mode);
    put_u32(facts->owner);
    put_u32(facts->group);
    put_u32(facts->flags);
    for (int i = 0; i < MOMENTS; i++) {
        put_u64((uint64_t)facts->moments[i].seconds);
        put_u32(facts->moments[i].nanoseconds);
    }
}

void take_facts(struct request *request, struct facts *facts)
{
    facts->mode = take_u16(request);
    facts->owner = take_u32(request);
    facts->group = take_u32(request);
    facts->flags = take_u32(request);
    for (int i = 0; i < MOMENTS; i++) {
        facts->moments[i].seconds = (int64_t)take_u64(request);
        facts->moments[i].nanoseconds = take_u32(request);
    }
}

static int read_request(const struct file_system *files, struct request *request)
{
    uint64_t node = take_u64(request);
    uint32_t length;
    const uint8_t *stream = take_bytes(request, &length);
    if (request->operation == MAP)
        return files->map(node, stream, length);
    uint64_t offset = take_u64(request);
    uint32_t count = take_u32(request);
    if (count > (1u << 20))
        _exit(BAD_MESSAGE);
    return files->read(node, stream, length, offset, count);
}

static int folder_request(const struct file_system *files, struct request *request)
{
    uint64_t node = take_u64(request);
    return files->folder(node, take_u32(request));
}

static int close_all(const struct file_system *files)
{
    int result = files->close();
    device_flush();
    return result;
}

static int serve(const struct file_system *files, struct request *request)
{
    switch (request->operation) {
    case FOLDER_: return folder_request(files, request);
    case ENTRY: return files->entry(take_u64(request));
    case MAP:
    case READ: return read_request(files, request);
    case MAKE:
        made = 0;
        return files->make(request);
    case LINK_: return files->link(request);
    case REMOVE: return files->remove(request);
    case DESCRIBE: return files->describe(request);
    case SIZE: return files->size(request);
    case WRITE: return files->write(request);
    case GROW: return files->grow();
    case CLOSE: return close_all(files);
    default: _exit(BAD_MESSAGE);
    }
}

void files_serve(void)
{
    const struct file_system *files = NULL;
    for (;;) {
        struct request request;
        int result;
        wire_request(&request);
        if (request.operation == OPEN) {
            uint8_t kind = take_u8(&request);
            uint8_t writable = take_u8(&request);
            if (files || kind < 1 || kind > 2)
                _exit(BAD_MESSAGE);
            device_size_set(take_u64(&request));
            files = kind == 1 ? &ext : &ntfs;
            result = files->open(writable);
        } else if (!files) {
            _exit(BAD_MESSAGE);
        } else {
            result = serve(files, &request);
        }
        if (result == 0)
            wire_answer();
        else
            wire_error(failed, why);
    }
}
