/* The audit log: exact bytes, numbers without gaps, nothing ever changed, and tampering found. */
#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "audit/body.h"
#include "base/canon.h"
#include "base/log.h"

#define AT INT64_C(1795338000123) /* 2026-11-22T09:00:00.123Z */

/* --- a store for each test ------------------------------------------------------------------ */
struct place {
    char dir[64], db[96];
    struct store *store;
};

static void place_open(struct place *p)
{
    struct fail f = {0};
    struct store_options o = {.url = "sqlite", .dir = p->dir, .readers = 2};
    if (store_open(&o, &p->store, &f) != 0)
        fail_msg("store_open: %s", f.detail);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/cs-audit-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->db, sizeof p->db, "%s/countersign.db", p->dir);
    place_open(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char lock[96];
    store_close(p->store);
    snprintf(lock, sizeof lock, "%s/countersign.lock", p->dir);
    assert_int_equal(unlink(p->db), 0);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(rmdir(p->dir), 0);
    free(p);
    return 0;
}

static struct audit_event full_event(void)
{
    return (struct audit_event){
        .type = AUDIT_ACTION_ENDED,
        .workspace = STR("wsp_1"),
        .action = STR("act_1"),
        .agent = STR("agt_1"),
        .thread = STR("t\"1\\\n\x01 \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 </script>"),
        .connector = STR("plaid"),
        .product = STR("transfer"),
        .operation = STR("transfer.create"),
        .endpoint = STR("POST /transfer/create"),
        .connection = STR("con_1"),
        .provider_item = STR("item_1"),
        .account = STR("DE02120300000000202051"),
        .action_type = STR("write"),
        .approvers = STR("[ \"apr_1\", \"apr_\\u0032\" ]"),
        .payload_hash = STR("sha256:aa"),
        .executed_payload_hash = STR("sha256:bb"),
        .provider_request_id = STR("req_1"),
        .outcome = STR("success"),
        .error_code = STR("none"),
        .channel = STR("web"),
        .evidence = STR("session"),
        .revision = 2,
        .at = AT,
        .approval_at = AT - 1000,
        .tier = 3,
        .approval_required = 1,
        .ttl_seconds = 86400,
    };
}

static struct audit_event least_event(void)
{
    struct audit_event e = AUDIT_EVENT_INIT;
    e.type = AUDIT_LOGIN_REFUSED;
    e.at = AT;
    return e;
}

static json_t *body_of(const struct audit_event *e, struct buf *b)
{
    json_t *v = NULL;
    buf_init(b, AUDIT_BODY_MAX);
    assert_int_equal(audit_body(e, STR("0190-id"), 7, b), 0);
    assert_int_equal(json_read(buf_view(b), &v, NULL), 0);
    return v;
}

/* --- bytes ---------------------------------------------------------------------------------- */
/* The contract's list, API.md "Audit event", in its order. */
static const char *const contract[] = {
    "event_id",
    "seq",
    "timestamp",
    "workspace",
    "type",
    "action_id",
    "revision",
    "agent_id",
    "thread_id",
    "connector",
    "product",
    "operation",
    "endpoint",
    "connection_id",
    "provider_item_id",
    "account_id",
    "action_type",
    "risk_tier",
    "approval_required",
    "approver_id",
    "approver_ids",
    "approval_timestamp",
    "payload_hash",
    "executed_payload_hash",
    "provider_request_id",
    "outcome",
    "error_code",
    "ttl_seconds",
    "channel",
    "evidence",
};
#define FIELDS (sizeof contract / sizeof *contract)

static void assert_canonical(struct str bytes)
{
    struct buf again;
    json_t *v = NULL;
    buf_init(&again, 0);
    assert_int_equal(json_read(bytes, &v, NULL), 0);
    assert_int_equal(canon_write(v, &again), 0);
    assert_true(str_eq(bytes, buf_view(&again)));
    assert_int_equal(json_object_size(v), FIELDS);
    for (size_t i = 0; i < FIELDS; i++)
        assert_non_null(json_object_get(v, contract[i]));
    json_decref(v);
    buf_free(&again);
}

static void bytes_are_canonical_and_complete(void **state)
{
    (void)state;
    struct audit_event all = full_event(), least = least_event();
    struct audit_event *const events[] = {&all, &least};
    for (size_t i = 0; i < 2; i++) {
        struct buf b;
        json_decref(body_of(events[i], &b));
        assert_canonical(buf_view(&b));
        buf_free(&b);
    }
}

