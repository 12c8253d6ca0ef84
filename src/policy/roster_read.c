/* Reading the roster: a document that decides who may approve payments is refused whole if any part
 * of it is unknown, missing, twice, or refers to something that is not there. */
#include <stdlib.h>

#include "policy/roster_index.h"
#include "connector/url.h"

#define ROSTER_MAX ((size_t)256 << 20) /* memory for rows and lists */
#define NAME_MAX_BYTES 128
#define N(a) (sizeof(a) / sizeof((a)[0]))

struct reading {
    struct roster *r;
    struct fail *f;
};

static int refuse(const struct reading *rd, const char *field, struct str what, const char *why)
{
    return fail_field(rd->f, ERR_MALFORMED, field, "%.*s: %s", STR_FMT(what), why);
}

/* Texts of a parsed document end in NUL and hold none. */
static const char *text(struct str s)
{
    return s.n > 0 ? s.p : "";
}

static bool name_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    }
    return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

static bool email_valid(struct str s)
{
    size_t at = str_find(s, '@', 0);
    return name_valid(s) && at > 0 && at + 1 < s.n && str_find(s, '@', at + 1) == s.n &&
           str_find(s, ' ', 0) == s.n;
}

static bool hash_valid(struct str s)
{
    return str_starts(s, STR("sha256:")) && s.n == 71;
}

/* A list of texts; the texts stay in the document. */
static int read_list(const struct reading *rd, const char *field, const json_t *list,
                     bool (*ok)(struct str), const char ***ret, size_t *ret_n)
{
    size_t n = json_array_size(list);
    const char **out = arena_alloc(rd->r->arena, (n + 1) * sizeof *out);

    if (out == NULL)
        return fail_set(rd->f, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct str s = json_text(json_array_get(list, i));
        if (!ok(s))
            return refuse(rd, field, s, "not what is expected here");
        out[i] = s.p;
    }
    *ret = out;
    *ret_n = n;
    return ERR_OK;
}

/* --- people ---------------------------------------------------------------------------------- */

static int read_tokens(const struct reading *rd, const json_t *list, struct person *p)
{
    size_t n = json_array_size(list);
    const char **out = arena_alloc(rd->r->arena, (n + 1) * sizeof *out);

    if (out == NULL)
        return fail_set(rd->f, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct str hash = {NULL, 0};
        int64_t made_at;
        const struct json_field field[] = {
            {"hash", JSON_WANT_STR, &hash, true, 0},
            {"made_at", JSON_WANT_INT, &made_at, true, 0},
        };
        int r = json_fields(json_array_get(list, i), field, N(field), rd->f);
        if (r != ERR_OK)
            return r;
        if (!hash_valid(hash))
            return refuse(rd, "tokens", STR(""), "no hash");
        out[i] = hash.p;
        index_add(&rd->r->token, hash, STR(""), p);
    }
    p->token_hash = out;
    p->n_tokens = n;
    return ERR_OK;
}

static int read_person(const struct reading *rd, const json_t *v, struct person *p)
{
    struct str id = {0}, workspace = {0}, email = {0}, role = {0}, password = {0};
    json_t *groups = NULL, *tokens = NULL;
    int64_t since;
    const struct json_field field[] = {
        {"id", JSON_WANT_STR, &id, true, 0},
        {"workspace", JSON_WANT_STR, &workspace, true, 0},
        {"email", JSON_WANT_STR, &email, true, NAME_MAX_BYTES},
        {"role", JSON_WANT_STR, &role, true, 0},
        {"groups", JSON_WANT_ARR, &groups, true, 0},
        {"enabled", JSON_WANT_BOOL, &p->enabled, true, 0},
        {"password", JSON_WANT_STR, &password, false, 1024},
        {"tokens", JSON_WANT_ARR, &tokens, false, 0},
        {"since", JSON_WANT_INT, &since, true, 0},
    };

    int r = json_fields(v, field, N(field), rd->f);
    if (r != ERR_OK)
        return r;
    if (!id_valid("apr", id))
        return refuse(rd, "id", id, "no id of a person");
    if (!email_valid(email))
        return refuse(rd, "email", id, "no email address");
    if (!role_parse(role, &p->role))
        return refuse(rd, "role", id, "no such role");
    if (!roster_workspace(rd->r, workspace))
        return refuse(rd, "workspace", id, "no such workspace");
    p->id = id.p;
    p->workspace = workspace.p;
    p->email = email.p;
    p->password = text(password);
    index_add(&rd->r->person_id, id, STR(""), p);
    index_add(&rd->r->person_email, workspace, email, p);
    r = read_list(rd, "groups", groups, name_valid, &p->group, &p->n_groups);
    return r == ERR_OK ? read_tokens(rd, tokens, p) : r;
}

