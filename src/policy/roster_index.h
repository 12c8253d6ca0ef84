/* What a roster is made of: rows that point into the document's texts, and sorted lists to find
 * them by, which also show what is there twice. For policy/ alone; others see struct roster as
 * opaque. */
#ifndef CS_POLICY_ROSTER_INDEX_H
#define CS_POLICY_ROSTER_INDEX_H

#include <stdatomic.h>

#include "base/arena.h"
#include "policy/roster.h"

/* A key of two parts (workspace and name; or id and "") and what it finds. Compared without regard
 * to ASCII case in the second part: ops@x and OPS@x are one address, and two names that differ in
 * case alone would be taken for each other. */
struct index_row {
    struct str first, second;
    const void *row;
};
struct index {
    struct index_row *row;
    size_t n;
};
void index_add(struct index *x, struct str first, struct str second, const void *row);
/* Sorts; false if two rows have the same key, which *twice then names. */
bool index_sort(struct index *x, struct str *twice);
const void *index_find(const struct index *x, struct str first, struct str second);

struct roster {
    atomic_int refs;
    json_t *doc;         /* owns the texts */
    struct arena *arena; /* owns rows and lists */
    int64_t version;
    struct person *person;
    struct agent *agent;
    struct connection *connection;
    size_t n_people, n_agents, n_connections;
    struct index person_id, person_email, agent_id, agent_name, connection_id, connection_name,
        workspace_id, token;
};

#endif