static void every_field_says_what_it_was_given(void **state)
{
    (void)state;
    struct audit_event e = full_event();
    struct buf b;
    json_t *v = body_of(&e, &b), *expected = NULL;
    static const char text[] =
        "{\"event_id\":\"0190-id\",\"seq\":7,\"timestamp\":\"2026-11-22T09:00:00.123Z\","
        "\"workspace\":\"wsp_1\",\"type\":\"action.ended\",\"action_id\":\"act_1\",\"revision\":2,"
        "\"agent_id\":\"agt_1\",\"thread_id\":\"t\\\"1\\\\\\n\\u0001 "
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 </script>\","
        "\"connector\":\"plaid\",\"product\":\"transfer\",\"operation\":\"transfer.create\","
        "\"endpoint\":\"POST /transfer/create\",\"connection_id\":\"con_1\","
        "\"provider_item_id\":\"item_1\",\"account_id\":\"****2051\",\"action_type\":\"write\","
        "\"risk_tier\":3,\"approval_required\":true,\"approver_id\":\"apr_1\","
        "\"approver_ids\":[\"apr_1\",\"apr_2\"],"
        "\"approval_timestamp\":\"2026-11-22T08:59:59.123Z\",\"payload_hash\":\"sha256:aa\","
        "\"executed_payload_hash\":\"sha256:bb\",\"provider_request_id\":\"req_1\","
        "\"outcome\":\"success\",\"error_code\":\"none\",\"ttl_seconds\":86400,"
        "\"channel\":\"web\",\"evidence\":\"session\"}";
    assert_int_equal(json_read(str_c(text), &expected, NULL), 0);
    assert_true(json_equal(v, expected));
    json_decref(v);
    json_decref(expected);
    buf_free(&b);
}

static void what_is_not_known_is_null(void **state)
{
    (void)state;
    struct audit_event e = least_event();
    struct buf b;
    json_t *v = body_of(&e, &b);
    size_t nulls = 0;
    for (size_t i = 0; i < FIELDS; i++)
        nulls += json_is_null(json_object_get(v, contract[i]));
    assert_int_equal(nulls, FIELDS - 4); /* id, number, time and type are always known */
    json_decref(v);
    buf_free(&b);
    e.tier = 0;
    e.revision = 0;
    e.approval_required = 0;
    e.ttl_seconds = 0;
    e.approvers = STR("[]");
    v = body_of(&e, &b);
    assert_true(json_is_integer(json_object_get(v, "risk_tier")));
    assert_true(json_is_integer(json_object_get(v, "revision")));
    assert_true(json_is_false(json_object_get(v, "approval_required")));
    assert_true(json_is_integer(json_object_get(v, "ttl_seconds")));
    assert_true(json_is_array(json_object_get(v, "approver_ids")));
    assert_true(json_is_null(json_object_get(v, "approver_id")));
    json_decref(v);
    buf_free(&b);
}

static void accounts_are_masked(void **state)
{
    static const char *const cases[][2] = {
        {"1234567890", "****7890"},
        {"****7890", "****7890"},
        {"12", "****12"},
        {"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa5", "****\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa5"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct audit_event e = least_event();
        struct buf b;
        e.account = str_c(cases[i][0]);
        json_t *v = body_of(&e, &b);
        assert_string_equal(json_string_value(json_object_get(v, "account_id")), cases[i][1]);
        json_decref(v);
        buf_free(&b);
    }
}

static int body_result(const struct audit_event *e)
{
    struct buf b;
    buf_init(&b, AUDIT_BODY_MAX);
    int err = audit_body(e, STR("id"), 1, &b);
    buf_free(&b);
    return err;
}

static void what_cannot_be_verified_later_is_refused(void **state)
{
    (void)state;
    static char long_text[AUDIT_BODY_MAX];
    static const char *const wrong[] = {"apr_1", "{}",       "\"apr_1\"",
                                        "[1]",   "[\"a\",]", "[\"a\",null]"};
    struct audit_event e = least_event();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        e.approvers = str_c(wrong[i]);
        assert_int_equal(body_result(&e), ERR_MALFORMED);
    }
    e = least_event();
    e.thread = (struct str){"a\0b", 3};
    assert_int_equal(body_result(&e), ERR_MALFORMED);
    memset(long_text, 'x', sizeof long_text);
    e.thread = (struct str){long_text, sizeof long_text - 1000};
    assert_int_equal(body_result(&e), 0);
    e.thread.n = sizeof long_text;
    assert_int_equal(body_result(&e), ERR_TOO_LARGE);
}

