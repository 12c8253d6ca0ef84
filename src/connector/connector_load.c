/* Reads connectors from YAML. The tables here and in operation_load.c are the schema;
 * connectors/plaid.yaml explains it. A connector is trusted with credentials, so whatever is not
 * clearly right is refused, with its place in the file: unknown keys, two operations for one
 * request, places that name nothing, secrets that nobody said there would be. All complaints are
 * collected. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "connector/load.h"
#include "connector/place.h"
#include "connector/set.h"
#include "connector/url.h"

#define LISTS_MAX ((size_t)8 << 20) /* memory for one connector's lists */
#define SET_MAX 1024                /* connectors */

/* A connector as it stands in the file, where that is not where it goes. */
struct con_text {
    const char *body;
    const struct yaml_node *secrets, *optional_secrets, *inject, *drop, *pass_headers,
        *answer_headers, *errors, *repair, *ratelimit, *pending, *operations;
    int64_t version;
};

/* Both in one, for one table. */
struct con_read {
    struct connector con;
    struct con_text t;
};

#define CON(key, want, field, required)                             \
    {                                                               \
        key, want, offsetof(struct con_read, field), required, 0, 0 \
    }
static const struct yaml_field con_fields[] = {
    CON("version", YW_INT, t.version, true),
    CON("name", YW_STR, con.name, true),
    CON("title", YW_STR, con.title, true),
    CON("base_url", YW_STR, con.base_url, true),
    CON("agent_key_header", YW_STR, con.agent_key_header, false),
    CON("item_id", YW_STR, con.item_secret_id, false),
    CON("request_id", YW_STR, con.request_id, false),
    CON("body", YW_STR, t.body, false),
    CON("secrets", YW_LIST, t.secrets, true),
    CON("optional_secrets", YW_LIST, t.optional_secrets, false),
    CON("inject", YW_MAP, t.inject, false),
    CON("drop", YW_MAP, t.drop, false),
    CON("pass_headers", YW_LIST, t.pass_headers, false),
    CON("answer_headers", YW_LIST, t.answer_headers, false),
    CON("errors", YW_MAP, t.errors, false),
    CON("repair", YW_MAP, t.repair, false),
    CON("ratelimit", YW_MAP, t.ratelimit, false),
    CON("pending", YW_MAP, t.pending, false),
    CON("operations", YW_LIST, t.operations, true),
};

static bool is_version(struct str s)
{
    return str_eq(s, STR("1"));
}

static bool is_request_id(struct str s)
{
    return place_pointer_valid(s) || place_header_valid(s);
}

static bool is_unit(struct str s)
{
    return str_eq(s, STR("seconds")) || str_eq(s, STR("milliseconds")) || str_eq(s, STR("epoch"));
}

/* Headers that belong to the connection between two programs, to Countersign or to the body:
 * neither the agent's nor a connector's to set. */
static bool is_ours(struct str name)
{
    static const char *const ours[] = {
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "expect",
        "proxy-authorization",
        "proxy-connection",
        "cookie",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "accept-encoding",
    };
    for (size_t i = 0; i < N(ours); i++) {
        if (str_eq_c(name, ours[i]))
            return true;
    }
    return false;
}

static bool is_fillable_header(struct str s)
{
    return place_header_valid(s) && !is_ours(s);
}

static bool is_passable_header(struct str s)
{
    return is_fillable_header(s) && !str_eq(s, STR("authorization"));
}

/* --- sections -------------------------------------------------------------------------------- */

static void drops(struct loader *ld, const struct yaml_node *map)
{
    struct lists {
        const struct yaml_node *headers, *body;
    } got = {NULL, NULL};
    static const struct yaml_field field[] = {
        {"headers", YW_LIST, offsetof(struct lists, headers), false, 0, 0},
        {"body", YW_LIST, offsetof(struct lists, body), false, 0, 0},
    };
    static const struct check header = {"headers", place_header_valid, load_wants_header};
    static const struct check place = {"body", place_pointer_valid, load_wants_pointer};

    load_fields(ld, map, field, N(field), &got);
    load_list(ld, got.headers, &header, &ld->con->drop_header, &ld->con->n_drop_headers);
    load_list(ld, got.body, &place, &ld->con->drop_body, &ld->con->n_drop_body);
}

