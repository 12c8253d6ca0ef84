/* Reads a connector's operations: op_fields is the schema, connectors/plaid.yaml explains it. */
#include "connector/load.h"
#include "connector/place.h"

static bool is_method(struct str s)
{
    static const char *const method[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < N(method); i++) {
        if (str_eq_c(s, method[i]))
            return true;
    }
    return false;
}

static bool is_constant_or_pointer(struct str s)
{
    return (s.n > 1 && s.p[0] == '=' && load_is_text(s)) || place_pointer_valid(s);
}

/* An operation as it stands in the file. */
struct op_text {
    const char *name, *method, *path, *product, *text;
    int64_t tier, decide_within, execute_within;
    bool deny, slash;
    const struct yaml_node *tags, *inject, *idempotency, *decide_from, *remember, *declined,
        *user_action, *show, *pii;
    const char *kind, *body;
};

#define OP(key, want, field, required)                             \
    {                                                              \
        key, want, offsetof(struct op_text, field), required, 0, 0 \
    }
static const struct yaml_field op_fields[] = {
    OP("name", YW_STR, name, true),
    OP("method", YW_STR, method, true),
    OP("path", YW_STR, path, true),
    OP("product", YW_STR, product, true),
    OP("text", YW_STR, text, true),
    OP("kind", YW_STR, kind, false),
    {"tier", YW_INT, offsetof(struct op_text, tier), false, 0, 3},
    OP("deny", YW_BOOL, deny, false),
    OP("slash", YW_BOOL, slash, false),
    OP("tags", YW_LIST, tags, false),
    OP("body", YW_STR, body, false),
    OP("inject", YW_MAP, inject, false),
    OP("idempotency", YW_MAP, idempotency, false),
    {"decide_within", YW_DURATION, offsetof(struct op_text, decide_within), false, 1, INT64_MAX},
    {"execute_within", YW_DURATION, offsetof(struct op_text, execute_within), false, 1, INT64_MAX},
    OP("decide_from", YW_MAP, decide_from, false),
    OP("remember", YW_MAP, remember, false),
    OP("declined", YW_MAP, declined, false),
    OP("user_action", YW_MAP, user_action, false),
    OP("show", YW_MAP, show, false),
    OP("pii", YW_LIST, pii, false),
};

static const struct check op_checks[] = {
    {"name", load_is_name, load_wants_name},
    {"method", is_method, "GET, POST, PUT, PATCH or DELETE"},
    {"product", load_is_name, load_wants_name},
    {"path", load_is_template, "a path such as /contacts/{id}"},
    {"text", load_is_text, "text"},
};

static const char *const kind_words[] = {
    [OP_WRITE] = "write", [OP_READ] = "read", [OP_AUTHORIZATION] = "authorization"};
const char *const load_body_words[LOAD_BODY_WORDS] = {
    [BODY_JSON] = "json", [BODY_FORM] = "form", [BODY_RAW] = "raw"};
static const char *const idem_words[] = {[IDEM_NONE] = "none",
                                         [IDEM_PAYLOAD] = "payload",
                                         [IDEM_BODY] = "body",
                                         [IDEM_HEADER] = "header"};

static void idempotency(struct loader *ld, const struct yaml_node *map, struct operation *op)
{
    static const struct yaml_field field[] = {
        {"by", YW_STR, offsetof(struct operation, name), true, 0, 0},
        {"at", YW_STR, offsetof(struct operation, idem_at), true, 0, 0},
        {"window", YW_DURATION, offsetof(struct operation, idem_window), true, 1, INT64_MAX},
    };
    struct operation got = {0};

    if (map == NULL)
        return;
    load_fields(ld, map, field, N(field), &got);
    op->idem = (enum idempotency)load_word(ld, map, "by", idem_words, N(idem_words));
    op->idem_at = got.idem_at;
    op->idem_window = got.idem_window;
    bool header = op->idem == IDEM_HEADER;
    if (op->idem == IDEM_NONE)
        COMPLAIN(ld, map, "idempotency: leave it out where there is none");
    if (!(header ? place_header_valid : place_pointer_valid)(str_c(got.idem_at)))
        COMPLAIN(ld, map, "idempotency: at: expected %s",
                 header ? load_wants_header : load_wants_pointer);
}

