/* Sessions. The cookie's token is never stored, only its hash; the row bears a MAC over everything
 * that says who it is and since when, so an edited row is nobody; what the MAC leaves out (last
 * seen, ended) can only be edited towards a session whose token the editor would still have to
 * know. */
#include <stdio.h>
#include <stdlib.h>

#include "api/password.h"
#include "api/session.h"
#include "api/throttle.h"
#include "audit/audit.h"
#include "base/log.h"
#include "base/secret.h"

#define SEEN_MS 60000 /* how stale `seen_at` may be: not every request writes */

struct sessions {
    struct life *life;
    const struct config *cfg;
    struct passwords *passwords;
};

int sessions_new(struct life *l, const struct config *cfg, struct sessions **ret)
{
    struct sessions *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    s->life = l;
    s->cfg = cfg;
    int r = passwords_new(&s->passwords);
    if (r == ERR_OK)
        *ret = s;
    else
        free(s);
    return r;
}

void sessions_free(struct sessions *s)
{
    if (s == NULL)
        return;
    passwords_free(s->passwords);
    free(s);
}

const char *session_cookie_name(bool secure)
{
    return secure ? "__Host-countersign" : "countersign";
}

/* --- a row ------------------------------------------------------------------------------------ */

struct row {
    struct str workspace, id, token_hash, person, csrf;
    int64_t made_at, auth_time, seen_at;
    struct str mac;
};

/* ERR_KEEPER while there is no such key. */
static int row_mac(struct life *l, uint32_t version, const struct row *w, char out[MAC_TEXT])
{
    const unsigned char *key = life_mac_key(l, version);
    char made[24], auth[24];
    if (key == NULL)
        return ERR_KEEPER;
    (void)snprintf(made, sizeof made, "%lld", (long long)w->made_at);
    (void)snprintf(auth, sizeof auth, "%lld", (long long)w->auth_time);
    const struct str part[] = {w->workspace, w->id,       w->token_hash, w->person,
                               w->csrf,      str_c(made), str_c(auth)};
    mac_text(key, version, "session", part, sizeof part / sizeof part[0], out);
    return ERR_OK;
}

static bool row_genuine(struct life *l, const struct row *w)
{
    char mac[MAC_TEXT];
    uint64_t version;
    if (!str_u64(str_sub(w->mac, 0, str_find(w->mac, ':', 0)), &version) || version > UINT32_MAX)
        return false;
    return row_mac(l, (uint32_t)version, w, mac) == ERR_OK && str_eq_secret(str_c(mac), w->mac);
}

/* --- signing in ------------------------------------------------------------------------------- */

struct opening {
    struct sessions *s;
    const struct throttle *throttle;
    struct row row;
};

static struct audit_event login_event(const struct opening *o, enum audit_type type)
{
    struct audit_event e = AUDIT_EVENT_INIT;
    e.type = type;
    e.workspace = o->row.workspace;
    e.at = o->row.made_at;
    e.channel = STR("web");
    return e;
}

static int write_session(struct store_tx *tx, void *arg)
{
    struct opening *o = arg;
    const struct row *w = &o->row;
    struct audit_event e = login_event(o, AUDIT_LOGIN_SUCCEEDED);
    char who[ID_SIZE + 4];
    (void)snprintf(who, sizeof who, "[\"%.*s\"]", STR_FMT(w->person));
    e.approvers = str_c(who);
    e.evidence = STR("password");
    int r = throttle_good(tx, o->throttle);
    if (r == ERR_OK)
        r = STORE_EXEC(tx, Q_API_SESSION_ADD, NULL, V_TEXT(w->workspace), V_TEXT(w->id),
                       V_TEXT(w->token_hash), V_TEXT(w->person), V_TEXT(w->csrf), V_INT(w->made_at),
                       V_TEXT(w->mac));
    if (r == ERR_OK)
        r = audit_append(tx, life_env(o->s->life), &e, NULL);
    return r;
}

/* The person is named where there is one; a wrong email is not written down. */
static int write_refusal(struct store_tx *tx, void *arg)
{
    struct opening *o = arg;
    struct audit_event e = login_event(o, AUDIT_LOGIN_REFUSED);
    char who[ID_SIZE + 4];
    (void)snprintf(who, sizeof who, "[\"%.*s\"]", STR_FMT(o->row.person));
    if (o->row.person.n > 0)
        e.approvers = str_c(who);
    e.error_code = STR("login-required");
    return audit_append(tx, life_env(o->s->life), &e, NULL);
}

