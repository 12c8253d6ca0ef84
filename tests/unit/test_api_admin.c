/* Administration, freezes, notices, the audit log and the page: who may, what is refused, what
 * never comes out. */
#include "api_fake.h"

#include <sys/socket.h>

#include "api/session.h"

static int setup(void **state)
{
    struct fake *k = fake_new("$argon2id$never-shown");
    assert_int_equal(sessions_new(&k->life, &k->cfg, &k->app.sessions), 0);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct fake *k = *state;
    sessions_free(k->app.sessions);
    fake_free(k);
    return 0;
}

/* Runs a handler as somebody with a body; the error, or 0 with the answer in k->x. */
static int run(struct fake *k, handler_fn *handler, enum who who, const char *id, const char *body,
               struct fail *f)
{
    struct exchange *x = fake_exchange(k, who, id);
    *f = (struct fail){.position = -1};
    if (body != NULL)
        fake_json(x, body);
    return handler(&k->app, x, f);
}

static int console(struct fake *k, handler_fn *handler, const char *body, struct fail *f)
{
    return run(k, handler, WHO_CONSOLE, NULL, body, f);
}

/* --- people ----------------------------------------------------------------------------------- */

static void a_person_is_added(void **state)
{
    struct fake *k = *state;
    struct fail f;
    assert_int_equal(
        run(k, api_person_add, WHO_PERSON, k->ada,
            "{\"email\":\"new@a.example\",\"role\":\"approver\",\"groups\":[\"finance\"],"
            "\"password\":\"long enough it is\"}",
            &f),
        0);
    assert_int_equal(k->x->status, 201);
    assert_string_equal(k->life.seen_by, k->ada);
    assert_string_equal(k->life.seen_what, "person.added");
    const struct person *p =
        roster_person_email(k->life.roster, STR("default"), STR("new@a.example"));
    assert_non_null(p);
    assert_true(p->role == ROLE_APPROVER && p->enabled && person_in_group(p, "finance"));
    assert_true(str_starts(str_c(p->password), STR("$argon2id$")));
    assert_null(strstr(k->x->out.p, "argon2id"));
    assert_null(roster_person_email(k->life.roster, STR("other"), STR("new@a.example")));
}

static void a_person_is_not_added(void **state)
{
#define PERSON(email, role, password) \
    "{\"email\":\"" email "\",\"role\":\"" role "\",\"password\":\"" password "\"}"
    static const struct {
        const char *body;
        int err;
        const char *field;
    } row[] = {
        {PERSON("BOB@a.example", "admin", "long enough it is"), ERR_CONFLICT, "email"},
        {PERSON("bob", "admin", "long enough it is"), ERR_MALFORMED, "email"},
        {PERSON("a@b@c", "admin", "long enough it is"), ERR_MALFORMED, "email"},
        {PERSON("a b@c", "admin", "long enough it is"), ERR_MALFORMED, "email"},
        {PERSON("n@a.example", "none", "long enough it is"), ERR_MALFORMED, "role"},
        {PERSON("n@a.example", "owner", "long enough it is"), ERR_MALFORMED, "role"},
        {PERSON("n@a.example", "admin", "short"), ERR_MALFORMED, "password"},
        {"{\"email\":\"n@a.example\",\"role\":\"admin\"}", ERR_MALFORMED, "password"},
        {"{\"email\":\"n@a.example\",\"role\":\"admin\",\"password\":\"long enough it "
         "is\",\"groups\":[\"A B\"]}",
         ERR_MALFORMED, "groups"},
        {"{\"email\":\"n@a.example\",\"role\":\"admin\",\"password\":\"long enough it "
         "is\",\"id\":\"apr_\"}",
         ERR_UNKNOWN_FIELD, "id"},
    };
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        assert_int_equal(console(k, api_person_add, row[i].body, &f), row[i].err);
        assert_string_equal(f.field, row[i].field);
    }
    assert_int_equal(roster_version(k->life.roster), 1);
}