static void from_and_remember(struct loader *ld, const struct op_text *t, struct operation *op)
{
    static const struct yaml_field from[] = {
        {"kind", YW_STR, offsetof(struct operation, decide_kind), true, 0, 0},
        {"key", YW_STR, offsetof(struct operation, decide_key), true, 0, 0},
    };
    static const struct yaml_field remember[] = {
        {"kind", YW_STR, offsetof(struct operation, remember_kind), true, 0, 0},
        {"key", YW_STR, offsetof(struct operation, remember_key), true, 0, 0},
        {"at", YW_STR, offsetof(struct operation, remember_at), true, 0, 0},
    };
    static const struct check check[] = {{"kind", load_is_name, load_wants_name},
                                         {"key", place_pointer_valid, load_wants_pointer},
                                         {"at", place_pointer_valid, load_wants_pointer}};

    load_fields(ld, t->decide_from, from, N(from), op);
    load_fields(ld, t->remember, remember, N(remember), op);
    if (t->decide_from != NULL)
        load_check(ld, t->decide_from, check, 2);
    if (t->remember != NULL)
        load_check(ld, t->remember, check, 3);
    if (t->decide_from != NULL && op->decide_within == 0)
        COMPLAIN(ld, t->decide_from, "decide_from: means nothing without decide_within");
}

static void match_of(struct loader *ld, const struct yaml_node *map, struct match_values *ret)
{
    struct values {
        const char *at;
        const struct yaml_node *is;
    } got = {NULL, NULL};
    static const struct yaml_field field[] = {
        {"at", YW_STR, offsetof(struct values, at), true, 0, 0},
        {"is", YW_LIST, offsetof(struct values, is), true, 0, 0},
    };
    static const struct check at[] = {{"at", place_pointer_valid, load_wants_pointer}};
    static const struct check is = {"is", load_is_text, "text"};

    if (map == NULL)
        return;
    load_fields(ld, map, field, N(field), &got);
    load_check(ld, map, at, N(at));
    ret->at = got.at;
    load_list(ld, got.is, &is, &ret->value, &ret->n);
    if (got.is != NULL && got.is->n == 0)
        COMPLAIN(ld, got.is, "is: an empty list never holds");
}

static void show(struct loader *ld, const struct yaml_node *map, struct operation *op)
{
    static const struct yaml_field field[] = {
        {"amount", YW_STR, offsetof(struct operation, amount), false, 0, 0},
        {"currency", YW_STR, offsetof(struct operation, currency), false, 0, 0},
        {"payee", YW_STR, offsetof(struct operation, payee), false, 0, 0},
        {"rows", YW_STR, offsetof(struct operation, rows), false, 0, 0},
        {"account", YW_STR, offsetof(struct operation, account), false, 0, 0},
    };
    static const struct check check[] = {
        {"amount", place_pointer_valid, load_wants_pointer},
        {"currency", is_constant_or_pointer, "a JSON pointer, or a constant such as =USD"},
        {"payee", place_pointer_valid, load_wants_pointer},
        {"rows", place_pointer_valid, load_wants_pointer},
        {"account", place_pointer_valid, load_wants_pointer},
    };

    load_fields(ld, map, field, N(field), op);
    if (map != NULL)
        load_check(ld, map, check, N(check));
}

