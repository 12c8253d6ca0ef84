/* YAML for people's files (configuration, policy, connectors): a small tree with the place of every
 * node, so that a complaint can say file:line:column. libfyaml reads; this refuses what a reviewer
 * could overlook: aliases, anchors, tags, merge keys, further documents, duplicate keys, depth
 * over 32, files over 4 MiB. All complaints are collected, not only the first. */
#ifndef CS_BASE_YAML_H
#define CS_BASE_YAML_H

#include "base/arena.h"

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;             /* scalar was quoted: then it is text, never a number, bool or null */
    int line, column;        /* counted from 1 */
    struct str text;         /* scalar */
    size_t n;                /* list items or map pairs */
    struct yaml_node **item; /* list items or map values */
    struct yaml_node **key;  /* map keys (scalars) */
};

/* Complaints about one or more files, in the order found. */
struct complaints {
    struct buf text; /* "file:line:column: message\n" each */
    size_t n;
};
void complaints_init(struct complaints *c);
void complaints_free(struct complaints *c);
void complain(struct complaints *c, const char *file, int line, int column, const char *fmt, ...)
    CS_PRINTF(5, 6);

struct yaml_doc;
/* Reads a file. On error complaints grow and ERR_CONFIG is returned. */
CS_CHECK int yaml_read_file(const char *path, struct yaml_doc **ret, struct complaints *c);
CS_CHECK int yaml_read(const char *name, struct str text, struct yaml_doc **ret,
                       struct complaints *c);
const struct yaml_node *yaml_root(const struct yaml_doc *d);
const char *yaml_name(const struct yaml_doc *d);
struct str yaml_bytes(const struct yaml_doc *d); /* the file's text, for digests */
void yaml_free(struct yaml_doc *d);

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL if absent */

/* Maps are read by a table, as settings and connectors are: unknown keys, wrong types, values out
 * of range and missing keys are complained about, with a did-you-mean for close names. */
enum yaml_want { YW_STR, YW_INT, YW_BOOL, YW_DURATION, YW_SIZE, YW_LIST, YW_MAP, YW_ANY };
struct yaml_field {
    const char *name;
    enum yaml_want want;
    size_t
        offset; /* into the struct given to yaml_fields: const char * in the doc's memory (STR),
                   int64_t (INT, DURATION in ms, SIZE in bytes), bool, const struct yaml_node * */
    bool required;
    int64_t min, max; /* INT, DURATION, SIZE: bounds when max > min */
};
/* Returns ERR_CONFIG if anything was complained about. Absent fields are left alone. */
CS_CHECK int yaml_fields(const struct yaml_doc *d, const struct yaml_node *map,
                         const struct yaml_field *t, size_t n, void *out, struct complaints *c);

#endif
