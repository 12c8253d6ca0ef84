/* People, their groups and their read-only tokens. Password hashes and token hashes go into the
 * roster and never come out again. */
#include <sodium.h>

#include "api/listing.h"
#include "api/roster_edit.h"
#include "api/session.h"
#include "api/shape.h"
#include "base/secret.h"

#define TOKENS_MAX 50 /* of one person */

static json_t *person_json(const struct person *p)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:i}", "id", p->id, "email", p->email, "role",
                     role_name(p->role), "groups", shape_texts(p->group, p->n_groups), "enabled",
                     p->enabled, "tokens", (int)p->n_tokens);
}

static bool same_workspace(const struct exchange *x, const char *workspace)
{
    return str_eq_c(x->who.workspace, workspace);
}

int api_people(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    const struct person *p;
    int r = exchange_query_only(x, known, f);
    (void)app;
    if (r != ERR_OK)
        return r;
    json_t *items = json_array();
    for (size_t i = 0; (p = roster_person_at(x->who.roster, i)) != NULL; i++)
        if (same_workspace(x, p->workspace) && json_array_append_new(items, person_json(p)) != 0) {
            json_decref(items);
            return ERR_NOMEM;
        }
    return listing_answer(x, items, STR(""));
}

/* --- groups ----------------------------------------------------------------------------------- */

static int add_to_group(json_t *groups, const char *name, const struct person *p)
{
    json_t *members = json_object_get(groups, name);
    if (members == NULL) {
        members = json_array();
        if (json_object_set_new(groups, name, members) != 0)
            return ERR_NOMEM;
    }
    return json_array_append_new(members, json_pack("{s:s, s:s, s:b}", "id", p->id, "email",
                                                    p->email, "enabled", p->enabled)) == 0
               ? ERR_OK
               : ERR_NOMEM;
}

static int collect_groups(const struct exchange *x, json_t *groups)
{
    const struct person *p;
    int r = ERR_OK;
    for (size_t i = 0; r == ERR_OK && (p = roster_person_at(x->who.roster, i)) != NULL; i++)
        for (size_t k = 0; r == ERR_OK && same_workspace(x, p->workspace) && k < p->n_groups; k++)
            r = add_to_group(groups, p->group[k], p);
    return r;
}

int api_groups(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    int r = exchange_query_only(x, known, f);
    (void)app;
    if (r != ERR_OK)
        return r;
    json_t *groups = json_object(), *items = json_array();
    r = collect_groups(x, groups);
    for (void *it = json_object_iter(groups); r == ERR_OK && it != NULL;
         it = json_object_iter_next(groups, it))
        if (json_array_append_new(items, json_pack("{s:s, s:O}", "name", json_object_iter_key(it),
                                                   "people", json_object_iter_value(it))) != 0)
            r = ERR_NOMEM;
    json_decref(groups);
    if (r == ERR_OK)
        return listing_answer(x, items, STR(""));
    json_decref(items);
    return r;
}

/* --- adding ----------------------------------------------------------------------------------- */

struct newcomer {
    struct str email, role, password;
    json_t *groups; /* borrowed */
    enum role is;
};

static int read_newcomer(const struct exchange *x, struct newcomer *n, struct fail *f)
{
    const struct json_field t[] = {
        {"email", JSON_WANT_STR, &n->email, true, 0},
        {"role", JSON_WANT_STR, &n->role, true, 16},
        {"groups", JSON_WANT_ARR, &n->groups, false, 0},
        {"password", JSON_WANT_STR, &n->password, true, 0},
    };
    int r = json_fields(x->json, t, sizeof t / sizeof t[0], f);
    if (r == ERR_OK && !roster_email_valid(n->email))
        r = fail_field(f, ERR_MALFORMED, "email", "expected an email address");
    if (r == ERR_OK && (!role_parse(n->role, &n->is) || n->is == ROLE_NONE))
        r = fail_field(f, ERR_MALFORMED, "role", "expected admin, approver or auditor");
    return r == ERR_OK ? roster_texts(n->groups, "groups", roster_name_valid, f) : r;
}

static json_t *newcomer_entry(struct app *app, const struct exchange *x, const struct newcomer *n,
                              const char *id, const char *hash)
{
    json_t *groups = n->groups != NULL ? json_deep_copy(n->groups) : json_array();
    return json_pack("{s:s, s:o, s:o, s:s, s:o, s:b, s:s, s:[], s:I}", "id", id, "workspace",
                     shape_text(x->who.workspace), "email", shape_text(n->email), "role",
                     role_name(n->is), "groups", groups, "enabled", 1, "password", hash, "tokens",
                     "since", (json_int_t)life_now(app->life));
}

static int add_person(struct app *app, const struct exchange *x, const struct newcomer *n,
                      const char *id, struct fail *f)
{
    struct roster_edit e;
    char hash[128];
    int r = password_hash(n->password, hash, f);
    if (r == ERR_OK)
        r = roster_edit_begin(app, &e, f);
    if (r != ERR_OK)
        return r;
    if (roster_person_email(e.from, x->who.workspace, n->email) != NULL)
        r = fail_field(f, ERR_CONFLICT, "email", "there is a person with this email already");
    if (r == ERR_OK)
        r = roster_edit_add(&e, "people", newcomer_entry(app, x, n, id, hash));
    if (r == ERR_OK)
        r = roster_edit_commit(app, x, &e, "person.added", NULL, NULL, f);
    roster_edit_end(&e);
    return r;
}

