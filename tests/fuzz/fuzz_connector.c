/* Three targets, chosen by the first byte. Any bytes as a connector or as a policy are loaded or
 * refused. And for plaid.yaml, bytes as a request: what gate makes of it keeper reads back as the
 * same payload, hash and operation, with nothing in a place that is not the agent's. Runs from the
 * repository root. */
#include <stdlib.h>

#include "connector/request.h"
#include "policy/policy.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct connectors *shipped;
static const struct connector *plaid;

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct complaints c;

    (void)argc;
    (void)argv;
    complaints_init(&c);
    check(connectors_load("connectors", &shipped, &c) == ERR_OK);
    plaid = connectors_find(shipped, STR("plaid"));
    check(plaid != NULL);
    complaints_free(&c);
    return 0;
}

static void as_connector(struct str text)
{
    struct connectors *set = NULL;
    struct complaints c;

    complaints_init(&c);
    int r = connectors_read("fuzz.yaml", text, &set, &c);
    check((r == ERR_OK) == (set != NULL) && (r != ERR_CONFIG || c.n > 0));
    connectors_free(set);
    complaints_free(&c);
}

static void as_policy(struct str text)
{
    struct policy *p = NULL;
    struct complaints c;
    struct verdict v;

    complaints_init(&c);
    int r = policy_read("fuzz.yaml", text, shipped, &p, &c);
    check((r == ERR_OK) == (p != NULL) && (r != ERR_CONFIG || c.n > 0));
    for (size_t i = 0; p != NULL && i < plaid->n_ops; i++) {
        struct policy_facts facts = {.connector = plaid,
                                     .op = &plaid->op[i],
                                     .method = STR("POST"),
                                     .path = str_c(plaid->op[i].path)};
        policy_verdict(p, &facts, &v);
        check(!plaid->op[i].deny || v.decision == DECISION_DENY);
        check(v.decision != DECISION_EXECUTE || v.tier < 2);
        check(v.decision != DECISION_HOLD || json_array_size(v.quorum) > 0);
        verdict_free(&v);
    }
    policy_free(p);
    complaints_free(&c);
}

/* --- requests -------------------------------------------------------------------------------- */

/* Texts parted by 0x01: method, path, query, content type, headers, body. */
static struct str part(struct str *rest)
{
    size_t end = str_find(*rest, '\1', 0);
    struct str s = str_sub(*rest, 0, end);
    *rest = str_sub(*rest, end + 1, rest->n);
    return s;
}

static void check_places(const struct request *r)
{
    const json_t *body = request_body(r);

    for (size_t i = 0; i < plaid->n_drop_body; i++)
        check(body == NULL || json_at(body, str_c(plaid->drop_body[i])) == NULL);
    for (size_t i = 0; r->op != NULL && i < r->op->n_body; i++)
        check(body == NULL || json_at(body, str_c(r->op->body[i].place)) == NULL);
    if (body != NULL && r->op != NULL && r->op->idem == IDEM_BODY)
        check(json_at(body, str_c(r->op->idem_at)) == NULL);
    check(json_object_size(json_object_get(r->doc, "headers")) <= 1); /* the content type */
}

static void as_request(struct str text)
{
    struct str method = part(&text), path = part(&text), query = part(&text), type = part(&text),
               headers = part(&text);
    struct request_input in = {.method = method, .path = path, .content_type = type};
    json_t *h = NULL;
    struct request r, again;
    struct wire w;

    (void)!query_parse(query, &in.query, NULL);
    if (json_read(headers, &h, NULL) == ERR_OK)
        in.headers = h;
    if (json_read(text, &in.body, NULL) != ERR_OK)
        in.raw_body = text;
    if (request_build(plaid, &in, &r, NULL) == ERR_OK) {
        check(request_read(plaid, buf_view(&r.bytes), &again, NULL) == ERR_OK);
        check(strcmp(r.hash, again.hash) == 0 && r.op == again.op && json_equal(r.doc, again.doc));
        check_places(&again);
        json_t *secrets =
            json_pack("{s:s, s:s, s:s}", "client_id", "C", "secret", "S", "access_token", "A");
        if (request_wire(plaid, &again, secrets, STR("0123456789abcdef"), &w, NULL) == ERR_OK)
            wire_free(&w);
        json_decref(secrets);
        request_free(&again);
        request_free(&r);
    }
    json_decref(in.query);
    json_decref(in.body);
    json_decref(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const target[])(struct str) = {as_request, as_connector, as_policy};

    if (size > 0)
        target[data[0] % 3]((struct str){(const char *)data + 1, size - 1});
    return 0;
}