static void errors(struct loader *ld, const struct yaml_node *map)
{
    struct parts {
        const char *code, *type, *message;
        const struct yaml_node *reauth;
        bool in_2xx;
    } got = {NULL, NULL, NULL, NULL, false};
    static const struct yaml_field field[] = {
        {"code", YW_STR, offsetof(struct parts, code), true, 0, 0},
        {"type", YW_STR, offsetof(struct parts, type), false, 0, 0},
        {"message", YW_STR, offsetof(struct parts, message), false, 0, 0},
        {"reauth", YW_LIST, offsetof(struct parts, reauth), false, 0, 0},
        {"in_2xx", YW_BOOL, offsetof(struct parts, in_2xx), false, 0, 0},
    };
    static const struct check check[] = {{"code", place_pointer_valid, load_wants_pointer},
                                         {"type", place_pointer_valid, load_wants_pointer},
                                         {"message", place_pointer_valid, load_wants_pointer}};
    static const struct check code = {"reauth", load_is_text, "an error code or a status"};

    if (map == NULL)
        return;
    load_fields(ld, map, field, N(field), &got);
    load_check(ld, map, check, N(check));
    ld->con->error_code = got.code;
    ld->con->error_type = got.type;
    ld->con->error_message = got.message;
    ld->con->error_in_2xx = got.in_2xx;
    load_list(ld, got.reauth, &code, &ld->con->reauth, &ld->con->n_reauth);
}

static bool is_json_object(struct str text)
{
    json_t *v = NULL;
    bool ok = json_read(text, &v, NULL) == ERR_OK && json_is_object(v);

    json_decref(v);
    return ok;
}

static void repair(struct loader *ld, const struct yaml_node *map)
{
    static const struct yaml_field field[] = {
        {"operation", YW_STR, offsetof(struct connector, repair.operation), true, 0, 0},
        {"body", YW_STR, offsetof(struct connector, repair.body), true, 0, 0},
        {"url", YW_STR, offsetof(struct connector, repair.url), true, 0, 0},
        {"expires", YW_STR, offsetof(struct connector, repair.expires), false, 0, 0},
    };
    static const struct check check[] = {
        {"operation", load_is_text, "an operation's name"},
        {"body", is_json_object, "a JSON object"},
        {"url", place_pointer_valid, load_wants_pointer},
        {"expires", place_pointer_valid, load_wants_pointer},
    };

    if (map == NULL)
        return;
    load_fields(ld, map, field, N(field), ld->con);
    load_check(ld, map, check, N(check));
}

/* It is made without asking anybody, so it must be one that needs nobody. */
static void check_repair(struct loader *ld, const struct yaml_node *map)
{
    const char *name = ld->con->repair.operation;
    const struct operation *op = name != NULL ? connector_operation(ld->con, str_c(name)) : NULL;

    if (map != NULL && name != NULL && (op == NULL || op->deny || op->tier > 1))
        COMPLAIN(ld, map, "repair: operation: '%s' is no operation of tier 0 or 1 here", name);
}

static void ratelimit(struct loader *ld, const struct yaml_node *map)
{
    static const struct yaml_field field[] = {
        {"limit", YW_STR, offsetof(struct connector, ratelimit_limit), false, 0, 0},
        {"remaining", YW_STR, offsetof(struct connector, ratelimit_remaining), false, 0, 0},
        {"reset", YW_STR, offsetof(struct connector, ratelimit_reset), false, 0, 0},
        {"unit", YW_STR, offsetof(struct connector, ratelimit_unit), true, 0, 0},
    };
    static const struct check check[] = {
        {"limit", place_header_valid, load_wants_header},
        {"remaining", place_header_valid, load_wants_header},
        {"reset", place_header_valid, load_wants_header},
        {"unit", is_unit, "seconds, milliseconds or epoch"},
    };

    load_fields(ld, map, field, N(field), ld->con);
    if (map != NULL)
        load_check(ld, map, check, N(check));
}

/* Filled with something, is it JSON? */
static bool error_body_is_json(const struct connector *con)
{
    struct buf out;
    json_t *v = NULL;

    buf_init(&out, 0);
    bool ok = connector_error_body(con, "CODE", "a \"message\"", "act_0", &out) == ERR_OK &&
              json_read(buf_view(&out), &v, NULL) == ERR_OK && strstr(out.p, "${") == NULL;
    json_decref(v);
    buf_free(&out);
    return ok;
}

