/* Frames on the socket pair between gate and keeper. Refuses every packet that is not exactly one
 * frame of the direction that may come here: unknown verbs, other versions, lengths that do not
 * agree, fields over the verb's cap, descriptors too many or too few, a memfd that could still be
 * changed. */
#include "keeper/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define WIRE_MAGIC 0x63736b31U /* "csk1" */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
enum { HEAD_SIZE = 24, MAX_FDS = 2 };
enum { WIRE_IN_FD = 1, WIRE_STREAM = 2 };
enum when { SERVE = 0, FIRST };

static const struct row {
    enum verb verb;
    enum direction direction;
    enum when when;
    uint32_t cap;
} rows[] = {
#define MESSAGE(name, number, direction, when, cap, meaning) {VERB_##name, direction, when, cap},
#include "keeper/message.def"
#undef MESSAGE
};

static const struct row *find_row(unsigned verb)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((unsigned)rows[i].verb == verb)
            return &rows[i];
    return NULL;
}

bool verb_allowed_first(enum verb v)
{
    const struct row *row = find_row(v);
    return row && row->when == FIRST;
}

/* --- fields --------------------------------------------------------------------------------- */

static void put_number(struct buf *b, uint64_t v, size_t n)
{
    unsigned char p[8];
    for (size_t i = n; i-- > 0; v >>= 8)
        p[i] = (unsigned char)(v & 0xff);
    buf_put(b, p, n);
}

void wire_u8(struct buf *b, uint8_t v)
{
    put_number(b, v, 1);
}

void wire_u32(struct buf *b, uint32_t v)
{
    put_number(b, v, 4);
}

void wire_i64(struct buf *b, int64_t v)
{
    put_number(b, (uint64_t)v, 8);
}

void wire_text(struct buf *b, struct str s)
{
    if (s.n > UINT32_MAX) {
        b->bad = true;
        return;
    }
    wire_u32(b, (uint32_t)s.n);
    buf_str(b, s);
}

static const unsigned char *take(struct wire_in *in, size_t n)
{
    const unsigned char *p = in->p;
    if (in->bad || (size_t)(in->end - in->p) < n) {
        in->bad = true;
        return NULL;
    }
    in->p += n;
    return p;
}

static uint64_t get_number(struct wire_in *in, size_t n)
{
    uint64_t v = 0;
    const unsigned char *p = take(in, n);
    for (size_t i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t wire_get_u8(struct wire_in *in)
{
    return (uint8_t)get_number(in, 1);
}

uint32_t wire_get_u32(struct wire_in *in)
{
    return (uint32_t)get_number(in, 4);
}

int64_t wire_get_i64(struct wire_in *in)
{
    return (int64_t)get_number(in, 8);
}

struct str wire_get_text(struct wire_in *in)
{
    uint32_t n = wire_get_u32(in);
    const unsigned char *p = take(in, n);
    return p ? (struct str){(const char *)p, n} : STR("");
}

bool wire_get_bool(struct wire_in *in)
{
    uint8_t v = wire_get_u8(in);
    if (v > 1)
        in->bad = true;
    return v == 1;
}

bool wire_done(const struct wire_in *in)
{
    return !in->bad && in->p == in->end;
}

/* --- receiving ------------------------------------------------------------------------------ */

void frame_free(struct frame *f)
{
    buf_wipe(&f->fields); /* may have held secrets */
    if (f->stream_fd >= 0)
        close(f->stream_fd);
    f->stream_fd = -1;
}

/* Memory for exactly n bytes, written by the kernel rather than by buf_put. */
static int fields_alloc(struct buf *b, size_t n)
{
    *b = (struct buf){.p = malloc(n + 1), .n = n, .cap = n + 1, .max = n + 1};
    if (!b->p)
        return ERR_NOMEM;
    b->p[n] = 0;
    return 0;
}

static int read_memfd(int fd, size_t n, struct buf *ret)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size != (off_t)n)
        return ERR_MALFORMED;
    int r = fields_alloc(ret, n);
    for (size_t at = 0; !r && at < n;) {
        ssize_t got = pread(fd, ret->p + at, n - at, (off_t)at);
        if (got <= 0)
            r = ERR_MALFORMED;
        else
            at += (size_t)got;
    }
    return r;
}

struct packet {
    unsigned char head[HEAD_SIZE];
    struct buf body; /* what came inline */
    int fd[MAX_FDS];
    size_t n_fds;
};

static void packet_free(struct packet *p)
{
    buf_wipe(&p->body);
    for (size_t i = 0; i < p->n_fds; i++)
        if (p->fd[i] >= 0)
            close(p->fd[i]);
}

/* Keeps up to MAX_FDS descriptors; more than that shows as MSG_CTRUNC, and the kernel closes them.
 */
