/* Everything keeper demands before it sends, each demand broken by itself: both when a grant is
 * asked for and when an order comes with a good grant and something else is wrong. */
#include "test_keeper.h"

static struct fixture x;
static char clock_file[128];

static void set_clock(int64_t offset_ms)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)offset_ms);
    put_file(x.dir, "clock", text, 0644);
}

static int begin(void **state)
{
    (void)state;
    fixture_begin(&x);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fixture_end(&x);
    return 0;
}

static void assert_refused(struct order *y, int err)
{
    int sent = x.server.requests;
    struct keeper_result *r = order_execute(&x, y);
    if (r->kind != RESULT_REFUSED || r->refusal != err)
        fail_msg("wanted %s, got kind %d, %s: %s", err_name(err), (int)r->kind,
                 err_name(r->refusal), r->detail);
    assert_int_equal(x.server.requests, sent);
}

static void assert_no_grant(struct order *y, int err)
{
    struct fail f = {0};
    int r = order_grant(&x, y, &f);
    if (r != err)
        fail_msg("wanted %s, got %s: %s", err_name(err), err_name(r), f.detail);
}

static void assert_grant(struct order *y)
{
    assert_no_grant(y, 0);
}

/* A tier 3 payment with two good votes and a grant. */
static void good(struct order *y)
{
    order_make(&x, y, "POST", "/paytwo/ok", 3);
    vote_add(&x, y, 1);
    vote_add(&x, y, 2);
    assert_grant(y);
}

/* Refused for the same reason with the good grant and when asking for one. */
static void assert_wrong(struct order *y, int err)
{
    assert_refused(y, err);
    assert_no_grant(y, err);
    order_free(y);
}

static void good_order_is_sent(void **state)
{
    (void)state;
    struct order y;
    good(&y);
    struct keeper_result *r = order_execute(&x, &y);
    if (r->kind != RESULT_ANSWERED)
        fail_msg("%s: %s", err_name(r->refusal), r->detail);
    assert_string_equal(r->executed_hash, y.request.hash);
    assert_int_equal(x.server.effects, 1);
    assert_refused(&y, ERR_K_USED); /* the same attempt */
    y.o.attempt = 2;
    assert_grant(&y);
    assert_refused(&y, ERR_K_USED); /* it has succeeded */
    keeper_ack(x.kc, STR("default"), str_c(y.action), 1);
    y.o.attempt = 1;
    assert_grant(&y);
    assert_refused(&y, ERR_K_USED); /* also once gate has forgotten */
    order_free(&y);
}

/* --- what the order is about ------------------------------------------------------------------ */

static void epoch(void **state)
{
    (void)state;
    struct order y;
    good(&y);
    y.o.epoch = STR("00000000000000000000000000000000");
    assert_wrong(&y, ERR_K_GRANT);
}

static void roster(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "POST", "/write/ok", 1);
    y.o.about.agent = str_c(x.person[0]);
    assert_refused(&y, ERR_K_ROSTER);
    y.o.about.agent = str_c(x.agent);
    y.o.about.workspace = STR("other");
    assert_refused(&y, ERR_K_ROSTER);
    y.o.about.workspace = STR("default");
    y.o.about.connection = str_c(x.agent);
    assert_refused(&y, ERR_K_ROSTER);
    y.o.about.connection = str_c(x.spare); /* there is one, but not for this agent */
    assert_refused(&y, ERR_K_ROSTER);
    order_free(&y);
}

static void payload(void **state)
{
    (void)state;
    struct order y, other;
    struct buf spaced = {0};
    good(&y);
    order_make(&x, &other, "POST", "/paytwo/other", 3);
    y.o.request = other.o.request; /* swapped after approval */
    assert_refused(&y, ERR_K_HASH);
    buf_str(&spaced, buf_view(&y.request.bytes));
    buf_ch(&spaced, ' '); /* not canonical */
    y.o.request = buf_view(&spaced);
    assert_refused(&y, ERR_K_HASH);
    buf_free(&spaced);
    order_free(&other);
    order_free(&y);
}

static void every_byte_of_the_payload_counts(void **state)
{
    (void)state;
    struct order y;
    struct buf altered = {0};
    good(&y);
    int sent = x.server.requests;
    for (size_t i = 0; i < y.request.bytes.n; i++) {
        buf_clear(&altered);
        buf_str(&altered, buf_view(&y.request.bytes));
        altered.p[i] ^= 1;
        y.o.request = buf_view(&altered);
        struct keeper_result *r = order_execute(&x, &y);
        assert_int_equal(r->kind, RESULT_REFUSED);
        x.n_results = x.taken = 0;
        keeper_result_free(r);
    }
    assert_int_equal(x.server.requests, sent);
    buf_free(&altered);
    order_free(&y);
}

