/* Places in requests: see place.h. Matching is exact on decoded keys; nothing here guesses at
 * spelling or case. */
#include "connector/place.h"

static bool header_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool place_header_valid(struct str s)
{
    if (s.n == 0 || s.n > 64)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!header_char(s.p[i]))
            return false;
    }
    return true;
}

bool place_text_safe(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    }
    return true;
}

bool place_pointer_valid(struct str s)
{
    if (s.n < 2 || s.n > PLACE_MAX || s.p[0] != '/' || memchr(s.p, '\0', s.n) != NULL)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '~' && (i + 1 == s.n || (s.p[i + 1] != '0' && s.p[i + 1] != '1')))
            return false;
    }
    return true;
}

/* Takes one step off the front of a valid pointer, undoing ~0 and ~1. */
static bool step_next(struct str *rest, char step[PLACE_MAX])
{
    if (rest->n == 0 || rest->n > PLACE_MAX)
        return false;
    size_t end = str_find(*rest, '/', 1);
    size_t n = 0;
    for (size_t i = 1; i < end; i++) {
        char c = rest->p[i];
        if (c == '~' && i + 1 < end)
            c = rest->p[++i] == '1' ? '/' : '~';
        step[n++] = c;
    }
    step[n] = '\0';
    *rest = str_sub(*rest, end, rest->n);
    return true;
}

static bool list_index(const char *step, size_t *ret)
{
    uint64_t i;
    if (!str_u64(str_c(step), &i))
        return false;
    *ret = (size_t)i;
    return true;
}

static json_t *child(const json_t *v, const char *step)
{
    size_t i;
    if (json_is_object(v))
        return json_object_get(v, step);
    if (json_is_array(v) && list_index(step, &i))
        return json_array_get(v, i);
    return NULL;
}

void place_drop(json_t *body, struct str pointer)
{
    json_t *parent = body;
    struct str rest = pointer;
    char step[PLACE_MAX];

    while (step_next(&rest, step) && rest.n > 0) {
        parent = child(parent, step);
    }
    size_t i;
    if (json_is_object(parent)) {
        (void)json_object_del(parent, step);
    } else if (json_is_array(parent) && list_index(step, &i)) {
        while (json_array_remove(parent, i) == 0) {
            /* the next element now stands at this place */
        }
    }
}

/* Puts value (reference taken over) under a step of v. */
static int put(json_t *v, const char *step, json_t *value)
{
    size_t i;
    int r = -1;
    if (json_is_object(v)) {
        r = json_object_set_new(v, step, value);
        return r == 0 ? ERR_OK : ERR_NOMEM;
    }
    if (json_is_array(v) && list_index(step, &i) && i <= json_array_size(v)) {
        r = i < json_array_size(v) ? json_array_set_new(v, i, value)
                                   : json_array_append_new(v, value);
        return r == 0 ? ERR_OK : ERR_NOMEM;
    }
    json_decref(value);
    return ERR_MALFORMED;
}

int place_set(json_t *body, struct str pointer, json_t *value)
{
    json_t *at = body;
    struct str rest = pointer;
    char step[PLACE_MAX];

    while (step_next(&rest, step) && rest.n > 0) {
        json_t *next = child(at, step);
        if (next == NULL) {
            bool list = str_eq(rest, STR("/0")) || str_starts(rest, STR("/0/"));
            int r = put(at, step, list ? json_array() : json_object());
            if (r != ERR_OK) {
                json_decref(value);
                return r;
            }
            next = child(at, step);
        }
        at = next;
    }
    return put(at, step, value);
}

/* The name that a pointer of one step means in a form. */
static bool form_name(struct str pointer, char name[PLACE_MAX])
{
    struct str rest = pointer;
    return step_next(&rest, name) && rest.n == 0;
}

bool place_form_drop(json_t *pairs, struct str pointer)
{
    char name[PLACE_MAX];
    bool any = false;

    if (!form_name(pointer, name))
        return false;
    for (size_t i = json_array_size(pairs); i > 0; i--) {
        struct str key = json_text(json_array_get(json_array_get(pairs, i - 1), 0));
        if (str_eq_c(key, name)) {
            (void)json_array_remove(pairs, i - 1);
            any = true;
        }
    }
    return any;
}

int place_form_set(json_t *pairs, struct str pointer, struct str value)
{
    char name[PLACE_MAX];

    if (!form_name(pointer, name))
        return ERR_MALFORMED;
    (void)place_form_drop(pairs, pointer);
    json_t *pair = json_pack("[s, s%]", name, value.p, value.n);
    return pair != NULL && json_array_append_new(pairs, pair) == 0 ? ERR_OK : ERR_NOMEM;
}

bool place_name_next(struct str *rest, struct str *name, bool *bad)
{
    size_t open = str_find(*rest, '{', 0);
    size_t close = str_find(*rest, '}', 0);

    *bad = false;
    if (open == rest->n && close == rest->n)
        return false;
    if (open >= close || close == rest->n || close == open + 1) {
        *bad = true;
        return false;
    }
    *name = str_sub(*rest, open + 1, close);
    *bad = str_find(*name, '{', 0) < name->n;
    *rest = str_sub(*rest, close + 1, rest->n);
    return !*bad;
}

int place_fill(const char *text, const json_t *secrets, struct buf *out, struct fail *f)
{
    struct str rest = str_c(text), name;
    const char *from = rest.p;
    bool bad;

    while (place_name_next(&rest, &name, &bad)) {
        char key[64];
        if (!str_copy(key, sizeof key, name))
            return fail_set(f, ERR_K_CREDENTIAL, "a secret's name is too long");
        struct str value = json_text(json_object_get(secrets, key));
        if (value.n == 0)
            return fail_field(f, ERR_K_CREDENTIAL, key, "the connection has no such secret");
        buf_put(out, from, (size_t)(name.p - 1 - from));
        buf_str(out, value);
        from = rest.p;
    }
    buf_str(out, rest);
    return buf_err(out);
}
