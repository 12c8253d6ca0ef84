/* Connections: one account's credentials for a connector. The secrets come in once, are sealed by
 * keeper for exactly this row, and gate forgets them; adding the same name again renews them. */
#include <sodium.h>

#include "api/listing.h"
#include "api/roster_edit.h"
#include "api/shape.h"
#include "base/secret.h"
#include "connector/url.h"

/* --- showing ---------------------------------------------------------------------------------- */

static json_t *connection_json(const struct connection *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:o}", "id", c->id, "name", c->name,
                     "connector", c->connector, "base_url", c->base_url, "allow_private",
                     c->allow_private, "enabled", c->enabled, "credential",
                     (json_int_t)c->credential, "item_id", shape_opt(str_c(c->item_id)));
}

int api_connections(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    const struct connection *c;
    int r = exchange_query_only(x, known, f);
    (void)app;
    if (r != ERR_OK)
        return r;
    json_t *items = json_array();
    for (size_t i = 0; (c = roster_connection_at(x->who.roster, i)) != NULL; i++)
        if (str_eq_c(x->who.workspace, c->workspace) &&
            json_array_append_new(items, connection_json(c)) != 0) {
            json_decref(items);
            return ERR_NOMEM;
        }
    return listing_answer(x, items, STR(""));
}

/* --- what was asked for ----------------------------------------------------------------------- */

struct wish {
    struct str name, connector, base_url;
    bool allow_private;
    json_t *secrets;           /* borrowed */
    const struct connector *c; /* of the rules in force, which the caller holds */
};

static int read_wish(const struct exchange *x, const struct connectors *set, struct wish *w,
                     struct fail *f)
{
    const struct json_field t[] = {
        {"name", JSON_WANT_STR, &w->name, true, 0},
        {"connector", JSON_WANT_STR, &w->connector, true, 64},
        {"base_url", JSON_WANT_STR, &w->base_url, false, URL_MAX},
        {"allow_private", JSON_WANT_BOOL, &w->allow_private, false, 0},
        {"secrets", JSON_WANT_OBJ, &w->secrets, true, 0},
    };
    int r = json_fields(x->json, t, sizeof t / sizeof t[0], f);
    if (r != ERR_OK)
        return r;
    if (!roster_name_valid(w->name))
        return fail_field(f, ERR_MALFORMED, "name", "expected a-z, 0-9 and '-', at most 63");
    w->c = connectors_find(set, w->connector);
    if (w->c == NULL)
        return fail_field(f, ERR_MALFORMED, "connector", "there is no such connector");
    if (w->base_url.n == 0)
        w->base_url = str_c(w->c->base_url);
    return ERR_OK;
}

static int check_url(const struct wish *w, struct fail *f)
{
    struct url u;
    if (!url_is_base(w->base_url) || url_split(w->base_url, &u) != ERR_OK)
        return fail_field(f, ERR_MALFORMED, "base_url",
                          "expected a URL without query and trailing slash");
    if (!u.tls && !w->allow_private)
        return fail_field(f, ERR_MALFORMED, "base_url",
                          "expected https; allow_private permits http");
    return ERR_OK;
}