static int open_session(struct opening *o, struct session_made *ret)
{
    struct session_made made = {.id = ""};
    char hash[HASH_TEXT], mac[MAC_TEXT];
    struct life *l = o->s->life;
    id_new(life_env(l), "ses", made.id);
    token_new(life_env(l), "css_", made.token);
    token_new(life_env(l), "csf_", made.csrf);
    hash_text(hash, str_c(made.token));
    o->row.id = str_c(made.id);
    o->row.token_hash = str_c(hash);
    o->row.csrf = str_c(made.csrf);
    o->row.auth_time = o->row.made_at;
    int r = row_mac(l, life_mac_newest(l), &o->row, mac);
    o->row.mac = str_c(mac);
    if (r == ERR_OK)
        r = store_tx(life_store(l), write_session, o);
    if (r == ERR_OK)
        *ret = made;
    secret_wipe(&made, sizeof made);
    return r;
}

/* Counts, checks, and says nothing about which of the two was wrong. */
static int check_password(struct opening *o, const struct person *p, struct str password,
                          struct fail *f)
{
    bool usable = p != NULL && p->enabled && p->password != NULL, good = false;
    int r = passwords_verify(o->s->passwords, usable ? p->password : "", password, &good);
    if (r != ERR_OK)
        return fail_set(f, r, "too many sign-ins at once; try again");
    if (good)
        return ERR_OK;
    o->row.person = str_c(p != NULL ? p->id : "");
    r = store_tx(life_store(o->s->life), write_refusal, o);
    if (r != ERR_OK)
        return fail_set(f, r, "not possible just now");
    return fail_set(f, ERR_LOGIN_REQUIRED, "email or password is wrong");
}

int session_login(struct sessions *s, const struct roster *r, struct str workspace,
                  struct str email, struct str password, struct str remote,
                  struct session_made *ret, struct fail *f)
{
    struct throttle t;
    int64_t now = life_now(s->life), wait = 0;
    const struct person *p = roster_person_email(r, workspace, email);
    throttle_for(&t, workspace, email, remote);
    struct opening o = {.s = s, .throttle = &t, .row = {.workspace = workspace, .made_at = now}};
    int err = throttle_count(life_store(s->life), &t, now, s->cfg->login_attempts, &wait);
    if (err == ERR_LOGIN_THROTTLED) {
        log_event(LOG_WARN, "login.throttled", KV_S("remote", remote), KV_N("wait_ms", wait));
        return fail_set(f, err, "too many failed sign-ins; try again in %lld seconds",
                        (long long)((wait + 999) / 1000));
    }
    if (err == ERR_OK)
        err = check_password(&o, p, password, f);
    if (err != ERR_OK)
        return err == ERR_LOGIN_REQUIRED || err == ERR_UNAVAILABLE
                   ? err
                   : fail_set(f, err, "signing in is not possible just now");
    o.row.person = str_c(p->id);
    err = open_session(&o, ret);
    return err == ERR_OK ? err : fail_set(f, err, "signing in is not possible just now");
}

/* --- who is it -------------------------------------------------------------------------------- */

struct finding {
    struct arena *arena;
    struct row row;
};

static int read_row(struct store_tx *tx, void *arg)
{
    struct finding *fd = arg;
    struct row *w = &fd->row;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_API_SESSION_BY_TOKEN, &rows, V_TEXT(w->token_hash));
    if (r == ERR_OK)
        r = store_next(rows);
    if (r == ERR_OK) {
        w->workspace = arena_str(fd->arena, store_text(rows, 0));
        w->id = arena_str(fd->arena, store_text(rows, 1));
        w->person = arena_str(fd->arena, store_text(rows, 2));
        w->csrf = arena_str(fd->arena, store_text(rows, 3));
        w->made_at = store_int(rows, 4);
        w->auth_time = store_int(rows, 5);
        w->seen_at = store_int(rows, 6);
        w->mac = arena_str(fd->arena, store_text(rows, 7));
        r = arena_overflowed(fd->arena) ? ERR_NOMEM : ERR_OK;
    }
    store_end(rows);
    return r == ERR_DONE ? ERR_LOGIN_REQUIRED : r;
}