static void lists_show_no_secrets_and_no_other_workspace(void **state)
{
    static handler_fn *const handler[] = {api_people, api_agents, api_connections, api_groups};
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(run(k, handler[i], WHO_PERSON, k->ada, NULL, &f), 0);
        assert_null(strstr(k->x->out.p, "argon2id"));
        assert_null(strstr(k->x->out.p, "hash"));
        assert_null(strstr(k->x->out.p, "sha256"));
        assert_null(strstr(k->x->out.p, "eve@"));
        assert_null(strstr(k->x->out.p, "spy"));
        assert_null(strstr(k->x->out.p, "away"));
        json_t *v = fake_answer(k->x);
        assert_true(json_array_size(json_object_get(v, "items")) > 0);
        json_decref(v);
    }
}

static int disable(struct fake *k, const char *id, const char *body, struct fail *f)
{
    struct exchange *x = fake_exchange(k, WHO_CONSOLE, NULL);
    *f = (struct fail){.position = -1};
    x->param[0] = str_c(id);
    if (body != NULL)
        fake_json(x, body);
    return api_person_disable(&k->app, x, f);
}

static void a_person_is_disabled(void **state)
{
    struct fake *k = *state;
    struct fail f;
    assert_int_equal(disable(k, k->eve, NULL, &f), ERR_NOT_FOUND); /* another workspace's */
    assert_int_equal(disable(k, "by-email", "{\"email\":\"nobody@a.example\"}", &f), ERR_NOT_FOUND);
    assert_int_equal(disable(k, k->bob, "{\"email\":\"x\"}", &f), ERR_UNKNOWN_FIELD);
    assert_int_equal(disable(k, "by-email", "{\"email\":\"bob@A.example\"}", &f), 0);
    assert_false(roster_person(k->life.roster, str_c(k->bob))->enabled);
    assert_int_equal(disable(k, k->bob, NULL, &f), 0); /* again: nothing changes */
    assert_int_equal(roster_version(k->life.roster), 2);
}

static void a_token_is_shown_once(void **state)
{
    struct fake *k = *state;
    struct exchange *x = fake_exchange(k, WHO_CONSOLE, NULL);
    struct fail f = {0};
    char hash[HASH_TEXT];
    x->param[0] = str_c(k->cyd);
    assert_int_equal(api_token_add(&k->app, x, &f), 0);
    json_t *v = fake_answer(x);
    hash_text(hash, str_c(fake_text(v, "/token")));
    assert_true(str_starts(str_c(fake_text(v, "/token")), STR("cst_")));
    json_decref(v);
    assert_string_equal(roster_person_token(k->life.roster, str_c(hash))->id, k->cyd);
}

/* --- agents and connections ------------------------------------------------------------------- */

static void an_agent_is_added(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char hash[HASH_TEXT];
    assert_int_equal(
        console(
            k, api_agent_add,
            "{\"name\":\"courier\",\"owner\":\"bob@a.example\",\"connections\":[\"bank\",\"safe\"],"
            "\"resume_urls\":[\"https://a.example/resume\"]}",
            &f),
        0);
    json_t *v = fake_answer(k->x);
    hash_text(hash, str_c(fake_text(v, "/key")));
    assert_string_equal(fake_text(v, "/webhook_secret"), "whsec_of_the_agent");
    json_decref(v);
    const struct agent *a = roster_agent_key(k->life.roster, str_c(hash));
    assert_non_null(a);
    assert_string_equal(a->name, "courier");
    assert_string_equal(a->owner, k->bob);
    assert_int_equal(a->n_connections, 2);
    assert_string_equal(k->life.seen_by, "console");
}