static void pending(struct loader *ld, const struct yaml_node *map)
{
    struct answer_text {
        int64_t status;
        const char *body;
    } got = {428, "{\"error\":\"${code}\",\"message\":\"${message}\",\"action\":\"${action}\"}"};
    static const struct yaml_field field[] = {
        {"status", YW_INT, offsetof(struct answer_text, status), false, 200, 599},
        {"body", YW_STR, offsetof(struct answer_text, body), false, 0, 0},
    };

    load_fields(ld, map, field, N(field), &got);
    ld->con->pending_status = (int)got.status;
    ld->con->error_body = got.body;
    if (map != NULL && !error_body_is_json(ld->con))
        COMPLAIN(ld, map,
                 "pending: body: not JSON once ${code}, ${message}, ${action} are filled in");
}

/* --- the connector --------------------------------------------------------------------------- */

static void lists(struct loader *ld, const struct con_text *t)
{
    static const struct check secret = {"secrets", load_is_name, load_wants_name};
    static const struct check header = {"inject", is_fillable_header,
                                        "a header that may be filled"};
    static const struct check pass = {"pass_headers", is_passable_header,
                                      "a header that may be passed"};
    static const struct check answer = {"answer_headers", place_header_valid, load_wants_header};
    struct connector *con = ld->con;

    load_list(ld, t->secrets, &secret, &con->secret, &con->n_secrets);
    load_list(ld, t->optional_secrets, &secret, &con->optional_secret, &con->n_optional_secrets);
    load_injects(ld, t->inject, &header, &con->header, &con->n_headers);
    load_list(ld, t->pass_headers, &pass, &con->pass_header, &con->n_pass_headers);
    load_list(ld, t->answer_headers, &answer, &con->answer_header, &con->n_answer_headers);
}

/* The header where agents put their key must never reach the provider. */
static void check_key_header(struct loader *ld, const struct yaml_node *root)
{
    const struct connector *con = ld->con;

    for (size_t i = 0; con->agent_key_header != NULL && i < con->n_pass_headers; i++) {
        if (strcmp(con->pass_header[i], con->agent_key_header) == 0)
            COMPLAIN(ld, root, "pass_headers: %s is where agents put their key",
                     con->agent_key_header);
    }
}

/* connectors/NAME.yaml holds connector NAME. */
static bool is_named_after(const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    struct str base = str_c(slash != NULL ? slash + 1 : file);

    return str_ends(base, STR(".yaml")) && str_eq_c(str_sub(base, 0, base.n - 5), name);
}

static void read_root(struct loader *ld, const struct yaml_node *root)
{
    static const struct check check[] = {
        {"version", is_version, "1, which is what this program reads"},
        {"name", load_is_name, load_wants_name},
        {"title", load_is_text, "text"},
        {"base_url", url_is_base, "http(s)://host[:port][/path], no user, query or trailing slash"},
        {"agent_key_header", place_header_valid, load_wants_header},
        {"item_id", load_is_name, load_wants_name},
        {"request_id", is_request_id, "a JSON pointer or a header name in lower case"},
    };
    struct con_read got = {.t = {.version = 0}};

    load_fields(ld, root, con_fields, N(con_fields), &got);
    if (root->kind != YAML_MAP)
        return;
    load_check(ld, root, check, N(check));
    *ld->con = got.con;
    ld->con->file = yaml_name(ld->doc);
    if (got.con.name != NULL && !is_named_after(ld->con->file, got.con.name))
        COMPLAIN(ld, root, "name: connector '%s' belongs into %s.yaml", got.con.name, got.con.name);
    ld->con->format =
        (enum body_format)load_word(ld, root, "body", load_body_words, LOAD_BODY_WORDS);
    lists(ld, &got.t);
    drops(ld, got.t.drop);
    errors(ld, got.t.errors);
    repair(ld, got.t.repair);
    ratelimit(ld, got.t.ratelimit);
    pending(ld, got.t.pending);
    check_key_header(ld, root);
    load_operations(ld, got.t.operations);
    check_repair(ld, got.t.repair);
}

static void loaded_free(struct loaded *l)
{
    if (l == NULL)
        return;
    yaml_free(l->doc);
    arena_free(l->arena);
    free(l);
}

