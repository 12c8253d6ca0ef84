/* Proposals, the action object for agents and people, lists, waiting, votes, reviews: what the
 * contract says of fields, statuses and who may see what. */
#include "api_fake.h"

#include "api/listing.h"
#include "api/waiting.h"

static int setup(void **state)
{
    *state = fake_new("");
    return 0;
}

static int teardown(void **state)
{
    fake_free(*state);
    return 0;
}

static struct exchange *as_bot(struct fake *k)
{
    return fake_exchange(k, WHO_AGENT, k->bot);
}

static struct exchange *with_id(struct exchange *x, const char *id)
{
    x->param[0] = str_c(id);
    return x;
}

#define PROPOSAL "{\"connection\":\"bank\",\"method\":\"POST\",\"path\":\"/transfer/create\""

/* Proposes with further members; the error, or 0. */
static int propose(struct fake *k, const char *more, struct fail *f)
{
    char text[1024];
    struct exchange *x = as_bot(k);
    *f = (struct fail){.position = -1};
    (void)snprintf(text, sizeof text, PROPOSAL "%s}", more);
    fake_json(x, text);
    return api_propose(&k->app, x, f);
}

static void will_be(struct fake *k, const char *id, int tier)
{
    memcpy(k->life.proposed.id, id, ID_SIZE);
    k->life.proposed.tier = tier;
}

/* --- reading a proposal ----------------------------------------------------------------------- */

static void every_field_arrives(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    will_be(k, id, 3);
    assert_int_equal(
        propose(k,
                ",\"query\":{\"a\":[\"1\",\"2\"]},\"headers\":{\"X\":\"y\"},\"body\":{\"n\":1},"
                "\"operation\":\"transfer.create\",\"idempotency_key\":\"order-42\",\"thread_id\":"
                "\"t-1\","
                "\"note\":\"why\",\"state\":[1],\"resume\":[],\"wait\":0,\"on_wait\":\"hold\"",
                &f),
        0);
    assert_string_equal(k->life.seen_query, "[[\"a\",\"1\"],[\"a\",\"2\"]]");
    assert_string_equal(k->life.seen_headers, "{\"X\":\"y\"}");
    assert_string_equal(k->life.seen_body, "{\"n\":1}");
    assert_string_equal(k->life.seen_key, "order-42");
    assert_string_equal(k->life.seen_note, "why");
    assert_string_equal(k->life.seen_thread, "t-1");
    assert_true(k->life.seen.hold_on_limit);
    assert_false(k->life.seen.soft_key);
    assert_false(k->life.seen.from_proxy);
    assert_string_equal(k->life.seen.connection->id, k->bank);
}

static void what_is_not_a_proposal_is_refused(void **state)
{
    static const struct {
        const char *more;
        int err;
        const char *field;
    } row[] = {
        {",\"surprise\":1", ERR_UNKNOWN_FIELD, "surprise"},
        {",\"wait\":56", ERR_MALFORMED, "wait"},
        {",\"wait\":-1", ERR_MALFORMED, "wait"},
        {",\"wait\":1.5", ERR_MALFORMED, "wait"},
        {",\"on_wait\":\"perhaps\"", ERR_MALFORMED, "on_wait"},
        {",\"idempotency_key\":\"\"", ERR_MALFORMED, "idempotency_key"},
        {",\"query\":[]", ERR_MALFORMED, "query"},
        {",\"query\":{\"a\":1}", ERR_MALFORMED, "query"},
        {",\"headers\":[]", ERR_MALFORMED, "headers"},
        {",\"resume\":{}", ERR_MALFORMED, "resume"},
        {",\"note\":1", ERR_MALFORMED, "note"},
    };
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        assert_int_equal(propose(k, row[i].more, &f), row[i].err);
        assert_string_equal(f.field, row[i].field);
    }
    assert_int_equal(k->life.n_proposed, 0);
}

static int propose_text(struct fake *k, const char *text, const char *header, struct fail *f)
{
    struct exchange *x = as_bot(k);
    *f = (struct fail){.position = -1};
    fake_json(x, text);
    if (header != NULL)
        fake_header(x, "idempotency-key", header);
    return api_propose(&k->app, x, f);
}