static void an_agent_is_not_added(void **state)
{
    static const struct {
        const char *body;
        int err;
        const char *field;
    } row[] = {
        {"{\"name\":\"bot\",\"owner\":\"bob@a.example\"}", ERR_CONFLICT, "name"},
        {"{\"name\":\"Bot\",\"owner\":\"bob@a.example\"}", ERR_MALFORMED, "name"},
        {"{\"name\":\"-b\",\"owner\":\"bob@a.example\"}", ERR_MALFORMED, "name"},
        {"{\"name\":\"b\",\"owner\":\"eve@a.example\"}", ERR_MALFORMED, "owner"},
        {"{\"name\":\"b\"}", ERR_MALFORMED, "owner"},
        {"{\"name\":\"b\",\"owner\":\"bob@a.example\",\"connections\":[\"away\"]}", ERR_MALFORMED,
         "connections"},
        {"{\"name\":\"b\",\"owner\":\"bob@a.example\",\"resume_urls\":[\"http://a.example/\"]}",
         ERR_MALFORMED, "resume_urls"},
        {"{\"name\":\"b\",\"owner\":\"bob@a.example\",\"resume_urls\":[\"nonsense\"]}",
         ERR_MALFORMED, "resume_urls"},
    };
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        assert_int_equal(console(k, api_agent_add, row[i].body, &f), row[i].err);
        assert_string_equal(f.field, row[i].field);
    }
    assert_int_equal(roster_version(k->life.roster), 1);
}

struct credential {
    const char *connection;
    int64_t version;
    char box[128];
};
static int read_credential(struct store_tx *tx, void *arg)
{
    struct credential *c = arg;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_CREDENTIAL_GET, &rows, V_C("default"), V_C(c->connection),
                         V_INT(c->version));
    if (r == ERR_OK)
        r = store_next(rows);
    if (r == ERR_OK)
        (void)str_copy(c->box, sizeof c->box, store_text(rows, 0));
    store_end(rows);
    return r;
}

#define SECRETS "\"secrets\":{\"client_id\":\"c\",\"secret\":\"top-secret\"}"

static void a_connection_is_added_and_renewed(void **state)
{
    struct fake *k = *state;
    struct fail f;
    assert_int_equal(console(k, api_connection_add,
                             "{\"name\":\"new\",\"connector\":\"plaid\"," SECRETS "}", &f),
                     0);
    assert_int_equal(k->x->status, 201);
    assert_null(strstr(k->x->out.p, "top-secret"));
    const struct connection *c = roster_connection_name(k->life.roster, STR("default"), STR("new"));
    assert_string_equal(c->base_url, "https://plaid.example");
    assert_int_equal(c->credential, 1);
    assert_string_equal(k->life.seen_secrets, "{\"client_id\":\"c\",\"secret\":\"top-secret\"}");
    struct credential cred = {.connection = c->id, .version = 1};
    assert_int_equal(store_read(k->life.store, read_credential, &cred), 0);
    assert_string_equal(cred.box, "sealed for https://plaid.example version 1");
    char id[ID_SIZE];
    assert_true(str_copy(id, sizeof id, str_c(c->id)));
    assert_int_equal(console(k, api_connection_add,
                             "{\"name\":\"new\",\"connector\":\"plaid\"," SECRETS "}", &f),
                     0);
    assert_int_equal(k->x->status, 200);
    c = roster_connection_name(k->life.roster, STR("default"), STR("new"));
    assert_int_equal(c->credential, 2);
    assert_string_equal(c->id, id);
}

static void a_connection_is_not_added(void **state)
{
    static const struct {
        const char *body;
        int err;
        const char *field;
    } row[] = {
        {"{\"name\":\"n\",\"connector\":\"nobody\"," SECRETS "}", ERR_MALFORMED, "connector"},
        {"{\"name\":\"n\",\"connector\":\"plaid\",\"secrets\":{\"client_id\":\"c\"}}",
         ERR_MALFORMED, "secret"},
        {"{\"name\":\"n\",\"connector\":\"plaid\",\"secrets\":{\"client_id\":\"c\",\"secret\":1}}",
         ERR_MALFORMED, "secret"},
        {"{\"name\":\"n\",\"connector\":\"plaid\",\"secrets\":{\"client_id\":\"c\",\"secret\":\"\"}"
         "}",
         ERR_MALFORMED, "secret"},
        {"{\"name\":\"n\",\"connector\":\"plaid\",\"secrets\":{\"client_id\":\"c\",\"secret\":"
         "\"s\",\"x\":\"y\"}}",
         ERR_UNKNOWN_FIELD, "x"},
        {"{\"name\":\"n\",\"connector\":\"plaid\",\"base_url\":\"http://p.example\"," SECRETS "}",
         ERR_MALFORMED, "base_url"},
        {"{\"name\":\"n\",\"connector\":\"plaid\",\"base_url\":\"https://u@p.example\"," SECRETS
         "}",
         ERR_MALFORMED, "base_url"},
        {"{\"name\":\"N\",\"connector\":\"plaid\"," SECRETS "}", ERR_MALFORMED, "name"},
    };
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        assert_int_equal(console(k, api_connection_add, row[i].body, &f), row[i].err);
        assert_string_equal(f.field, row[i].field);
    }
    assert_int_equal(roster_version(k->life.roster), 1);
    assert_string_equal(k->life.seen_secrets, "");
}