/* SHA-256 of 00 61 62 63, by another program: printf '\0abc' | sha256sum */
static void leaf_hash_is_rfc_6962(void **state)
{
    (void)state;
    unsigned char leaf[AUDIT_LEAF];
    char hex[2 * AUDIT_LEAF + 1];
    audit_leaf(STR("abc"), leaf);
    hex_encode(hex, leaf, sizeof leaf);
    assert_string_equal(hex, "609f6e36d2405585188d5cfd761f407c7cc46a7d3f314c88270469dde315fcd1");
}

static void types_have_their_texts(void **state)
{
    (void)state;
    enum audit_type t;
    for (unsigned i = 0; i < AUDIT_COUNT; i++) {
        assert_true(audit_type_parse(str_c(audit_type_text((enum audit_type)i)), &t));
        assert_int_equal(t, i);
    }
    assert_string_equal(audit_type_text(AUDIT_VOTE_CAST), "vote.cast");
    assert_int_equal(AUDIT_COUNT, 23);
    assert_false(audit_type_parse(STR("action.exploded"), &t));
    assert_false(audit_type_parse(STR(""), &t));
}

/* --- appending and reading ------------------------------------------------------------------ */
struct append {
    struct audit_event e;
    int64_t seq;
    int result;
};

static int append_one(struct store_tx *tx, void *arg)
{
    struct append *a = arg;
    int err = audit_append(tx, &env_system, &a->e, &a->seq);
    return err != 0 ? err : a->result;
}

static int64_t must_append(struct place *p, struct audit_event e)
{
    struct append a = {.e = e};
    assert_int_equal(store_tx(p->store, append_one, &a), 0);
    return a.seq;
}

/* Events of "w": actions a1 and a2 by turns, every third one a vote. */
static void append_many(struct place *p, int n)
{
    for (int i = 1; i <= n; i++) {
        struct audit_event e = full_event();
        e.workspace = STR("w");
        e.action = i % 2 != 0 ? STR("a1") : STR("a2");
        e.type = i % 3 == 0 ? AUDIT_VOTE_CAST : AUDIT_ACTION_HELD;
        e.at = AT + i;
        assert_int_equal(must_append(p, e), i);
    }
}

struct seen {
    int64_t seq[64];
    size_t n, stop_at;
    struct audit_filter flt;
    int64_t after, limit;
};

static int see(void *arg, int64_t seq, struct str bytes)
{
    struct seen *s = arg;
    assert_canonical(bytes);
    json_t *v = NULL;
    assert_int_equal(json_read(bytes, &v, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(v, "seq")), seq);
    json_decref(v);
    assert_true(s->n < 64);
    s->seq[s->n++] = seq;
    return s->n == s->stop_at ? ERR_EXPIRED : 0;
}

static int each_fn(struct store_tx *tx, void *arg)
{
    struct seen *s = arg;
    s->n = 0;
    return audit_each(tx, &s->flt, see, s);
}

static int export_fn(struct store_tx *tx, void *arg)
{
    struct seen *s = arg;
    s->n = 0;
    return audit_export(tx, STR("w"), s->after, s->limit, see, s);
}

static void assert_seen(struct place *p, store_fn *fn, struct seen *s, const char *expected)
{
    char text[512] = "";
    assert_int_equal(store_read(p->store, fn, s), 0);
    for (size_t i = 0; i < s->n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i > 0 ? " " : "",
                 (long long)s->seq[i]);
    assert_string_equal(text, expected);
}

static void events_are_found(void **state)
{
    struct place *p = *state;
    append_many(p, 10);
    must_append(p, full_event()); /* of another workspace */
    struct seen s = {.flt = {.workspace = STR("w"), .limit = 100}};
    assert_seen(p, each_fn, &s, "10 9 8 7 6 5 4 3 2 1");
    s.flt.limit = 3;
    assert_seen(p, each_fn, &s, "10 9 8");
    s.flt.before_seq = 8;
    assert_seen(p, each_fn, &s, "7 6 5");
    s.flt = (struct audit_filter){.workspace = STR("w"), .action = STR("a2"), .limit = 100};
    assert_seen(p, each_fn, &s, "10 8 6 4 2");
    s.flt.type = STR("vote.cast");
    assert_seen(p, each_fn, &s, "6");
    s.flt.action = STR("");
    assert_seen(p, each_fn, &s, "9 6 3");
    s.flt.since = AT + 6;
    assert_seen(p, each_fn, &s, "9 6");
    s.flt.workspace = STR("nobody");
    assert_seen(p, each_fn, &s, "");
    s.limit = 4;
    assert_seen(p, export_fn, &s, "1 2 3 4");
    s.after = 4;
    assert_seen(p, export_fn, &s, "5 6 7 8");
    s.after = 8;
    assert_seen(p, export_fn, &s, "9 10");
    s.after = 0;
    s.stop_at = 2;
    assert_int_equal(store_read(p->store, export_fn, &s), ERR_EXPIRED);
    assert_int_equal(s.n, 2);
}

