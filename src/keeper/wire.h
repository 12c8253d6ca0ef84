/* Frames between gate and keeper. A frame is one SOCK_SEQPACKET packet:
 *   u32 magic, u16 version, u16 verb, u64 id, u32 length of the fields, u32 flags, fields.
 * Numbers are big-endian; a text is u32 length and bytes; nothing is optional. Fields longer than
 * WIRE_INLINE travel in a sealed memfd passed with the packet (flag WIRE_IN_FD) and are copied out
 * by the receiver before it looks at them, so the sender cannot change them later. At most two
 * descriptors ride along: that one, and a stream socket (HEAD). Decoding is as strict as for
 * network input: sticky error, every byte used. */
#ifndef CS_KEEPER_WIRE_H
#define CS_KEEPER_WIRE_H

#include "base/buf.h"
#include "base/err.h"

#define KEEPER_PROTOCOL 1
#define WIRE_INLINE ((size_t)64 << 10)

enum verb {
#define MESSAGE(name, number, direction, when, cap, meaning) VERB_##name = number,
#include "keeper/message.def"
#undef MESSAGE
};

/* Writing fields. */
void wire_u8(struct buf *b, uint8_t v);
void wire_u32(struct buf *b, uint32_t v);
void wire_i64(struct buf *b, int64_t v);
void wire_text(struct buf *b, struct str s);

/* Reading fields: `bad` sticks; texts point into the frame. */
struct wire_in {
    const unsigned char *p, *end;
    bool bad;
};
uint8_t wire_get_u8(struct wire_in *in);
uint32_t wire_get_u32(struct wire_in *in);
int64_t wire_get_i64(struct wire_in *in);
struct str wire_get_text(struct wire_in *in);
bool wire_get_bool(struct wire_in *in);   /* anything but 0 and 1 is bad */
bool wire_done(const struct wire_in *in); /* no error and nothing left */

struct frame {
    enum verb verb;
    uint64_t id;
    struct buf fields; /* owned */
    int stream_fd;     /* -1 where there is none; owned */
};
void frame_free(struct frame *f);

/* Receives one frame, non-blocking. 0; ERR_DONE: nothing there now; ERR_TRUNCATED: the peer is
 * gone; ERR_MALFORMED: not a frame of `direction` within its cap (the caller ends the process). */
enum direction { TO_KEEPER = 1, TO_GATE };
CS_CHECK int frame_recv(int fd, enum direction d, struct frame *ret);
/* Sends one frame, non-blocking. ERR_DONE: the socket is full, try again later. Takes no ownership;
 * stream_fd may be -1. */
CS_CHECK int frame_send(int fd, enum verb verb, uint64_t id, struct str fields, int stream_fd);
bool verb_allowed_first(enum verb v);

#endif
