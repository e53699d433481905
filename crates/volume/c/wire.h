/* What the program says to the process that started it, over one socket (descriptor 0), and what it is told.
 *
 *   message   u32 length, requests                        from the parent; each request is answered, in order
 *   request   u32 length, u8 operation, fields
 *   meanwhile 'r' u64 offset, u32 length                  read the disk: answered by u32 length, the bytes
 *             'w' u64 offset, the bytes                   write the disk: never answered
 *   end       'a' fields  |  'e' u8 kind, text            the answer, or why there is none
 *
 * Every message to the parent is u32 length (of what follows), u8 tag, fields. Numbers are little-endian; a byte string
 * is u32 length and the bytes. Whatever does not fit this ends the process.
 */
#ifndef SHALE_WIRE_H
#define SHALE_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* Largest message with requests, and answer; the parent has the same limits. */
#define REQUEST_LIMIT (2u << 20)
#define ANSWER_LIMIT (32u << 20)
/* A folder is told in parts: most entries in one. */
#define PART_LIMIT 32768u

enum failure { CORRUPT = 1, UNSUPPORTED = 2, FULL = 3, MISSING = 4, INVALID = 5 };

/* Exit statuses that the parent knows. */
enum exit_status { OUT_OF_MEMORY = 3, BAD_MESSAGE = 4 };

struct request {
    uint8_t operation;
    const uint8_t *at;
    size_t left;
};

void wire_request(struct request *request);
uint8_t take_u8(struct request *request);
uint16_t take_u16(struct request *request);
uint32_t take_u32(struct request *request);
uint64_t take_u64(struct request *request);
/* The bytes are those of the request, and live as long. */
const uint8_t *take_bytes(struct request *request, uint32_t *length);
/* The same as a string that ends with 0, in memory of its own that lives until the next request. Bytes with a 0 in them
 * end the process. */
const char *take_text(struct request *request);

/* The answer grows in memory and is sent at its end, so that an error can still replace it. */
void put_u8(uint8_t value);
void put_u16(uint16_t value);
void put_u32(uint32_t value);
void put_u64(uint64_t value);
void put_bytes(const void *bytes, size_t length);
/* Where the answer is now, to be changed later: a count that is known only at its end. */
size_t put_later_u32(void);
void put_now_u32(size_t place, uint32_t value);
/* Room for `length` more bytes of the answer, to be filled by the caller. */
uint8_t *put_room(size_t length);
int answer_is_full(void);

void wire_answer(void);
void wire_error(enum failure kind, const char *text);

/* Has the parent read and write the disk; at most 1 MiB. */
void wire_ask(uint64_t offset, void *bytes, uint32_t length);
void wire_tell(uint64_t offset, const void *bytes, uint32_t length);

/* device.c: the disk, from the first byte of the file system on. Reading 0: done. What is written reaches the parent when its
 * page is needed, or by flushing. */
int device_read(uint64_t offset, void *bytes, size_t length);
void device_write(uint64_t offset, const void *bytes, size_t length);
void device_flush(void);
/* The parent itself reads or writes here next: it must find what was written, and what is kept may become old. */
void device_share(uint64_t offset, uint64_t length);
void device_size_set(uint64_t size);
uint64_t device_size(void);

/* Memory or the end of the process. */
void *memory(size_t length);

#endif
