/* What the keeper's tests share: a scratch folder with keys, policy and a connector, a keeper
 * running in a child process as it does in production, gate's client bound to it, a small HTTP
 * server whose path says how it behaves, and orders with real votes. */
#ifndef CS_TEST_KEEPER_H
#define CS_TEST_KEEPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "connector/request.h"
#include "keeper/keeper.h"
#include "keeper/keeper_client.h"
#include "policy/policy.h"

#define T __attribute__((unused)) static
#define SECRET "tok-0123456789abcdef"
#define WAIT_S 20
#define LIMIT_ANSWER 65536

/* --- the server: /kind/mode ------------------------------------------------------------------- */

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    atomic_int requests, effects, connections, stop;
    pthread_mutex_t lock;
    char last[4096]; /* head of the last request */
};
struct visitor {
    struct server *s;
    int fd;
};

T void send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

/* One whole request into buf; its length, or 0 when the peer has gone. */
T size_t read_request(int fd, char *buf, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, buf + n, size - 1 - n, 0);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        buf[n] = 0;
        const char *end = strstr(buf, "\r\n\r\n"), *cl = strcasestr(buf, "content-length:");
        if (end && n >= (size_t)(end + 4 - buf) + (cl && cl < end ? strtoul(cl + 15, NULL, 10) : 0))
            return n;
    }
}

T void answer(int fd, int status, const char *headers, const char *body, size_t n)
{
    char head[512];
    int len =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nContent-Type: application/json\r\n%s\r\n",
                 status, n, headers);
    send_all(fd, head, (size_t)len);
    send_all(fd, body, n);
}

T void answer_big(int fd)
{
    size_t n = LIMIT_ANSWER * 40;
    char *body = malloc(n);
    memset(body, 'x', n);
    for (size_t at = 0; at + 64 < n; at += 65500) /* secrets at many places, also across pieces */
        memcpy(body + at, SECRET, strlen(SECRET));
    answer(fd, 200, "", body, n);
    free(body);
}

/* False: close the connection. */
T bool behave(struct server *s, int fd, const char *mode, const char *request, int nth)
{
    const char *ok = "{\"ok\":true,\"request_id\":\"req-1\"}";
    if (strcmp(mode, "drop") == 0 && nth > 1)
        return false; /* read it, had an effect, and went without a word */
    if (strcmp(mode, "cut") == 0) {
        send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 42);
        return false;
    }
    if (strcmp(mode, "slow") == 0)
        usleep(300000);
    if (strcmp(mode, "never") == 0)
        while (!s->stop)
            usleep(20000);
    if (strcmp(mode, "redirect") == 0) {
        answer(fd, 302, "Location: /write/ok\r\n", "", 0);
    } else if (strcmp(mode, "500") == 0 || strcmp(mode, "400") == 0 || strcmp(mode, "401") == 0) {
        answer(fd, atoi(mode), "", "{\"error\":\"E\"}", 13);
    } else if (strcmp(mode, "429") == 0) {
        answer(fd, 429,
               "Retry-After: 7\r\nX-Limit: 100\r\nX-Left: 0\r\nX-Reset: 4102444800\r\nX-Hidden: "
               "h\r\nX-Shown: s\r\n",
               "{}", 2);
    } else if (strcmp(mode, "echo") == 0) {
        answer(fd, 200, "X-Shown: " SECRET "\r\n", request, strlen(request));
    } else if (strcmp(mode, "big") == 0) {
        answer_big(fd);
    } else {
        answer(fd, 200, "", ok, strlen(ok));
    }
    return true;
}

T void *serve_one(void *arg)
{
    struct visitor v = *(struct visitor *)arg;
    char buf[65536], mode[32];
    free(arg);
    for (int nth = 1; read_request(v.fd, buf, sizeof buf) > 0; nth++) {
        pthread_mutex_lock(&v.s->lock);
        snprintf(v.s->last, sizeof v.s->last, "%.4000s", buf);
        pthread_mutex_unlock(&v.s->lock);
        v.s->requests++;
        if (strncmp(buf, "GET", 3) != 0)
            v.s->effects++;
        if (sscanf(buf, "%*[A-Z] /%*[a-z0-9]/%31[a-z0-9]", mode) != 1)
            snprintf(mode, sizeof mode, "ok");
        if (!behave(v.s, v.fd, mode, buf, nth))
            break;
    }
    close(v.fd);
    return NULL;
}