static void connections_are_the_agents_own(void **state)
{
    struct fake *k = *state;
    struct fail f;
    const char *rest = "\",\"method\":\"GET\",\"path\":\"/x\"}";
    char text[128];
    static const struct {
        const char *name;
        int err;
    } row[] = {
        {"nothing", ERR_NOT_FOUND}, {"away", ERR_NOT_FOUND}, {"safe", ERR_CONNECTION_NOT_ALLOWED}};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(text, sizeof text, "{\"connection\":\"%s%s", row[i].name, rest);
        assert_int_equal(propose_text(k, text, NULL, &f), row[i].err);
    }
    assert_int_equal(k->life.n_proposed, 0);
}

static void a_long_state_or_key_is_too_much(void **state)
{
    struct fake *k = *state;
    struct fail f;
    static char text[70000];
    size_t n = (size_t)snprintf(text, sizeof text, PROPOSAL ",\"state\":\"");
    memset(text + n, 'x', 65535);
    memcpy(text + n + 65535, "\"}", 3);
    assert_int_equal(propose_text(k, text, NULL, &f), ERR_TOO_LARGE);
    assert_string_equal(f.field, "state");
    n = (size_t)snprintf(text, sizeof text, PROPOSAL ",\"idempotency_key\":\"");
    memset(text + n, 'k', 256);
    memcpy(text + n + 256, "\"}", 3);
    assert_int_equal(propose_text(k, text, NULL, &f), ERR_MALFORMED);
    assert_string_equal(f.field, "idempotency_key");
}

static void the_key_comes_in_body_or_header(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    will_be(k, id, 3);
    assert_int_equal(propose_text(k, PROPOSAL "}", "plain", &f), 0);
    assert_string_equal(k->life.seen_key, "plain");
    assert_int_equal(propose_text(k, PROPOSAL "}", "\"quo\\\"ted\"", &f), 0);
    assert_string_equal(k->life.seen_key, "quo\"ted");
    assert_int_equal(propose_text(k, PROPOSAL ",\"idempotency_key\":\"same\"}", "\"same\"", &f), 0);
    assert_int_equal(propose_text(k, PROPOSAL ",\"idempotency_key\":\"one\"}", "another", &f),
                     ERR_KEY_MISMATCH);
    assert_int_equal(propose_text(k, PROPOSAL "}", "\"open", &f), ERR_MALFORMED);
    assert_int_equal(propose_text(k, PROPOSAL "}", "\"\"", &f), ERR_MALFORMED);
    assert_int_equal(propose_text(k, PROPOSAL "}", "\"a\\\"", &f), ERR_MALFORMED);
}

/* --- the answer to a proposal ----------------------------------------------------------------- */

static void a_held_one_is_202(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE], at[64];
    fake_action(k, STATE_PENDING, NULL, id);
    will_be(k, id, 3);
    assert_int_equal(propose(k, "", &f), 0);
    assert_int_equal(k->x->status, 202);
    (void)snprintf(at, sizeof at, "/v1/actions/%s", id);
    assert_string_equal(fake_answer_header(k->x, "Location"), at);
    assert_string_equal(fake_answer_header(k->x, "Retry-After"), "5");
    assert_int_equal(k->life.n_told, 0);
}

static void an_ended_one_is_200_and_told(void **state)
{
    static const enum state ended[] = {STATE_SUCCEEDED, STATE_FAILED, STATE_REJECTED, STATE_DENIED};
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    for (size_t i = 0; i < 4; i++) {
        fake_action(k, ended[i], NULL, id);
        will_be(k, id, 3);
        assert_int_equal(propose(k, "", &f), 0);
        assert_int_equal(k->x->status, 200);
        assert_string_equal(fake_answer_header(k->x, "Location"), "");
        assert_int_equal(k->life.n_told, (int)i + 1);
    }
}

static void an_unknown_one_is_200_and_not_told(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_UNKNOWN, NULL, id);
    will_be(k, id, 3);
    assert_int_equal(propose(k, "", &f), 0);
    assert_int_equal(k->x->status, 200);
    json_t *v = fake_answer(k->x);
    assert_string_equal(fake_text(v, "/outcome"), "in_doubt");
    assert_string_equal(fake_text(v, "/ended_at"), "null");
    json_decref(v);
    assert_int_equal(k->life.n_told, 0);
}

