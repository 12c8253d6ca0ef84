/* Names are not resolved: gate makes no outbound connection, not even to ask for its own address.
 */
#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"

enum { BACKLOG = 4096, OTHER_FILES = 512 };

static int bind_and_listen(const struct addrinfo *ai, int *ret_fd)
{
    const int one = 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_IO;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG)) {
        int cause = errno;
        close(fd);
        errno = cause;
        return cause == EADDRINUSE ? ERR_CONFLICT : ERR_CONFIG; /* waiting would not mend it */
    }
    *ret_fd = fd;
    return 0;
}

static uint16_t bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t n = sizeof a;
    if (getsockname(fd, &a.any, &n))
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

int listen_on(struct str address, int *ret_fd, uint16_t *ret_port, struct fail *f)
{
    struct addrinfo want = {.ai_family = AF_UNSPEC,
                            .ai_socktype = SOCK_STREAM,
                            .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[64], service[8];
    uint16_t port;
    if (!config_address(address, host, &port))
        return fail_set(f, ERR_CONFIG, "cannot listen on %.*s: not host:port", STR_FMT(address));
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (getaddrinfo(numeric, service, &want, &found))
        return fail_set(f, ERR_CONFIG, "cannot listen on %.*s: the host must be a number",
                        STR_FMT(address));
    int r = bind_and_listen(found, ret_fd);
    if (r)
        r = fail_set(f, r, "cannot listen on %.*s: %s", STR_FMT(address), strerror(errno));
    else
        *ret_port = bound_port(*ret_fd);
    freeaddrinfo(found);
    return r;
}

void listen_raise_limit(int64_t connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    rlim_t wanted = (rlim_t)connections + OTHER_FILES;
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        log_event(LOG_WARN, "files.limited", KV_N("open_files", limit.rlim_cur),
                  KV_N("connections", connections));
}