/* --- agents ---------------------------------------------------------------------------------- */

static bool connection_id_valid(struct str s)
{
    return id_valid("con", s);
}

static bool resume_url_valid(struct str s)
{
    struct url u;
    return url_split(s, &u) == ERR_OK && !u.has_query;
}

/* Owner and connections must be there, in the agent's own workspace. */
static int check_agent(const struct reading *rd, const struct agent *a)
{
    const struct person *owner = roster_person(rd->r, str_c(a->owner));

    if (owner == NULL || strcmp(owner->workspace, a->workspace) != 0)
        return refuse(rd, "owner", str_c(a->id), "the owner is not in the workspace");
    for (size_t i = 0; i < a->n_connections; i++) {
        const struct connection *c = roster_connection(rd->r, str_c(a->connection[i]));
        if (c == NULL || strcmp(c->workspace, a->workspace) != 0)
            return refuse(rd, "connections", str_c(a->id), "no such connection in the workspace");
    }
    return ERR_OK;
}

static int read_agent(const struct reading *rd, const json_t *v, struct agent *a)
{
    struct str id = {0}, workspace = {0}, name = {0}, owner = {0}, key_hash = {0};
    json_t *connections = NULL, *resume_urls = NULL;
    int64_t since;
    const struct json_field field[] = {
        {"id", JSON_WANT_STR, &id, true, 0},
        {"workspace", JSON_WANT_STR, &workspace, true, 0},
        {"name", JSON_WANT_STR, &name, true, 0},
        {"owner", JSON_WANT_STR, &owner, true, 0},
        {"key_hash", JSON_WANT_STR, &key_hash, true, 0},
        {"enabled", JSON_WANT_BOOL, &a->enabled, true, 0},
        {"connections", JSON_WANT_ARR, &connections, true, 0},
        {"resume_urls", JSON_WANT_ARR, &resume_urls, false, 0},
        {"allow_private", JSON_WANT_BOOL, &a->allow_private, false, 0},
        {"since", JSON_WANT_INT, &since, true, 0},
    };

    int r = json_fields(v, field, N(field), rd->f);
    if (r != ERR_OK)
        return r;
    if (!id_valid("agt", id))
        return refuse(rd, "id", id, "no id of an agent");
    if (!name_valid(name))
        return refuse(rd, "name", id, "no name");
    if (!hash_valid(key_hash))
        return refuse(rd, "key_hash", id, "no hash");
    a->id = id.p;
    a->workspace = text(workspace);
    a->name = name.p;
    a->owner = text(owner);
    a->key_hash = key_hash.p;
    index_add(&rd->r->agent_id, id, STR(""), a);
    index_add(&rd->r->agent_name, workspace, name, a);
    index_add(&rd->r->token, key_hash, STR(""), a);
    r = read_list(rd, "connections", connections, connection_id_valid, &a->connection,
                  &a->n_connections);
    if (r == ERR_OK)
        r = read_list(rd, "resume_urls", resume_urls, resume_url_valid, &a->resume_url,
                      &a->n_resume_urls);
    return r;
}

/* --- connections ----------------------------------------------------------------------------- */

