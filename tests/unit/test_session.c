/* Sessions: who gets one, who has one, and that a row edited by SQL is nobody. */
#include "api_fake.h"

#include "api/session.h"
#include "api/throttle.h"

#define RIGHT "correct horse battery"

static char hash[128];

static int setup(void **state)
{
    struct fake *k;
    assert_true(sodium_init() >= 0);
    if (hash[0] == '\0')
        assert_int_equal(password_hash(STR(RIGHT), hash, NULL), 0);
    k = fake_new(hash);
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

static int login(struct fake *k, const char *email, const char *password, struct session_made *ret)
{
    struct fail f = {0};
    return session_login(k->app.sessions, k->life.roster, STR("default"), str_c(email),
                         str_c(password), STR("192.0.2.1"), ret, &f);
}

/* Finds into k->x, whose memory the texts live in. */
static int find(struct fake *k, const char *token)
{
    struct exchange *x = fake_exchange(k, WHO_NOBODY, NULL);
    return session_find(k->app.sessions, x->arena, str_c(token), &x->who);
}

struct counting {
    struct str type;
    size_t n;
};
static int count_event(void *arg, int64_t seq, struct str bytes)
{
    struct counting *c = arg;
    (void)seq;
    (void)bytes;
    c->n++;
    return ERR_OK;
}
static int count_events(struct store_tx *tx, void *arg)
{
    struct counting *c = arg;
    const struct audit_filter flt = {.workspace = STR("default"), .type = c->type, .limit = 1000};
    c->n = 0;
    return audit_each(tx, &flt, count_event, c);
}
static size_t events(struct fake *k, enum audit_type type)
{
    struct counting c = {.type = str_c(audit_type_text(type))};
    assert_int_equal(store_read(k->life.store, count_events, &c), 0);
    return c.n;
}

static void a_right_password_gives_a_session(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    assert_int_equal(login(k, "BOB@a.example", RIGHT, &made), 0);
    assert_int_equal(find(k, made.token), 0);
    assert_int_equal(k->x->who.who, WHO_PERSON);
    assert_string_equal(k->x->who.person->id, k->bob);
    assert_true(str_eq_c(k->x->who.csrf, made.csrf));
    assert_true(str_eq_c(k->x->who.session, made.id));
    assert_true(str_eq_c(k->x->who.workspace, "default"));
    assert_int_equal(k->x->who.auth_time, FAKE_NOW);
    assert_int_equal(events(k, AUDIT_LOGIN_SUCCEEDED), 1);
    assert_int_equal(events(k, AUDIT_LOGIN_REFUSED), 0);
}

static void a_wrong_one_does_not(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    assert_int_equal(login(k, "bob@a.example", "correct horse batterz", &made), ERR_LOGIN_REQUIRED);
    assert_int_equal(login(k, "nobody@a.example", RIGHT, &made), ERR_LOGIN_REQUIRED);
    assert_int_equal(login(k, "ada@a.example", "", &made),
                     ERR_LOGIN_REQUIRED); /* has no password */
    assert_int_equal(events(k, AUDIT_LOGIN_REFUSED), 3);
    assert_int_equal(events(k, AUDIT_LOGIN_SUCCEEDED), 0);
}

static void a_token_that_nobody_was_given_is_nobody(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    char token[TOKEN_SIZE];
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
    memcpy(token, made.token, sizeof token);
    token[10] = token[10] == 'A' ? 'B' : 'A';
    assert_int_equal(find(k, token), ERR_LOGIN_REQUIRED);
    assert_int_equal(find(k, ""), ERR_LOGIN_REQUIRED);
    assert_int_equal(find(k, made.id), ERR_LOGIN_REQUIRED);
}

/* A row of one's own making, or one whose person was changed: the MAC does not fit. */
struct forged {
    const char *id, *token, *person;
    const char *mac;
    int64_t at;
};
static int forge_tx(struct store_tx *tx, void *arg)
{
    const struct forged *g = arg;
    char token_hash[HASH_TEXT];
    hash_text(token_hash, str_c(g->token));
    return STORE_EXEC(tx, Q_API_SESSION_ADD, NULL, V_C("default"), V_C(g->id), V_C(token_hash),
                      V_C(g->person), V_C("csf_forged"), V_INT(g->at), V_C(g->mac));
}

static void forged_mac(struct fake *k, const struct forged *g, const unsigned char *key,
                       char out[MAC_TEXT])
{
    char token_hash[HASH_TEXT], at[24];
    hash_text(token_hash, str_c(g->token));
    (void)snprintf(at, sizeof at, "%lld", (long long)g->at);
    const struct str p[] = {STR("default"),    str_c(g->id), str_c(token_hash), str_c(g->person),
                            STR("csf_forged"), str_c(at),    str_c(at)};
    (void)k;
    mac_text(key, 7, "session", p, 7, out);
}

static void a_row_made_by_sql_is_nobody(void **state)
{
    struct fake *k = *state;
    unsigned char other[KEY_BYTES] = {1};
    char mac[MAC_TEXT];
    struct forged g = {
        .id = "ses_forged", .token = "css_mine", .person = k->bob, .mac = mac, .at = FAKE_NOW};
    forged_mac(k, &g, other, mac);
    assert_int_equal(store_tx(k->life.store, forge_tx, &g), 0);
    assert_int_equal(find(k, "css_mine"), ERR_LOGIN_REQUIRED);
    /* the same row under the right key is somebody: it is the MAC alone that decided */
    struct forged h = {
        .id = "ses_right", .token = "css_right", .person = k->bob, .mac = mac, .at = FAKE_NOW};
    forged_mac(k, &h, k->life.mac_key, mac);
    assert_int_equal(store_tx(k->life.store, forge_tx, &h), 0);
    assert_int_equal(find(k, "css_right"), 0);
    /* and that MAC on a row of another person is nobody again */
    struct forged o = {
        .id = "ses_other", .token = "css_other", .person = k->bob, .mac = mac, .at = FAKE_NOW};
    forged_mac(k, &o, k->life.mac_key, mac);
    o.person = k->ada;
    assert_int_equal(store_tx(k->life.store, forge_tx, &o), 0);
    assert_int_equal(find(k, "css_other"), ERR_LOGIN_REQUIRED);
}

static void without_the_key_nobody_signs_in(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
    k->life.no_mac_key = true;
    assert_int_equal(find(k, made.token), ERR_LOGIN_REQUIRED);
    assert_int_equal(err_http(login(k, "bob@a.example", RIGHT, &made)), 503);
}

static void idle_sessions_end(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
    k->life.now += k->cfg.session_idle - 1;
    assert_int_equal(find(k, made.token), 0); /* seen: starts afresh */
    k->life.now += k->cfg.session_idle - 1;
    assert_int_equal(find(k, made.token), 0);
    k->life.now += k->cfg.session_idle;
    assert_int_equal(find(k, made.token), ERR_LOGIN_REQUIRED);
}

static void busy_sessions_end_too(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    int r = ERR_OK, hours = 0;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
    for (; r == ERR_OK && hours < 100; hours++) {
        k->life.now += 1800000;
        r = find(k, made.token);
    }
    assert_int_equal(r, ERR_LOGIN_REQUIRED);
    assert_int_equal(hours, 16); /* 8 h in half hours */
}

static void signing_out_ends_it(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
    assert_int_equal(find(k, made.token), 0);
    assert_int_equal(session_end(k->app.sessions, &k->x->who), 0);
    assert_int_equal(find(k, made.token), ERR_LOGIN_REQUIRED);
    assert_int_equal(k->life.n_revoked, 0); /* its votes stand */
}

static void disabling_ends_all(void **state)
{
    struct fake *k = *state;
    struct session_made a, b;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &a), 0);
    assert_int_equal(login(k, "bob@a.example", RIGHT, &b), 0);
    assert_int_equal(session_end_all(k->app.sessions, STR("default"), str_c(k->bob)), 0);
    assert_int_equal(k->life.n_revoked, 2);
    assert_int_equal(find(k, a.token), ERR_LOGIN_REQUIRED);
    assert_int_equal(find(k, b.token), ERR_LOGIN_REQUIRED);
}

