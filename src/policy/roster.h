/* The roster: who may decide, for whom, where to. People and their authenticators, agents and their
 * owners, connections and destinations, in one sealed, versioned document. gate keeps it and serves
 * from it; keeper checks every call against its own copy. There are no other rows that say who may
 * do what, so there are none to edit. Pure: text in, an immutable struct out.
 *
 * The document is JSON:
 * {"version":7,
 *  "workspaces":[{"id":"default"}],
 *  "people":[{"id","workspace","email","role","groups":[],"enabled":true,"password":"$argon2id$...",
 *             "tokens":[{"hash","made_at"}],"since":ms}],
 *  "agents":[{"id","workspace","name","owner":"apr_..","key_hash":"sha256:..","enabled":true,
 *             "connections":["con_..."],"resume_urls":[],"allow_private":false,"since":ms}],
 *  "connections":[{"id","workspace","name","connector","base_url","allow_private":false,
 *             "credential":1,"enabled":true,"item_id":"...","since":ms}]}
 * Ids are unique, emails within a workspace, names of agents and connections within a workspace. */
#ifndef CS_POLICY_ROSTER_H
#define CS_POLICY_ROSTER_H

#include "base/id.h"
#include "base/json.h"

enum role { ROLE_NONE = 0, ROLE_AUDITOR, ROLE_APPROVER, ROLE_ADMIN };

struct person {
    const char *id, *workspace, *email, *password;
    enum role role;
    bool enabled;
    const char **group;
    size_t n_groups;
    const char **token_hash;
    size_t n_tokens;
};
struct agent {
    const char *id, *workspace, *name, *owner, *key_hash;
    bool enabled, allow_private;
    const char **connection; /* ids; empty: none */
    size_t n_connections;
    const char **resume_url; /* prefixes */
    size_t n_resume_urls;
};
struct connection {
    const char *id, *workspace, *name, *connector, *base_url, *item_id;
    bool enabled, allow_private;
    int64_t credential; /* version of the sealed secrets that is valid */
};

struct roster; /* immutable, reference counted, safe to share between threads */

/* Reads a document strictly (unknown fields refused). Reference count 1. */
CS_CHECK int roster_read(struct str doc, struct roster **ret, struct fail *f);
struct roster *roster_ref(struct roster *r);
void roster_unref(struct roster *r); /* NULL is fine */
int64_t roster_version(const struct roster *r);
const json_t *roster_doc(const struct roster *r); /* for making the next version from a deep copy */

const struct person *roster_person(const struct roster *r, struct str id);
const struct person *roster_person_email(const struct roster *r, struct str workspace,
                                         struct str email); /* case-insensitive */
const struct person *roster_person_token(const struct roster *r, struct str token_hash);
const struct agent *roster_agent(const struct roster *r, struct str id);
const struct agent *roster_agent_key(const struct roster *r,
                                     struct str key_hash); /* constant time in the key's bytes */
const struct agent *roster_agent_name(const struct roster *r, struct str workspace,
                                      struct str name);
const struct connection *roster_connection(const struct roster *r, struct str id);
const struct connection *roster_connection_name(const struct roster *r, struct str workspace,
                                                struct str name);
bool roster_workspace(const struct roster *r, struct str id);
/* Iteration in document order; NULL past the end. */
const struct person *roster_person_at(const struct roster *r, size_t i);
const struct agent *roster_agent_at(const struct roster *r, size_t i);
const struct connection *roster_connection_at(const struct roster *r, size_t i);

bool person_in_group(const struct person *p, const char *group);
bool agent_may_use(const struct agent *a,
                   const struct connection *c); /* same workspace, listed, all enabled */
/* Is the URL under one of the agent's prefixes? The prefix must match whole host and path segments
 * ("https://a.example/x" allows "https://a.example/x/y", not "https://a.example/xy" nor
 * "https://a.example.evil/x"); user info and fragments are refused. */
bool agent_may_resume_at(const struct agent *a, struct str url);
const char *role_name(enum role r);
bool role_parse(struct str s, enum role *ret);

/* The empty first document: one workspace "default", version 0. */
extern const char roster_empty[];

#endif