int api_person_add(struct app *app, struct exchange *x, struct fail *f)
{
    struct newcomer n = {.groups = NULL};
    char id[ID_SIZE];
    int r = read_newcomer(x, &n, f);
    id_new(app->env, "apr", id);
    if (r == ERR_OK)
        r = add_person(app, x, &n, id, f);
    if (r != ERR_OK)
        return r;
    return exchange_json(x, 201,
                         json_pack("{s:s, s:o, s:s, s:o, s:b}", "id", id, "email",
                                   shape_text(n.email), "role", role_name(n.is), "groups",
                                   n.groups != NULL ? json_incref(n.groups) : json_array(),
                                   "enabled", 1));
}

/* --- one person ------------------------------------------------------------------------------- */

/* By the id in the path, or by "email" in the body where the path says "by-email". */
static int find_person(const struct exchange *x, const struct roster *r, const char **ret,
                       struct fail *f)
{
    struct str email = STR("");
    bool by_email = str_eq_c(x->param[0], "by-email");
    const struct json_field t[] = {{"email", JSON_WANT_STR, &email, by_email, 254}};
    int err = by_email || x->json != NULL ? json_fields(x->json, t, by_email ? 1 : 0, f) : ERR_OK;
    if (err != ERR_OK)
        return err;
    const struct person *p =
        by_email ? roster_person_email(r, x->who.workspace, email) : roster_person(r, x->param[0]);
    if (p == NULL || !same_workspace(x, p->workspace))
        return fail_set(f, ERR_NOT_FOUND, "there is no such person");
    *ret = p->id;
    return ERR_OK;
}

int api_person_disable(struct app *app, struct exchange *x, struct fail *f)
{
    struct roster_edit e;
    const char *id = NULL;
    int r = roster_edit_begin(app, &e, f);
    if (r != ERR_OK)
        return r;
    r = find_person(x, e.from, &id, f);
    json_t *entry = r == ERR_OK ? roster_edit_entry(&e, "people", id) : NULL;
    if (r == ERR_OK && json_is_true(json_object_get(entry, "enabled"))) {
        r = json_object_set_new(entry, "enabled", json_false()) == 0 ? ERR_OK : ERR_NOMEM;
        if (r == ERR_OK)
            r = roster_edit_commit(app, x, &e, "person.disabled", NULL, NULL, f);
    }
    /* also when disabled before: an earlier attempt may have stopped between the two */
    if (r == ERR_OK)
        r = session_end_all(app->sessions, x->who.workspace, str_c(id));
    json_t *v = r == ERR_OK ? json_pack("{s:s, s:b}", "id", id, "enabled", 0) : NULL;
    roster_edit_end(&e);
    return r == ERR_OK ? exchange_json(x, 200, v) : r;
}

static json_t *token_entry(struct app *app, const char *token)
{
    char hash[HASH_TEXT];
    hash_text(hash, str_c(token));
    return json_pack("{s:s, s:I}", "hash", hash, "made_at", (json_int_t)life_now(app->life));
}

/* The roster leaves an empty list out. */
static int append_token(json_t *person, json_t *token)
{
    json_t *list = json_object_get(person, "tokens");
    if (list == NULL) {
        list = json_array();
        if (json_object_set_new(person, "tokens", list) != 0) {
            json_decref(token);
            return ERR_NOMEM;
        }
    }
    return json_array_append_new(list, token) == 0 ? ERR_OK : ERR_NOMEM;
}

static int add_token(struct app *app, const struct exchange *x, const char *token, struct fail *f)
{
    struct roster_edit e;
    const char *id = NULL;
    int r = roster_edit_begin(app, &e, f);
    if (r != ERR_OK)
        return r;
    r = find_person(x, e.from, &id, f);
    const struct person *p = r == ERR_OK ? roster_person(e.from, str_c(id)) : NULL;
    if (r == ERR_OK && !p->enabled)
        r = fail_set(f, ERR_CONFLICT, "the person is disabled");
    if (r == ERR_OK && p->n_tokens >= TOKENS_MAX)
        r = fail_set(f, ERR_CONFLICT, "the person has %d tokens already", TOKENS_MAX);
    if (r == ERR_OK)
        r = append_token(roster_edit_entry(&e, "people", id), token_entry(app, token));
    if (r == ERR_OK)
        r = roster_edit_commit(app, x, &e, "token.added", NULL, NULL, f);
    roster_edit_end(&e);
    return r;
}

int api_token_add(struct app *app, struct exchange *x, struct fail *f)
{
    char token[TOKEN_SIZE];
    token_new(app->env, "cst_", token);
    int r = add_token(app, x, token, f);
    if (r == ERR_OK)
        r = exchange_json(x, 201, json_pack("{s:s}", "token", token));
    secret_wipe(token, sizeof token);
    return r;
}
