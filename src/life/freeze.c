/* Freeze: an operator stops sending for a scope. Kept in a row, in memory (asked on every send) and
 * in keeper's journal, so that neither a restart nor an edited row lets anything through. */
#include "life/inside.h"

#include <stdio.h>
#include <stdlib.h>

static enum revoke_kind kind_of(struct str scope)
{
    static const struct {
        const char *text;
        enum revoke_kind kind;
    } by[] = {{"workspace", FREEZE_WORKSPACE},
              {"agent", FREEZE_AGENT},
              {"connection", FREEZE_CONNECTION},
              {"operation", FREEZE_OPERATION}};
    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++)
        if (str_eq_c(scope, by[i].text))
            return by[i].kind;
    return REVOKE_NONE;
}

struct frozen_list {
    struct frozen *item;
    size_t n;
};

static int add_frozen(struct frozen_list *list, struct store_rows *rows)
{
    struct frozen *grown = realloc(list->item, (list->n + 1) * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    list->item = grown;
    struct frozen *f = &list->item[list->n];
    f->kind = kind_of(store_text(rows, 2));
    if (f->kind == REVOKE_NONE ||
        !str_copy(f->workspace, sizeof f->workspace, store_text(rows, 0)) ||
        !str_copy(f->id, sizeof f->id, store_text(rows, 1)) ||
        !str_copy(f->target, sizeof f->target, store_text(rows, 3)))
        return ERR_STORE;
    list->n++;
    return 0;
}

static int read_frozen(struct store_tx *tx, void *arg)
{
    struct frozen_list *list = arg;
    list->n = 0;
    struct store_rows *rows = NULL;
    int r = store_select(tx, Q_FREEZE_ACTIVE, &rows, NULL, 0);
    while (r == 0 && (r = store_next(rows)) == 0)
        r = add_frozen(list, rows);
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

int frozen_load(struct life *l)
{
    struct frozen_list list = {0};
    int r = store_read(l->o.store, read_frozen, &list);
    if (r != 0) {
        free(list.item);
        return r;
    }
    pthread_mutex_lock(&l->lock);
    free(l->frozen);
    l->frozen = list.item;
    l->n_frozen = list.n;
    pthread_mutex_unlock(&l->lock);
    return 0;
}

static bool covers(const struct frozen *f, struct str agent, struct str connection,
                   struct str operation)
{
    switch (f->kind) {
    case FREEZE_WORKSPACE:
        return true;
    case FREEZE_AGENT:
        return str_eq_c(agent, f->target);
    case FREEZE_CONNECTION:
        return str_eq_c(connection, f->target);
    case FREEZE_OPERATION:
        return str_eq_c(operation, f->target);
    case REVOKE_NONE:
    case REVOKE_ACTION:
    case REVOKE_PERSON:
    case REVOKE_SESSION:
        break;
    }
    return false;
}

bool life_frozen(struct life *l, struct str workspace, struct str agent, struct str connection,
                 struct str operation)
{
    bool frozen = false;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n_frozen && !frozen; i++)
        frozen = str_eq_c(workspace, l->frozen[i].workspace) &&
                 covers(&l->frozen[i], agent, connection, operation);
    pthread_mutex_unlock(&l->lock);
    return frozen;
}

/* --- setting and releasing ------------------------------------------------------------------- */

struct change {
    struct life *l;
    const struct person *person;
    const struct freeze_scope *scope;
    struct str workspace, id, reason;
    char kind[16], target[160];
    struct fail *fail;
};

static int audit_change(struct store_tx *tx, struct change *c, enum audit_type type,
                        struct str scope, struct str target)
{
    struct audit_event e = AUDIT_EVENT_INIT;
    char who[64], what[200];
    snprintf(who, sizeof who, "[\"%s\"]", c->person->id);
    snprintf(what, sizeof what, "%.*s %.*s", STR_FMT(scope), STR_FMT(target));
    e.type = type;
    e.workspace = c->workspace;
    e.operation = str_trim(str_c(what));
    e.approvers = str_c(who);
    e.channel = STR("web");
    e.evidence = c->reason;
    e.at = life_now(c->l);
    return audit_append(tx, c->l->o.env, &e, NULL);
}

static int write_freeze(struct store_tx *tx, void *arg)
{
    struct change *c = arg;
    int r = STORE_EXEC(tx, Q_FREEZE_ADD, NULL, V_TEXT(c->workspace), V_TEXT(c->id),
                       V_TEXT(c->scope->scope), V_TEXT(c->scope->target), V_TEXT(c->reason),
                       V_C(c->person->id), V_INT(life_now(c->l)));
    return r == 0 ? audit_change(tx, c, AUDIT_FREEZE_SET, c->scope->scope, c->scope->target) : r;
}

static int tell_keeper(struct life *l, struct str workspace, struct str scope, struct str target,
                       bool on)
{
    struct revocation rev = {kind_of(scope), workspace, target, INT64_MAX, on};
    return keeper_revoke(l->keeper, &rev);
}

/* keeper hears of it first: when the answer is out, nothing of the scope is sent any more. */
int life_freeze(struct life *l, const struct person *p, const struct freeze_scope *s,
                struct str reason, char ret_id[ID_SIZE], struct fail *f)
{
    char id[ID_SIZE];
    if (kind_of(s->scope) == REVOKE_NONE || s->target.n >= sizeof((struct frozen *)0)->target)
        return fail_field(f, ERR_MALFORMED, "scope",
                          "the scope is workspace, agent, connection or operation");
    id_new(l->o.env, "frz", id);
    struct change c = {l, p, s, str_c(p->workspace), str_c(id), reason, "", "", f};
    if (tell_keeper(l, c.workspace, s->scope, s->target, true) != 0)
        return fail_set(f, ERR_UNAVAILABLE,
                        "the sending process cannot be reached; nothing is frozen yet");
    int r = store_tx(l->o.store, write_freeze, &c);
    if (r == 0)
        r = frozen_load(l);
    if (r == 0)
        memcpy(ret_id, id, ID_SIZE);
    return r;
}

static int write_release(struct store_tx *tx, void *arg)
{
    struct change *c = arg;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_FREEZE_GET, &rows, V_TEXT(c->workspace), V_TEXT(c->id));
    if (r == 0)
        r = store_next(rows);
    if (r == 0 && !(str_copy(c->kind, sizeof c->kind, store_text(rows, 0)) &&
                    str_copy(c->target, sizeof c->target, store_text(rows, 1))))
        r = ERR_STORE;
    store_end(rows);
    if (r == ERR_DONE)
        return fail_set(c->fail, ERR_NOT_FOUND, "there is no such freeze in force");
    if (r == 0)
        r = STORE_EXEC(tx, Q_FREEZE_END, NULL, V_TEXT(c->workspace), V_TEXT(c->id),
                       V_C(c->person->id), V_INT(life_now(c->l)));
    return r == 0 ? audit_change(tx, c, AUDIT_FREEZE_RELEASED, str_c(c->kind), str_c(c->target))
                  : r;
}