T void *serve(void *arg)
{
    struct server *s = arg;
    while (!s->stop) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (poll(&p, 1, 20) != 1)
            continue;
        struct visitor *v = malloc(sizeof *v);
        pthread_t t;
        *v = (struct visitor){s, accept(s->fd, NULL, NULL)};
        s->connections++;
        pthread_create(&t, NULL, serve_one, v);
        pthread_detach(t);
    }
    return NULL;
}

T void server_start(struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    *s = (struct server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->fd, 512), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    pthread_create(&s->thread, NULL, serve, s);
}

T void server_stop(struct server *s)
{
    s->stop = 1;
    pthread_join(s->thread, NULL);
    close(s->fd);
}

/* --- files ------------------------------------------------------------------------------------ */

T const char connector_yaml[] =
    "version: 1\nname: shop\ntitle: Shop\nbase_url: http://127.0.0.1:1\nsecrets: [token]\n"
    "inject: {authorization: \"Bearer {token}\"}\nanswer_headers: [x-shown]\nrequest_id: "
    "/request_id\n"
    "errors: {code: /error, message: /message, reauth: [\"401\"]}\n"
    "ratelimit: {limit: x-limit, remaining: x-left, reset: x-reset, unit: epoch}\n"
    "pending: {status: 428, body: "
    "'{\"error\":\"${code}\",\"message\":\"${message}\",\"action\":\"${action}\"}'}\n"
    "operations:\n"
    "  - {name: item.read, method: GET, path: \"/read/{m}\", product: p, kind: read, tier: 0, "
    "tags: [read], text: t}\n"
    "  - {name: item.peek, method: GET, path: \"/peek/{m}\", product: p, kind: read, tier: 2, "
    "tags: [read], text: t}\n"
    "  - {name: item.write, method: POST, path: \"/write/{m}\", product: p, tier: 1, text: t}\n"
    "  - {name: item.keyed, method: POST, path: \"/keyed/{m}\", product: p, tier: 1, text: t,\n"
    "     idempotency: {by: header, at: idempotency-key, window: 24h}}\n"
    "  - {name: pay.one, method: POST, path: \"/pay/{m}\", product: p, tier: 2, text: t}\n"
    "  - {name: pay.two, method: POST, path: \"/paytwo/{m}\", product: p, tier: 3, text: t}\n"
    "  - {name: never, method: DELETE, path: \"/never/{m}\", product: p, deny: true, text: t}\n";
T const char policy_yaml[] =
    "version: 1\ntiers:\n"
    "  2: {decide_within: 7d, execute_within: 24h, evidence: session, quorum: [{count: 1}]}\n"
    "  3: {decide_within: 24h, execute_within: 24h, evidence: session, quorum: [{count: 2}]}\n"
    "rules: []\n";

T int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

T void remove_folder(const char *dir)
{
    assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

T void put_file(const char *dir, const char *name, const char *text, mode_t mode)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* --- the fixture ------------------------------------------------------------------------------ */

#define PEOPLE 4 /* 0 owns the agent, 1 and 2 approve, 3 is an auditor */
struct fixture {
    char dir[64], kek[128], policy[128], connectors_dir[128], data[128];
    struct config cfg;
    struct connectors *connectors;
    struct policy *rules;
    struct server server;
    pid_t pid;
    int control;
    struct keeper_client *kc;
    struct keeper_identity who;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct keeper_result result[64];
    size_t n_results, taken;
    struct delivered delivered[8];
    size_t n_delivered;
    int stream;
    struct keeper_result head;
    int lost;
    char person[PEOPLE][ID_SIZE], agent[ID_SIZE], connection[ID_SIZE], spare[ID_SIZE];
    char base_url[128];
    bool allow_private;
    int64_t credential_version;
    const char *disabled; /* id of a person who is */
    struct buf sealed_roster, credential;
};

T void on_result(void *arg, struct keeper_result *r)
{
    struct fixture *x = arg;
    pthread_mutex_lock(&x->lock);
    assert_true(x->n_results < 64);
    x->result[x->n_results++] = *r;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}
T void on_head(void *arg, struct keeper_result *r, int fd)
{
    struct fixture *x = arg;
    pthread_mutex_lock(&x->lock);
    x->head = *r;
    x->stream = fd;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}
T void on_delivered(void *arg, const struct delivered *d)
{
    struct fixture *x = arg;
    pthread_mutex_lock(&x->lock);
    x->delivered[x->n_delivered++] = *d;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}
T void on_lost(void *arg)
{
    struct fixture *x = arg;
    pthread_mutex_lock(&x->lock);
    x->lost++;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

/* Waits on x->changed; a test that would wait for ever fails instead. */
T void wait_more(struct fixture *x)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    assert_int_equal(pthread_cond_timedwait(&x->changed, &x->lock, &until), 0);
}

T struct keeper_result *next_result(struct fixture *x)
{
    pthread_mutex_lock(&x->lock);
    while (x->taken == x->n_results)
        wait_more(x);
    struct keeper_result *r = &x->result[x->taken++];
    pthread_mutex_unlock(&x->lock);
    return r;
}

/* The child runs this program again as `program keeper FD DIR TIME CALLS`: forking alone would copy
 * the locks that this process's threads hold. */
T void spawn(struct fixture *x)
{
    int pair[2];
    char fd[16], total[32], calls[32], keeper[] = "keeper", program[] = "/proc/self/exe";
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    snprintf(fd, sizeof fd, "%d", pair[1]);
    snprintf(total, sizeof total, "%lld", (long long)x->cfg.limit_upstream_time);
    snprintf(calls, sizeof calls, "%lld", (long long)x->cfg.limit_calls);
    char *argv[] = {program, keeper, fd, x->dir, total, calls, NULL};
    x->pid = fork();
    if (x->pid == 0) {
        fcntl(pair[1], F_SETFD, 0);
        execv(program, argv);
        _exit(127);
    }
    close(pair[1]);
    x->control = pair[0];
}

/* Gives keeper one end of a fresh pair; the other is returned. */
T int give_socket(struct fixture *x)
{
    int pair[2];
    char byte = 'P';
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.space = {0}};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct iovec io = {&byte, 1};
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
    assert_int_equal(sendmsg(x->control, &msg, MSG_NOSIGNAL), 1);
    close(pair[1]);
    return pair[0];
}

