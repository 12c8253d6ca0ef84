/* Records into memory and back. Refuses records that contradict what came before: a second SENT of
 * one attempt, DONE without SENT, an older roster. */
#include "keeper/ledger.h"

#include <search.h>
#include <stdlib.h>

#include "keeper/messages.h"

#define DAY ((int64_t)86400000)
#define KEEP_WITHOUT_DEADLINE (8 * DAY)

struct action {
    char workspace[sizeof((struct keeper_result *)0)->workspace];
    char id[ID_SIZE];
    struct attempt *newest;
};

static int compare(const void *va, const void *vb)
{
    const struct action *a = va, *b = vb;
    int r = strcmp(a->id, b->id);
    return r ? r : strcmp(a->workspace, b->workspace);
}

static void action_free(void *v)
{
    struct action *a = v;
    for (struct attempt *t = a->newest, *older; t; t = older) {
        older = t->older;
        free(t);
    }
    free(a);
}

void ledger_free(struct ledger *l)
{
    tdestroy(l->actions, action_free);
    revoke_free(&l->revoked);
    *l = (struct ledger){0};
}

static bool action_key(struct action *a, struct str workspace, struct str id)
{
    *a = (struct action){0};
    return id.n > 0 && str_copy(a->workspace, sizeof a->workspace, workspace) &&
           str_copy(a->id, sizeof a->id, id);
}

static struct action *find(const struct ledger *l, struct str workspace, struct str id)
{
    struct action key;
    if (!action_key(&key, workspace, id))
        return NULL;
    struct action *const *at = tfind(&key, &l->actions, compare);
    return at ? *at : NULL;
}

static struct action *find_or_add(struct ledger *l, struct str workspace, struct str id)
{
    struct action key, *a = find(l, workspace, id);
    if (a || !action_key(&key, workspace, id))
        return a;
    a = malloc(sizeof *a);
    if (!a)
        return NULL;
    *a = key;
    if (tsearch(a, &l->actions, compare))
        return a;
    free(a);
    return NULL;
}

const struct attempt *ledger_attempts(const struct ledger *l, struct str workspace,
                                      struct str action)
{
    const struct action *a = find(l, workspace, action);
    return a ? a->newest : NULL;
}

static struct attempt *find_attempt(const struct ledger *l, struct str workspace, struct str action,
                                    int64_t number)
{
    const struct action *a = find(l, workspace, action);
    for (struct attempt *t = a ? a->newest : NULL; t; t = t->older)
        if (t->number == number)
            return t;
    return NULL;
}

const struct attempt *ledger_attempt(const struct ledger *l, struct str workspace,
                                     struct str action, int64_t number)
{
    return find_attempt(l, workspace, action, number);
}

/* --- records -------------------------------------------------------------------------------- */

void ledger_put_epoch(struct buf *b, const struct ledger *l)
{
    wire_text(b, str_c(l->id));
    wire_text(b, str_c(l->epoch));
    wire_i64(b, l->epoch_started);
}

static bool take_epoch(struct ledger *l, int64_t at, struct wire_in *in, int64_t place)
{
    (void)at, (void)place;
    bool fits = str_copy(l->id, sizeof l->id, wire_get_text(in)) &&
                str_copy(l->epoch, sizeof l->epoch, wire_get_text(in));
    l->epoch_started = wire_get_i64(in);
    return fits && l->id[0] && l->epoch[0];
}

void ledger_put_sent(struct buf *b, struct str workspace, struct str action,
                     const struct attempt *a)
{
    wire_text(b, workspace);
    wire_text(b, action);
    wire_i64(b, a->revision);
    wire_i64(b, a->number);
    wire_i64(b, a->sent_at);
    wire_i64(b, a->execute_by);
    wire_text(b, (struct str){(const char *)a->same, SAME_BYTES});
}

static bool take_sent(struct ledger *l, int64_t at, struct wire_in *in, int64_t place)
{
    (void)at, (void)place;
    struct str workspace = wire_get_text(in), action = wire_get_text(in);
    struct attempt a = {.revision = wire_get_i64(in)};
    a.number = wire_get_i64(in);
    a.sent_at = wire_get_i64(in);
    a.execute_by = wire_get_i64(in);
    struct str same = wire_get_text(in);
    if (!wire_done(in) || same.n != SAME_BYTES || find_attempt(l, workspace, action, a.number))
        return false;
    memcpy(a.same, same.p, SAME_BYTES);
    struct action *of = find_or_add(l, workspace, action);
    struct attempt *t = of ? malloc(sizeof *t) : NULL;
    if (!t)
        return false;
    a.older = of->newest;
    *t = a;
    of->newest = t;
    return true;
}