static void an_event_without_a_time_is_of_now(void **state)
{
    struct place *p = *state;
    struct audit_event e = full_event();
    e.workspace = STR("w");
    e.at = 0;
    must_append(p, e);
    struct seen s = {.flt = {.workspace = STR("w"), .since = AT - 1, .limit = 1}};
    s.flt.since = env_now(&env_system) - 3600000;
    assert_seen(p, each_fn, &s, "1");
}

/* --- numbers -------------------------------------------------------------------------------- */
static void a_rollback_leaves_no_gap(void **state)
{
    struct place *p = *state;
    struct append a = {.e = full_event(), .result = ERR_NOT_FOUND};
    assert_int_equal(must_append(p, a.e), 1);
    assert_int_equal(store_tx(p->store, append_one, &a), ERR_NOT_FOUND);
    assert_int_equal(must_append(p, a.e), 2);
}

enum { THREADS = 16, EACH = 100 };

struct appender {
    struct store *store;
    bool other;
    int errors;
};

static void *append_thread(void *arg)
{
    struct appender *t = arg;
    for (int i = 0; i < EACH; i++) {
        struct append a = {.e = full_event()};
        a.e.workspace = t->other ? STR("v") : STR("w");
        a.result = i % 10 == 9 ? ERR_CONFLICT : 0;
        t->errors += store_tx(t->store, append_one, &a) != a.result;
    }
    return NULL;
}

struct verdict {
    struct str workspace;
    int64_t events, bad;
};

static int check_fn(struct store_tx *tx, void *arg)
{
    struct verdict *v = arg;
    return audit_check(tx, v->workspace, &v->events, &v->bad);
}

static void assert_verdict(struct place *p, const char *workspace, int64_t events, int64_t bad)
{
    struct verdict v = {.workspace = str_c(workspace), .events = -1, .bad = -1};
    assert_int_equal(store_read(p->store, check_fn, &v), 0);
    assert_int_equal(v.events, events);
    assert_int_equal(v.bad, bad);
}