static void a_disabled_person_is_nobody(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
    json_t *doc = json_deep_copy(roster_doc(k->life.roster));
    json_object_set_new(json_array_get(json_object_get(doc, "people"), 1), "enabled", json_false());
    assert_int_equal(
        life_roster_change(&k->life, doc, STR("default"), STR("console"), "t", NULL, NULL, NULL),
        0);
    json_decref(doc);
    assert_int_equal(find(k, made.token), ERR_LOGIN_REQUIRED);
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), ERR_LOGIN_REQUIRED);
}

static void failures_are_throttled_per_account(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    for (int i = 0; i < 3; i++)
        assert_int_equal(login(k, "bob@a.example", "wrong wrong wrong", &made), ERR_LOGIN_REQUIRED);
    assert_int_equal(login(k, "Bob@a.example", RIGHT, &made), ERR_LOGIN_THROTTLED);
    k->life.now += THROTTLE_MS - 1;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), ERR_LOGIN_THROTTLED);
    k->life.now += 1;
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
}

static void failures_are_throttled_per_address(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    struct fail f;
    assert_int_equal(login(k, "a@a.example", "wrong wrong wrong", &made), ERR_LOGIN_REQUIRED);
    assert_int_equal(login(k, "b@a.example", "wrong wrong wrong", &made), ERR_LOGIN_REQUIRED);
    assert_int_equal(login(k, "c@a.example", "wrong wrong wrong", &made), ERR_LOGIN_REQUIRED);
    assert_int_equal(login(k, "bob@a.example", RIGHT, &made), ERR_LOGIN_THROTTLED);
    assert_int_equal(session_login(k->app.sessions, k->life.roster, STR("default"),
                                   STR("bob@a.example"), STR(RIGHT), STR("192.0.2.2"), &made, &f),
                     0);
}

