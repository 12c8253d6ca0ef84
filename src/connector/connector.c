/* Looking things up in loaded connectors: which operation a request is, and what is said of it.
 * Whatever is not found is NULL, which everybody takes for "tier 3, a write". */
#include "connector/set.h"

const struct connector *connectors_at(const struct connectors *set, size_t i)
{
    return i < set->n ? &set->item[i]->con : NULL;
}

const struct connector *connectors_find(const struct connectors *set, struct str name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (str_eq_c(name, set->item[i]->con.name))
            return &set->item[i]->con;
    }
    return NULL;
}

const char *connectors_digest(const struct connectors *set)
{
    return set->digest;
}

/* Of two templates that take the same path: does a have the first literal where b has a parameter?
 */
static bool more_literal(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0' && *a == *b) {
        if (*a == '{' && *b == '{') {
            a += strcspn(a, "}");
            b += strcspn(b, "}");
        }
        a++;
        b++;
    }
    return *b == '{' && *a != '{';
}

/* Most templates differ from a path within a few bytes; only parameters need a closer look. */
static bool path_fits(const char *template, struct str path)
{
    struct path_param param[CONNECTOR_PARAMS];
    size_t n = 0, i = 0;

    while (i < path.n && template[i] == path.p[i] && template[i] != '\0')
        i++;
    if (template[i] != '{')
        return i == path.n && template[i] == '\0';
    return path_match(str_c(template), path, param, CONNECTOR_PARAMS, &n);
}

static const struct operation *match(const struct connector *c, struct str method, struct str path)
{
    const struct operation *best = NULL;

    for (size_t i = 0; i < c->n_ops; i++) {
        const struct operation *op = &c->op[i];
        if (!str_eq_c(method, op->method) || !path_fits(op->path, path))
            continue;
        if (best == NULL || more_literal(op->path, best->path))
            best = op;
    }
    return best;
}

const struct operation *connector_match(const struct connector *c, struct str method,
                                        struct str path)
{
    const struct operation *op = match(c, method, path);

    if (op == NULL && str_eq(method, STR("HEAD"))) {
        op = match(c, STR("GET"), path);
        op = operation_is_read(op) ? op : NULL;
    }
    return op;
}

const struct operation *connector_operation(const struct connector *c, struct str name)
{
    for (size_t i = 0; i < c->n_ops; i++) {
        if (str_eq_c(name, c->op[i].name))
            return &c->op[i];
    }
    return NULL;
}

bool operation_tagged(const struct operation *op, const char *tag)
{
    for (size_t i = 0; op != NULL && i < op->n_tags; i++) {
        if (strcmp(op->tag[i], tag) == 0)
            return true;
    }
    return false;
}

bool operation_is_read(const struct operation *op)
{
    return operation_tagged(op, "read");
}