static void wait_parks_until_the_time_is_up(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    will_be(k, id, 3);
    assert_int_equal(propose(k, ",\"wait\":20", &f), 0);
    struct exchange *x = k->x;
    assert_true(x->park.set);
    assert_int_equal(x->status, 0);
    assert_true(str_eq_c(x->park.action, id));
    assert_int_equal(x->park.until, k->life.mono + 20000);
    assert_false(x->park.flight_only);
    /* woken for nothing: parks again, to the same end */
    k->life.mono += 5000;
    assert_int_equal(x->park.then(&k->app, x, &f), 0);
    assert_true(x->park.set);
    assert_int_equal(x->park.until, k->life.mono + 15000);
    k->life.mono += 15000;
    x->timed_out = true;
    assert_int_equal(x->park.then(&k->app, x, &f), 0);
    assert_false(x->park.set);
    assert_int_equal(x->status, 202);
}

/* Tiers 0 and 1 are worth ten seconds even when nobody asked to wait. */
static void a_call_in_flight_is_waited_for(void **state)
{
    struct fake *k = *state;
    struct fail f;
    struct flight fl = {.fd = -1};
    char id[ID_SIZE];
    fake_action(k, STATE_SENDING, NULL, id);
    will_be(k, id, 0);
    k->life.proposed.flight = &fl;
    assert_int_equal(propose(k, "", &f), 0);
    struct exchange *x = k->x;
    assert_true(x->park.set && x->park.flight_only);
    assert_int_equal(x->park.until, k->life.mono + 10000);
    fl.landed = true; /* recorded, but the action is not settled: nobody asked to wait for that */
    assert_int_equal(x->park.then(&k->app, x, &f), 0);
    assert_false(x->park.set);
    assert_int_equal(x->status, 202);
    assert_string_equal(fake_answer_header(x, "Retry-After"), "1");
}

static void lifes_refusals_are_passed_on(void **state)
{
    static const int err[] = {ERR_FROZEN, ERR_IDEMPOTENCY_MISMATCH, ERR_OPERATION_MISMATCH,
                              ERR_RESUME_NOT_ALLOWED};
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < 4; i++) {
        k->life.err = err[i];
        assert_int_equal(propose(k, "", &f), err[i]);
    }
    k->life.err = ERR_TOO_MANY_PENDING;
    assert_int_equal(propose(k, "", &f), ERR_TOO_MANY_PENDING);
    assert_string_equal(fake_answer_header(k->x, "Retry-After"), "30");
}

static void classify_stores_nothing(void **state)
{
    struct fake *k = *state;
    struct fail f = {0};
    struct exchange *x = as_bot(k);
    fake_json(x, PROPOSAL "}");
    k->life.classified = (struct classified){
        .verdict = {.decision = DECISION_HOLD,
                    .tier = 3,
                    .decide_within = 90000,
                    .quorum = json_pack("[{s:i,s:s}]", "count", 2, "group", "g"),
                    .reasons = json_array()},
        .operation = "transfer.create"};
    assert_int_equal(api_classify(&k->app, x, &f), 0);
    assert_int_equal(x->status, 200);
    assert_string_equal(
        x->out.p, "{\"tier\":3,\"decision\":\"hold\",\"reasons\":[],\"approvals\":{\"required\":2,"
                  "\"given\":0,\"quorum\":[{\"count\":2,\"group\":\"g\"}]},\"decide_within\":90,"
                  "\"operation\":\"transfer.create\"}");
    assert_int_equal(k->life.n_proposed, 0);
}

/* --- the object ------------------------------------------------------------------------------- */

static int get(struct fake *k, struct exchange *x, const char *id)
{
    struct fail f = {0};
    return api_action(&k->app, with_id(x, id), &f);
}