T int bind_gate(struct fixture *x, struct fail *f)
{
    keeper_identity_free(&x->who);
    return keeper_client_bind(x->kc, give_socket(x), policy_digest(x->rules),
                              connectors_digest(x->connectors), &x->who, f);
}

T int end_keeper(struct fixture *x, int signal)
{
    int status = -1;
    if (signal)
        kill(x->pid, signal);
    else
        close(x->control);
    waitpid(x->pid, &status, 0);
    if (signal)
        close(x->control);
    x->pid = 0;
    return status;
}

T void put_roster(struct fixture *x, struct buf *out)
{
    static const char *const role[PEOPLE] = {"admin", "approver", "approver", "auditor"};
    buf_c(out,
          "{\"version\":0,\"workspaces\":[{\"id\":\"default\"},{\"id\":\"other\"}],\"people\":[");
    for (int i = 0; i < PEOPLE; i++)
        buf_printf(out,
                   "%s{\"id\":\"%s\",\"workspace\":\"default\",\"email\":\"p%d@example.com\","
                   "\"role\":\"%s\",\"groups\":[],"
                   "\"enabled\":%s,\"password\":\"\",\"tokens\":[],\"since\":1}",
                   i ? "," : "", x->person[i], i, role[i],
                   x->disabled == x->person[i] ? "false" : "true");
    buf_printf(out,
               "],\"agents\":[{\"id\":\"%s\",\"workspace\":\"default\",\"name\":\"bot\",\"owner\":"
               "\"%s\",\"key_hash\":"
               "\"sha256:%064d\",\"enabled\":true,\"connections\":[\"%s\"],\"resume_urls\":[\"http:"
               "//127.0.0.1:%u/hook\"],"
               "\"allow_private\":true,\"since\":1}],",
               x->agent, x->person[0], 1, x->connection, x->server.port);
    for (int i = 0; i < 2; i++) /* the second one is not the agent's */
        buf_printf(out,
                   "%s{\"id\":\"%s\",\"workspace\":\"default\",\"name\":\"con%d\",\"connector\":"
                   "\"shop\",\"base_url\":\"%s\",\"allow_private\":%s,\"credential\":%lld,"
                   "\"enabled\":true,\"item_id\":\"\",\"since\":1}",
                   i ? "," : "\"connections\":[", i ? x->spare : x->connection, i, x->base_url,
                   x->allow_private ? "true" : "false", (long long)x->credential_version);
    buf_c(out, "]}");
    assert_int_equal(buf_err(out), 0);
}

