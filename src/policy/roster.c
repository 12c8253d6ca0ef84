/* Asking the roster. Reading it is roster_read.c. */
#include "policy/roster_index.h"
#include "connector/url.h"

const char roster_empty[] = "{\"version\":0,\"workspaces\":[{\"id\":\"default\"}],\"people\":[],"
                            "\"agents\":[],\"connections\":[]}";

struct roster *roster_ref(struct roster *r)
{
    (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

int64_t roster_version(const struct roster *r)
{
    return r->version;
}

const json_t *roster_doc(const struct roster *r)
{
    return r->doc;
}

/* --- by key ---------------------------------------------------------------------------------- */

const struct person *roster_person(const struct roster *r, struct str id)
{
    return index_find(&r->person_id, id, STR(""));
}

const struct person *roster_person_email(const struct roster *r, struct str workspace,
                                         struct str email)
{
    return index_find(&r->person_email, workspace, email);
}

/* Token and key hashes are compared one by one and to the end, so that time tells nothing of how
 * much of a guess is right. */
const struct person *roster_person_token(const struct roster *r, struct str token_hash)
{
    const struct person *found = NULL;
    for (size_t i = 0; i < r->n_people; i++) {
        for (size_t k = 0; k < r->person[i].n_tokens; k++) {
            if (str_eq_secret(str_c(r->person[i].token_hash[k]), token_hash))
                found = &r->person[i];
        }
    }
    return found;
}

const struct agent *roster_agent(const struct roster *r, struct str id)
{
    return index_find(&r->agent_id, id, STR(""));
}

const struct agent *roster_agent_key(const struct roster *r, struct str key_hash)
{
    const struct agent *found = NULL;
    for (size_t i = 0; i < r->n_agents; i++) {
        if (str_eq_secret(str_c(r->agent[i].key_hash), key_hash))
            found = &r->agent[i];
    }
    return found;
}

const struct agent *roster_agent_name(const struct roster *r, struct str workspace, struct str name)
{
    const struct agent *a = index_find(&r->agent_name, workspace, name);
    return a != NULL && str_eq_c(name, a->name) ? a : NULL;
}

const struct connection *roster_connection(const struct roster *r, struct str id)
{
    return index_find(&r->connection_id, id, STR(""));
}

const struct connection *roster_connection_name(const struct roster *r, struct str workspace,
                                                struct str name)
{
    const struct connection *c = index_find(&r->connection_name, workspace, name);
    return c != NULL && str_eq_c(name, c->name) ? c : NULL;
}

bool roster_workspace(const struct roster *r, struct str id)
{
    return index_find(&r->workspace_id, id, STR("")) != NULL;
}

const struct person *roster_person_at(const struct roster *r, size_t i)
{
    return i < r->n_people ? &r->person[i] : NULL;
}

const struct agent *roster_agent_at(const struct roster *r, size_t i)
{
    return i < r->n_agents ? &r->agent[i] : NULL;
}

const struct connection *roster_connection_at(const struct roster *r, size_t i)
{
    return i < r->n_connections ? &r->connection[i] : NULL;
}

/* --- what they may --------------------------------------------------------------------------- */

bool person_in_group(const struct person *p, const char *group)
{
    for (size_t i = 0; i < p->n_groups; i++) {
        if (strcmp(p->group[i], group) == 0)
            return true;
    }
    return false;
}

bool agent_may_use(const struct agent *a, const struct connection *c)
{
    if (a == NULL || c == NULL || !a->enabled || !c->enabled ||
        strcmp(a->workspace, c->workspace) != 0)
        return false;
    for (size_t i = 0; i < a->n_connections; i++) {
        if (strcmp(a->connection[i], c->id) == 0)
            return true;
    }
    return false;
}

bool agent_may_resume_at(const struct agent *a, struct str url)
{
    for (size_t i = 0; a != NULL && i < a->n_resume_urls; i++) {
        if (url_under(str_c(a->resume_url[i]), url))
            return true;
    }
    return false;
}

static const char *const role_names[] = {
    [ROLE_NONE] = "none",
    [ROLE_AUDITOR] = "auditor",
    [ROLE_APPROVER] = "approver",
    [ROLE_ADMIN] = "admin",
};

const char *role_name(enum role r)
{
    return role_names[r];
}

bool role_parse(struct str s, enum role *ret)
{
    for (size_t i = ROLE_AUDITOR; i <= ROLE_ADMIN; i++) {
        if (str_eq_c(s, role_names[i])) {
            *ret = (enum role)i;
            return true;
        }
    }
    return false;
}