static void the_object_has_the_contracts_fields(void **state)
{
    static const char *const field[] = {
        "id",          "status",     "outcome",    "error_code",   "tier",
        "revision",    "connection", "connector",  "operation",    "method",
        "path",        "binding",    "reasons",    "payload_hash", "executed_payload_hash",
        "proposed_at", "decide_by",  "execute_by", "decided_at",   "ended_at",
        "approvals",   "attempt_of", "thread_id",  "state",        "result",
        "rejection",   "reauth",     "links",
    };
    struct fake *k = *state;
    char id[ID_SIZE], text[128];
    fake_action(k, STATE_PENDING, NULL, id);
    assert_int_equal(get(k, as_bot(k), id), 0);
    json_t *v = fake_answer(k->x);
    for (size_t i = 0; i < sizeof field / sizeof field[0]; i++)
        if (json_object_get(v, field[i]) == NULL)
            fail_msg("%s is not there", field[i]);
    assert_string_equal(fake_text(v, "/connection"), "bank");
    assert_string_equal(fake_text(v, "/proposed_at"), "2026-11-22T09:00:00.000Z");
    (void)snprintf(text, sizeof text, "https://cs.example/#/actions/%s", id);
    assert_string_equal(fake_text(v, "/links/review"), text);
    assert_int_equal(json_integer_value(json_at(v, STR("/approvals/required"))), 2);
    assert_int_equal(json_integer_value(json_at(v, STR("/state/n"))), 1);
    /* what is for people is not for agents */
    static const char *const hidden[] = {"request", "note", "votes", "timeline", "can", "owner"};
    for (size_t i = 0; i < 6; i++)
        assert_null(json_object_get(v, hidden[i]));
    json_decref(v);
}

static void an_agent_sees_its_own_alone(void **state)
{
    struct fake *k = *state;
    struct roster *before = roster_ref(k->life.roster);
    char id[ID_SIZE], other[ID_SIZE];
    fake_action(k, STATE_SUCCEEDED, NULL, id);
    assert_int_equal(get(k, as_bot(k), id), 0);
    assert_int_equal(k->life.n_told, 1);
    /* another agent of the same workspace */
    json_t *doc = json_deep_copy(roster_doc(before));
    json_t *twin = json_deep_copy(json_array_get(json_object_get(doc, "agents"), 0));
    id_new(&k->env, "agt", other);
    json_object_set_new(twin, "id", json_string(other));
    json_object_set_new(twin, "name", json_string("twin"));
    json_object_set_new(
        twin, "key_hash",
        json_string("sha256:"
                    "0000000000000000000000000000000000000000000000000000000000000000"));
    json_array_append_new(json_object_get(doc, "agents"), twin);
    assert_int_equal(
        life_roster_change(&k->life, doc, STR("default"), STR("t"), "t", NULL, NULL, NULL), 0);
    json_decref(doc);
    roster_unref(before);
    assert_int_equal(get(k, fake_exchange(k, WHO_AGENT, other), id), ERR_NOT_FOUND);
    assert_int_equal(get(k, fake_exchange(k, WHO_AGENT, k->spy), id), ERR_NOT_FOUND);
    assert_int_equal(get(k, fake_exchange(k, WHO_PERSON, k->eve), id), ERR_NOT_FOUND);
    assert_int_equal(get(k, fake_exchange(k, WHO_PERSON, k->bob), id), 0);
    assert_int_equal(k->life.n_told, 1); /* people's reading tells the agent nothing */
    assert_int_equal(get(k, as_bot(k), "act_nothing"), ERR_NOT_FOUND);
}

static void a_large_answer_is_left_out(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    static char body[(1 << 20) + 2];
    memset(body, 'x', (1 << 20) + 1);
    fake_action(k, STATE_SUCCEEDED, body, id);
    assert_int_equal(get(k, as_bot(k), id), 0);
    json_t *v = fake_answer(k->x);
    assert_true(json_is_true(json_at(v, STR("/result/body_omitted"))));
    assert_int_equal(json_integer_value(json_at(v, STR("/result/body_bytes"))), (1 << 20) + 1);
    assert_null(json_at(v, STR("/result/text")));
    json_decref(v);
    body[1 << 20] = '\0'; /* just fits */
    fake_action(k, STATE_SUCCEEDED, body, id);
    assert_int_equal(get(k, as_bot(k), id), 0);
    v = fake_answer(k->x);
    assert_int_equal(json_text(json_at(v, STR("/result/text"))).n, 1 << 20);
    json_decref(v);
}

