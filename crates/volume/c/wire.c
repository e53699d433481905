/* Messages, and the answer that is being made. See wire.h. */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET 0

#define OUTGOING (256u << 10)

static uint8_t outgoing[OUTGOING];
static size_t outgoing_length;
static uint8_t *request_bytes;
static struct request requests; /* Those of the message that are still to be served. */
static uint8_t *answer;
static size_t answer_length, answer_room;
static char **texts;
static size_t texts_count;

void *memory(size_t length)
{
    void *bytes = malloc(length ? length : 1);
    if (!bytes)
        _exit(OUT_OF_MEMORY);
    return bytes;
}

static void read_all(void *bytes, size_t length)
{
    uint8_t *at = bytes;
    while (length > 0) {
        ssize_t got = read(SOCKET, at, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            _exit(0); /* The parent went away. */
        if (got < 0)
            _exit(BAD_MESSAGE);
        at += got;
        length -= (size_t)got;
    }
}

static void write_all(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t put = write(SOCKET, at, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            _exit(0);
        at += put;
        length -= (size_t)put;
    }
}

static void flush(void)
{
    write_all(outgoing, outgoing_length);
    outgoing_length = 0;
}

static void send_bytes(const void *bytes, size_t length)
{
    if (outgoing_length + length > OUTGOING)
        flush();
    if (length > OUTGOING) {
        write_all(bytes, length);
        return;
    }
    memcpy(outgoing + outgoing_length, bytes, length);
    outgoing_length += length;
}

static void send_head(uint32_t length, uint8_t tag)
{
    length += 1;
    send_bytes(&length, 4);
    send_bytes(&tag, 1);
}

static const uint8_t *take(struct request *request, size_t length)
{
    const uint8_t *at = request->at;
    if (request->left < length)
        _exit(BAD_MESSAGE);
    request->at += length;
    request->left -= length;
    return at;
}

/* Reads a message into memory: the requests in it. */
static void read_message(void)
{
    uint32_t length;
    read_all(&length, 4);
    if (length < 5 || length > REQUEST_LIMIT)
        _exit(BAD_MESSAGE);
    if (!request_bytes)
        request_bytes = memory(REQUEST_LIMIT);
    read_all(request_bytes, length);
    requests.at = request_bytes;
    requests.left = length;
}

void wire_request(struct request *request)
{
    while (texts_count > 0)
        free(texts[--texts_count]);
    if (requests.left == 0)
        read_message();
    uint32_t length = take_u32(&requests);
    if (length == 0)
        _exit(BAD_MESSAGE);
    request->at = take(&requests, length);
    request->left = length;
    request->operation = take_u8(request);
    answer_length = 0;
}

uint8_t take_u8(struct request *request)
{
    return *take(request, 1);
}

uint16_t take_u16(struct request *request)
{
    uint16_t value;
    memcpy(&value, take(request, 2), 2);
    return value;
}

uint32_t take_u32(struct request *request)
{
    uint32_t value;
    memcpy(&value, take(request, 4), 4);
    return value;
}

uint64_t take_u64(struct request *request)
{
    uint64_t value;
    memcpy(&value, take(request, 8), 8);
    return value;
}

const uint8_t *take_bytes(struct request *request, uint32_t *length)
{
    *length = take_u32(request);
    return take(request, *length);
}

const char *take_text(struct request *request)
{
    uint32_t length;
    const uint8_t *bytes = take_bytes(request, &length);
    char *text = memory((size_t)length + 1);
    if (memchr(bytes, 0, length))
        _exit(BAD_MESSAGE);
    memcpy(text, bytes, length);
    text[length] = 0;
    texts = realloc(texts, (texts_count + 1) * sizeof *texts);
    if (!texts)
        _exit(OUT_OF_MEMORY);
    texts[texts_count++] = text;
    return text;
}

uint8_t *put_room(size_t length)
{
    if (answer_length + length > answer_room) {
        answer_room = (answer_length + length) * 2;
        answer = realloc(answer, answer_room);
        if (!answer)
            _exit(OUT_OF_MEMORY);
    }
    answer_length += length;
    return answer + answer_length - length;
}

int answer_is_full(void)
{
    return answer_length > ANSWER_LIMIT - (2u << 20);
}

void put_u8(uint8_t value)
{
    *put_room(1) = value;
}

void put_u16(uint16_t value)
{
    memcpy(put_room(2), &value, 2);
}

void put_u32(uint32_t value)
{
    memcpy(put_room(4), &value, 4);
}

void put_u64(uint64_t value)
{
    memcpy(put_room(8), &value, 8);
}

void put_bytes(const void *bytes, size_t length)
{
    put_u32((uint32_t)length);
    if (length > 0)
        memcpy(put_room(length), bytes, length);
}

size_t put_later_u32(void)
{
    put_u32(0);
    return answer_length - 4;
}

void put_now_u32(size_t place, uint32_t value)
{
    memcpy(answer + place, &value, 4);
}

/* Answers to the requests of one message are sent together: nobody waits for the first of them. */
static void flush_last(void)
{
    if (requests.left == 0)
        flush();
}

void wire_answer(void)
{
    if (answer_length > ANSWER_LIMIT) {
        wire_error(UNSUPPORTED, "there is more of it than can be told at once");
        return;
    }
    send_head((uint32_t)answer_length, 'a');
    send_bytes(answer, answer_length);
    flush_last();
}

void wire_error(enum failure kind, const char *text)
{
    uint8_t byte = (uint8_t)kind;
    size_t length = strlen(text);
    send_head((uint32_t)length + 1, 'e');
    send_bytes(&byte, 1);
    send_bytes(text, length);
    flush_last();
}

void wire_ask(uint64_t offset, void *bytes, uint32_t length)
{
    uint32_t got;
    send_head(12, 'r');
    send_bytes(&offset, 8);
    send_bytes(&length, 4);
    flush();
    read_all(&got, 4);
    if (got != length)
        _exit(BAD_MESSAGE);
    read_all(bytes, length);
}

void wire_tell(uint64_t offset, const void *bytes, uint32_t length)
{
    send_head(length + 8, 'w');
    send_bytes(&offset, 8);
    send_bytes(bytes, length);
}
