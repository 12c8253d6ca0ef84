/* docs/openapi.yaml says what the program does: the same paths, methods, handlers and summaries as
 * http/route.def, every reference leads somewhere, every operation says how it may end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/yaml.h"

struct route {
    const char *method, *path, *handler, *text;
};
static const struct route routes[] = {
#define ROUTE(method, path, who, flags, cap_kib, takes, handler, text) \
    {#method, path, #handler, text},
#include "http/route.def"
#undef ROUTE
};
#define N_ROUTES (sizeof routes / sizeof routes[0])

static const char *const proxy_methods[] = {"get", "head", "post", "put", "patch", "delete"};
#define N_PROXY (sizeof proxy_methods / sizeof proxy_methods[0])

static int load(void **state)
{
    struct complaints c;
    struct yaml_doc *doc = NULL;
    complaints_init(&c);
    if (yaml_read_file("docs/openapi.yaml", &doc, &c) != ERR_OK)
        fail_msg("%.*s", (int)c.text.n, c.text.p);
    complaints_free(&c);
    *state = doc;
    return 0;
}

static int unload(void **state)
{
    yaml_free(*state);
    return 0;
}

static const struct yaml_node *part(void **state, const char *name)
{
    const struct yaml_node *n = yaml_get(yaml_root(*state), name);
    assert_non_null(n);
    return n;
}

/* "/proxy/{connection}/{path...}" as OpenAPI writes it. */
static void plain_path(const char *path, char out[128])
{
    size_t n = 0;
    for (; *path != '\0'; path++)
        if (strncmp(path, "...", 3) != 0)
            out[n++] = *path;
        else
            path += 2;
    out[n] = '\0';
    CS_ASSERT(n < 128);
}

static void check_operation(const struct yaml_node *at, const char *method, const struct route *r,
                            const char *id)
{
    char key[16];
    size_t i = 0;
    for (; method[i] != '\0'; i++)
        key[i] = (char)(method[i] | 0x20);
    key[i] = '\0';
    const struct yaml_node *op = yaml_get(at, key);
    if (op == NULL)
        fail_msg("%s %s is not in openapi.yaml", method, r->path);
    assert_true(str_eq_c(yaml_get(op, "operationId")->text, id));
    assert_true(str_eq_c(yaml_get(op, "summary")->text, r->text));
}

static void every_route_is_described(void **state)
{
    const struct yaml_node *paths = part(state, "paths");
    for (size_t i = 0; i < N_ROUTES; i++) {
        char path[128], id[64];
        plain_path(routes[i].path, path);
        const struct yaml_node *at = yaml_get(paths, path);
        if (at == NULL)
            fail_msg("%s is not in openapi.yaml", path);
        if (strcmp(routes[i].method, "ANY") != 0) {
            check_operation(at, routes[i].method, &routes[i], routes[i].handler);
            continue;
        }
        for (size_t k = 0; k < N_PROXY; k++) {
            (void)snprintf(id, sizeof id, "%s_%s", routes[i].handler, proxy_methods[k]);
            check_operation(at, proxy_methods[k], &routes[i], id);
        }
    }
}

static bool in_table(struct str path, struct str method)
{
    for (size_t i = 0; i < N_ROUTES; i++) {
        char plain[128];
        plain_path(routes[i].path, plain);
        if (str_eq_c(path, plain) && (str_eq_nocase(method, str_c(routes[i].method)) ||
                                      strcmp(routes[i].method, "ANY") == 0))
            return true;
    }
    return false;
}

static void nothing_else_is_described(void **state)
{
    const struct yaml_node *paths = part(state, "paths");
    for (size_t i = 0; i < paths->n; i++)
        for (size_t k = 0; k < paths->item[i]->n; k++) {
            struct str method = paths->item[i]->key[k]->text;
            if (!str_eq_c(method, "parameters") && !in_table(paths->key[i]->text, method))
                fail_msg("%.*s %.*s is no route", STR_FMT(method), STR_FMT(paths->key[i]->text));
        }
}

/* Statuses that belong to whole classes of routes. */
static void every_operation_says_how_it_ends(void **state)
{
    const struct yaml_node *paths = part(state, "paths");
    for (size_t i = 0; i < N_ROUTES; i++) {
        char path[128];
        plain_path(routes[i].path, path);
        const struct yaml_node *at = yaml_get(paths, path);
        for (size_t k = 0; k < at->n; k++) {
            if (str_eq_c(at->key[k]->text, "parameters"))
                continue;
            const struct yaml_node *answers = yaml_get(at->item[k], "responses");
            assert_non_null(answers);
            static const char *const always[] = {"400", "408", "431", "503"};
            for (size_t j = 0; j < sizeof always / sizeof always[0]; j++)
                assert_non_null(yaml_get(answers, always[j]));
            bool open = yaml_get(at->item[k], "security")->n == 0;
            assert_true(open ||
                        (yaml_get(answers, "401") != NULL && yaml_get(answers, "403") != NULL));
            if (yaml_get(at->item[k], "requestBody") != NULL)
                assert_true(yaml_get(answers, "413") != NULL && yaml_get(answers, "415") != NULL);
        }
    }
}

static const struct yaml_node *follow(const struct yaml_node *root, struct str ref)
{
    assert_true(str_starts(ref, STR("#/")));
    for (size_t at = 2, end; root != NULL && at < ref.n; at = end + 1) {
        char name[64];
        end = str_find(ref, '/', at);
        assert_true(str_copy(name, sizeof name, str_sub(ref, at, end)));
        root = yaml_get(root, name);
    }
    return root;
}

static size_t check_references(const struct yaml_node *root, const struct yaml_node *n)
{
    size_t found = 0;
    for (size_t i = 0; i < n->n; i++) {
        if (n->kind == YAML_MAP && str_eq_c(n->key[i]->text, "$ref")) {
            if (follow(root, n->item[i]->text) == NULL)
                fail_msg("%.*s leads nowhere", STR_FMT(n->item[i]->text));
            found++;
        }
        found += check_references(root, n->item[i]);
    }
    return found;
}

static void every_reference_leads_somewhere(void **state)
{
    assert_true(check_references(yaml_root(*state), yaml_root(*state)) > 100);
}

/* Each code of the catalogue that a client can see is named in the responses. */
static void every_code_is_named(void **state)
{
    static const struct {
        int http;
        const char *code;
    } codes[] = {
#define ERR(name, number, http, code, title) {http, code},
#include "base/err.def"
#undef ERR
    };
    const struct yaml_node *answers = yaml_get(part(state, "components"), "responses");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        bool named = codes[i].http == 0 || codes[i].http == 405;
        for (size_t k = 0; k < answers->n && !named; k++) {
            char *text = strndup(yaml_get(answers->item[k], "description")->text.p,
                                 yaml_get(answers->item[k], "description")->text.n);
            named = strstr(text, codes[i].code) != NULL;
            free(text);
        }
        if (!named)
            fail_msg("%s is not named in openapi.yaml", codes[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(nothing_else_is_described),
        cmocka_unit_test(every_operation_says_how_it_ends),
        cmocka_unit_test(every_reference_leads_somewhere),
        cmocka_unit_test(every_code_is_named),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
