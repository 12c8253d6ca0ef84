/* Freezes: nothing of a scope is sent until somebody lets it go on. Approvers and admins set one;
 * an admin or whoever set it releases it. */
#include <stdio.h>

#include "api/listing.h"
#include "api/shape.h"

#define REASON_MAX 2000

/* --- showing ---------------------------------------------------------------------------------- */

struct frozen {
    char id[ID_SIZE];
    struct str scope, target, reason, set_by;
    int64_t set_at;
};

static json_t *scope_json(const struct roster *r, const struct frozen *z)
{
    if (str_eq_c(z->scope, "workspace"))
        return json_pack("{s:b}", "workspace", 1);
    bool agent = str_eq_c(z->scope, "agent"), connection = str_eq_c(z->scope, "connection");
    char kind[16];
    if (!str_copy(kind, sizeof kind, z->scope))
        return NULL;
    if (!agent && !connection)
        return json_pack("{s:o}", kind, shape_text(z->target));
    return json_pack(
        "{s:o, s:o}", kind, shape_text(z->target), "name",
        shape_text(agent ? shape_agent_name(r, z->target) : shape_connection_name(r, z->target)));
}

static json_t *frozen_json(const struct roster *r, const struct frozen *z)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "id", z->id, "scope", scope_json(r, z), "reason",
                     shape_text(z->reason), "set_by", shape_person(r, z->set_by), "set_at",
                     shape_time(z->set_at));
}

struct list {
    const struct roster *roster;
    struct str workspace;
    json_t *items;
};

static int read_list(struct store_tx *tx, void *arg)
{
    struct list *l = arg;
    struct store_rows *rows = NULL;
    int r = json_array_clear(l->items) == 0 ? ERR_OK : ERR_NOMEM;
    if (r == ERR_OK)
        r = STORE_SELECT(tx, Q_API_FREEZES, &rows, V_TEXT(l->workspace));
    while (r == ERR_OK && (r = store_next(rows)) == ERR_OK) {
        struct frozen z = {.scope = store_text(rows, 1),
                           .target = store_text(rows, 2),
                           .reason = store_text(rows, 3),
                           .set_by = store_text(rows, 4),
                           .set_at = store_int(rows, 5)};
        if (!str_copy(z.id, sizeof z.id, store_text(rows, 0)))
            r = ERR_STORE;
        else if (json_array_append_new(l->items, frozen_json(l->roster, &z)) != 0)
            r = ERR_NOMEM;
    }
    store_end(rows);
    return r == ERR_DONE ? ERR_OK : r;
}

int api_freezes(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    struct list l = {x->who.roster, x->who.workspace, NULL};
    int r = exchange_query_only(x, known, f);
    if (r != ERR_OK)
        return r;
    l.items = json_array();
    r = l.items != NULL ? store_read(life_store(app->life), read_list, &l) : ERR_NOMEM;
    if (r == ERR_OK)
        return listing_answer(x, l.items, STR(""));
    json_decref(l.items);
    return fail_set(f, r, "the list could not be read");
}

/* --- setting ---------------------------------------------------------------------------------- */

struct wish {
    bool workspace;
    struct str agent, connection, operation, reason;
};

static int read_wish(const struct exchange *x, struct wish *w, struct fail *f)
{
    json_t *scope = NULL;
    const struct json_field outer[] = {
        {"scope", JSON_WANT_OBJ, &scope, true, 0},
        {"reason", JSON_WANT_STR, &w->reason, true, REASON_MAX},
    };
    const struct json_field inner[] = {
        {"workspace", JSON_WANT_BOOL, &w->workspace, false, 0},
        {"agent", JSON_WANT_STR, &w->agent, false, 64},
        {"connection", JSON_WANT_STR, &w->connection, false, 64},
        {"operation", JSON_WANT_STR, &w->operation, false, 160},
    };
    int r = json_fields(x->json, outer, 2, f);
    if (r == ERR_OK)
        r = json_fields(scope, inner, 4, f);
    if (r != ERR_OK)
        return r;
    int n =
        (w->workspace ? 1 : 0) + (w->agent.n > 0) + (w->connection.n > 0) + (w->operation.n > 0);
    if (n != 1 || json_object_size(scope) != 1)
        return fail_field(f, ERR_MALFORMED, "scope",
                          "expected exactly one of workspace, agent, connection, operation");
    if (str_trim(w->reason).n == 0)
        return fail_field(f, ERR_MALFORMED, "reason", "say why");
    return ERR_OK;
}

/* By id or by name, within the workspace. */
static const char *find_agent(const struct exchange *x, struct str s)
{
    const struct agent *a = roster_agent(x->who.roster, s);
    if (a == NULL || !str_eq_c(x->who.workspace, a->workspace))
        a = roster_agent_name(x->who.roster, x->who.workspace, s);
    return a != NULL ? a->id : NULL;
}

static const char *find_connection(const struct exchange *x, struct str s)
{
    const struct connection *c = roster_connection(x->who.roster, s);
    if (c == NULL || !str_eq_c(x->who.workspace, c->workspace))
        c = roster_connection_name(x->who.roster, x->who.workspace, s);
    return c != NULL ? c->id : NULL;
}

/* "connector/operation", or an operation's name where only one connector has it. "" if there is
 * none or more than one. */