static bool listed(const char **list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

/* Names what is missing or too much, never a value. */
static int check_secrets(const struct wish *w, struct fail *f)
{
    const struct connector *c = w->c;
    for (void *it = json_object_iter(w->secrets); it != NULL;
         it = json_object_iter_next(w->secrets, it)) {
        const char *name = json_object_iter_key(it);
        bool item = c->item_secret_id != NULL && strcmp(name, c->item_secret_id) == 0;
        if (!item && !listed(c->secret, c->n_secrets, name) &&
            !listed(c->optional_secret, c->n_optional_secrets, name))
            return fail_field(f, ERR_UNKNOWN_FIELD, name, "the connector has no such secret");
        if (json_text(json_object_iter_value(it)).n == 0)
            return fail_field(f, ERR_MALFORMED, name, "expected a string, not empty");
    }
    for (size_t i = 0; i < c->n_secrets; i++)
        if (json_object_get(w->secrets, c->secret[i]) == NULL)
            return fail_field(f, ERR_MALFORMED, c->secret[i], "the connector needs this secret");
    return ERR_OK;
}

/* --- putting it in force ---------------------------------------------------------------------- */

struct adding {
    struct str workspace;
    char id[ID_SIZE];
    int64_t version;
    struct buf sealed;
    bool renewed;
};

static int write_credential(struct store_tx *tx, void *arg)
{
    const struct adding *a = arg;
    return STORE_EXEC(tx, Q_API_CREDENTIAL_ADD, NULL, V_TEXT(a->workspace), V_C(a->id),
                      V_INT(a->version), V_BLOB(buf_view(&a->sealed)));
}

static int seal(struct app *app, const struct wish *w, struct adding *a, struct fail *f)
{
    struct buf clear;
    buf_init(&clear, 0);
    int r = json_write(w->secrets, &clear);
    if (r == ERR_OK)
        r = buf_err(&clear);
    if (r == ERR_OK)
        r = keeper_seal(life_keeper(app->life), a->workspace, str_c(a->id), w->base_url, a->version,
                        buf_view(&clear), &a->sealed, f);
    buf_wipe(&clear);
    return r;
}

/* The item's id is no secret: it stands in the audit log. */
static int fill_entry(const struct wish *w, const struct adding *a, json_t *entry)
{
    const json_t *item =
        w->c->item_secret_id != NULL ? json_object_get(w->secrets, w->c->item_secret_id) : NULL;
    int bad = json_object_set_new(entry, "connector", json_string(w->c->name));
    bad |= json_object_set_new(entry, "base_url", shape_text(w->base_url));
    bad |= json_object_set_new(entry, "allow_private", json_boolean(w->allow_private));
    bad |= json_object_set_new(entry, "credential", json_integer(a->version));
    bad |= json_object_set_new(entry, "enabled", json_true());
    bad |= json_object_set_new(entry, "item_id", shape_text(json_text(item)));
    return bad == 0 ? ERR_OK : ERR_NOMEM;
}

static json_t *new_entry(struct app *app, const struct wish *w, const struct adding *a)
{
    json_t *entry =
        json_pack("{s:s, s:o, s:o, s:I}", "id", a->id, "workspace", shape_text(a->workspace),
                  "name", shape_text(w->name), "since", (json_int_t)life_now(app->life));
    if (fill_entry(w, a, entry) == ERR_OK)
        return entry;
    json_decref(entry);
    return NULL;
}

/* A connection that exists keeps its id and what refers to it; its connector may not change, since
 * actions may be waiting that were judged by the old one. */
static int renew(const struct wish *w, const struct connection *old, struct roster_edit *e,
                 struct adding *a, struct fail *f)
{
    if (strcmp(old->connector, w->c->name) != 0)
        return fail_field(f, ERR_CONFLICT, "connector", "the connection has another connector");
    a->renewed = true;
    return fill_entry(w, a, roster_edit_entry(e, "connections", old->id));
}

static int put(struct app *app, const struct exchange *x, const struct wish *w, struct adding *a,
               struct fail *f)
{
    struct roster_edit e;
    int r = roster_edit_begin(app, &e, f);
    if (r != ERR_OK)
        return r;
    const struct connection *old = roster_connection_name(e.from, a->workspace, w->name);
    if (old != NULL)
        (void)str_copy(a->id, sizeof a->id, str_c(old->id));
    else
        id_new(app->env, "con", a->id);
    a->version = old != NULL ? old->credential + 1 : 1;
    r = old != NULL ? renew(w, old, &e, a, f)
                    : roster_edit_add(&e, "connections", new_entry(app, w, a));
    if (r == ERR_OK)
        r = seal(app, w, a, f);
    if (r == ERR_OK)
        r = roster_edit_commit(app, x, &e, a->renewed ? "connection.renewed" : "connection.added",
                               write_credential, a, f);
    roster_edit_end(&e);
    return r;
}

int api_connection_add(struct app *app, struct exchange *x, struct fail *f)
{
    struct wish w = {.secrets = NULL};
    struct adding a = {.workspace = x->who.workspace};
    struct rules *rules = life_rules(app->life);
    json_t *v = NULL;
    buf_init(&a.sealed, 0);
    int r = read_wish(x, rules->connectors, &w, f);
    if (r == ERR_OK)
        r = check_url(&w, f);
    if (r == ERR_OK)
        r = check_secrets(&w, f);
    if (r == ERR_OK)
        r = put(app, x, &w, &a, f);
    if (r == ERR_OK)
        v = json_pack("{s:s, s:o, s:s, s:o, s:I, s:b}", "id", a.id, "name", shape_text(w.name),
                      "connector", w.c->name, "base_url", shape_text(w.base_url), "credential",
                      (json_int_t)a.version, "renewed", a.renewed);
    buf_free(&a.sealed);
    rules_unref(rules);
    return r == ERR_OK ? exchange_json(x, a.renewed ? 200 : 201, v) : r;
}