static void people_see_the_request_complete(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    assert_int_equal(get(k, fake_exchange(k, WHO_PERSON, k->bob), id), 0);
    json_t *v = fake_answer(k->x);
    char *request = json_dumps(json_object_get(v, "request"), JSON_COMPACT);
    assert_string_equal(request, fake_request);
    free(request);
    assert_string_equal(fake_text(v, "/impact/amount"), "12.00");
    assert_string_equal(fake_text(v, "/note"), "please");
    assert_string_equal(fake_text(v, "/agent_name"), "bot");
    assert_string_equal(fake_text(v, "/owner"), "ada@a.example");
    assert_true(json_is_true(json_at(v, STR("/can/approve"))));
    assert_int_equal(json_array_size(json_object_get(v, "diff")), 0);
    json_decref(v);
    k->life.may_vote = ERR_OWN_ACTION;
    assert_int_equal(get(k, fake_exchange(k, WHO_PERSON, k->bob), id), 0);
    v = fake_answer(k->x);
    assert_true(json_is_false(json_at(v, STR("/can/approve"))));
    assert_string_equal(fake_text(v, "/can/why"), "as the test wants it");
    json_decref(v);
    k->life.may_vote = ERR_OK;
    assert_int_equal(get(k, fake_exchange(k, WHO_TOKEN, k->bob), id), 0);
    v = fake_answer(k->x);
    assert_true(json_is_false(json_at(v, STR("/can/approve"))));
    json_decref(v);
}

/* A payload that does not open must not look like one without content. */

static void a_request_that_does_not_open_is_an_error(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    id_new(&k->env, "act", id);
    struct fake_row w = {.k = k,
                         .a = {.workspace = STR("default"),
                               .id = str_c(id),
                               .agent = str_c(k->bot),
                               .connection = str_c(k->bank),
                               .connector = STR("plaid"),
                               .operation = STR("transfer.create"),
                               .method = STR("POST"),
                               .path = STR("/x"),
                               .state = STATE_PENDING,
                               .tier = 3,
                               .revision = 1,
                               .payload_hash = STR("sha256:00"),
                               .join_hash = STR("x"),
                               .reasons = STR("[]"),
                               .proposed_at = FAKE_NOW,
                               .epoch = vault_epoch(FAKE_NOW)}};
    buf_init(&w.request, 0);
    buf_c(&w.request, "this is no sealed box, somebody wrote it with SQL");
    assert_int_equal(store_tx(k->life.store, fake_insert, &w), 0);
    buf_free(&w.request);
    assert_int_equal(err_http(get(k, fake_exchange(k, WHO_PERSON, k->bob), id)), 503);
}

/* --- lists ------------------------------------------------------------------------------------ */

static json_t *list(struct fake *k, handler_fn *handler, struct exchange *x)
{
    struct fail f = {0};
    if (handler(&k->app, x, &f) != ERR_OK)
        fail_msg("%s: %s", f.field, f.detail);
    assert_int_equal(x->status, 200);
    return fake_answer(x);
}

static void lists_go_page_by_page(void **state)
{
    struct fake *k = *state;
    char id[5][ID_SIZE], next[128] = "";
    for (size_t i = 0; i < 5; i++)
        fake_action(k, STATE_PENDING, NULL, id[i]);
    for (size_t page = 0; page < 3; page++) {
        struct exchange *x = as_bot(k);
        fake_query(x, "limit", "2");
        if (page > 0)
            fake_query(x, "cursor", next);
        json_t *v = list(k, api_actions, x);
        const json_t *items = json_object_get(v, "items");
        assert_int_equal(json_array_size(items), page < 2 ? 2 : 1);
        assert_string_equal(fake_text(json_array_get(items, 0), "/id"),
                            id[4 - 2 * page]); /* newest first */
        assert_null(json_object_get(json_array_get(items, 0), "result"));
        (void)snprintf(next, sizeof next, "%s", fake_text(v, "/next"));
        json_decref(v);
    }
    assert_string_equal(next, "null");
    assert_int_equal(k->life.n_told, 0);
}

static void odd_list_parameters_are_refused(void **state)
{
    static const char *const row[][2] = {{"limit", "0"},     {"limit", "201"},  {"limit", "x"},
                                         {"status", "new"},  {"status", "odd"}, {"cursor", "???"},
                                         {"cursor", "YWJj"}, {"colour", "red"}};
    struct fake *k = *state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct fail f = {0};
        struct exchange *x = as_bot(k);
        fake_query(x, row[i][0], row[i][1]);
        int r = api_actions(&k->app, x, &f);
        assert_int_equal(r, i + 1 < sizeof row / sizeof row[0] ? ERR_MALFORMED : ERR_UNKNOWN_FIELD);
        assert_string_equal(f.field, row[i][0]);
    }
}

