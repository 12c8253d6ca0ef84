/* A load client: so many keep-alive connections in one thread, each doing one thing after the other
 * (a closed loop) until the time is up. A scenario is a row of steps; an answer that a step does
 * not expect is an error, and any error fails the run: figures of refusals are not figures. Prints
 * one line of JSON; refuses servers other than those on the loopback address. */
#include <getopt.h>
#include <inttypes.h>
#include <sys/epoll.h>

#include "latency.h"
#include "peer.h"

#define PEOPLE 2
#define STEPS 4
#define SHOWN_ERRORS 5
#define DRAIN_NS                                                                     \
    INT64_C(40000000000) /* patience for the last answers; a fetch may wait for 30 s \
                          */

struct person {
    char cookie[256], csrf[128];
};

struct load {
    const struct scenario *scenario;
    unsigned port, clients;
    double seconds, warm_up;
    uint64_t limit; /* cycles to begin, 0: until the time is up */
    char agent[128], secret[128], connection[64];
    struct person person[PEOPLE];
    uint64_t run; /* makes payloads of this run different from all others */
    uint64_t begun, done;
    int64_t from, to;           /* what ends in between is measured */
    int64_t last_done, silence; /* the longest time in which nothing ended */
    struct latencies latencies, of_step[STEPS];
    unsigned errors, open;
    int epoll;
};

struct client {
    struct peer peer;
    int step;
    int64_t begun, asked;
    uint64_t serial;
    char action[32], binding[80];
};

typedef void ask_fn(const struct load *l, struct client *c);
typedef bool take_fn(struct client *c);

struct step {
    ask_fn *ask;
    take_fn *take;
};

struct scenario {
    const char *name, *text;
    const char *target; /* of a single GET */
    unsigned people;    /* who must be signed in */
    struct step step[STEPS];
};

/* --- requests ----------------------------------------------------------------------------------
 */