static void workspaces_are_the_consoles(void **state)
{
    struct fake *k = *state;
    struct fail f;
    assert_int_equal(run(k, api_workspace_add, WHO_PERSON, k->ada, "{\"name\":\"third\"}", &f),
                     ERR_WRONG_PRINCIPAL);
    assert_int_equal(console(k, api_workspace_add, "{\"name\":\"other\"}", &f), ERR_CONFLICT);
    assert_int_equal(console(k, api_workspace_add, "{\"name\":\"third\"}", &f), 0);
    assert_true(roster_workspace(k->life.roster, STR("third")));
}

static void a_wrong_policy_is_complained_about(void **state)
{
    struct fake *k = *state;
    struct fail f;
    k->life.err = ERR_CONFIG;
    assert_int_equal(console(k, api_policy_reload, NULL, &f), 0);
    assert_int_equal(k->x->status, 409);
    json_t *v = fake_answer(k->x);
    assert_string_equal(fake_text(v, "/complaints"), "policy.yaml:3:1: not understood\n");
    json_decref(v);
}

/* --- freezes ---------------------------------------------------------------------------------- */

static int freeze(struct fake *k, const char *person, const char *body, char id[ID_SIZE])
{
    struct fail f;
    int r = run(k, api_freeze, WHO_PERSON, person, body, &f);
    if (r != ERR_OK)
        return r;
    json_t *v = fake_answer(k->x);
    assert_true(str_copy(id, ID_SIZE, str_c(fake_text(v, "/id"))));
    json_decref(v);
    return r;
}

static int release(struct fake *k, const char *person, const char *id)
{
    struct fail f = {0};
    struct exchange *x = fake_exchange(k, WHO_PERSON, person);
    x->param[0] = str_c(id);
    return api_unfreeze(&k->app, x, &f);
}

static size_t in_force(struct fake *k, const char *person)
{
    struct fail f;
    assert_int_equal(run(k, api_freezes, WHO_PERSON, person, NULL, &f), 0);
    json_t *v = fake_answer(k->x);
    size_t n = json_array_size(json_object_get(v, "items"));
    json_decref(v);
    return n;
}

static void freezes_are_set_and_released(void **state)
{
    struct fake *k = *state;
    char a[ID_SIZE], b[ID_SIZE], c[ID_SIZE], d[ID_SIZE];
    assert_int_equal(freeze(k, k->cyd, "{\"scope\":{\"workspace\":true},\"reason\":\"r\"}", a),
                     ERR_WRONG_PRINCIPAL);
    assert_int_equal(freeze(k, k->bob, "{\"scope\":{\"workspace\":true},\"reason\":\"r\"}", a), 0);
    assert_int_equal(freeze(k, k->ada, "{\"scope\":{\"agent\":\"bot\"},\"reason\":\"r\"}", b), 0);
    assert_int_equal(freeze(k, k->ada, "{\"scope\":{\"connection\":\"bank\"},\"reason\":\"r\"}", c),
                     0);
    assert_int_equal(
        freeze(k, k->bob, "{\"scope\":{\"operation\":\"transfer.create\"},\"reason\":\"r\"}", d),
        0);
    json_t *v = fake_answer(k->x);
    assert_string_equal(fake_text(v, "/scope/operation"), "plaid/transfer.create");
    json_decref(v);
    assert_int_equal(in_force(k, k->cyd), 4);
    assert_int_equal(in_force(k, k->eve), 0);
    assert_int_equal(release(k, k->bob, b), ERR_WRONG_PRINCIPAL); /* set by somebody else */
    assert_int_equal(release(k, k->cyd, a), ERR_WRONG_PRINCIPAL);
    assert_int_equal(release(k, k->eve, a), ERR_NOT_FOUND);
    assert_int_equal(release(k, k->ada, "frz_x"), ERR_NOT_FOUND);
    assert_int_equal(release(k, k->bob, d), 0);
    assert_int_equal(release(k, k->ada, a), 0);
    assert_int_equal(release(k, k->ada, a), ERR_NOT_FOUND);
    assert_int_equal(in_force(k, k->cyd), 2);
}