/* Takes over doc. */
static int load(struct yaml_doc *doc, struct loaded **ret, struct complaints *c)
{
    size_t before = c->n;
    struct loaded *l = calloc(1, sizeof *l);

    if (l == NULL) {
        yaml_free(doc);
        return ERR_NOMEM;
    }
    l->doc = doc;
    l->arena = arena_new(LISTS_MAX);
    struct loader ld = {.doc = doc, .arena = l->arena, .c = c, .con = &l->con};
    int r = l->arena == NULL ? ERR_NOMEM : ERR_OK;
    if (r == ERR_OK) {
        read_root(&ld, yaml_root(doc));
        hash_text(l->con.digest, yaml_bytes(doc));
        r = arena_overflowed(l->arena) ? ERR_NOMEM : c->n > before ? ERR_CONFIG : ERR_OK;
    }
    if (r != ERR_OK) {
        loaded_free(l);
        return r;
    }
    *ret = l;
    return ERR_OK;
}

/* --- sets ------------------------------------------------------------------------------------ */

static int add(struct connectors *set, struct loaded *l)
{
    struct loaded **item = realloc(set->item, (set->n + 1) * sizeof(struct loaded *));
    if (item == NULL) {
        loaded_free(l);
        return ERR_NOMEM;
    }
    set->item = item;
    set->item[set->n++] = l;
    return ERR_OK;
}

static int digest(struct connectors *set)
{
    struct buf all;

    buf_init(&all, 0);
    for (size_t i = 0; i < set->n; i++)
        buf_printf(&all, "%s %s\n", set->item[i]->con.name, set->item[i]->con.digest);
    int r = buf_err(&all);
    if (r == ERR_OK)
        hash_text(set->digest, buf_view(&all));
    buf_free(&all);
    return r;
}

void connectors_free(struct connectors *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n; i++)
        loaded_free(set->item[i]);
    free(set->item);
    free(set);
}

int connectors_read(const char *file, struct str text, struct connectors **ret,
                    struct complaints *c)
{
    struct yaml_doc *doc = NULL;
    struct loaded *l = NULL;
    struct connectors *set = calloc(1, sizeof *set);
    int r = set == NULL ? ERR_NOMEM : yaml_read(file, text, &doc, c);

    if (r != ERR_OK || (r = load(doc, &l, c)) != ERR_OK || (r = add(set, l)) != ERR_OK ||
        (r = digest(set)) != ERR_OK) {
        connectors_free(set);
        return r;
    }
    *ret = set;
    return ERR_OK;
}

static int load_file(struct connectors *set, const char *dir, const char *name,
                     struct complaints *c)
{
    char path[4096];
    struct yaml_doc *doc = NULL;
    struct loaded *l = NULL;

    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof path) {
        complain(c, dir, 0, 0, "%s: the path is too long", name);
        return ERR_CONFIG;
    }
    int r = yaml_read_file(path, &doc, c);
    if (r == ERR_OK)
        r = load(doc, &l, c);
    return r == ERR_OK ? add(set, l) : r;
}

static int is_yaml(const struct dirent *e)
{
    return e->d_name[0] != '.' && str_ends(str_c(e->d_name), STR(".yaml"));
}

/* In name order by bytes, whatever the locale: the digest depends on it. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Reads them all, so that all complaints are seen; the first error is the result. */
static int load_files(struct connectors *set, const char *dir, struct dirent *const *entry, int n,
                      struct complaints *c)
{
    int r = ERR_OK;
    for (int i = 0; i < n; i++) {
        int e = load_file(set, dir, entry[i]->d_name, c);
        r = r == ERR_OK ? e : r;
    }
    return r == ERR_OK ? digest(set) : r;
}

int connectors_load(const char *dir, struct connectors **ret, struct complaints *c)
{
    struct dirent **entry = NULL;
    struct connectors *set = calloc(1, sizeof *set);
    int n = scandir(dir, &entry, is_yaml, by_name);
    int r = ERR_CONFIG;

    if (n <= 0 || n > SET_MAX)
        complain(c, dir, 1, 1, "%s", n < 0 ? strerror(errno) : "no connectors, or too many");
    else
        r = set != NULL ? load_files(set, dir, entry, n, c) : ERR_NOMEM;
    for (int i = 0; i < n; i++)
        free(entry[i]);
    free(entry);
    if (r != ERR_OK) {
        connectors_free(set);
        return r;
    }
    *ret = set;
    return ERR_OK;
}
