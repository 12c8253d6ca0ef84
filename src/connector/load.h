/* Pieces that the loader of connectors is made of: checks of texts, lists and injected places, each
 * complaint with its place in the file. For connector/ alone. */
#ifndef CS_CONNECTOR_LOAD_H
#define CS_CONNECTOR_LOAD_H

#include "connector/connector.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* The connector being read. */
struct loader {
    const struct yaml_doc *doc;
    struct arena *arena;
    struct complaints *c;
    struct connector *con;
};

#define COMPLAIN(ld, node, ...) \
    complain((ld)->c, yaml_name((ld)->doc), (node)->line, (node)->column, __VA_ARGS__)

/* What a text must be. */
struct check {
    const char *key;
    bool (*ok)(struct str);
    const char *wanted;
};

extern const char load_wants_pointer[], load_wants_header[], load_wants_name[];

bool load_is_name(struct str s);
bool load_is_text(struct str s); /* not empty, no NUL */
bool load_is_template(struct str s);
bool load_same_shape(const char *a, const char *b); /* templates that take the same paths */

/* Reads a map of texts and numbers straight into *out; NULL is no map. */
void load_fields(struct loader *ld, const struct yaml_node *map, const struct yaml_field *t,
                 size_t n, void *out);
/* Checks the texts of a map that are there; their absence is load_fields' matter. */
void load_check(struct loader *ld, const struct yaml_node *map, const struct check *t, size_t n);
/* Which word of a table stands at the key; the first where nothing does. */
size_t load_word(struct loader *ld, const struct yaml_node *map, const char *key,
                 const char *const *words, size_t n);
void load_list(struct loader *ld, const struct yaml_node *node, const struct check *check,
               const char ***ret, size_t *ret_n);
void load_injects(struct loader *ld, const struct yaml_node *node, const struct check *place,
                  struct inject **ret, size_t *ret_n);

/* The list of operations; the connector's secrets and body format must be known already. */
void load_operations(struct loader *ld, const struct yaml_node *node);
extern const char *const load_body_words[];
enum { LOAD_BODY_WORDS = 3 };

#endif
