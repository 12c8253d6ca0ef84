/* The context of everything in life/: what is in force (rules, roster, keeper, freezes), the clock
 * that never goes back, and how these change. */
#include "life/inside.h"

#include <stdlib.h>
#include <time.h>

/* --- the context ---------------------------------------------------------------------------------
 */

static void on_result(void *arg, struct keeper_result *r)
{
    recorder_take(arg, r);
}

static void on_head(void *arg, struct keeper_result *r, int fd)
{
    recorder_take_head(arg, r, fd);
}

static void on_delivered(void *arg, const struct delivered *d)
{
    recorder_take_delivered(arg, d);
}

static void on_lost(void *arg)
{
    struct life *l = arg;
    l->lost = true;
    l->ready = false;
    log_event(LOG_WARN, "keeper.lost",
              KV_C("meaning", "calls in flight are in question until it is back"));
    flights_lost(l);
}

static int read_high_time(struct store_tx *tx, void *arg)
{
    struct life *l = arg;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_META_GET, &rows, V_C("high_time"));
    if (r == 0)
        r = store_next(rows);
    uint64_t high = 0;
    if (r == 0 && str_u64(store_text(rows, 0), &high) && high < INT64_MAX)
        l->high = (int64_t)high;
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

int life_new(const struct life_options *o, struct life **ret)
{
    struct life *l = calloc(1, sizeof *l);
    if (l == NULL)
        return ERR_NOMEM;
    l->o = *o;
    l->rules = o->rules;
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->roster_change, NULL);
    pthread_mutex_init(&l->flights.lock, NULL);
    pthread_rwlock_init(&l->egress, NULL);
    struct keeper_events ev = {l, on_result, on_head, on_delivered, on_lost};
    int r = store_read(o->store, read_high_time, l);
    if (r == 0)
        r = keeper_client_new(&ev, &l->keeper);
    if (r == 0)
        r = recorder_start(l);
    if (r != 0) {
        l->rules = NULL; /* still the caller's */
        life_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

void life_free(struct life *l)
{
    if (l == NULL)
        return;
    l->stopping = true;
    jobs_stop(l);
    if (l->keeper != NULL)
        keeper_client_stop(l->keeper); /* no more results after this */
    recorder_stop(l);                  /* which still tells keeper what it has written down */
    keeper_client_free(l->keeper);
    for (size_t i = 0; i < FLIGHT_BUCKETS; i++)
        while (l->flights.bucket[i] != NULL)
            flight_land(l, l->flights.bucket[i]);
    roster_unref(l->roster);
    rules_unref(l->rules);
    keeper_identity_free(&l->who);
    free(l->frozen);
    pthread_rwlock_destroy(&l->egress);
    pthread_mutex_destroy(&l->flights.lock);
    pthread_mutex_destroy(&l->roster_change);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void life_drain(struct life *l, int64_t ms)
{
    l->stopping = true;
    int64_t until = env_mono(l->o.env) + ms;
    while (env_mono(l->o.env) < until) {
        pthread_mutex_lock(&l->flights.lock);
        size_t n = l->flights.n;
        pthread_mutex_unlock(&l->flights.lock);
        if (n == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

bool life_ready(const struct life *l)
{
    return l->ready;
}

/* --- what is in force ---------------------------------------------------------------------------
 */

struct roster *life_roster(struct life *l)
{
    pthread_mutex_lock(&l->lock);
    struct roster *r = roster_ref(l->roster);
    pthread_mutex_unlock(&l->lock);
    return r;
}

struct rules *life_rules(struct life *l)
{
    pthread_mutex_lock(&l->lock);
    struct rules *r = rules_ref(l->rules);
    pthread_mutex_unlock(&l->lock);
    return r;
}

struct store *life_store(struct life *l)
{
    return l->o.store;
}

struct vault *life_vault(struct life *l)
{
    return l->o.vault;
}

struct keeper_client *life_keeper(struct life *l)
{
    return l->keeper;
}

const struct env *life_env(struct life *l)
{
    return l->o.env;
}

int64_t life_now(struct life *l)
{
    int64_t now = env_now(l->o.env);
    int64_t high = l->high;
    while (now > high && !atomic_compare_exchange_weak(&l->high, &high, now))
        ;
    return now > high ? now : high;
}

const unsigned char *life_mac_key(struct life *l, uint32_t version)
{
    /* The identity's keys are only added to by a new keeper, never freed while gate runs. */
    const unsigned char *key = NULL;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->who.n_macs; i++)
        if (l->who.mac_number[i] == version)
            key = l->who.mac_key[i];
    pthread_mutex_unlock(&l->lock);
    return key;
}

uint32_t life_mac_newest(struct life *l)
{
    pthread_mutex_lock(&l->lock);
    uint32_t v = l->who.mac_version;
    pthread_mutex_unlock(&l->lock);
    return v;
}

void identity_epoch(struct life *l, char out[33])
{
    pthread_mutex_lock(&l->lock);
    memcpy(out, l->who.epoch, 33);
    pthread_mutex_unlock(&l->lock);
}

int64_t life_epoch_started(struct life *l)
{
    pthread_mutex_lock(&l->lock);
    int64_t t = l->who.epoch_started;
    pthread_mutex_unlock(&l->lock);
    return t;
}

const struct connection *life_connection(const struct roster *r, const struct action *a)
{
    const struct connection *c = roster_connection(r, a->connection);
    return c != NULL && str_eq_c(a->workspace, c->workspace) ? c : NULL;
}

void life_stats(struct life *l, struct life_stats *ret)
{
    pthread_mutex_lock(&l->flights.lock);
    uint64_t in_flight = l->flights.n;
    pthread_mutex_unlock(&l->flights.lock);
    *ret = (struct life_stats){
        .proposed = l->stat.proposed,
        .joined = l->stat.joined,
        .held = l->stat.held,
        .denied = l->stat.denied,
        .executed = l->stat.executed,
        .succeeded = l->stat.succeeded,
        .failed = l->stat.failed,
        .declined = l->stat.declined,
        .unknown = l->stat.unknown,
        .rejected = l->stat.rejected,
        .expired = l->stat.expired,
        .cancelled = l->stat.cancelled,
        .votes = l->stat.votes,
        .votes_refused = l->stat.votes_refused,
        .deliveries = l->stat.deliveries,
        .delivery_failures = l->stat.delivery_failures,
        .in_flight = in_flight,
    };
}

/* --- changes of what is in force ----------------------------------------------------------------
 */

struct change_event {
    struct life *l;
    enum audit_type type;
    struct str workspace, by, what;
    struct str sealed; /* roster only */
    int64_t version;
    store_fn *extra;
    void *extra_arg;
};

static int write_change(struct store_tx *tx, void *arg)
{
    struct change_event *c = arg;
    struct audit_event e = AUDIT_EVENT_INIT;
    char who[96];
    snprintf(who, sizeof who, "[\"%.*s\"]", STR_FMT(c->by));
    e.type = c->type;
    e.workspace = c->workspace;
    e.operation = c->what;
    e.approvers = str_c(who);
    e.channel = STR("console");
    e.revision = c->version;
    e.at = life_now(c->l);
    int r = audit_append(tx, c->l->o.env, &e, NULL);
    if (r == 0 && c->sealed.n > 0)
        r = STORE_EXEC(tx, Q_ROSTER_SET, NULL, V_INT(c->version), V_BLOB(c->sealed));
    if (r == 0 && c->extra != NULL)
        r = c->extra(tx, c->extra_arg);
    return r;
}

int life_reload(struct life *l, struct complaints *c, struct fail *f)
{
    struct rules *fresh = NULL;
    int r = rules_read(l->o.cfg, &fresh, c);
    if (r != 0)
        return fail_set(f, r,
                        "the new policy or connectors are refused; the old ones stay in force");
    if (l->o.refresh_files != NULL)
        r = l->o.refresh_files(l->o.arg);
    if (r == 0)
        r = keeper_reload(l->keeper, policy_digest(fresh->policy),
                          connectors_digest(fresh->connectors), f);
    if (r == 0) {
        struct change_event ev = {.l = l,
                                  .type = AUDIT_POLICY_CHANGED,
                                  .workspace = STR("default"),
                                  .by = STR("console"),
                                  .what = str_c(policy_digest(fresh->policy)),
                                  .version = -1};
        r = store_tx(l->o.store, write_change, &ev);
    }
    if (r != 0) {
        rules_unref(fresh);
        return r;
    }
    pthread_mutex_lock(&l->lock);
    struct rules *old = l->rules;
    l->rules = fresh;
    pthread_mutex_unlock(&l->lock);
    rules_unref(old);
    hurry_approved(l);
    return 0;
}

static void swap_roster(struct life *l, struct roster *fresh)
{
    pthread_mutex_lock(&l->lock);
    struct roster *old = l->roster;
    l->roster = fresh;
    l->knows_people = true;
    pthread_mutex_unlock(&l->lock);
    roster_unref(old);
}

/* keeper numbers and seals the next document; it is in force for keeper only once gate has stored
 * it, so that a crash in between leaves at most a stored newer one, which keeper then takes at
 * start. */
static int change_roster(struct life *l, json_t *doc, struct change_event *ev, struct roster **ret,
                         struct fail *f)
{
    struct buf text, sealed;
    buf_init(&text, 0);
    buf_init(&sealed, 0);
    struct roster *fresh = NULL;
    int r = json_write(doc, &text);
    if (r == 0)
        r = keeper_roster_put(l->keeper, buf_view(&text), &sealed, &ev->version, f);
    if (r == 0) {
        json_object_set_new(doc, "version", json_integer(ev->version));
        buf_clear(&text);
        r = json_write(doc, &text);
    }
    if (r == 0)
        r = roster_read(buf_view(&text), &fresh, f);
    if (r == 0) {
        ev->sealed = buf_view(&sealed);
        r = store_tx(l->o.store, write_change, ev);
    }
    if (r == 0)
        r = keeper_roster_commit(l->keeper, buf_view(&sealed), f);
    if (r == 0)
        *ret = fresh;
    else
        roster_unref(fresh);
    buf_wipe(&text);
    buf_free(&sealed);
    return r;
}

int life_roster_change(struct life *l, json_t *doc, struct str workspace, struct str by,
                       const char *what, store_fn *extra, void *extra_arg, struct fail *f)
{
    struct change_event ev = {.l = l,
                              .type = AUDIT_ROSTER_CHANGED,
                              .workspace = workspace,
                              .by = by,
                              .what = str_c(what),
                              .extra = extra,
                              .extra_arg = extra_arg};
    struct roster *fresh = NULL;
    pthread_mutex_lock(&l->roster_change);
    /* Made from the version in force? Otherwise somebody else's change would be undone. */
    struct roster *now = life_roster(l);
    int r = json_integer_value(json_object_get(doc, "version")) == roster_version(now)
                ? change_roster(l, doc, &ev, &fresh, f)
                : fail_set(f, ERR_CONFLICT,
                           "somebody changed the roster at the same time; please try again");
    roster_unref(now);
    if (r == 0)
        swap_roster(l, fresh);
    pthread_mutex_unlock(&l->roster_change);
    if (r == 0) {
        hurry_approved(l);
        sweep_blocked(l);
    }
    return r;
}

/* --- keeper comes, or comes back ----------------------------------------------------------------
 */

struct sealed_roster {
    struct buf box;
};

static int read_sealed_roster(struct store_tx *tx, void *arg)
{
    struct sealed_roster *s = arg;
    buf_clear(&s->box);
    struct store_rows *rows = NULL;
    int r = store_select(tx, Q_ROSTER_GET, &rows, NULL, 0);
    if (r == 0)
        r = store_next(rows);
    if (r == 0)
        buf_str(&s->box, store_text(rows, 0));
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static int load_roster(struct life *l, struct fail *f)
{
    struct sealed_roster s;
    struct buf doc;
    buf_init(&s.box, 0);
    buf_init(&doc, 0);
    struct roster *fresh = NULL;
    int r = store_read(l->o.store, read_sealed_roster, &s);
    if (r == 0)
        r = keeper_roster_load(l->keeper, buf_view(&s.box), &doc, f);
    if (r == 0)
        r = roster_read(buf_view(&doc), &fresh, f);
    if (r == 0)
        swap_roster(l, fresh);
    buf_free(&s.box);
    buf_wipe(&doc);
    return r;
}

static int greet(struct life *l, int fd, struct fail *f)
{
    struct rules *rules = life_rules(l);
    struct keeper_identity who;
    int r = keeper_client_bind(l->keeper, fd, policy_digest(rules->policy),
                               connectors_digest(rules->connectors), &who, f);
    rules_unref(rules);
    if (r != 0)
        return r;
    pthread_mutex_lock(&l->lock);
    bool first = l->who.n_macs == 0;
    bool new_epoch = !first && strcmp(l->who.epoch, who.epoch) != 0;
    if (first) {
        l->who = who;
    } else {
        /* Vote keys follow from the key file: a keeper restarted has the same. Ours may be in use.
         */
        memcpy(l->who.epoch, who.epoch, sizeof l->who.epoch);
        memcpy(l->who.id, who.id, sizeof l->who.id);
        l->who.epoch_started = who.epoch_started;
    }
    pthread_mutex_unlock(&l->lock);
    if (new_epoch)
        log_event(LOG_ERROR, "keeper.new_epoch",
                  KV_C("meaning", "keeper's journal was lost; older votes are void"));
    if (!first)
        keeper_identity_free(&who);
    return 0;
}

int life_bind(struct life *l, int fd, struct fail *f)
{
    pthread_rwlock_wrlock(&l->egress);
    int r = greet(l, fd, f);
    if (r == 0)
        r = load_roster(l, f);
    if (r == 0)
        r = frozen_load(l);
    if (r == 0)
        r = recover(l, f);
    l->lost = r != 0;
    pthread_rwlock_unlock(&l->egress);
    if (r != 0)
        return r;
    r = jobs_start(l);
    if (r == 0) {
        l->ready = true;
        hurry_approved(l);
    }
    return r;
}