/* Puts the roster that the fixture's fields describe in force, and seals the credential for it. */
T void change_roster(struct fixture *x)
{
    struct buf doc = {0};
    int64_t version;
    struct fail f = {0};
    put_roster(x, &doc);
    buf_free(&x->sealed_roster);
    if (keeper_roster_put(x->kc, buf_view(&doc), &x->sealed_roster, &version, &f))
        fail_msg("roster: %s %s", err_name(f.err), f.detail);
    assert_int_equal(keeper_roster_commit(x->kc, buf_view(&x->sealed_roster), &f), 0);
    buf_free(&x->credential);
    assert_int_equal(keeper_seal(x->kc, STR("default"), str_c(x->connection), str_c(x->base_url),
                                 x->credential_version, STR("{\"token\":\"" SECRET "\"}"),
                                 &x->credential, &f),
                     0);
    buf_free(&doc);
}

T void load_roster(struct fixture *x, struct str sealed)
{
    struct buf doc = {0};
    struct fail f = {0};
    if (keeper_roster_load(x->kc, sealed, &doc, &f))
        fail_msg("load: %s %s", err_name(f.err), f.detail);
    buf_free(&doc);
}

/* Starts it again on the same files. */
T void start_again(struct fixture *x)
{
    struct fail f = {0};
    spawn(x);
    if (bind_gate(x, &f))
        fail_msg("bind: %s %s", err_name(f.err), f.detail);
    if (x->sealed_roster.n > 0)
        load_roster(x, buf_view(&x->sealed_roster));
}

T void load_rules(struct fixture *x)
{
    struct complaints c;
    complaints_init(&c);
    policy_free(x->rules);
    connectors_free(x->connectors);
    if (connectors_load(x->connectors_dir, &x->connectors, &c) ||
        policy_load(x->policy, x->connectors, &x->rules, &c))
        fail_msg("%s", c.text.p);
    complaints_free(&c);
}

T void name_files(struct fixture *x)
{
    snprintf(x->kek, sizeof x->kek, "%s/kek", x->dir);
    snprintf(x->policy, sizeof x->policy, "%s/policy.yaml", x->dir);
    snprintf(x->connectors_dir, sizeof x->connectors_dir, "%s/connectors", x->dir);
    snprintf(x->data, sizeof x->data, "%s/data", x->dir);
    x->cfg = (struct config){.data_dir = x->data,
                             .kek_file = x->kek,
                             .policy = x->policy,
                             .connectors_dir = x->connectors_dir,
                             .user = "nobody",
                             .log_level = "error",
                             .limit_upstream_time = 60000,
                             .limit_connect_time = 5000,
                             .limit_answer = LIMIT_ANSWER,
                             .limit_calls = 64,
                             .session_absolute = 8 * 3600000};
}

T void write_files(struct fixture *x)
{
    snprintf(x->dir, sizeof x->dir, "/tmp/keeper-test-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    assert_int_equal(chmod(x->dir, 0755), 0); /* keeper reads policy again as a lesser user */
    name_files(x);
    assert_int_equal(mkdir(x->connectors_dir, 0755), 0);
    assert_int_equal(mkdir(x->data, 0755), 0);
    put_file(x->dir, "connectors/shop.yaml", connector_yaml, 0644);
    put_file(x->dir, "policy.yaml", policy_yaml, 0644);
    assert_int_equal(keyring_create(x->kek, NULL), 0);
}

/* What main does first: in the child it becomes keeper and does not return. */
T void keeper_child(int argc, char **argv)
{
    struct fixture x = {.pid = 0};
    if (argc != 6 || strcmp(argv[1], "keeper") != 0)
        return;
    snprintf(x.dir, sizeof x.dir, "%s", argv[3]);
    name_files(&x);
    x.cfg.limit_upstream_time = atoll(argv[4]);
    x.cfg.limit_calls = atoll(argv[5]);
    _exit(keeper_main(&x.cfg, atoi(argv[2])));
}

T void fixture_files(struct fixture *x)
{
    *x = (struct fixture){.stream = -1, .allow_private = true, .credential_version = 1};
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->changed, NULL);
    write_files(x);
    load_rules(x);
    for (int i = 0; i < PEOPLE; i++)
        id_new(&env_system, "apr", x->person[i]);
    id_new(&env_system, "agt", x->agent);
    id_new(&env_system, "con", x->connection);
    id_new(&env_system, "con", x->spare);
}

T void fixture_begin(struct fixture *x)
{
    const struct keeper_events ev = {x, on_result, on_head, on_delivered, on_lost};
    fixture_files(x);
    server_start(&x->server);
    snprintf(x->base_url, sizeof x->base_url, "http://127.0.0.1:%u", x->server.port);
    assert_int_equal(keeper_client_new(&ev, &x->kc), 0);
    start_again(x);
    load_roster(x, STR(""));
    change_roster(x);
}

