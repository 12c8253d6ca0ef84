/* Checks and lists for the loader of connectors: see load.h. */
#include "connector/load.h"
#include "connector/place.h"
#include "connector/set.h"

const char load_wants_pointer[] = "a JSON pointer such as /account/id";
const char load_wants_header[] = "a header name in lower case";
const char load_wants_name[] = "a name of lower-case letters, digits, '.', '_', '-'";

/* --- checks of single texts ------------------------------------------------------------------ */

bool load_is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool inner = i > 0 && (c == '-' || c == '_' || c == '.');
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !inner)
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

bool load_is_text(struct str s)
{
    return s.n > 0 && s.n <= 4096 && memchr(s.p, '\0', s.n) == NULL;
}

void load_fields(struct loader *ld, const struct yaml_node *map, const struct yaml_field *t,
                 size_t n, void *out)
{
    /* whether anything was complained about is asked once, at the end */
    if (map != NULL && yaml_fields(ld->doc, map, t, n, out, ld->c) != ERR_OK)
        return;
}

void load_check(struct loader *ld, const struct yaml_node *map, const struct check *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct yaml_node *v = map->kind == YAML_MAP ? yaml_get(map, t[i].key) : NULL;
        if (v != NULL && v->kind == YAML_SCALAR && !t[i].ok(v->text))
            COMPLAIN(ld, v, "%s: expected %s", t[i].key, t[i].wanted);
    }
}

size_t load_word(struct loader *ld, const struct yaml_node *map, const char *key,
                 const char *const *words, size_t n)
{
    const struct yaml_node *v = yaml_get(map, key);
    if (v == NULL || v->kind != YAML_SCALAR)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(v->text, words[i]))
            return i;
    }
    COMPLAIN(ld, v, "%s: '%.*s' is none of its words", key, STR_FMT(v->text));
    return 0;
}

/* --- path templates -------------------------------------------------------------------------- */

/* "{id}" as a whole segment. */
static bool is_parameter(struct str segment)
{
    return segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}' &&
           load_is_name(str_sub(segment, 1, segment.n - 1));
}

/* Writes the template with every parameter's name replaced: two templates of one shape take the
 * same requests. False if it is no template. */
static bool template_shape(struct str s, const char *param, struct buf *out)
{
    for (size_t i = 0; i < s.n;) {
        size_t end = str_find(s, '/', i + 1);
        struct str segment = str_sub(s, i + 1, end);
        if (s.p[i] != '/')
            return false;
        buf_ch(out, '/');
        if (is_parameter(segment))
            buf_c(out, param);
        else
            buf_str(out, segment);
        i = end;
    }
    return s.n > 0 && buf_err(out) == ERR_OK;
}

/* With its parameters filled it must be a path that is already normal. */
bool load_is_template(struct str s)
{
    struct buf filled, normal;
    size_t params = 0;

    for (size_t i = 0; i < s.n; i++)
        params += s.p[i] == '{';
    buf_init(&filled, PATH_MAX_LEN);
    buf_init(&normal, PATH_MAX_LEN);
    bool ok = params <= CONNECTOR_PARAMS && template_shape(s, "x", &filled) &&
              path_normal(buf_view(&filled), false, &normal, NULL) == ERR_OK &&
              str_eq(buf_view(&filled), buf_view(&normal));
    buf_free(&filled);
    buf_free(&normal);
    return ok;
}

bool load_same_shape(const char *a, const char *b)
{
    struct buf x, y;

    buf_init(&x, PATH_MAX_LEN);
    buf_init(&y, PATH_MAX_LEN);
    bool same = template_shape(str_c(a), "{}", &x) && template_shape(str_c(b), "{}", &y) &&
                str_eq(buf_view(&x), buf_view(&y));
    buf_free(&x);
    buf_free(&y);
    return same;
}

/* --- lists ----------------------------------------------------------------------------------- */

void load_list(struct loader *ld, const struct yaml_node *node, const struct check *check,
               const char ***ret, size_t *ret_n)
{
    if (node == NULL)
        return;
    const char **out = arena_alloc(ld->arena, (node->n + 1) * sizeof *out);
    for (size_t i = 0; i < node->n && out != NULL; i++) {
        const struct yaml_node *v = node->item[i];
        if (v->kind != YAML_SCALAR || !check->ok(v->text))
            COMPLAIN(ld, v, "%s: expected %s", check->key, check->wanted);
        out[i] = arena_cstr(ld->arena, v->text);
    }
    *ret = out;
    *ret_n = out != NULL ? node->n : 0;
}

static bool in_list(struct str s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(s, list[i]))
            return true;
    }
    return false;
}

/* --- places that are filled from secrets ----------------------------------------------------- */

static void check_secrets(struct loader *ld, const struct yaml_node *v)
{
    const struct connector *con = ld->con;
    struct str rest = v->text, name;
    bool bad = false;

    while (place_name_next(&rest, &name, &bad)) {
        if (!in_list(name, con->secret, con->n_secrets) &&
            !in_list(name, con->optional_secret, con->n_optional_secrets))
            COMPLAIN(ld, v, "inject: the secret '%.*s' is not listed in `secrets`", STR_FMT(name));
    }
    if (bad)
        COMPLAIN(ld, v, "inject: stray brace");
    if (!place_text_safe(v->text))
        COMPLAIN(ld, v, "inject: not printable ASCII");
}

void load_injects(struct loader *ld, const struct yaml_node *node, const struct check *place,
                  struct inject **ret, size_t *ret_n)
{
    if (node == NULL)
        return;
    struct inject *out = arena_alloc(ld->arena, (node->n + 1) * sizeof *out);
    for (size_t i = 0; i < node->n && out != NULL; i++) {
        if (!place->ok(node->key[i]->text))
            COMPLAIN(ld, node->key[i], "inject: expected %s", place->wanted);
        if (node->item[i]->kind != YAML_SCALAR)
            COMPLAIN(ld, node->item[i], "inject: expected text");
        else
            check_secrets(ld, node->item[i]);
        out[i].place = arena_cstr(ld->arena, node->key[i]->text);
        out[i].value = arena_cstr(ld->arena, node->item[i]->text);
    }
    *ret = out;
    *ret_n = out != NULL ? node->n : 0;
}