static int find_operation(const struct connectors *set, struct str s, char out[160], struct fail *f)
{
    size_t slash = str_find(s, '/', 0), hits = 0;
    struct str name = slash < s.n ? str_sub(s, slash + 1, s.n) : s;
    const struct connector *c;
    for (size_t i = 0; (c = connectors_at(set, i)) != NULL; i++) {
        const struct operation *op = connector_operation(c, name);
        if (op == NULL || (slash < s.n && !str_eq_c(str_sub(s, 0, slash), c->name)))
            continue;
        if (snprintf(out, 160, "%s/%s", c->name, op->name) >= 160)
            return fail_field(f, ERR_MALFORMED, "operation", "the name is too long");
        hits++;
    }
    if (hits > 1)
        return fail_field(f, ERR_MALFORMED, "operation",
                          "several connectors have it: write connector/operation");
    return hits == 1 ? ERR_OK
                     : fail_field(f, ERR_NOT_FOUND, "operation", "no connector has this operation");
}

static int resolve(struct app *app, const struct exchange *x, const struct wish *w,
                   struct freeze_scope *ret, char operation[160], struct fail *f)
{
    const char *id = NULL;
    if (w->workspace) {
        *ret = (struct freeze_scope){STR("workspace"), STR("")};
        return ERR_OK;
    }
    if (w->operation.n > 0) {
        struct rules *rules = life_rules(app->life);
        int r = find_operation(rules->connectors, w->operation, operation, f);
        rules_unref(rules);
        *ret = (struct freeze_scope){STR("operation"), str_c(operation)};
        return r;
    }
    bool agent = w->agent.n > 0;
    id = agent ? find_agent(x, w->agent) : find_connection(x, w->connection);
    if (id == NULL)
        return fail_field(f, ERR_NOT_FOUND, agent ? "agent" : "connection", "there is no such %s",
                          agent ? "agent" : "connection");
    *ret = (struct freeze_scope){agent ? STR("agent") : STR("connection"), str_c(id)};
    return ERR_OK;
}

int api_freeze(struct app *app, struct exchange *x, struct fail *f)
{
    struct wish w = {0};
    struct freeze_scope scope;
    char operation[160] = "";
    enum role role = x->who.person->role;
    int r = role == ROLE_ADMIN || role == ROLE_APPROVER
                ? ERR_OK
                : fail_set(f, ERR_WRONG_PRINCIPAL, "only approvers and admins freeze");
    struct frozen z = {.set_by = str_c(x->who.person->id)};
    if (r == ERR_OK)
        r = read_wish(x, &w, f);
    if (r == ERR_OK)
        r = resolve(app, x, &w, &scope, operation, f);
    z.set_at = life_now(app->life);
    if (r == ERR_OK)
        r = life_freeze(app->life, x->who.person, &scope, w.reason, z.id, f);
    if (r != ERR_OK)
        return r;
    z.scope = scope.scope;
    z.target = scope.target;
    z.reason = w.reason;
    return exchange_json(x, 200, frozen_json(x->who.roster, &z));
}

/* --- releasing -------------------------------------------------------------------------------- */

struct one {
    struct arena *arena;
    struct str workspace;
    struct frozen z;
};

static int read_one(struct store_tx *tx, void *arg)
{
    struct one *o = arg;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_FREEZE_GET, &rows, V_TEXT(o->workspace), V_C(o->z.id));
    if (r == ERR_OK)
        r = store_next(rows);
    if (r == ERR_OK) {
        o->z.scope = arena_str(o->arena, store_text(rows, 0));
        o->z.target = arena_str(o->arena, store_text(rows, 1));
        o->z.reason = arena_str(o->arena, store_text(rows, 2));
        o->z.set_by = arena_str(o->arena, store_text(rows, 3));
        o->z.set_at = store_int(rows, 4);
    }
    store_end(rows);
    return r == ERR_DONE ? ERR_NOT_FOUND : r;
}

static json_t *released_json(const struct exchange *x, const struct frozen *z, int64_t now)
{
    json_t *v = frozen_json(x->who.roster, z);
    int bad = json_object_set_new(v, "released_by",
                                  shape_person(x->who.roster, str_c(x->who.person->id)));
    bad |= json_object_set_new(v, "released_at", shape_time(now));
    if (bad == 0)
        return v;
    json_decref(v);
    return NULL;
}

int api_unfreeze(struct app *app, struct exchange *x, struct fail *f)
{
    struct one o = {.arena = x->arena, .workspace = x->who.workspace};
    const struct person *p = x->who.person;
    int r = x->json != NULL ? json_fields(x->json, NULL, 0, f) : ERR_OK;
    if (r != ERR_OK)
        return r;
    if (!id_valid("frz", x->param[0]) || !str_copy(o.z.id, sizeof o.z.id, x->param[0]))
        return fail_set(f, ERR_NOT_FOUND, "there is no such freeze");
    r = store_read(life_store(app->life), read_one, &o);
    if (r != ERR_OK)
        return fail_set(f, r,
                        r == ERR_NOT_FOUND ? "there is no such freeze" : "not possible just now");
    if (p->role != ROLE_ADMIN && !(p->role == ROLE_APPROVER && str_eq_c(o.z.set_by, p->id)))
        return fail_set(f, ERR_WRONG_PRINCIPAL, "an admin or whoever set it may release it");
    r = life_unfreeze(app->life, p, x->who.workspace, x->param[0], f);
    if (r != ERR_OK)
        return r;
    return exchange_json(x, 200, released_json(x, &o.z, life_now(app->life)));
}