static void policy_denies(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "DELETE", "/never/ok", 3);
    vote_add(&x, &y, 1);
    vote_add(&x, &y, 2);
    assert_wrong(&y, ERR_K_DENIED);
}

static void policy_stricter(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "POST", "/paytwo/ok", 1); /* gate says tier 1 */
    assert_wrong(&y, ERR_K_STRICTER);
    order_make(&x, &y, "POST", "/paytwo/ok", 2); /* ... or 2, with its vote */
    vote_add(&x, &y, 1);
    assert_wrong(&y, ERR_K_STRICTER);
    order_make(&x, &y, "POST", "/paytwo/ok", 3); /* ... or 3, but of one person */
    y.o.about.quorum = STR("[{\"count\":1}]");
    vote_add(&x, &y, 1);
    assert_no_grant(&y, ERR_K_STRICTER);
    order_free(&y);
    order_make(&x, &y, "POST", "/unlisted", 0); /* not listed: tier 3 */
    assert_wrong(&y, ERR_K_STRICTER);
}

static void expiry(void **state)
{
    (void)state;
    struct order y;
    int64_t now = env_now(&env_system);
    good(&y);
    y.o.about.execute_by = now - 1;
    for (size_t i = 0; i < y.o.n_votes; i++)
        vote_sign(&x, &y, i);
    assert_wrong(&y, ERR_K_EXPIRED);
    good(&y);
    y.o.about.execute_by = 0;
    for (size_t i = 0; i < y.o.n_votes; i++)
        vote_sign(&x, &y, i);
    assert_wrong(&y, ERR_K_EXPIRED);
    order_make(&x, &y, "POST", "/write/ok", 1);
    y.o.about.execute_by = now - 1;
    assert_refused(&y, ERR_K_EXPIRED);
    order_free(&y);
}

/* --- grants ----------------------------------------------------------------------------------- */

static void grants(void **state)
{
    (void)state;
    struct order y, other;
    good(&y);
    struct str grant = y.o.grant;
    y.o.grant = STR("");
    assert_refused(&y, ERR_K_GRANT);
    y.o.grant = str_sub(grant, 0, grant.n - 1);
    assert_refused(&y, ERR_K_GRANT);
    for (size_t i = 0; i < grant.n; i += 7) {
        char was = y.grant.p[i];
        y.grant.p[i] = was == 'A' ? 'B' : 'A';
        y.o.grant = buf_view(&y.grant);
        struct keeper_result *r = order_execute(&x, &y);
        assert_int_equal(r->refusal, ERR_K_GRANT);
        x.n_results = x.taken = 0;
        keeper_result_free(r);
        y.grant.p[i] = was;
    }
    y.o.attempt = 2; /* it was given for the first */
    assert_refused(&y, ERR_K_GRANT);
    good(&other);
    y.o.attempt = 1;
    y.o.grant = other.o.grant;
    assert_refused(&y, ERR_K_GRANT);
    order_free(&other);
    order_free(&y);
    order_make(&x, &y, "POST", "/write/ok", 1);
    assert_no_grant(&y, ERR_K_GRANT); /* needs none */
    order_free(&y);
}

/* --- votes ------------------------------------------------------------------------------------ */

/* One vote of a good order altered and signed again, as a gate that was taken over could not, or as
 * time has made it. */
#define ALTERED(member, value)          \
    do {                                \
        struct order y;                 \
        good(&y);                       \
        y.vote[1].member = (value);     \
        vote_sign(&x, &y, 1);           \
        assert_wrong(&y, ERR_K_QUORUM); \
    } while (0)

static void votes_that_do_not_count(void **state)
{
    (void)state;
    int64_t now = env_now(&env_system);
    ALTERED(decision, VOTE_REJECT);
    ALTERED(person, str_c(x.person[1])); /* one person, two votes */
    ALTERED(person, str_c(x.person[0])); /* the agent's owner */
    ALTERED(person, str_c(x.person[3])); /* an auditor */
    ALTERED(person, STR("apr_nobody"));
    ALTERED(auth_time, now - 9 * 3600000); /* signed in too long ago */
    ALTERED(auth_time, now + 60000);
    ALTERED(at, x.who.epoch_started - 1);
    ALTERED(at, now + 3600000); /* after decide_by */
    ALTERED(evidence, STR("passkey"));
}