static void numbers_have_no_gaps_and_are_per_workspace(void **state)
{
    struct place *p = *state;
    struct appender a[THREADS];
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        a[i] = (struct appender){.store = p->store, .other = i % 4 == 0};
        assert_int_equal(pthread_create(&t[i], NULL, append_thread, &a[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(a[i].errors, 0);
    }
    int64_t kept = EACH - EACH / 10;
    assert_verdict(p, "w", THREADS / 4 * 3 * kept, 0);
    assert_verdict(p, "v", THREADS / 4 * kept, 0);
    assert_verdict(p, "", 0, 0);
}

/* --- tampering ------------------------------------------------------------------------------ */
/* Opens the file behind the store's back; the store is closed meanwhile. */
static int tamper(struct place *p, const char *sql)
{
    sqlite3 *db = NULL;
    store_close(p->store);
    assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    place_open(p);
    return rc;
}

static void the_database_itself_refuses_changes(void **state)
{
    struct place *p = *state;
    append_many(p, 3);
    static const char *const attempts[] = {
        "UPDATE audit_event SET body = '{}' WHERE seq = 2",
        "UPDATE audit_event SET seq = 9 WHERE seq = 2",
        "DELETE FROM audit_event WHERE seq = 2",
        "DELETE FROM audit_event",
        "UPDATE OR REPLACE audit_event SET seq = 1 WHERE seq = 2",
    };
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
        assert_int_equal(tamper(p, attempts[i]), SQLITE_CONSTRAINT);
    assert_verdict(p, "w", 3, 0);
}

#define DROP "DROP TRIGGER audit_event_no_update; DROP TRIGGER audit_event_no_delete;"

static void tampering_is_found(void **state)
{
    static const struct {
        const char *sql;
        int64_t bad;
    } cases[] = {
        {"UPDATE audit_event SET body = replace(body, 'plaid', 'plaia') WHERE seq = 4", 4},
        {"UPDATE audit_event SET leaf = zeroblob(32) WHERE seq = 4", 4},
        {"DELETE FROM audit_event WHERE seq = 4", 4},
        {"DELETE FROM audit_event WHERE seq = 1", 1},
        {"DELETE FROM audit_event WHERE seq = 6", 6}, /* the newest */
        {"DELETE FROM audit_event", 1},
        {"UPDATE audit_head SET seq = 5", 6},
        {"DELETE FROM audit_head", 1},
        {"UPDATE audit_event SET action_id = 'a9' WHERE seq = 3", 3}, /* hides it from searches */
        {"UPDATE audit_event SET action_id = NULL WHERE seq = 3", 3},
        {"UPDATE audit_event SET type = 'action.denied' WHERE seq = 3", 3},
        {"UPDATE audit_event SET at = at + 1 WHERE seq = 3", 3},
        {"UPDATE audit_event SET event_id = 'x' WHERE seq = 3", 3},
        /* two whole events change places */
        {"UPDATE audit_event SET seq = 99 WHERE seq = 2; UPDATE audit_event SET seq = 2 WHERE seq "
         "= 5;"
         "UPDATE audit_event SET seq = 5 WHERE seq = 99",
         2},
        {"UPDATE audit_event SET workspace_id = 'u'; UPDATE audit_head SET workspace_id = 'u'", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place *p = NULL;
        setup((void **)&p);
        append_many(p, 6);
        assert_verdict(p, "w", 6, 0);
        assert_int_equal(tamper(p, DROP), SQLITE_OK);
        assert_int_equal(tamper(p, cases[i].sql), SQLITE_OK);
        if (cases[i].bad != 0)
            assert_verdict(p, "w", cases[i].bad - 1, cases[i].bad);
        else
            assert_verdict(p, "u", 0, 1);
        teardown((void **)&p);
    }
}

/* --- CSV ------------------------------------------------------------------------------------ */
static void csv_has_the_contracts_columns(void **state)
{
    (void)state;
    struct buf out, expected;
    buf_init(&out, 0);
    buf_init(&expected, 0);
    audit_csv_header(&out);
    for (size_t i = 0; i < FIELDS; i++)
        buf_printf(&expected, "%s%s", contract[i], i + 1 < FIELDS ? "," : "\r\n");
    assert_string_equal(out.p, expected.p);
    buf_free(&out);
    buf_free(&expected);
}

static void csv_cells_are_text_only(void **state)
{
    (void)state;
    struct audit_event e = full_event();
    struct buf b, out;
    e.thread = STR("=HYPERLINK(\"http://x\")");
    e.connector = STR("+1");
    e.product = STR("-1");
    e.operation = STR("@SUM(A1)");
    e.endpoint = STR("\tx");
    e.provider_item = STR("\xef\xbc\x9d"
                          "1");
    e.outcome = STR("a,b");
    e.error_code = STR("line\r\nbreak");
    e.channel = STR("a;=b");
    e.evidence = STR("a=b");
    json_decref(body_of(&e, &b));
    buf_init(&out, 0);
    assert_int_equal(audit_csv_row(buf_view(&b), &out), 0);
    assert_string_equal(
        out.p, "0190-id,7,2026-11-22T09:00:00.123Z,wsp_1,action.ended,act_1,2,agt_1,"
               "\"'=HYPERLINK(\"\"http://x\"\")\",'+1,'-1,'@SUM(A1),\"'\tx\",con_1,'\xef\xbc\x9d"
               "1,****2051,write,3,true,apr_1,apr_1 apr_2,2026-11-22T08:59:59.123Z,sha256:aa,"
               "sha256:bb,req_1,\"a,b\",\"line\r\nbreak\",86400,\"a;=b\",a=b\r\n");
    buf_free(&b);
    buf_clear(&out);
    e = least_event();
    json_decref(body_of(&e, &b));
    assert_int_equal(audit_csv_row(buf_view(&b), &out), 0);
    assert_string_equal(out.p,
                        "0190-id,7,2026-11-22T09:00:00.123Z,,login.refused,,,,,,,,,,,,,,,,,,,"
                        ",,,,,,\r\n");
    assert_int_equal(audit_csv_row(STR("{"), &out), ERR_MALFORMED);
    buf_free(&b);
    buf_free(&out);
}

int main(void)
{
    if (sodium_init() < 0)
        return 1;
    log_open("test", LOG_ERROR);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_their_texts),
        cmocka_unit_test(leaf_hash_is_rfc_6962),
        cmocka_unit_test(bytes_are_canonical_and_complete),
        cmocka_unit_test(every_field_says_what_it_was_given),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(accounts_are_masked),
        cmocka_unit_test(what_cannot_be_verified_later_is_refused),
        T(events_are_found),
        T(an_event_without_a_time_is_of_now),
        T(a_rollback_leaves_no_gap),
        T(numbers_have_no_gaps_and_are_per_workspace),
        T(the_database_itself_refuses_changes),
        cmocka_unit_test(tampering_is_found),
        cmocka_unit_test(csv_has_the_contracts_columns),
        cmocka_unit_test(csv_cells_are_text_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