static void a_freeze_has_exactly_one_scope(void **state)
{
    static const char *const body[] = {
        "{\"scope\":{},\"reason\":\"r\"}",
        "{\"scope\":{\"workspace\":false},\"reason\":\"r\"}",
        "{\"scope\":{\"workspace\":true,\"agent\":\"bot\"},\"reason\":\"r\"}",
        "{\"scope\":{\"agent\":\"bot\",\"connection\":\"bank\"},\"reason\":\"r\"}",
        "{\"scope\":{\"workspace\":true},\"reason\":\" \"}",
        "{\"scope\":{\"workspace\":true}}",
    };
    struct fake *k = *state;
    char id[ID_SIZE];
    for (size_t i = 0; i < sizeof body / sizeof body[0]; i++)
        assert_int_equal(freeze(k, k->ada, body[i], id), ERR_MALFORMED);
    assert_int_equal(freeze(k, k->ada, "{\"scope\":{\"agent\":\"spy\"},\"reason\":\"r\"}", id),
                     ERR_NOT_FOUND);
    assert_int_equal(freeze(k, k->ada, "{\"scope\":{\"operation\":\"x/y\"},\"reason\":\"r\"}", id),
                     ERR_NOT_FOUND);
    assert_int_equal(in_force(k, k->ada), 0);
}

/* --- the audit log ---------------------------------------------------------------------------- */

static int append_tx(struct store_tx *tx, void *arg)
{
    struct audit_event e = AUDIT_EVENT_INIT;
    e.type = *(const int *)arg % 2 == 0 ? AUDIT_ROSTER_CHANGED : AUDIT_POLICY_CHANGED;
    e.workspace = STR("default");
    e.at = FAKE_NOW + *(const int *)arg * 1000;
    return audit_append(tx, &fake_env, &e, NULL);
}

static void append(struct fake *k, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(store_tx(k->life.store, append_tx, &i), 0);
}

static json_t *audit(struct fake *k, const char *const (*query)[2], size_t n)
{
    struct fail f = {0};
    struct exchange *x = fake_exchange(k, WHO_PERSON, k->cyd);
    for (size_t i = 0; i < n; i++)
        fake_query(x, query[i][0], query[i][1]);
    if (api_audit(&k->app, x, &f) != ERR_OK)
        fail_msg("%s %s", f.field, f.detail);
    return fake_answer(x);
}

static void the_log_goes_page_by_page(void **state)
{
    struct fake *k = *state;
    char next[64];
    append(k, 5);
    json_t *v = audit(k, (const char *const[][2]){{"limit", "2"}}, 1);
    assert_int_equal(json_integer_value(json_at(v, STR("/items/0/seq"))), 5);
    (void)snprintf(next, sizeof next, "%s", fake_text(v, "/next"));
    json_decref(v);
    v = audit(k, (const char *const[][2]){{"limit", "4"}, {"cursor", next}}, 2);
    assert_int_equal(json_array_size(json_object_get(v, "items")), 3);
    assert_int_equal(json_integer_value(json_at(v, STR("/items/0/seq"))), 3);
    assert_string_equal(fake_text(v, "/next"), "null");
    json_decref(v);
    v = audit(
        k, (const char *const[][2]){{"type", "policy.changed"}, {"since", "2026-11-22T09:00:02Z"}},
        2);
    assert_int_equal(json_array_size(json_object_get(v, "items")), 1);
    json_decref(v);
}