static int write_seen(struct store_tx *tx, void *arg)
{
    const struct row *w = arg;
    return STORE_EXEC(tx, Q_API_SESSION_SEEN, NULL, V_TEXT(w->workspace), V_TEXT(w->id),
                      V_INT(w->seen_at));
}

/* Times from the future are as bad as old ones. */
static bool row_alive(const struct config *cfg, const struct row *w, int64_t now)
{
    return w->made_at <= now && now - w->made_at < cfg->session_absolute &&
           now - w->seen_at < cfg->session_idle;
}

int session_find(struct sessions *s, struct arena *a, struct str token, struct principal *who)
{
    char hash[HASH_TEXT];
    int64_t now = life_now(s->life);
    hash_text(hash, token);
    struct finding fd = {.arena = a, .row = {.token_hash = str_c(hash)}};
    struct row *w = &fd.row;
    int r = store_read(life_store(s->life), read_row, &fd);
    if (r != ERR_OK)
        return r;
    const struct person *p = roster_person(who->roster, w->person);
    if (!row_genuine(s->life, w) || !row_alive(s->cfg, w, now) || p == NULL || !p->enabled ||
        !str_eq_c(w->workspace, p->workspace))
        return ERR_LOGIN_REQUIRED;
    if (now - w->seen_at >= SEEN_MS) {
        w->seen_at = now;
        r = store_tx(life_store(s->life), write_seen, w);
        if (r != ERR_OK)
            return r;
    }
    who->who = WHO_PERSON;
    who->person = p;
    who->workspace = w->workspace;
    who->session = w->id;
    who->csrf = w->csrf;
    who->auth_time = w->auth_time;
    return ERR_OK;
}

/* --- ending ----------------------------------------------------------------------------------- */

struct ending {
    struct str workspace, subject; /* a session, or a person */
    int64_t now, since;
    char (*id)[ID_SIZE];
    size_t n, cap;
};

static int end_one(struct store_tx *tx, void *arg)
{
    const struct ending *e = arg;
    return STORE_EXEC(tx, Q_API_SESSION_END, NULL, V_TEXT(e->workspace), V_TEXT(e->subject),
                      V_INT(e->now));
}

int session_end(struct sessions *s, const struct principal *who)
{
    struct ending e = {
        .workspace = who->workspace, .subject = who->session, .now = life_now(s->life)};
    return store_tx(life_store(s->life), end_one, &e);
}

static int add_session(struct ending *e, struct str id)
{
    if (e->n == e->cap) {
        size_t cap = e->cap > 0 ? e->cap * 2 : 16;
        char(*more)[ID_SIZE] = realloc(e->id, cap * sizeof *more);
        if (more == NULL)
            return ERR_NOMEM;
        e->id = more;
        e->cap = cap;
    }
    return str_copy(e->id[e->n++], ID_SIZE, id) ? ERR_OK : ERR_STORE;
}

static int read_sessions(struct store_tx *tx, void *arg)
{
    struct ending *e = arg;
    struct store_rows *rows = NULL;
    e->n = 0;
    int r = STORE_SELECT(tx, Q_API_SESSIONS_OF, &rows, V_TEXT(e->workspace), V_TEXT(e->subject),
                         V_INT(e->since));
    while (r == ERR_OK && (r = store_next(rows)) == ERR_OK)
        r = add_session(e, store_text(rows, 0));
    store_end(rows);
    return r == ERR_DONE ? ERR_OK : r;
}

/* Also those that the person ended: votes given in them may still count. What is older than the
 * absolute limit counts for nothing anyway. */
int session_end_all(struct sessions *s, struct str workspace, struct str person)
{
    int64_t now = life_now(s->life);
    struct ending e = {.workspace = workspace,
                       .subject = person,
                       .now = now,
                       .since = now - s->cfg->session_absolute};
    int r = store_read(life_store(s->life), read_sessions, &e);
    for (size_t i = 0; i < e.n && r == ERR_OK; i++)
        r = life_revoke_session(s->life, workspace, str_c(e.id[i]));
    free(e.id);
    return r;
}