/* Otherwise an office behind one address locks itself out by signing in. */
static void good_sign_ins_do_not_count(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    for (int i = 0; i < 5; i++)
        assert_int_equal(login(k, "bob@a.example", RIGHT, &made), 0);
}

static void passwords_have_a_length(void **state)
{
    char out[128], longest[258];
    struct fail f = {0};
    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_int_equal(password_hash(STR("elevenchars"), out, &f), ERR_MALFORMED);
    assert_string_equal(f.field, "password");
    assert_int_equal(password_hash((struct str){longest, 257}, out, &f), ERR_MALFORMED);
    assert_int_equal(password_hash((struct str){longest, 256}, out, &f), 0);
    assert_true(str_starts(str_c(out), STR("$argon2id$")));
}

static void the_cookie_says_what_it_is(void **state)
{
    struct fake *k = *state;
    struct exchange *x = fake_exchange(k, WHO_NOBODY, NULL);
    struct fail f = {0};
    fake_json(x, "{\"email\":\"bob@a.example\",\"password\":\"" RIGHT "\",\"totp\":\"123456\"}");
    assert_int_equal(api_login(&k->app, x, &f), 0);
    assert_int_equal(x->status, 200);
    const char *cookie = fake_answer_header(x, "Set-Cookie");
    assert_true(str_starts(str_c(cookie), STR("__Host-countersign=css_")));
    assert_non_null(strstr(cookie, "; Path=/;"));
    assert_non_null(strstr(cookie, "; HttpOnly"));
    assert_non_null(strstr(cookie, "; SameSite=Strict"));
    assert_non_null(strstr(cookie, "; Secure"));
    assert_null(strstr(cookie, "Domain"));
    json_t *v = fake_answer(x);
    assert_string_equal(fake_text(v, "/person/email"), "bob@a.example");
    assert_true(str_starts(str_c(fake_text(v, "/csrf")), STR("csf_")));
    assert_null(strstr(x->out.p, "argon2"));
    json_decref(v);
}

static void the_former_session_ends_at_sign_in(void **state)
{
    struct fake *k = *state;
    struct session_made former;
    char cookie[128];
    struct fail f = {0};
    assert_int_equal(login(k, "bob@a.example", RIGHT, &former), 0);
    struct exchange *x = fake_exchange(k, WHO_NOBODY, NULL);
    (void)snprintf(cookie, sizeof cookie, "a=b; __Host-countersign=%s", former.token);
    fake_header(x, "cookie", cookie);
    fake_json(x, "{\"email\":\"bob@a.example\",\"password\":\"" RIGHT "\"}");
    assert_int_equal(api_login(&k->app, x, &f), 0);
    assert_int_equal(find(k, former.token), ERR_LOGIN_REQUIRED);
}

static void throttled_says_when_to_come_back(void **state)
{
    struct fake *k = *state;
    struct session_made made;
    struct fail f = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(login(k, "bob@a.example", "wrong wrong wrong", &made), ERR_LOGIN_REQUIRED);
    struct exchange *x = fake_exchange(k, WHO_NOBODY, NULL);
    fake_json(x, "{\"email\":\"bob@a.example\",\"password\":\"" RIGHT "\"}");
    assert_int_equal(api_login(&k->app, x, &f), 0);
    assert_int_equal(x->status, 429);
    assert_string_equal(x->answer_type, "application/problem+json");
    assert_true(atoi(fake_answer_header(x, "Retry-After")) > 0);
    assert_string_equal(fake_answer_header(x, "Set-Cookie"), "");
    json_t *v = fake_answer(x);
    assert_string_equal(fake_text(v, "/type"), "urn:countersign:login-throttled");
    json_decref(v);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_right_password_gives_a_session),
        T(a_wrong_one_does_not),
        T(a_token_that_nobody_was_given_is_nobody),
        T(a_row_made_by_sql_is_nobody),
        T(without_the_key_nobody_signs_in),
        T(idle_sessions_end),
        T(busy_sessions_end_too),
        T(signing_out_ends_it),
        T(disabling_ends_all),
        T(a_disabled_person_is_nobody),
        T(failures_are_throttled_per_account),
        T(failures_are_throttled_per_address),
        T(good_sign_ins_do_not_count),
        T(passwords_have_a_length),
        T(the_cookie_says_what_it_is),
        T(the_former_session_ends_at_sign_in),
        T(throttled_says_when_to_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