static void reviews_show_what_waits_for_me(void **state)
{
    struct fake *k = *state;
    char pending[ID_SIZE], unknown[ID_SIZE], done[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, pending);
    fake_action(k, STATE_UNKNOWN, NULL, unknown);
    fake_action(k, STATE_SUCCEEDED, NULL, done);
    json_t *v = list(k, api_reviews, fake_exchange(k, WHO_PERSON, k->bob));
    assert_int_equal(json_array_size(json_object_get(v, "items")), 1);
    assert_string_equal(fake_text(v, "/items/0/id"), pending);
    assert_string_equal(fake_text(v, "/items/0/impact/amount"), "12.00");
    json_decref(v);
    v = list(k, api_reviews, fake_exchange(k, WHO_PERSON, k->cyd)); /* may not vote */
    assert_int_equal(json_array_size(json_object_get(v, "items")), 0);
    json_decref(v);
    struct exchange *x = fake_exchange(k, WHO_PERSON, k->cyd);
    fake_query(x, "scope", "all");
    v = list(k, api_reviews, x);
    assert_int_equal(json_array_size(json_object_get(v, "items")), 2);
    assert_string_equal(fake_text(v, "/items/0/id"), unknown);
    assert_string_equal(fake_text(v, "/items/1/id"), pending);
    assert_string_equal(fake_text(v, "/next"), "null");
    json_decref(v);
    x = fake_exchange(k, WHO_PERSON, k->cyd);
    fake_query(x, "scope", "decided");
    v = list(k, api_reviews, x);
    assert_string_equal(fake_text(v, "/items/0/id"), done);
    json_decref(v);
    v = list(k, api_reviews, fake_exchange(k, WHO_PERSON, k->eve)); /* another workspace */
    assert_int_equal(json_array_size(json_object_get(v, "items")), 0);
    json_decref(v);
}

static void reviews_go_page_by_page(void **state)
{
    struct fake *k = *state;
    char id[5][ID_SIZE], next[128] = "";
    size_t seen = 0, pages = 0;
    static const enum state states[] = {STATE_PENDING, STATE_UNKNOWN, STATE_PENDING, STATE_APPROVED,
                                        STATE_PENDING};
    for (size_t i = 0; i < 5; i++)
        fake_action(k, states[i], NULL, id[i]);
    do {
        struct exchange *x = fake_exchange(k, WHO_PERSON, k->bob);
        fake_query(x, "scope", "all");
        fake_query(x, "limit", "2");
        if (pages++ > 0)
            fake_query(x, "cursor", next);
        json_t *v = list(k, api_reviews, x);
        seen += json_array_size(json_object_get(v, "items"));
        (void)snprintf(next, sizeof next, "%s", fake_text(v, "/next"));
        json_decref(v);
    } while (strcmp(next, "null") != 0 && pages < 10);
    assert_int_equal(seen, 5);
}

/* --- events ----------------------------------------------------------------------------------- */

static void an_event_carries_the_object(void **state)
{
    struct fake *k = *state;
    struct buf b;
    char id[ID_SIZE];
    fake_action(k, STATE_SUCCEEDED, "{}", id);
    struct life_change c = {.workspace = STR("default"), .action = str_c(id)};
    buf_init(&b, 0);
    assert_int_equal(api_event_data(&k->app, &c, false, &b), 0);
    json_t *v = json_loadb(b.p, b.n, 0, NULL);
    assert_string_equal(fake_text(v, "/id"), id);
    assert_int_equal(json_integer_value(json_at(v, STR("/result/status"))), 201);
    assert_null(memchr(b.p, '\n', b.n)); /* one line of data */
    json_decref(v);
    buf_clear(&b);
    assert_int_equal(api_event_data(&k->app, &c, true, &b), 0);
    v = json_loadb(b.p, b.n, 0, NULL);
    assert_string_equal(fake_text(v, "/agent"), k->bot);
    assert_null(json_object_get(v, "result"));
    json_decref(v);
    assert_int_equal(k->life.n_told, 0); /* an event is not an answer */
    c.workspace = STR("other");
    assert_int_equal(api_event_data(&k->app, &c, false, &b), ERR_NOT_FOUND);
    buf_free(&b);
}