static void votes_that_are_not_genuine(void **state)
{
    (void)state;
    struct order y, other;
    good(&y);
    y.mac[1][10] = y.mac[1][10] == '0' ? '1' : '0';
    assert_wrong(&y, ERR_K_QUORUM);
    good(&y);
    y.vote[1].auth_time += 1; /* not signed again */
    assert_wrong(&y, ERR_K_QUORUM);
    good(&y);
    y.vote[1].mac = STR("7:0000000000000000000000000000000000000000000000000000000000000000");
    assert_wrong(&y, ERR_K_QUORUM);
    good(&y);
    good(&other);
    y.vote[1] = other.vote[1]; /* genuine, but about something else */
    assert_wrong(&y, ERR_K_QUORUM);
    order_free(&other);
    good(&y);
    y.o.n_votes = 1;
    assert_wrong(&y, ERR_K_QUORUM);
    good(&y);
    y.o.about.evidence = STR("passkey"); /* which keeper cannot verify, whatever a vote says */
    vote_sign(&x, &y, 0);
    vote_sign(&x, &y, 1);
    assert_no_grant(&y, ERR_K_QUORUM);
    y.vote[0].evidence = y.vote[1].evidence = STR("passkey");
    vote_sign(&x, &y, 0);
    vote_sign(&x, &y, 1);
    assert_no_grant(&y, ERR_K_QUORUM);
    order_free(&y);
    order_make(&x, &y, "POST", "/pay/ok", 2);
    vote_add(&x, &y, 1);
    vote_add(&x, &y, 1); /* twice the same person is no mistake of a person */
    assert_no_grant(&y, ERR_K_QUORUM);
    order_free(&y);
    good(&y);
    y.o.about.quorum = STR("[]");
    vote_sign(&x, &y, 0);
    vote_sign(&x, &y, 1);
    assert_no_grant(&y, ERR_K_QUORUM);
    order_free(&y);
}

static void disabled_person(void **state)
{
    (void)state;
    struct order y;
    good(&y);
    x.disabled = x.person[2];
    change_roster(&x);
    y.o.credential = buf_view(&x.credential);
    assert_wrong(&y, ERR_K_QUORUM);
}

/* --- revocations ------------------------------------------------------------------------------ */

static void say_revoke(enum revoke_kind kind, const char *id, bool on)
{
    const struct revocation r = {kind, STR("default"), str_c(id), INT64_MAX, on};
    assert_int_equal(keeper_revoke(x.kc, &r), 0);
}

static void freezes(void **state)
{
    (void)state;
    const struct {
        enum revoke_kind kind;
        const char *id;
    } all[] = {{FREEZE_WORKSPACE, "default"},
               {FREEZE_AGENT, x.agent},
               {FREEZE_CONNECTION, x.connection},
               {FREEZE_OPERATION, "shop/pay.two"}};
    struct order y;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        good(&y);
        say_revoke(all[i].kind, all[i].id, true);
        assert_refused(&y, ERR_K_REVOKED);
        assert_no_grant(&y, ERR_K_REVOKED);
        say_revoke(all[i].kind, all[i].id, false);
        assert_grant(&y);
        struct keeper_result *r = order_execute(&x, &y);
        assert_int_equal(r->kind, RESULT_ANSWERED);
        order_free(&y);
    }
}

static void revocations(void **state)
{
    (void)state;
    struct order y;
    good(&y);
    say_revoke(REVOKE_ACTION, y.action, true);
    assert_wrong(&y, ERR_K_REVOKED);
    good(&y);
    say_revoke(REVOKE_SESSION, "ses_1", true);
    assert_wrong(&y, ERR_K_QUORUM);
    order_make(&x, &y, "POST", "/pay/ok", 2);
    vote_add(&x, &y, 1);
    y.vote[0].session = STR("ses_2");
    vote_sign(&x, &y, 0);
    assert_grant(&y);
    say_revoke(REVOKE_PERSON, x.person[1], true);
    assert_wrong(&y, ERR_K_QUORUM);
}

/* --- attempts and credentials -------------------------------------------------------------------
 */

static void attempts(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "POST", "/write/429", 1); /* no effect: another attempt may be made */
    assert_int_equal(order_execute(&x, &y)->answer.class, ANSWER_RATE_LIMITED);
    keeper_ack(x.kc, STR("default"), str_c(y.action), 1);
    assert_refused(&y, ERR_K_USED); /* but not the same one */
    y.o.attempt = 2;
    assert_int_equal(order_execute(&x, &y)->answer.class, ANSWER_RATE_LIMITED);
    y.o.attempt = 0;
    assert_refused(&y, ERR_K_USED);
    order_free(&y);
    order_make(&x, &y, "POST", "/write/500", 1); /* nobody knows */
    assert_int_equal(order_execute(&x, &y)->answer.class, ANSWER_UNCLEAR);
    y.o.attempt = 2;
    assert_refused(&y, ERR_K_USED);
    order_free(&y);
    order_make(&x, &y, "GET", "/peek/ok", 2); /* a read that needs a vote: once for a grant */
    vote_add(&x, &y, 1);
    assert_grant(&y);
    assert_int_equal(order_execute(&x, &y)->kind, RESULT_ANSWERED);
    keeper_ack(x.kc, STR("default"), str_c(y.action), 1);
    assert_refused(&y, ERR_K_USED);
    order_free(&y);
}

