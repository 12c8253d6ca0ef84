/* Agents: programs with a key, an owner who answers for them, and the connections they may use. The
 * key is shown once; the roster keeps its hash. */
#include <sodium.h>

#include "api/listing.h"
#include "api/roster_edit.h"
#include "api/shape.h"
#include "base/secret.h"
#include "connector/url.h"

/* --- showing ---------------------------------------------------------------------------------- */

static json_t *connection_names(const struct roster *r, const struct agent *a)
{
    json_t *names = json_array();
    for (size_t i = 0; i < a->n_connections; i++)
        if (json_array_append_new(
                names, shape_text(shape_connection_name(r, str_c(a->connection[i])))) != 0) {
            json_decref(names);
            return NULL;
        }
    return names;
}

static json_t *agent_json(const struct roster *r, const struct agent *a)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:b, s:b}", "id", a->id, "name", a->name, "owner",
                     shape_person(r, str_c(a->owner)), "connections", connection_names(r, a),
                     "resume_urls", shape_texts(a->resume_url, a->n_resume_urls), "allow_private",
                     a->allow_private, "enabled", a->enabled);
}

int api_agents(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    const struct agent *a;
    int r = exchange_query_only(x, known, f);
    (void)app;
    if (r != ERR_OK)
        return r;
    json_t *items = json_array();
    for (size_t i = 0; (a = roster_agent_at(x->who.roster, i)) != NULL; i++)
        if (str_eq_c(x->who.workspace, a->workspace) &&
            json_array_append_new(items, agent_json(x->who.roster, a)) != 0) {
            json_decref(items);
            return ERR_NOMEM;
        }
    return listing_answer(x, items, STR(""));
}

/* --- adding ----------------------------------------------------------------------------------- */

struct newcomer {
    struct str name, owner;
    json_t *connections, *resume_urls; /* borrowed */
    bool allow_private;
    char id[ID_SIZE];
    char key[TOKEN_SIZE];
};

static bool any_text(struct str s)
{
    return s.n > 0;
}

static int read_newcomer(const struct exchange *x, struct newcomer *n, struct fail *f)
{
    const struct json_field t[] = {
        {"name", JSON_WANT_STR, &n->name, true, 0},
        {"owner", JSON_WANT_STR, &n->owner, true, 254},
        {"connections", JSON_WANT_ARR, &n->connections, false, 0},
        {"resume_urls", JSON_WANT_ARR, &n->resume_urls, false, 0},
        {"allow_private", JSON_WANT_BOOL, &n->allow_private, false, 0},
    };
    int r = json_fields(x->json, t, sizeof t / sizeof t[0], f);
    if (r == ERR_OK && !roster_name_valid(n->name))
        r = fail_field(f, ERR_MALFORMED, "name", "expected a-z, 0-9 and '-', at most 63");
    if (r == ERR_OK)
        r = roster_texts(n->connections, "connections", any_text, f);
    return r == ERR_OK ? roster_texts(n->resume_urls, "resume_urls", any_text, f) : r;
}

/* Prefixes of addresses that keeper will call: plain http only where private addresses are allowed,
 * as for an agent on the same machine. */
static int check_urls(const struct newcomer *n, struct fail *f)
{
    for (size_t i = 0; i < json_array_size(n->resume_urls); i++) {
        struct url u;
        if (url_split(json_text(json_array_get(n->resume_urls, i)), &u) != ERR_OK || u.has_query)
            return fail_field(f, ERR_MALFORMED, "resume_urls", "entry %zu is not a URL prefix",
                              i + 1);
        if (!u.tls && !n->allow_private)
            return fail_field(f, ERR_MALFORMED, "resume_urls",
                              "entry %zu is not https; allow_private permits http", i + 1);
    }
    return ERR_OK;
}

