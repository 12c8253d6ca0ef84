/* A head that is taken has one reading; every answer is well formed and lets no control character
 * into a header; nobody is anybody without a key. The input is a request as text: request line,
 * headers, an empty line, body. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "http/dispatch.h"
#include "http/headers.h"
#include "http/last_words.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS = 64 };

static const struct config cfg = {.public_url = "https://gate.example",
                                  .limit_body = 4096,
                                  .limit_headers = 2048,
                                  .limit_answer = 4096};
static struct app app = {.cfg = &cfg, .env = &env_system};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct str line_at(struct str text, size_t *at)
{
    size_t end = str_find(text, '\n', *at);
    struct str line = str_sub(text, *at, end);
    *at = end < text.n ? end + 1 : text.n;
    return line;
}

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_cstr(a, s);
    for (size_t i = 0; i < s.n && !arena_overflowed(a); i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
    return (struct str){p, s.n};
}

static struct str fill(struct call *c, struct str text)
{
    struct exchange *x = &c->x;
    struct exchange_header_pair *pair = arena_alloc(x->arena, HEADERS * sizeof *pair);
    size_t at = 0;
    struct str first = line_at(text, &at);
    size_t one = str_find(first, ' ', 0), two = str_find(first, ' ', one + 1);
    check(pair != NULL);
    x->method_text = str_sub(first, 0, one);
    x->target = str_sub(first, one + 1, two);
    x->headers = pair;
    while (at < text.n && x->n_headers < HEADERS) {
        struct str line = line_at(text, &at);
        size_t colon = str_find(line, ':', 0);
        if (line.n == 0)
            break;
        pair[x->n_headers++] = (struct exchange_header_pair){
            lower(x->arena, str_sub(line, 0, colon)), str_trim(str_sub(line, colon + 1, line.n))};
    }
    x->body = str_sub(text, at, text.n);
    return str_sub(first, two + 1, first.n);
}

static void check_header(void *arg, const char *name, const char *value)
{
    (void)arg;
    check(name[0] != 0);
    for (const char *p = name; *p; p++)
        check(*p > 0x20 && *p < 0x7f && *p != ':');
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        check((*p >= 0x20 && *p != 0x7f) || *p == '\t');
}

static void check_answer(const struct call *c)
{
    json_t *doc = NULL;
    struct buf words;
    check(c->x.status >= 200 && c->x.status < 600);
    headers_each(c, check_header, NULL);
    if (c->x.status == 204)
        check(c->x.out.n == 0);
    else
        check(json_read(buf_view(&c->x.out), &doc, NULL) == 0);
    json_decref(doc);
    buf_init(&words, 0);
    check(last_words_write(c, &words) == 0);
    const char *body = strstr(words.p, "\r\n\r\n");
    check(body && words.n - (size_t)(body + 4 - words.p) == c->x.out.n);
    buf_free(&words);
}

static size_t count(const struct exchange *x, const char *name)
{
    size_t n;
    (void)exchange_header(x, name, &n);
    return n;
}

/* Said once more, apart from the code that makes it so. */
static void check_head(const struct call *c)
{
    const struct exchange *x = &c->x;
    check(c->route != NULL && x->path.n > 0 && x->path.p[0] == '/');
    check(count(x, "host") <= 1 && count(x, "content-length") <= 1);
    check(count(x, "transfer-encoding") == 0 || (c->length == UINT64_MAX && c->has_body));
    check(count(x, "content-length") + count(x, "transfer-encoding") <= 1);
    check(c->has_body == (c->length > 0));
    check(!memchr(x->target.p, '\r', x->target.n) && !memchr(x->target.p, ' ', x->target.n));
    if (c->route->who != FOR_PROXY)
        check(!memchr(x->path.p, '%', x->path.n) && !memchr(x->path.p, ';', x->path.n));
}

static int echo(struct app *a, struct exchange *x, struct fail *f)
{
    (void)a;
    (void)f;
    return exchange_json(x, 200,
                         json_pack("{s:O, s:b}", "query", x->query, "json", x->json != NULL));
}

static void run_as(struct call *c, enum route_who who)
{
    struct route row = *c->route;
    row.who = who;
    row.handler = echo;
    c->route = &row;
    dispatch_run(&app, c);
    check_answer(c);
    if (who != FOR_ANYONE) /* the roster is empty */
        check(c->x.status >= 400);
    c->route = NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_open("fuzz", LOG_ERROR); /* every refusal would be a line */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct call c;
    check(call_init(&c, &app) == 0);
    check(roster_read(str_c(roster_empty), &c.x.who.roster, NULL) == 0);
    struct str version = fill(&c, (struct str){(const char *)data, size});
    if (!dispatch_head(&app, &c, version)) {
        check_answer(&c);
    } else {
        check_head(&c);
        /* cookies ask the store, which is not here */
        bool anyone = size % 2 == 0 || count(&c.x, "cookie") > 0;
        run_as(&c, anyone ? FOR_ANYONE : FOR_READER);
    }
    call_free(&c);
    return 0;
}
