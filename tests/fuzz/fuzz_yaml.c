/* Any bytes make a tree or complaints, never both or neither, and every node has a place. */
#include <stdlib.h>

#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 34 };

struct sample {
    const char *text;
    int64_t integer, duration, bytes;
    bool flag;
    const struct yaml_node *list, *map, *any;
};

static const struct yaml_field fields[] = {
    {.name = "text", .want = YW_STR, .offset = offsetof(struct sample, text), .required = true},
    {.name = "integer",
     .want = YW_INT,
     .offset = offsetof(struct sample, integer),
     .min = -5,
     .max = 5},
    {.name = "duration", .want = YW_DURATION, .offset = offsetof(struct sample, duration)},
    {.name = "bytes", .want = YW_SIZE, .offset = offsetof(struct sample, bytes)},
    {.name = "flag", .want = YW_BOOL, .offset = offsetof(struct sample, flag)},
    {.name = "list", .want = YW_LIST, .offset = offsetof(struct sample, list)},
    {.name = "map", .want = YW_MAP, .offset = offsetof(struct sample, map)},
    {.name = "any", .want = YW_ANY, .offset = offsetof(struct sample, any)},
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void walk(const struct yaml_node *v, int depth)
{
    check(v && depth < DEPTH && v->line > 0 && v->column > 0);
    check(v->text.n == 0 || v->text.p[v->text.n] == 0);
    for (size_t i = 0; i < v->n; i++) {
        walk(v->item[i], depth + 1);
        if (v->kind == YAML_MAP)
            check(v->key[i]->kind == YAML_SCALAR);
    }
    check(v->kind == YAML_MAP || v->kind == YAML_LIST || v->n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct complaints c;
    struct yaml_doc *doc = NULL;
    complaints_init(&c);
    int r = yaml_read("fuzz.yaml", text, &doc, &c);
    check((r == 0) == (doc != NULL) && (r == 0) == (c.n == 0));
    check(!buf_err(&c.text) && utf8_valid(buf_view(&c.text)));
    if (doc) {
        struct sample s = {0};
        walk(yaml_root(doc), 0);
        r = yaml_fields(doc, yaml_root(doc), fields, sizeof fields / sizeof *fields, &s, &c);
        check((r == 0) == (c.n == 0) && utf8_valid(buf_view(&c.text)));
    }
    yaml_free(doc);
    complaints_free(&c);
    return 0;
}