static void odd_filters_are_refused(void **state)
{
    static const char *const row[][2] = {
        {"type", "odd"}, {"since", "yesterday"}, {"action", "act_1"}, {"cursor", "YQ"}};
    struct fake *k = *state;
    for (size_t i = 0; i < 4; i++) {
        struct fail f = {0};
        struct exchange *x = fake_exchange(k, WHO_PERSON, k->cyd);
        fake_query(x, row[i][0], row[i][1]);
        assert_int_equal(api_audit(&k->app, x, &f), ERR_MALFORMED);
        assert_string_equal(f.field, row[i][0]);
    }
}

/* Reads the stream to its end; -1 where it broke off. */
static ssize_t drain(int fd, struct buf *out)
{
    char piece[4096];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0)
        buf_put(out, piece, (size_t)n);
    return n;
}

static size_t lines(const struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

static ssize_t export_as(struct fake *k, const char *format, struct buf *out)
{
    struct fail f = {0};
    struct exchange *x = fake_exchange(k, WHO_PERSON, k->cyd);
    fake_query(x, "format", format);
    assert_int_equal(api_audit_export(&k->app, x, &f), 0);
    buf_init(out, 0);
    return drain(x->stream_fd, out);
}

static void wait_for_exports(struct fake *k)
{
    while (k->app.exports > 0)
        usleep(1000);
}

static void the_log_is_exported(void **state)
{
    struct fake *k = *state;
    struct buf b;
    append(k, 600); /* more than two batches */
    assert_int_equal(export_as(k, "jsonl", &b), 0);
    assert_int_equal(lines(&b), 600);
    assert_true(str_starts(buf_view(&b), STR("{\"account_id\":null")));
    assert_non_null(strstr(b.p, "\"seq\":600"));
    buf_free(&b);
    assert_int_equal(export_as(k, "csv", &b), 0);
    assert_int_equal(lines(&b), 601);
    buf_free(&b);
    wait_for_exports(k);
}

/* One that breaks off must not look whole. */
static void an_export_that_breaks_off_is_no_end(void **state)
{
    struct fake *k = *state;
    struct buf b;
    append(k, 600);
    k->app.stopping = true;
    assert_int_equal(export_as(k, "jsonl", &b), -1);
    assert_true(lines(&b) < 600);
    buf_free(&b);
    wait_for_exports(k);
}

static void the_log_is_verified(void **state)
{
    struct fake *k = *state;
    struct fail f;
    append(k, 3);
    assert_int_equal(run(k, api_audit_verify, WHO_CONSOLE, NULL, NULL, &f), 0);
    assert_string_equal(k->x->out.p, "{\"ok\":true,\"events\":3,\"first_bad\":null}");
}

/* --- notices ---------------------------------------------------------------------------------- */

static int notice_tx(struct store_tx *tx, void *arg)
{
    return STORE_EXEC(tx, Q_NOTICE_ADD, NULL, V_C("default"), V_C(arg), V_INT(FAKE_NOW));
}

static int see(struct fake *k, const char *person, const char *id)
{
    struct fail f = {0};
    struct exchange *x = fake_exchange(k, WHO_PERSON, person);
    x->param[0] = str_c(id);
    return api_notice_seen(&k->app, x, &f);
}

static void notices_are_seen_once(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_SUCCEEDED, NULL, id);
    assert_int_equal(see(k, k->bob, id), ERR_NOT_FOUND);
    assert_int_equal(store_tx(k->life.store, notice_tx, id), 0);
    assert_int_equal(run(k, api_notices, WHO_PERSON, k->cyd, NULL, &f), 0);
    json_t *v = fake_answer(k->x);
    assert_string_equal(fake_text(v, "/items/0/action"), id);
    assert_string_equal(fake_text(v, "/items/0/outcome"), "success");
    assert_string_equal(fake_text(v, "/items/0/agent_name"), "bot");
    assert_true(json_is_false(json_at(v, STR("/items/0/seen"))));
    json_decref(v);
    assert_int_equal(see(k, k->cyd, id), ERR_WRONG_PRINCIPAL);
    assert_int_equal(see(k, k->eve, id), ERR_NOT_FOUND);
    assert_int_equal(see(k, k->bob, id), 0);
    assert_int_equal(see(k, k->ada, id), 0);
    v = fake_answer(k->x);
    assert_string_equal(fake_text(v, "/seen_by/email"), "bob@a.example"); /* the first who looked */
    json_decref(v);
}