static int read_connection(const struct reading *rd, const json_t *v, struct connection *c)
{
    struct str id = {0}, workspace = {0}, name = {0}, connector = {0}, base_url = {0},
               item_id = {0};
    int64_t since;
    const struct json_field field[] = {
        {"id", JSON_WANT_STR, &id, true, 0},
        {"workspace", JSON_WANT_STR, &workspace, true, 0},
        {"name", JSON_WANT_STR, &name, true, 0},
        {"connector", JSON_WANT_STR, &connector, true, NAME_MAX_BYTES},
        {"base_url", JSON_WANT_STR, &base_url, true, 0},
        {"allow_private", JSON_WANT_BOOL, &c->allow_private, false, 0},
        {"credential", JSON_WANT_INT, &c->credential, true, 0},
        {"enabled", JSON_WANT_BOOL, &c->enabled, true, 0},
        {"item_id", JSON_WANT_STR, &item_id, false, NAME_MAX_BYTES},
        {"since", JSON_WANT_INT, &since, true, 0},
    };

    int r = json_fields(v, field, N(field), rd->f);
    if (r != ERR_OK)
        return r;
    if (!id_valid("con", id))
        return refuse(rd, "id", id, "no id of a connection");
    if (!name_valid(name) || !name_valid(connector))
        return refuse(rd, "name", id, "no name, or no connector's");
    if (!url_is_base(base_url))
        return refuse(rd, "base_url", id, "not http(s)://host[:port][/path]");
    if (!roster_workspace(rd->r, workspace))
        return refuse(rd, "workspace", id, "no such workspace");
    c->id = id.p;
    c->workspace = workspace.p;
    c->name = name.p;
    c->connector = connector.p;
    c->base_url = base_url.p;
    c->item_id = text(item_id);
    index_add(&rd->r->connection_id, id, STR(""), c);
    index_add(&rd->r->connection_name, workspace, name, c);
    return ERR_OK;
}

/* --- the document ---------------------------------------------------------------------------- */

struct parts {
    json_t *workspaces, *people, *agents, *connections;
};

static int read_workspaces(const struct reading *rd, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct str id = {0};
        const struct json_field field[] = {{"id", JSON_WANT_STR, &id, true, 0}};
        int r = json_fields(json_array_get(list, i), field, N(field), rd->f);
        if (r != ERR_OK)
            return r;
        if (!name_valid(id))
            return refuse(rd, "workspaces", id, "no name");
        index_add(&rd->r->workspace_id, id, STR(""), id.p);
    }
    return ERR_OK;
}

static size_t count_tokens(const struct parts *p)
{
    size_t n = json_array_size(p->agents);
    for (size_t i = 0; i < json_array_size(p->people); i++)
        n += json_array_size(json_object_get(json_array_get(p->people, i), "tokens"));
    return n;
}

/* All memory that reading needs, but for lists within rows. */
static int reserve(const struct reading *rd, const struct parts *p)
{
    struct roster *r = rd->r;
    size_t people = json_array_size(p->people), agents = json_array_size(p->agents),
           connections = json_array_size(p->connections);
    const struct {
        struct index *x;
        size_t n;
    } lists[] = {
        {&r->workspace_id, json_array_size(p->workspaces)},
        {&r->person_id, people},
        {&r->person_email, people},
        {&r->agent_id, agents},
        {&r->agent_name, agents},
        {&r->connection_id, connections},
        {&r->connection_name, connections},
        {&r->token, count_tokens(p)},
    };

    r->person = arena_alloc(r->arena, (people + 1) * sizeof *r->person);
    r->agent = arena_alloc(r->arena, (agents + 1) * sizeof *r->agent);
    r->connection = arena_alloc(r->arena, (connections + 1) * sizeof *r->connection);
    for (size_t i = 0; i < N(lists); i++)
        lists[i].x->row = arena_alloc(r->arena, (lists[i].n + 1) * sizeof(struct index_row));
    return arena_overflowed(r->arena) ? fail_set(rd->f, ERR_NOMEM, "the roster is too large")
                                      : ERR_OK;
}

static int sort(const struct reading *rd, struct index *x, const char *what)
{
    struct str twice;
    return index_sort(x, &twice) ? ERR_OK : refuse(rd, what, twice, "there twice");
}