/* What only makes sense, or only is safe, together. */
static void check_operation(struct loader *ld, const struct yaml_node *map,
                            const struct operation *op)
{
    bool fills = op->n_body > 0 || op->idem == IDEM_BODY;
    const struct yaml_node *tier = yaml_get(map, "tier");

    if (!op->deny && tier == NULL)
        COMPLAIN(ld, map, "tier: missing");
    if (op->deny && tier != NULL)
        COMPLAIN(ld, map, "tier: a denied operation has none");
    if (operation_is_read(op) && op->kind != OP_READ)
        COMPLAIN(ld, map, "tags: `read` means that it may be sent again; its kind must be read");
    if (fills && op->format == BODY_RAW)
        COMPLAIN(ld, map, "inject: nothing can be put into a raw body");
    if (fills && op->method != NULL && strcmp(op->method, "GET") == 0)
        COMPLAIN(ld, map, "inject: a GET has no body");
    for (size_t i = 0; fills && op->format == BODY_FORM && i < op->n_body; i++) {
        if (strchr(op->body[i].place + 1, '/') != NULL)
            COMPLAIN(ld, map, "inject: a form has no places within places");
    }
}

static void operation(struct loader *ld, const struct yaml_node *map, struct operation *op)
{
    static const struct check tag = {"tags", load_is_name, load_wants_name};
    static const struct check pii = {"pii", place_pointer_valid, load_wants_pointer};
    static const struct check place = {"inject", place_pointer_valid, load_wants_pointer};
    struct op_text t = {.tier = -1};

    load_fields(ld, map, op_fields, N(op_fields), &t);
    if (map->kind != YAML_MAP)
        return;
    load_check(ld, map, op_checks, N(op_checks));
    *op = (struct operation){.name = t.name,
                             .method = t.method,
                             .path = t.path,
                             .product = t.product,
                             .text = t.text,
                             .line = map->line,
                             .tier = t.tier >= 0 && t.tier <= 3 ? (int)t.tier : 3,
                             .deny = t.deny,
                             .slash = t.slash,
                             .decide_within = t.decide_within,
                             .execute_within = t.execute_within};
    op->kind = (enum op_kind)load_word(ld, map, "kind", kind_words, N(kind_words));
    op->format = t.body == NULL ? ld->con->format
                                : (enum body_format)load_word(ld, map, "body", load_body_words,
                                                              N(load_body_words));
    load_list(ld, t.tags, &tag, &op->tag, &op->n_tags);
    load_list(ld, t.pii, &pii, &op->pii, &op->n_pii);
    load_injects(ld, t.inject, &place, &op->body, &op->n_body);
    idempotency(ld, t.idempotency, op);
    from_and_remember(ld, &t, op);
    match_of(ld, t.declined, &op->declined);
    match_of(ld, t.user_action, &op->user_action);
    show(ld, t.show, op);
    check_operation(ld, map, op);
}

static void check_twice(struct loader *ld, const struct yaml_node *node, size_t i)
{
    const struct operation *op = &ld->con->op[i];

    for (size_t j = 0; j < i && op->name != NULL && op->method != NULL && op->path != NULL; j++) {
        const struct operation *o = &ld->con->op[j];
        if (o->name == NULL || o->method == NULL || o->path == NULL)
            continue;
        if (strcmp(o->name, op->name) == 0)
            COMPLAIN(ld, node, "operation '%s' is already on line %d", op->name, o->line);
        else if (strcmp(o->method, op->method) == 0 && load_same_shape(o->path, op->path))
            COMPLAIN(ld, node, "%s %s is already the operation on line %d", op->method, op->path,
                     o->line);
    }
}

void load_operations(struct loader *ld, const struct yaml_node *node)
{
    struct connector *con = ld->con;

    if (node == NULL)
        return;
    con->op = arena_alloc(ld->arena, (node->n + 1) * sizeof *con->op);
    con->n_ops = con->op != NULL ? node->n : 0;
    for (size_t i = 0; i < con->n_ops; i++) {
        operation(ld, node->item[i], &con->op[i]);
        check_twice(ld, node->item[i], i);
    }
}