/* --- the page --------------------------------------------------------------------------------- */

static void the_page_is_served_with_its_policy(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char etag[64];
    assert_int_equal(run(k, api_page, WHO_NOBODY, NULL, NULL, &f), 0);
    assert_int_equal(k->x->status, 200);
    assert_string_equal(k->x->answer_type, "text/html; charset=utf-8");
    assert_non_null(
        strstr(fake_answer_header(k->x, "Content-Security-Policy"), "default-src 'none'"));
    assert_null(strstr(fake_answer_header(k->x, "Content-Security-Policy"), "unsafe"));
    (void)snprintf(etag, sizeof etag, "%s", fake_answer_header(k->x, "ETag"));
    struct exchange *x = fake_exchange(k, WHO_NOBODY, NULL);
    fake_header(x, "if-none-match", etag);
    assert_int_equal(api_page(&k->app, x, &f), 0);
    assert_int_equal(x->status, 304);
    assert_int_equal(x->out.n, 0);
}

static int asset(struct fake *k, const char *name, const char *encoding)
{
    struct fail f = {0};
    struct exchange *x = fake_exchange(k, WHO_NOBODY, NULL);
    x->param[0] = str_c(name);
    if (encoding != NULL)
        fake_header(x, "accept-encoding", encoding);
    return api_asset(&k->app, x, &f);
}

static void assets_are_named_not_found_by_path(void **state)
{
    static const char *const outside[] = {
        "../docs/openapi.yaml", "nothing.js", "", "..", "app.js/", "/app.js"};
    struct fake *k = *state;
    assert_int_equal(asset(k, "app.js", NULL), 0);
    assert_string_equal(k->x->answer_type, "text/javascript; charset=utf-8");
    assert_string_equal(fake_answer_header(k->x, "Content-Encoding"), "");
    assert_int_equal(asset(k, "app.js", "br, gzip;q=0.5"), 0);
    assert_string_equal(fake_answer_header(k->x, "Content-Encoding"), "gzip");
    assert_int_equal(asset(k, "app.js", "gzip;q=0"), 0);
    assert_string_equal(fake_answer_header(k->x, "Content-Encoding"), "");
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        assert_int_equal(asset(k, outside[i], NULL), ERR_NOT_FOUND);
}

static void readiness_is_lifes(void **state)
{
    struct fake *k = *state;
    struct fail f;
    assert_int_equal(run(k, api_readyz, WHO_NOBODY, NULL, NULL, &f), 0);
    assert_int_equal(k->x->status, 200);
    k->life.ready = false;
    assert_int_equal(run(k, api_readyz, WHO_NOBODY, NULL, NULL, &f), 0);
    assert_int_equal(k->x->status, 503);
    assert_int_equal(run(k, api_healthz, WHO_NOBODY, NULL, NULL, &f), 0);
    assert_int_equal(k->x->status, 200);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_person_is_added),
        T(a_person_is_not_added),
        T(lists_show_no_secrets_and_no_other_workspace),
        T(a_person_is_disabled),
        T(a_token_is_shown_once),
        T(an_agent_is_added),
        T(an_agent_is_not_added),
        T(a_connection_is_added_and_renewed),
        T(a_connection_is_not_added),
        T(workspaces_are_the_consoles),
        T(a_wrong_policy_is_complained_about),
        T(freezes_are_set_and_released),
        T(a_freeze_has_exactly_one_scope),
        T(the_log_goes_page_by_page),
        T(odd_filters_are_refused),
        T(the_log_is_exported),
        T(an_export_that_breaks_off_is_no_end),
        T(the_log_is_verified),
        T(notices_are_seen_once),
        T(the_page_is_served_with_its_policy),
        T(assets_are_named_not_found_by_path),
        T(readiness_is_lifes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