/* Two freezes may cover the same scope: keeper lets go only when the last is released. */
static bool still_frozen(struct life *l, const struct change *c)
{
    bool still = false;
    enum revoke_kind kind = kind_of(str_c(c->kind));
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n_frozen; i++)
        still |= l->frozen[i].kind == kind && str_eq_c(c->workspace, l->frozen[i].workspace) &&
                 strcmp(l->frozen[i].target, c->target) == 0;
    pthread_mutex_unlock(&l->lock);
    return still;
}

int life_unfreeze(struct life *l, const struct person *p, struct str workspace, struct str id,
                  struct fail *f)
{
    struct change c = {l, p, NULL, workspace, id, {"", 0}, "", "", f};
    int r = store_tx(l->o.store, write_release, &c);
    if (r == 0)
        r = frozen_load(l);
    if (r == 0 && !still_frozen(l, &c) &&
        tell_keeper(l, workspace, str_c(c.kind), str_c(c.target), false) != 0)
        log_event(LOG_ERROR, "life.release_not_heard", KV_S("freeze", id));
    if (r == 0)
        hurry_approved(l);
    return r;
}

/* --- sessions -------------------------------------------------------------------------------- */

struct revoked {
    struct str workspace, session;
    int64_t now;
};

static int write_revoked(struct store_tx *tx, void *arg)
{
    const struct revoked *v = arg;
    return STORE_EXEC(tx, Q_SESSION_REVOKE, NULL, V_TEXT(v->workspace), V_TEXT(v->session),
                      V_INT(v->now));
}

int life_revoke_session(struct life *l, struct str workspace, struct str session)
{
    struct revoked v = {workspace, session, life_now(l)};
    /* A vote given in it counts no longer than the session could have lived. */
    struct revocation rev = {REVOKE_SESSION, workspace, session, v.now + l->o.cfg->session_absolute,
                             true};
    int r = keeper_revoke(l->keeper, &rev);
    return r == 0 ? store_tx(l->o.store, write_revoked, &v) : r;
}

struct told {
    const struct action *a;
    int64_t now;
};

static int write_told(struct store_tx *tx, void *arg)
{
    const struct told *t = arg;
    return STORE_EXEC(tx, Q_ACTION_TOLD, NULL, V_TEXT(t->a->workspace), V_TEXT(t->a->id),
                      V_INT(t->now));
}

int life_told(struct life *l, const struct action *a)
{
    if (a->told_at != 0 || a->tier < 2)
        return 0;
    struct told t = {a, life_now(l)};
    return store_tx(l->o.store, write_told, &t);
}