static void put_body(struct peer *p, const char *body, size_t n)
{
    buf_printf(&p->out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", n);
    buf_put(&p->out, body, n);
}

/* About what an agent writes into a mail; the address makes it an action of its own. */
static void ask_propose(const struct load *l, struct client *c)
{
    char body[1024];
    int n = snprintf(
        body, sizeof body,
        "{\"connection\":\"%s\",\"method\":\"POST\",\"path\":\"/emails\","
        "\"body\":{\"to\":\"ada.%" PRIx64 ".%" PRIu64 "@example.com\","
        "\"subject\":\"Your invoice of November is ready\","
        "\"text\":\"Dear Ada, the invoice INV-2041 over 1,249.50 EUR is ready. It is due within "
        "30 days; please let us know if anything on it is not as we agreed. Kind regards\","
        "\"amount\":1249.5,\"lines\":[{\"sku\":\"A-17\",\"n\":3},{\"sku\":\"B-2\",\"n\":1}]},"
        "\"note\":\"asked for in ticket 5518\"}",
        l->connection, l->run, c->serial);
    buf_printf(&c->peer.out,
               "POST /v1/actions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n",
               l->agent);
    put_body(&c->peer, body, (size_t)n);
}

static void vote_as(const struct load *l, struct client *c, const struct person *who)
{
    char body[256];
    int n = snprintf(body, sizeof body,
                     "{\"decision\":\"approve\",\"revision\":1,\"binding\":\"%s\"}", c->binding);
    (void)l;
    buf_printf(&c->peer.out,
               "POST /v1/actions/%s/votes HTTP/1.1\r\nHost: bench\r\nCookie: %s\r\n"
               "X-CSRF-Token: %s\r\n",
               c->action, who->cookie, who->csrf);
    put_body(&c->peer, body, (size_t)n);
}

static void ask_vote_first(const struct load *l, struct client *c)
{
    vote_as(l, c, &l->person[0]);
}

static void ask_vote_second(const struct load *l, struct client *c)
{
    vote_as(l, c, &l->person[1]);
}

static void ask_fetch(const struct load *l, struct client *c)
{
    buf_printf(&c->peer.out,
               "GET /v1/actions/%s?wait=30 HTTP/1.1\r\nHost: bench\r\n"
               "Authorization: Bearer %s\r\n\r\n",
               c->action, l->agent);
}

static void ask_target(const struct load *l, struct client *c)
{
    const char *bearer = l->agent[0] != '\0' ? l->agent : l->secret;
    buf_printf(&c->peer.out, "GET %s HTTP/1.1\r\nHost: bench\r\n", l->scenario->target);
    if (bearer[0] != '\0')
        buf_printf(&c->peer.out, "Authorization: Bearer %s\r\n", bearer);
    buf_c(&c->peer.out, "\r\n");
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* Copies the text value that follows the first "name":" in the answer. */
static bool take_text(struct str body, const char *name, char *out, size_t size)
{
    char key[32];
    int n = snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *p = peer_find(body, (struct str){key, (size_t)n});
    if (p == NULL)
        return false;
    size_t from = (size_t)(p - body.p) + (size_t)n;
    return str_copy(out, size, str_sub(body, from, str_find(body, '"', from)));
}

static bool take_held(struct client *c)
{
    return c->peer.status == 202 && take_text(c->peer.body, "id", c->action, sizeof c->action) &&
           take_text(c->peer.body, "binding", c->binding, sizeof c->binding);
}

static bool take_voted(struct client *c)
{
    return c->peer.status == 200;
}

static bool take_succeeded(struct client *c)
{
    return c->peer.status == 200 &&
           peer_find(c->peer.body, STR("\"status\":\"succeeded\"")) != NULL;
}

/* --- scenarios ---------------------------------------------------------------------------------
 */

static const struct scenario scenarios[] = {
    {"propose",
     "propose a mail, tier 2, each another; acknowledged when held",
     NULL,
     0,
     {{ask_propose, take_held}}},
    {"cycle",
     "propose, one vote, fetch until succeeded",
     NULL,
     1,
     {{ask_propose, take_held}, {ask_vote_first, take_voted}, {ask_fetch, take_succeeded}}},
    {"cycle3",
     "the same with two votes, where policy says tier 3",
     NULL,
     2,
     {{ask_propose, take_held},
      {ask_vote_first, take_voted},
      {ask_vote_second, take_voted},
      {ask_fetch, take_succeeded}}},
    {"tier0",
     "read a contact through the proxy",
     "/proxy/crm-main/contacts/ct_000001",
     0,
     {{ask_target, take_voted}}},
    {"upstream",
     "read it from the sandbox",
     "/crm/contacts/ct_000001",
     0,
     {{ask_target, take_voted}}},
    {"bare",
     "read it through bench/bare_proxy",
     "/contacts/ct_000001",
     0,
     {{ask_target, take_voted}}},
    {"page", "the reviewer's page", "/", 0, {{ask_target, take_voted}}},
};
#define N_SCENARIOS (sizeof scenarios / sizeof scenarios[0])

static void fail_step(struct load *l, const struct client *c, const char *what)
{
    if (l->errors++ < SHOWN_ERRORS)
        fprintf(stderr, "load: %s, step %d, serial %" PRIu64 ": %s, status %d: %.*s\n",
                l->scenario->name, c->step + 1, c->serial, what, c->peer.status,
                (int)(c->peer.body.n < 400 ? c->peer.body.n : 400),
                c->peer.status != 0 ? c->peer.body.p : "");
}

static void leave(struct load *l, struct client *c)
{
    if (c->peer.fd >= 0)
        l->open--;
    peer_close(&c->peer);
}

static void ask(struct load *l, struct client *c)
{
    peer_begin(&c->peer);
    c->asked = now_ns();
    l->scenario->step[c->step].ask(l, c);
    if (peer_send(&c->peer) != PEER_BROKEN)
        return;
    fail_step(l, c, "cannot send");
    leave(l, c);
}

/* Begins the next cycle, or leaves when the time is up. */
static void begin(struct load *l, struct client *c)
{
    c->begun = now_ns();
    if (c->begun >= l->to || (l->limit > 0 && l->begun >= l->limit)) {
        leave(l, c);
        return;
    }
    c->step = 0;
    c->serial = l->begun++;
    ask(l, c);
}

static bool measured(const struct load *l, int64_t now)
{
    return now >= l->from && now <= l->to;
}

static void finish(struct load *l, struct client *c, int64_t now)
{
    l->done++;
    if (measured(l, now)) {
        int64_t since = l->last_done > l->from ? l->last_done : l->from;
        if (now - since > l->silence)
            l->silence = now - since;
        latencies_add(&l->latencies, now - c->begun);
    }
    l->last_done = now;
    begin(l, c);
}

static void answered(struct load *l, struct client *c)
{
    int64_t now = now_ns();
    if (!l->scenario->step[c->step].take(c)) {
        fail_step(l, c, "unexpected answer");
        begin(l, c);
        return;
    }
    if (measured(l, now))
        latencies_add(&l->of_step[c->step], now - c->asked);
    c->step++;
    if (c->step == STEPS || l->scenario->step[c->step].ask == NULL)
        finish(l, c, now);
    else
        ask(l, c);
}

static void handle(struct load *l, struct client *c, uint32_t events)
{
    enum peer_state state = PEER_WAITING;
    if (c->peer.fd < 0)
        return;
    if ((events & EPOLLOUT) != 0 && c->peer.sent < c->peer.out.n)
        state = peer_send(&c->peer);
    if (state == PEER_WAITING && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        do
            state = peer_receive(&c->peer);
        while (state == PEER_WAITING && errno != EAGAIN);
    if (state == PEER_ANSWERED)
        answered(l, c);
    if (state != PEER_BROKEN)
        return;
    fail_step(l, c, "connection broken or answer not understood");
    leave(l, c);
}

/* --- running -----------------------------------------------------------------------------------
 */

static bool connect_all(struct load *l, struct client *client)
{
    for (unsigned i = 0; i < l->clients; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &client[i]};
        if (!peer_open(&client[i].peer, l->port) ||
            epoll_ctl(l->epoll, EPOLL_CTL_ADD, client[i].peer.fd, &e) != 0) {
            perror("load: connect");
            return false;
        }
        l->open++;
    }
    return true;
}

static void run(struct load *l, struct client *client)
{
    struct epoll_event event[256];
    int64_t start = now_ns();

    l->from = start + (int64_t)(l->warm_up * 1e9);
    l->to = l->from + (int64_t)(l->seconds * 1e9);
    for (unsigned i = 0; i < l->clients; i++)
        begin(l, &client[i]);
    while (l->open > 0) {
        int n = epoll_wait(l->epoll, event, 256, 1000);
        for (int i = 0; i < n; i++)
            handle(l, event[i].data.ptr, event[i].events);
        if (now_ns() > l->to + DRAIN_NS) {
            fprintf(stderr, "load: %u answers never came\n", l->open);
            l->errors += l->open;
            return;
        }
    }
}

static void print(struct load *l)
{
    int64_t end = l->last_done < l->to ? l->last_done : l->to;
    printf("{\"scenario\":\"%s\",\"clients\":%u,", l->scenario->name, l->clients);
    latencies_print(&l->latencies, (double)(end - l->from) / 1e9);
    printf(",\"steps_p50_ms\":[");
    for (int i = 0; i < STEPS && l->scenario->step[i].ask != NULL; i++) {
        latencies_sort(&l->of_step[i]);
        printf("%s%.3f", i > 0 ? "," : "", latencies_at(&l->of_step[i], 0.50));
    }
    printf("],\"longest_silence_ms\":%.1f,\"done_in_all\":%" PRIu64 ",\"errors\":%u}\n",
           (double)l->silence / 1e6, l->done, l->errors);
}

/* --- signing in --------------------------------------------------------------------------------
 */

/* One request and its answer, waiting. */
static bool exchange(struct peer *p)
{
    enum peer_state state;
    if (fcntl(p->fd, F_SETFL, 0) != 0 || peer_send(p) == PEER_BROKEN)
        return false;
    do
        state = peer_receive(p);
    while (state == PEER_WAITING);
    return state == PEER_ANSWERED;
}

static bool take_cookie(const struct peer *p, char *out, size_t size)
{
    const char *at = peer_find(p->head, STR("\r\nSet-Cookie: "));
    if (at == NULL)
        return false;
    size_t from = (size_t)(at - p->head.p) + 14;
    return str_copy(out, size, str_sub(p->head, from, str_find(p->head, ';', from)));
}

static bool sign_in(const struct load *l, struct person *who, const char *email,
                    const char *password)
{
    struct peer p;
    char body[512];
    bool ok = peer_open(&p, l->port);
    int n = snprintf(body, sizeof body, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
    if (ok) {
        buf_c(&p.out, "POST /v1/login HTTP/1.1\r\nHost: bench\r\n");
        put_body(&p, body, (size_t)n);
        ok = exchange(&p) && p.status == 200 && take_cookie(&p, who->cookie, sizeof who->cookie) &&
             take_text(p.body, "csrf", who->csrf, sizeof who->csrf);
    }
    if (!ok)
        fprintf(stderr, "load: %s cannot sign in (status %d)\n", email, p.status);
    peer_close(&p);
    return ok;
}

/* The file has a line "email password" for each person, the password without spaces. */
static bool sign_in_all(struct load *l, const char *file)
{
    char email[128], password[128];
    bool ok = true;
    if (l->scenario->people == 0)
        return true;
    FILE *in = file != NULL ? fopen(file, "r") : NULL;
    if (in == NULL) {
        fprintf(stderr, "load: %s needs a readable --people FILE\n", l->scenario->name);
        return false;
    }
    for (unsigned i = 0; ok && i < l->scenario->people; i++)
        ok = fscanf(in, "%127s %127s", email, password) == 2 &&
             sign_in(l, &l->person[i], email, password);
    fclose(in);
    return ok;
}

/* --- command line ------------------------------------------------------------------------------
 */

static const char usage[] =
    "usage: load SCENARIO --port N [--clients N] [--seconds S] [--warm-up S] [--limit CYCLES]\n"
    "            [--agent KEY | --secret KEY] [--connection NAME] [--people FILE]\n"
    "\n"
    "Exit status: 0 all answers were right, 1 some were not, 2 wrong usage. Scenarios:\n";

static int wrong_usage(void)
{
    fputs(usage, stderr);
    for (size_t i = 0; i < N_SCENARIOS; i++)
        fprintf(stderr, "  %-10s %s\n", scenarios[i].name, scenarios[i].text);
    return 2;
}

static const struct option options[] = {
    {"port", 1, NULL, 'p'},    {"clients", 1, NULL, 'c'},
    {"seconds", 1, NULL, 's'}, {"warm-up", 1, NULL, 'w'},
    {"limit", 1, NULL, 'l'},   {"agent", 1, NULL, 'a'},
    {"secret", 1, NULL, 'k'},  {"connection", 1, NULL, 'n'},
    {"people", 1, NULL, 'f'},  {0},
};

static bool read_options(int argc, char **argv, struct load *l, const char **people)
{
    bool ok = true;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'p':
            l->port = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            l->clients = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            l->seconds = strtod(optarg, NULL);
            break;
        case 'w':
            l->warm_up = strtod(optarg, NULL);
            break;
        case 'l':
            l->limit = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            ok = ok && str_copy(l->agent, sizeof l->agent, str_c(optarg));
            break;
        case 'k':
            ok = ok && str_copy(l->secret, sizeof l->secret, str_c(optarg));
            break;
        case 'n':
            ok = ok && str_copy(l->connection, sizeof l->connection, str_c(optarg));
            break;
        case 'f':
            *people = optarg;
            break;
        default:
            return false;
        }
    }
    if (optind + 1 != argc)
        return false;
    for (size_t i = 0; i < N_SCENARIOS; i++)
        if (strcmp(scenarios[i].name, argv[optind]) == 0)
            l->scenario = &scenarios[i];
    return ok && l->scenario != NULL && l->port > 0 && l->port < 65536 && l->clients > 0 &&
           l->clients <= 10000 && l->seconds > 0;
}

int main(int argc, char **argv)
{
    static struct load l = {.clients = 64, .seconds = 3, .warm_up = 1, .connection = "crm-main"};
    const char *people = NULL;

    if (!read_options(argc, argv, &l, &people))
        return wrong_usage();
    struct client *client = calloc(l.clients, sizeof *client);
    l.run = (uint64_t)now_ns();
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (client == NULL || l.epoll < 0 || !sign_in_all(&l, people) || !connect_all(&l, client))
        return 1;
    run(&l, client);
    print(&l);
    for (unsigned i = 0; i < l.clients; i++)
        peer_close(&client[i].peer);
    free(client);
    free(l.latencies.us);
    for (int i = 0; i < STEPS; i++)
        free(l.of_step[i].us);
    close(l.epoll);
    return l.errors == 0 && l.latencies.n > 0 ? 0 : 1;
}