static bool take_done(struct ledger *l, int64_t at, struct wire_in *in, int64_t place)
{
    (void)at;
    struct keeper_result r = {0};
    uint32_t length = (uint32_t)(in->end - in->p);
    messages_get_ending(in, &r);
    struct attempt *t = find_attempt(l, str_c(r.workspace), str_c(r.action), r.attempt);
    if (!wire_done(in) || !t || t->done)
        return false;
    t->done = true;
    t->kind = r.kind;
    t->class = r.answer.class;
    t->done_at = place;
    t->done_len = length;
    return true;
}

static bool take_revoke(struct ledger *l, int64_t at, struct wire_in *in, int64_t place)
{
    (void)at, (void)place;
    struct revocation r;
    messages_get_revocation(in, &r);
    return wire_done(in) && revoke_valid(&r) && revoke_take(&l->revoked, &r) == 0;
}

void ledger_put_roster(struct buf *b, int64_t version, const char *hash)
{
    wire_i64(b, version);
    wire_text(b, str_c(hash));
}

static bool take_roster(struct ledger *l, int64_t at, struct wire_in *in, int64_t place)
{
    (void)at, (void)place;
    int64_t version = wire_get_i64(in);
    if (version <= l->roster_version)
        return false;
    l->roster_version = version;
    return str_copy(l->roster_hash, sizeof l->roster_hash, wire_get_text(in));
}

bool ledger_take(struct ledger *l, enum record_type type, int64_t at, struct str fields,
                 int64_t place)
{
    static bool (*const takers[])(struct ledger *, int64_t, struct wire_in *, int64_t) = {
        [RECORD_EPOCH] = take_epoch,   [RECORD_SENT] = take_sent,     [RECORD_DONE] = take_done,
        [RECORD_REVOKE] = take_revoke, [RECORD_ROSTER] = take_roster,
    };
    struct wire_in in = {(const unsigned char *)fields.p,
                         (const unsigned char *)fields.p + fields.n, false};
    size_t index = (size_t)type;
    bool first = l->epoch[0] == 0;
    if (index >= sizeof takers / sizeof *takers || !takers[index] ||
        first != (type == RECORD_EPOCH))
        return false;
    if (at > l->seen)
        l->seen = at;
    return takers[index](l, at, &in, place) && wire_done(&in);
}

/* --- walking -------------------------------------------------------------------------------- */

struct walk {
    int64_t now;
    ledger_fn *fn;
    void *arg;
};

static bool matters(const struct attempt *t, int64_t now)
{
    int64_t until = t->execute_by ? t->execute_by : t->sent_at + KEEP_WITHOUT_DEADLINE - DAY;
    return now <= until || now - until <= DAY;
}

/* Oldest first, so that reading them back gives the same order. */
static void each_attempt(const struct walk *w, const struct action *a, const struct attempt *t)
{
    struct buf fields = {0};
    if (!t)
        return;
    each_attempt(w, a, t->older);
    ledger_put_sent(&fields, str_c(a->workspace), str_c(a->id), t);
    w->fn(w->arg, RECORD_SENT, buf_view(&fields), t);
    buf_free(&fields);
    if (t->done)
        w->fn(w->arg, RECORD_DONE, STR(""), t);
}

/* All of an action's attempts are kept while one of them matters. */
static void visit_action(const void *node, VISIT which, void *arg)
{
    const struct action *a = *(const struct action *const *)node;
    const struct walk *w = arg;
    bool keep = false;
    for (const struct attempt *t = a->newest; t; t = t->older)
        keep = keep || matters(t, w->now);
    if ((which == postorder || which == leaf) && keep)
        each_attempt(w, a, a->newest);
}

static void visit_revocation(void *arg, const struct revocation *r)
{
    const struct walk *w = arg;
    struct buf fields = {0};
    messages_put_revocation(&fields, r);
    w->fn(w->arg, RECORD_REVOKE, buf_view(&fields), NULL);
    buf_free(&fields);
}

void ledger_each(const struct ledger *l, int64_t now, ledger_fn *fn, void *arg)
{
    struct walk w = {now, fn, arg};
    struct buf fields = {0};
    ledger_put_epoch(&fields, l);
    fn(arg, RECORD_EPOCH, buf_view(&fields), NULL);
    buf_clear(&fields);
    if (l->roster_version > 0) {
        ledger_put_roster(&fields, l->roster_version, l->roster_hash);
        fn(arg, RECORD_ROSTER, buf_view(&fields), NULL);
    }
    buf_free(&fields);
    revoke_each(&l->revoked, now, visit_revocation, &w);
    twalk_r(l->actions, visit_action, &w);
}