T void fixture_end(struct fixture *x)
{
    if (x->pid > 0)
        assert_int_equal(end_keeper(x, 0), 0);
    keeper_client_free(x->kc);
    if (x->server.port)
        server_stop(&x->server);
    for (size_t i = 0; i < x->n_results; i++)
        keeper_result_free(&x->result[i]);
    keeper_result_free(&x->head);
    if (x->stream >= 0)
        close(x->stream);
    keeper_identity_free(&x->who);
    policy_free(x->rules);
    connectors_free(x->connectors);
    buf_free(&x->sealed_roster);
    buf_free(&x->credential);
    remove_folder(x->dir);
}

/* --- orders ----------------------------------------------------------------------------------- */

struct order {
    struct exec_order o;
    struct request request;
    struct vote vote[4];
    char mac[4][MAC_TEXT], binding[HASH_TEXT], action[ID_SIZE];
    struct buf grant;
};

T void order_make(struct fixture *x, struct order *y, const char *method, const char *path,
                  int tier)
{
    const struct connector *c = connectors_find(x->connectors, STR("shop"));
    bool get = strcmp(method, "GET") == 0;
    json_t *body = get ? NULL : json_pack("{s:i}", "amount", 5);
    struct request_input in = {.method = str_c(method),
                               .path = str_c(path),
                               .body = body,
                               .content_type = STR("application/json")};
    struct fail f = {0};
    int64_t now = env_now(&env_system);
    *y = (struct order){.o = {.attempt = 1}};
    if (request_build(c, &in, &y->request, &f))
        fail_msg("request: %s", f.detail);
    json_decref(body);
    id_new(&env_system, "act", y->action);
    y->o.about = (struct binding){.action = str_c(y->action),
                                  .workspace = STR("default"),
                                  .agent = str_c(x->agent),
                                  .connection = str_c(x->connection),
                                  .revision = 1,
                                  .tier = tier,
                                  .quorum = tier == 2   ? STR("[{\"count\":1}]")
                                            : tier == 3 ? STR("[{\"count\":2}]")
                                                        : STR("[]"),
                                  .evidence = STR("session"),
                                  .payload_hash = str_c(y->request.hash),
                                  .nonce = STR("00112233445566778899aabbccddeeff")};
    if (tier >= 2) {
        y->o.about.decide_by = now + 600000;
        y->o.about.execute_by = now + 1200000;
    }
    y->o.request = buf_view(&y->request.bytes);
    y->o.credential = buf_view(&x->credential);
    y->o.epoch = str_c(x->who.epoch);
    y->o.vote = y->vote;
}

/* Signs vote i again, after a change to it or to the order. */
T void vote_sign(struct fixture *x, struct order *y, size_t i)
{
    assert_int_equal(binding_hash(&y->o.about, y->binding), 0);
    y->vote[i].binding = str_c(y->binding);
    assert_int_equal(
        vote_mac(x->who.mac_key[x->who.n_macs - 1], x->who.mac_version, &y->vote[i], y->mac[i]), 0);
    y->vote[i].mac = str_c(y->mac[i]);
}

T void vote_add(struct fixture *x, struct order *y, int person)
{
    int64_t now = env_now(&env_system);
    y->vote[y->o.n_votes] = (struct vote){.person = str_c(x->person[person]),
                                          .decision = VOTE_APPROVE,
                                          .at = now,
                                          .auth_time = now - 1000,
                                          .session = STR("ses_1"),
                                          .evidence = STR("session")};
    vote_sign(x, y, y->o.n_votes++);
}

T int order_grant(struct fixture *x, struct order *y, struct fail *f)
{
    buf_free(&y->grant);
    y->o.grant = STR("");
    int r = keeper_grant(x->kc, &y->o, &y->grant, f);
    y->o.grant = buf_view(&y->grant);
    return r;
}

T void order_free(struct order *y)
{
    request_free(&y->request);
    buf_free(&y->grant);
}

T struct keeper_result *order_execute(struct fixture *x, struct order *y)
{
    assert_int_equal(keeper_execute(x->kc, &y->o), 0);
    return next_result(x);
}

/* Made, sent, freed. */
T struct keeper_result *run_call(struct fixture *x, const char *method, const char *path, int tier)
{
    struct order y;
    order_make(x, &y, method, path, tier);
    struct keeper_result *r = order_execute(x, &y);
    order_free(&y);
    return r;
}

#endif