static int proposed_event(struct store_tx *tx, void *arg)
{
    struct audit_event e = AUDIT_EVENT_INIT;
    e.type = AUDIT_ACTION_PROPOSED;
    e.workspace = STR("default");
    e.action = str_c(arg);
    e.at = FAKE_NOW;
    return audit_append(tx, &fake_env, &e, NULL);
}

static int count_event(void *arg, int64_t seq, struct str data)
{
    (void)seq;
    assert_true(str_starts(data, STR("{\"id\":\"act_")));
    ++*(size_t *)arg;
    return ERR_OK;
}

static size_t events_since(struct fake *k, struct exchange *x, int64_t seq)
{
    size_t n = 0;
    assert_int_equal(api_events_since(&k->app, &x->who, seq, count_event, &n), 0);
    return n;
}

static void a_reconnect_gets_what_it_missed(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    assert_int_equal(store_tx(k->life.store, proposed_event, id), 0);
    assert_int_equal(events_since(k, as_bot(k), 0), 1);
    assert_int_equal(events_since(k, as_bot(k), 1), 0);
    assert_int_equal(events_since(k, fake_exchange(k, WHO_PERSON, k->bob), 0), 1);
    assert_int_equal(events_since(k, fake_exchange(k, WHO_AGENT, k->spy), 0), 0);
    assert_int_equal(events_since(k, fake_exchange(k, WHO_PERSON, k->eve), 0), 0);
}

/* Actions that stand in the log without having changed must not be asked for for ever. */
static void a_long_absence_comes_to_an_end(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    for (int i = 0; i < 250; i++) {
        fake_action(k, STATE_PENDING, NULL, id);
        assert_int_equal(store_tx(k->life.store, proposed_event, id), 0);
    }
    assert_true(events_since(k, as_bot(k), 0) >= 250);
}

static void the_last_event_id_is_a_number(void **state)
{
    struct fake *k = *state;
    struct fail f = {0};
    struct exchange *x = as_bot(k);
    fake_header(x, "last-event-id", "42");
    assert_int_equal(api_events(&k->app, x, &f), 0);
    assert_true(x->events);
    assert_int_equal(x->events_after, 42);
    x = as_bot(k);
    fake_header(x, "last-event-id", "-1");
    assert_int_equal(api_events(&k->app, x, &f), ERR_MALFORMED);
    assert_false(x->events);
}

/* --- people's deeds --------------------------------------------------------------------------- */

static int vote(struct fake *k, const char *id, const char *text, struct fail *f)
{
    struct exchange *x = with_id(fake_exchange(k, WHO_PERSON, k->bob), id);
    *f = (struct fail){.position = -1};
    fake_json(x, text);
    return api_vote(&k->app, x, f);
}

#define BALLOT "{\"decision\":\"approve\",\"revision\":1,\"binding\":\"sha256:11\""

static void a_vote_arrives_and_the_action_comes_back(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    assert_int_equal(vote(k, id, BALLOT ",\"reason\":\"fine\"}", &f), 0);
    assert_int_equal(k->x->status, 200);
    assert_int_equal(k->life.ballot.decision, VOTE_APPROVE);
    assert_string_equal(k->life.ballot.person->id, k->bob);
    assert_true(str_eq_c(k->life.ballot.evidence, "session"));
    assert_true(str_eq_c(k->life.ballot.session, "ses_test"));
    json_t *v = fake_answer(k->x);
    assert_non_null(json_object_get(v, "request"));
    json_decref(v);
}

static void what_is_no_vote_is_refused(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    assert_int_equal(vote(k, "act_x", BALLOT "}", &f), ERR_NOT_FOUND);
    assert_int_equal(vote(k, id, BALLOT ",\"person\":\"apr_x\"}", &f), ERR_UNKNOWN_FIELD);
    assert_int_equal(vote(k, id, "{\"decision\":\"maybe\",\"revision\":1,\"binding\":\"x\"}", &f),
                     ERR_MALFORMED);
    assert_int_equal(vote(k, id, "{\"decision\":\"approve\",\"binding\":\"x\"}", &f),
                     ERR_MALFORMED);
    assert_int_equal(k->life.n_votes, 0);
    k->life.err = ERR_STALE_REVISION;
    assert_int_equal(vote(k, id, BALLOT "}", &f), ERR_STALE_REVISION);
}