static void keep_fds(struct msghdr *msg, struct packet *p)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && p->n_fds < MAX_FDS; i++)
            memcpy(&p->fd[p->n_fds++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

static int recv_error(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return ERR_DONE;
    return ERR_TRUNCATED;
}

static int packet_recv(int fd, struct packet *p)
{
    union {
        char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    ssize_t n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (n < 0)
        return recv_error();
    if (n == 0)
        return ERR_TRUNCATED;
    if (n < HEAD_SIZE || (size_t)n > HEAD_SIZE + WIRE_INLINE)
        return ERR_MALFORMED;
    int r = fields_alloc(&p->body, (size_t)n - HEAD_SIZE);
    if (r)
        return r;
    struct iovec io[2] = {{p->head, HEAD_SIZE}, {p->body.p, p->body.n}};
    struct msghdr msg = {.msg_iov = io,
                         .msg_iovlen = 2,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return recv_error();
    keep_fds(&msg, p);
    return got == n && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? 0 : ERR_MALFORMED;
}

int frame_recv(int fd, enum direction d, struct frame *ret)
{
    struct packet p = {.n_fds = 0};
    struct frame f = {.stream_fd = -1};
    int r = packet_recv(fd, &p);
    if (r)
        goto out;
    r = ERR_MALFORMED;
    struct wire_in in = {p.head, p.head + HEAD_SIZE, false};
    uint32_t magic = wire_get_u32(&in);
    uint32_t version = (uint32_t)get_number(&in, 2), verb = (uint32_t)get_number(&in, 2);
    f.id = get_number(&in, 8);
    uint32_t length = wire_get_u32(&in), flags = wire_get_u32(&in);
    const struct row *row = find_row(verb);
    bool in_fd = flags & WIRE_IN_FD, stream = flags & WIRE_STREAM;
    if (magic != WIRE_MAGIC || version != KEEPER_PROTOCOL || !row || row->direction != d ||
        length > row->cap || (flags & ~(uint32_t)(WIRE_IN_FD | WIRE_STREAM)) ||
        in_fd != (length > WIRE_INLINE) || p.n_fds != (size_t)in_fd + (size_t)stream ||
        stream != (row->verb == VERB_HEAD) || p.body.n != (in_fd ? 0 : length))
        goto out;
    f.verb = row->verb;
    if (in_fd) {
        r = read_memfd(p.fd[0], length, &f.fields);
        if (r)
            goto out;
    } else {
        f.fields = p.body;
        p.body = (struct buf){0};
    }
    if (stream) {
        f.stream_fd = p.fd[in_fd];
        p.fd[in_fd] = -1;
    }
    *ret = f;
    f = (struct frame){.stream_fd = -1};
    r = 0;
out:
    frame_free(&f);
    packet_free(&p);
    return r;
}

/* --- sending -------------------------------------------------------------------------------- */

/* A memfd whose bytes can no longer change; -1 without memory or descriptors. */
static int make_memfd(struct str fields)
{
    int fd = memfd_create("fields", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    for (size_t at = 0; fd >= 0 && at < fields.n;) {
        ssize_t n = write(fd, fields.p + at, fields.n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            goto fail;
        at += (size_t)n;
    }
    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0)
        return fd;
fail:
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Want of descriptors or memory passes; anything else means that nobody is there. */
static int send_error(void)
{
    static const int passing[] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, EMFILE, ENFILE, ETOOMANYREFS};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (errno == passing[i])
            return ERR_DONE;
    return ERR_TRUNCATED;
}

static int packet_send(int fd, struct iovec *io, size_t n_io, const int *fds, size_t n_fds)
{
    union {
        char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control = {.space = {0}};
    struct msghdr msg = {.msg_iov = io, .msg_iovlen = n_io};
    if (n_fds > 0) {
        msg.msg_control = control.space;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : send_error();
}

int frame_send(int fd, enum verb verb, uint64_t id, struct str fields, int stream_fd)
{
    const struct row *row = find_row(verb);
    CS_ASSERT(row && (stream_fd >= 0) == (verb == VERB_HEAD));
    if (fields.n > row->cap)
        return ERR_TOO_LARGE;
    struct buf head = {.max = HEAD_SIZE};
    char *inline_bytes = NULL;
    bool in_fd = fields.n > WIRE_INLINE;
    int fds[MAX_FDS], memfd = -1, r = ERR_DONE;
    size_t n_fds = 0, n_io = 1;
    if (in_fd) {
        memfd = make_memfd(fields);
        if (memfd < 0)
            return ERR_DONE;
        fds[n_fds++] = memfd;
    }
    if (stream_fd >= 0)
        fds[n_fds++] = stream_fd;
    wire_u32(&head, WIRE_MAGIC);
    put_number(&head, KEEPER_PROTOCOL, 2);
    put_number(&head, (uint64_t)verb, 2);
    put_number(&head, id, 8);
    wire_u32(&head, (uint32_t)fields.n);
    wire_u32(&head, (in_fd ? WIRE_IN_FD : 0U) | (stream_fd >= 0 ? WIRE_STREAM : 0U));
    if (buf_err(&head))
        goto out;
    memcpy(&inline_bytes, &fields.p, sizeof inline_bytes); /* iovec has no const */
    struct iovec io[2] = {{head.p, head.n}, {inline_bytes, fields.n}};
    if (!in_fd && fields.n > 0)
        n_io = 2;
    r = packet_send(fd, io, n_io, fds, n_fds);
out:
    buf_free(&head);
    if (memfd >= 0)
        close(memfd);
    return r;
}