static void credentials(void **state)
{
    (void)state;
    struct order y;
    struct buf box = {0};
    const struct {
        const char *workspace, *connection, *base_url;
        int64_t version;
    } other[] = {{"other", x.connection, x.base_url, 1},
                 {"default", "con_other", x.base_url, 1},
                 {"default", x.connection, "https://evil.example", 1},
                 {"default", x.connection, x.base_url, 2}};
    order_make(&x, &y, "POST", "/write/ok", 1);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) { /* the row of another place */
        buf_free(&box);
        assert_int_equal(keeper_seal(x.kc, str_c(other[i].workspace), str_c(other[i].connection),
                                     str_c(other[i].base_url), other[i].version,
                                     STR("{\"token\":\"" SECRET "\"}"), &box, NULL),
                         0);
        y.o.credential = buf_view(&box);
        assert_refused(&y, ERR_K_CREDENTIAL);
    }
    x.credential.p[x.credential.n - 1] ^= 1;
    y.o.credential = buf_view(&x.credential);
    assert_refused(&y, ERR_K_CREDENTIAL);
    x.credential.p[x.credential.n - 1] ^= 1;
    buf_clear(&box);
    buf_str(&box, buf_view(&x.credential));
    x.credential_version = 2; /* replaced: the old one is not taken any more */
    change_roster(&x);
    y.o.credential = buf_view(&box);
    assert_refused(&y, ERR_K_CREDENTIAL);
    y.o.credential = buf_view(&x.credential);
    assert_int_equal(order_execute(&x, &y)->kind, RESULT_ANSWERED);
    buf_free(&box);
    order_free(&y);
}

/* --- time ------------------------------------------------------------------------------------- */

static int begin_clock(void **state)
{
    (void)state;
    begin(state);
    end_keeper(&x, SIGTERM);
    snprintf(clock_file, sizeof clock_file, "%s/clock", x.dir);
    set_clock(0);
    setenv("COUNTERSIGN_TEST_CLOCK", clock_file, 1);
    start_again(&x);
    return 0;
}

static int end_clock(void **state)
{
    unsetenv("COUNTERSIGN_TEST_CLOCK");
    return end(state);
}

static void clock_set_back_revives_nothing(void **state)
{
    (void)state;
    struct order y;
    good(&y);
    set_clock(16 * 60000);
    assert_refused(&y, ERR_K_GRANT); /* expired after 15 minutes; execute_by is later */
    set_clock(0);
    assert_refused(&y, ERR_K_GRANT);
    assert_grant(&y); /* the same votes may have another */
    assert_int_equal(order_execute(&x, &y)->kind, RESULT_ANSWERED);
    order_free(&y);
}

/* A day, less 10 percent. */
static void idempotency_has_a_window(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "POST", "/keyed/500", 1);
    y.o.idem_key = STR("key-0000000001");
    assert_int_equal(order_execute(&x, &y)->answer.class, ANSWER_UNCLEAR);
    set_clock(21 * 3600000);
    y.o.attempt = 2;
    assert_int_equal(order_execute(&x, &y)->answer.class, ANSWER_UNCLEAR);
    set_clock(22 * 3600000);
    y.o.attempt = 3;
    assert_refused(&y, ERR_K_USED);
    order_free(&y);
}

int main(int argc, char **argv)
{
    keeper_child(argc, argv);
    log_open("test", LOG_ERROR);
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(good_order_is_sent),
        CASE(epoch),
        CASE(roster),
        CASE(payload),
        CASE(every_byte_of_the_payload_counts),
        CASE(policy_denies),
        CASE(policy_stricter),
        CASE(expiry),
        CASE(grants),
        CASE(votes_that_do_not_count),
        CASE(votes_that_are_not_genuine),
        CASE(disabled_person),
        CASE(freezes),
        CASE(revocations),
        CASE(attempts),
        CASE(credentials),
        cmocka_unit_test_setup_teardown(clock_set_back_revives_nothing, begin_clock, end_clock),
        cmocka_unit_test_setup_teardown(idempotency_has_a_window, begin_clock, end_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