static void step_up_says_how(void **state)
{
    struct fake *k = *state;
    struct fail f;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    k->life.err = ERR_STEP_UP_REQUIRED;
    assert_int_equal(vote(k, id, BALLOT "}", &f), 0);
    assert_int_equal(k->x->status, 401);
    assert_non_null(
        strstr(fake_answer_header(k->x, "WWW-Authenticate"), "insufficient_user_authentication"));
    json_t *v = fake_answer(k->x);
    assert_string_equal(fake_text(v, "/type"), "urn:countersign:step-up-required");
    assert_string_equal(fake_text(v, "/methods/0"), "passkey");
    assert_string_equal(fake_text(v, "/methods/1"), "totp");
    assert_int_equal(json_integer_value(json_object_get(v, "max_age")), 300);
    json_decref(v);
}

static int reconcile(struct fake *k, const char *person, const char *id, const char *text)
{
    struct fail f = {0};
    struct exchange *x = with_id(fake_exchange(k, WHO_PERSON, person), id);
    fake_json(x, text);
    return api_reconcile(&k->app, x, &f);
}

static void an_unknown_one_is_settled_by_approvers(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    const char *good = "{\"outcome\":\"failed\",\"evidence\":\"  looked at the ledger \"}";
    fake_action(k, STATE_UNKNOWN, NULL, id);
    assert_int_equal(reconcile(k, k->cyd, id, good), ERR_NOT_AN_APPROVER);
    assert_int_equal(reconcile(k, k->ada, id, good), ERR_OWN_ACTION);
    assert_int_equal(reconcile(k, k->eve, id, good), ERR_NOT_FOUND);
    assert_int_equal(reconcile(k, k->bob, id, "{\"outcome\":\"failed\",\"evidence\":\" \"}"),
                     ERR_MALFORMED);
    assert_int_equal(reconcile(k, k->bob, id, "{\"outcome\":\"well\",\"evidence\":\"x\"}"),
                     ERR_MALFORMED);
    assert_int_equal(k->life.n_reconciled, 0);
    assert_int_equal(reconcile(k, k->bob, id, good), 0);
    assert_string_equal(k->life.seen_evidence, "looked at the ledger");
}

static void cancel_answers_the_action(void **state)
{
    struct fake *k = *state;
    struct fail f = {0};
    char id[ID_SIZE];
    fake_action(k, STATE_CANCELLED, NULL, id);
    assert_int_equal(api_cancel(&k->app, with_id(as_bot(k), id), &f), 0);
    assert_int_equal(k->x->status, 200);
    assert_int_equal(k->life.n_cancelled, 1);
    k->life.err = ERR_NOT_CANCELLABLE;
    assert_int_equal(api_cancel(&k->app, with_id(as_bot(k), id), &f), ERR_NOT_CANCELLABLE);
    assert_int_equal(api_cancel(&k->app, with_id(as_bot(k), "x"), &f), ERR_NOT_FOUND);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_field_arrives),
        T(what_is_not_a_proposal_is_refused),
        T(connections_are_the_agents_own),
        T(a_long_state_or_key_is_too_much),
        T(the_key_comes_in_body_or_header),
        T(a_held_one_is_202),
        T(an_ended_one_is_200_and_told),
        T(an_unknown_one_is_200_and_not_told),
        T(wait_parks_until_the_time_is_up),
        T(a_call_in_flight_is_waited_for),
        T(lifes_refusals_are_passed_on),
        T(classify_stores_nothing),
        T(the_object_has_the_contracts_fields),
        T(an_agent_sees_its_own_alone),
        T(a_large_answer_is_left_out),
        T(people_see_the_request_complete),
        T(a_request_that_does_not_open_is_an_error),
        T(lists_go_page_by_page),
        T(odd_list_parameters_are_refused),
        T(reviews_show_what_waits_for_me),
        T(reviews_go_page_by_page),
        T(an_event_carries_the_object),
        T(a_reconnect_gets_what_it_missed),
        T(a_long_absence_comes_to_an_end),
        T(the_last_event_id_is_a_number),
        T(a_vote_arrives_and_the_action_comes_back),
        T(what_is_no_vote_is_refused),
        T(step_up_says_how),
        T(an_unknown_one_is_settled_by_approvers),
        T(cancel_answers_the_action),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
