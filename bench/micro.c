/* What a proposal costs before the store sees it, a piece at a time, in one thread and in memory:
 * reading, canonical form and hash, the request's making, the verdict. Each next to what it cannot
 * do without (SHA-256 of the same bytes, jansson's own reading and sorted writing), so that the
 * ratio says how much is ours. Refuses to print figures of calls that fail. One line of JSON. */
#include <sodium.h>
#include <stdio.h>

#include "latency.h"

#include "connector/request.h"
#include "policy/policy.h"

#define ROUNDS 9
#define ROUND_NS INT64_C(20000000)
#define RULES 200
#define RULES_MATCHING 20

static const char body[] =
    "{\"to\":\"ada@example.com\",\"subject\":\"Your invoice of November is ready\","
    "\"text\":\"Dear Ada, the invoice INV-2041 over 1,249.50 EUR is ready. It is due within "
    "30 days; please let us know if anything on it is not as we agreed. Kind regards\","
    "\"amount\":1249.5,\"lines\":[{\"sku\":\"A-17\",\"n\":3},{\"sku\":\"B-2\",\"n\":1}]}";

struct micro {
    struct connectors *set;
    const struct connector *crm;
    struct policy *policy, *many;
    struct policy_facts facts;
    json_t *body;
    struct request request;
};

static void must(int err, const char *what)
{
    if (err != 0) {
        fprintf(stderr, "micro: %s: %s\n", what, err_title(err));
        exit(1);
    }
}

/* --- what is measured --------------------------------------------------------------------------
 */

static void sha256_alone(struct micro *m)
{
    unsigned char out[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(out, (const unsigned char *)m->request.bytes.p, m->request.bytes.n);
}

static void jansson_read(struct micro *m)
{
    json_t *v = json_loadb(body, sizeof body - 1, JSON_REJECT_DUPLICATES, NULL);
    must(v == NULL, "json_loadb");
    json_decref(v);
    (void)m;
}

static void jansson_write(struct micro *m)
{
    char *text = json_dumps(m->request.doc, JSON_COMPACT | JSON_SORT_KEYS);
    must(text == NULL, "json_dumps");
    free(text);
}

static void strict_read(struct micro *m)
{
    json_t *v = NULL;
    must(json_read((struct str){body, sizeof body - 1}, &v, NULL), "json_read");
    json_decref(v);
    (void)m;
}

static void canonical_hash(struct micro *m)
{
    char hash[HASH_TEXT];
    must(canon_hash(m->request.doc, hash), "canon_hash");
}

static void build(struct micro *m)
{
    struct request r;
    const struct request_input in = {
        .method = STR("POST"), .path = STR("/emails"), .body = m->body};
    must(request_build(m->crm, &in, &r, NULL), "request_build");
    request_free(&r);
}

static void read_back(struct micro *m)
{
    struct request r;
    must(request_read(m->crm, buf_view(&m->request.bytes), &r, NULL), "request_read");
    request_free(&r);
}

static void judge(const struct policy *p, const struct policy_facts *facts)
{
    struct verdict v;
    policy_verdict(p, facts, &v);
    must(v.decision != DECISION_HOLD, "policy_verdict");
    verdict_free(&v);
}

static void verdict(struct micro *m)
{
    judge(m->policy, &m->facts);
}

static void verdict_many(struct micro *m)
{
    judge(m->many, &m->facts);
}

static const struct piece {
    const char *name;
    void (*fn)(struct micro *);
} pieces[] = {
    {"sha256_alone", sha256_alone},       {"jansson_read", jansson_read},
    {"jansson_write", jansson_write},     {"json_read", strict_read},
    {"canon_hash", canonical_hash},       {"request_build", build},
    {"request_read", read_back},          {"policy_verdict", verdict},
    {"policy_verdict_200", verdict_many},
};
#define N_PIECES (sizeof pieces / sizeof pieces[0])

/* --- measuring ---------------------------------------------------------------------------------
 */

static double one_round(const struct piece *p, struct micro *m)
{
    int64_t from = now_ns(), end = from;
    size_t n = 0;
    for (; end - from < ROUND_NS; end = now_ns(), n += 64)
        for (int i = 0; i < 64; i++)
            p->fn(m);
    return (double)(end - from) / 1000.0 / (double)n;
}

/* Microseconds per call in the quickest round: whatever else the machine does only adds. */
static double measure(const struct piece *p, struct micro *m)
{
    double best = one_round(p, m);
    for (int i = 1; i < ROUNDS; i++) {
        double us = one_round(p, m);
        best = us < best ? us : best;
    }
    return best;
}

/* --- what they work on -------------------------------------------------------------------------
 */

/* Of 200 rules 20 match, spread over the file; each has a condition of every kind there is. */
static void write_rules(struct buf *out)
{
    buf_c(out, "version: 1\nrules:\n");
    for (int i = 0; i < RULES; i++)
        buf_printf(out,
                   "  - {name: r%d, match: {connector: crm, connection: \"%s\", method: POST, "
                   "operation: \"emails.*\", path: \"/em*\", tag: external}, tier: 2}\n",
                   i, i % (RULES / RULES_MATCHING) == 0 ? "crm-main" : "crm-other");
}

static void complain_and_end(struct complaints *c, int err, const char *what)
{
    if (err != 0)
        fprintf(stderr, "%s", buf_view(&c->text).p);
    must(err, what);
    complaints_free(c);
    complaints_init(c);
}

static void prepare(struct micro *m, const char *connectors, const char *policy)
{
    struct complaints c;
    struct buf rules = {0};
    complaints_init(&c);
    complain_and_end(&c, connectors_load(connectors, &m->set, &c), connectors);
    m->crm = connectors_find(m->set, STR("crm"));
    must(m->crm == NULL, "no connector crm");
    complain_and_end(&c, policy_load(policy, m->set, &m->policy, &c), policy);
    write_rules(&rules);
    complain_and_end(&c, policy_read("rules", buf_view(&rules), m->set, &m->many, &c), "rules");
    buf_free(&rules);
    complaints_free(&c);
    must(json_read((struct str){body, sizeof body - 1}, &m->body, NULL), "body");
    const struct request_input in = {
        .method = STR("POST"), .path = STR("/emails"), .body = m->body};
    must(request_build(m->crm, &in, &m->request, NULL), "request");
    m->facts = (struct policy_facts){.workspace = STR("default"),
                                     .agent = STR("agt_1"),
                                     .agent_name = STR("bench"),
                                     .connection = STR("crm-main"),
                                     .connector = m->crm,
                                     .op = m->request.op,
                                     .method = STR("POST"),
                                     .path = STR("/emails")};
}

static void release(struct micro *m)
{
    request_free(&m->request);
    json_decref(m->body);
    policy_free(m->many);
    policy_free(m->policy);
    connectors_free(m->set);
}

int main(int argc, char **argv)
{
    struct micro m = {0};
    if (argc != 3) {
        fputs("usage: micro CONNECTORS_DIR POLICY_FILE\n", stderr);
        return 2;
    }
    if (sodium_init() < 0)
        return 1;
    prepare(&m, argv[1], argv[2]);
    printf("{\"scenario\":\"micro\",\"payload_bytes\":%zu,\"us\":{", m.request.bytes.n);
    for (size_t i = 0; i < N_PIECES; i++)
        printf("%s\"%s\":%.2f", i > 0 ? "," : "", pieces[i].name, measure(&pieces[i], &m));
    printf("}}\n");
    release(&m);
    return 0;
}