static int read_people(const struct reading *rd, const json_t *list)
{
    struct roster *r = rd->r;
    int e = ERR_OK;

    for (; r->n_people < json_array_size(list) && e == ERR_OK; r->n_people++)
        e = read_person(rd, json_array_get(list, r->n_people), &r->person[r->n_people]);
    if (e == ERR_OK && (e = sort(rd, &r->person_id, "people")) == ERR_OK)
        e = sort(rd, &r->person_email, "email");
    return e;
}

static int read_connections(const struct reading *rd, const json_t *list)
{
    struct roster *r = rd->r;
    int e = ERR_OK;

    for (; r->n_connections < json_array_size(list) && e == ERR_OK; r->n_connections++)
        e = read_connection(rd, json_array_get(list, r->n_connections),
                            &r->connection[r->n_connections]);
    if (e == ERR_OK && (e = sort(rd, &r->connection_id, "connections")) == ERR_OK)
        e = sort(rd, &r->connection_name, "connections");
    return e;
}

/* Keys and tokens are sorted too, though never looked up so: to see whether one is there twice. */
static int read_agents(const struct reading *rd, const json_t *list)
{
    struct roster *r = rd->r;
    struct str twice;
    int e = ERR_OK;

    for (; r->n_agents < json_array_size(list) && e == ERR_OK; r->n_agents++)
        e = read_agent(rd, json_array_get(list, r->n_agents), &r->agent[r->n_agents]);
    if (e == ERR_OK && (e = sort(rd, &r->agent_id, "agents")) == ERR_OK)
        e = sort(rd, &r->agent_name, "agents");
    for (size_t i = 0; i < r->n_agents && e == ERR_OK; i++)
        e = check_agent(rd, &r->agent[i]);
    if (e == ERR_OK && !index_sort(&r->token, &twice))
        e = refuse(rd, "key_hash", STR(""), "two keys or tokens are the same");
    return e;
}

static int read_parts(const struct reading *rd, const struct parts *p)
{
    int e;

    if ((e = reserve(rd, p)) == ERR_OK && (e = read_workspaces(rd, p->workspaces)) == ERR_OK &&
        (e = sort(rd, &rd->r->workspace_id, "workspaces")) == ERR_OK &&
        (e = read_people(rd, p->people)) == ERR_OK &&
        (e = read_connections(rd, p->connections)) == ERR_OK &&
        (e = read_agents(rd, p->agents)) == ERR_OK && arena_overflowed(rd->r->arena))
        e = fail_set(rd->f, ERR_NOMEM, "the roster is too large");
    return e;
}

int roster_read(struct str doc, struct roster **ret, struct fail *f)
{
    struct roster *r = calloc(1, sizeof *r);
    struct parts p = {NULL, NULL, NULL, NULL};
    int e;

    if (r == NULL || (r->arena = arena_new(ROSTER_MAX)) == NULL) {
        free(r);
        return fail_set(f, ERR_NOMEM, "out of memory");
    }
    atomic_init(&r->refs, 1);
    const struct reading rd = {.r = r, .f = f};
    const struct json_field field[] = {
        {"version", JSON_WANT_INT, &r->version, true, 0},
        {"workspaces", JSON_WANT_ARR, &p.workspaces, true, 0},
        {"people", JSON_WANT_ARR, &p.people, true, 0},
        {"agents", JSON_WANT_ARR, &p.agents, true, 0},
        {"connections", JSON_WANT_ARR, &p.connections, true, 0},
    };
    if ((e = json_read(doc, &r->doc, f)) != ERR_OK ||
        (e = json_fields(r->doc, field, N(field), f)) != ERR_OK ||
        (e = read_parts(&rd, &p)) != ERR_OK) {
        roster_unref(r);
        return e;
    }
    *ret = r;
    return ERR_OK;
}

void roster_unref(struct roster *r)
{
    if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1)
        return;
    json_decref(r->doc);
    arena_free(r->arena);
    free(r);
}