static int find_owner(const struct exchange *x, const struct roster *r, struct str owner,
                      const struct person **ret, struct fail *f)
{
    const struct person *p = roster_person(r, owner);
    if (p == NULL)
        p = roster_person_email(r, x->who.workspace, owner);
    if (p == NULL || !p->enabled || !str_eq_c(x->who.workspace, p->workspace))
        return fail_field(f, ERR_MALFORMED, "owner",
                          "there is no such person, or they are disabled");
    *ret = p;
    return ERR_OK;
}

/* Names into ids. */
static int connection_ids(const struct exchange *x, const struct roster *r,
                          const struct newcomer *n, json_t *ids, struct fail *f)
{
    for (size_t i = 0; i < json_array_size(n->connections); i++) {
        const struct connection *c = roster_connection_name(
            r, x->who.workspace, json_text(json_array_get(n->connections, i)));
        if (c == NULL)
            return fail_field(f, ERR_MALFORMED, "connections",
                              "entry %zu: there is no such connection", i + 1);
        if (json_array_append_new(ids, json_string(c->id)) != 0)
            return ERR_NOMEM;
    }
    return ERR_OK;
}

static json_t *entry_of(struct app *app, const struct exchange *x, const struct newcomer *n,
                        const struct person *owner, json_t *ids)
{
    char hash[HASH_TEXT];
    hash_text(hash, str_c(n->key));
    return json_pack("{s:s, s:o, s:o, s:s, s:s, s:b, s:O, s:o, s:b, s:I}", "id", n->id, "workspace",
                     shape_text(x->who.workspace), "name", shape_text(n->name), "owner", owner->id,
                     "key_hash", hash, "enabled", 1, "connections", ids, "resume_urls",
                     n->resume_urls != NULL ? json_deep_copy(n->resume_urls) : json_array(),
                     "allow_private", n->allow_private, "since", (json_int_t)life_now(app->life));
}

static int add_agent(struct app *app, const struct exchange *x, const struct newcomer *n,
                     struct fail *f)
{
    struct roster_edit e;
    const struct person *owner = NULL;
    json_t *ids = json_array();
    int r = roster_edit_begin(app, &e, f);
    if (r != ERR_OK)
        goto out;
    if (roster_agent_name(e.from, x->who.workspace, n->name) != NULL)
        r = fail_field(f, ERR_CONFLICT, "name", "there is an agent of this name already");
    if (r == ERR_OK)
        r = find_owner(x, e.from, n->owner, &owner, f);
    if (r == ERR_OK)
        r = connection_ids(x, e.from, n, ids, f);
    if (r == ERR_OK)
        r = roster_edit_add(&e, "agents", entry_of(app, x, n, owner, ids));
    if (r == ERR_OK)
        r = roster_edit_commit(app, x, &e, "agent.added", NULL, NULL, f);
    roster_edit_end(&e);
out:
    json_decref(ids);
    return r;
}

/* Shown now and never again. The webhook secret is keeper's to derive; gate only passes it on. */
static int answer_agent(struct app *app, struct exchange *x, const struct newcomer *n,
                        struct fail *f)
{
    char secret[64] = "";
    int r = ERR_OK;
    if (json_array_size(n->resume_urls) > 0)
        r = keeper_hook_secret(life_keeper(app->life), x->who.workspace, str_c(n->id), secret, f);
    if (r == ERR_OK)
        r = exchange_json(x, 201,
                          json_pack("{s:s, s:o, s:s, s:o*}", "id", n->id, "name",
                                    shape_text(n->name), "key", n->key, "webhook_secret",
                                    secret[0] != '\0' ? json_string(secret) : NULL));
    secret_wipe(secret, sizeof secret);
    return r;
}

int api_agent_add(struct app *app, struct exchange *x, struct fail *f)
{
    struct newcomer n = {.connections = NULL};
    int r = read_newcomer(x, &n, f);
    if (r == ERR_OK)
        r = check_urls(&n, f);
    id_new(app->env, "agt", n.id);
    token_new(app->env, "csa_", n.key);
    if (r == ERR_OK)
        r = add_agent(app, x, &n, f);
    if (r == ERR_OK)
        r = answer_agent(app, x, &n, f);
    secret_wipe(n.key, sizeof n.key);
    return r;
}
