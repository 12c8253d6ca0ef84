/* The reference for tier 0: libmicrohttpd and libcurl with nothing in between. It passes a GET on
 * with a credential and hands the answer back: no policy, no log, no second process. Any other
 * method is 405. A thread per connection, each with its own curl handle, since a client that waits
 * for its answer keeps exactly one of either busy.
 *   bare_proxy PORT BASE_URL SECRET     serves until SIGTERM */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct upstream {
    const char *base;
    struct curl_slist *headers;
};

static _Thread_local CURL *curl;

static size_t keep(char *p, size_t size, size_t n, void *arg)
{
    buf_put(arg, p, size * n);
    return size * n;
}

static long fetch(const struct upstream *up, const char *target, struct buf *answer)
{
    char url[1024];
    long status = 502;
    if (curl == NULL)
        curl = curl_easy_init();
    if (curl == NULL || (size_t)snprintf(url, sizeof url, "%s%s", up->base, target) >= sizeof url)
        return status;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, up->headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *conn, const char *target,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    struct buf answer = {0};
    (void)version, (void)data, (void)size;
    if (*state == NULL) { /* the headers are there; called again once the request is */
        *state = arg;
        return MHD_YES;
    }
    long status = strcmp(method, "GET") == 0 ? fetch(arg, target, &answer) : 405;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(answer.n, answer.p, MHD_RESPMEM_MUST_COPY);
    buf_free(&answer);
    if (r == NULL)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "application/json");
    enum MHD_Result done = MHD_queue_response(conn, (unsigned)status, r);
    MHD_destroy_response(r);
    return done;
}

int main(int argc, char **argv)
{
    char authorization[256];
    sigset_t end;
    int which;

    if (argc != 4) {
        fputs("usage: bare_proxy PORT BASE_URL SECRET\n", stderr);
        return 2;
    }
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end, NULL);
    (void)snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", argv[3]);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct upstream up = {argv[2], curl_slist_append(NULL, authorization)};
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, &up,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&here, MHD_OPTION_END);
    if (d == NULL) {
        fprintf(stderr, "bare_proxy: cannot listen on %s\n", argv[1]);
        return 1;
    }
    printf("bare_proxy listening\n");
    (void)fflush(stdout);
    sigwait(&end, &which);
    MHD_stop_daemon(d);
    curl_slist_free_all(up.headers);
    return 0;
}
