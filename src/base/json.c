/* Reading JSON text, taking objects apart by a table, pointers into values, the one escaper. */
#include "base/json.h"

#include <math.h>

#include "base/json_emit.h"
#include "base/json_scan.h"

#define MAX_INTEGER INT64_C(9007199254740991)

/* jansson refuses nothing that the scan let through, unless memory is out; its duplicate check
 * stays on, since two checks that agree cost little and one that errs costs much. */
int json_read(struct str text, json_t **ret, struct fail *f)
{
    json_error_t e;
    int r = json_scan(text, f);
    if (r)
        return r;
    json_t *v = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!v && json_error_code(&e) == json_error_out_of_memory)
        return fail_at(f, ERR_NOMEM, e.position, "out of memory");
    if (!v)
        return fail_at(f, ERR_MALFORMED, e.position, "%s", e.text);
    *ret = v;
    return 0;
}

int json_write(const json_t *v, struct buf *out)
{
    return json_emit(v, false, out);
}

/* --- escaping ------------------------------------------------------------------------------- */

static bool plain(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 0x20 && u < 0x80 && u != '"' && u != '\\';
}

static void put_special(struct buf *out, unsigned char c)
{
    static const char control[] = "\b\t\n\f\r\"\\", letter[] = "btnfr\"\\";
    const char *hit = c ? strchr(control, c) : NULL;
    char hex[3];
    if (hit) {
        buf_put(out, (const char[]){'\\', letter[hit - control]}, 2);
        return;
    }
    hex_encode(hex, &c, 1);
    buf_c(out, "\\u00");
    buf_put(out, hex, 2);
}

void json_escape(struct buf *out, struct str s)
{
    buf_ch(out, '"');
    for (size_t i = 0, k; i < s.n; i += k) {
        for (k = 0; i + k < s.n && plain(s.p[i + k]); k++)
            continue;
        if (k > 0) {
            buf_put(out, s.p + i, k);
        } else if ((unsigned char)s.p[i] < 0x80) {
            put_special(out, (unsigned char)s.p[i]);
            k = 1;
        } else if ((k = utf8_step(s, i)) > 0) {
            buf_put(out, s.p + i, k);
        } else {
            buf_c(out, "\xef\xbf\xbd");
            k = 1;
        }
    }
    buf_ch(out, '"');
}

/* --- objects by a table --------------------------------------------------------------------- */

static int wrong(struct fail *f, const struct json_field *field, const char *expected)
{
    return fail_field(f, ERR_MALFORMED, field->name, "expected %s", expected);
}

static int take_text(const json_t *v, const struct json_field *field, struct fail *f)
{
    if (!json_is_string(v))
        return wrong(f, field, "a string");
    struct str s = json_text(v);
    if (field->max > 0 && s.n > field->max)
        return fail_field(f, ERR_MALFORMED, field->name, "longer than %zu bytes", field->max);
    *(struct str *)field->at = s;
    return 0;
}

/* 20, 20.0 and 2e1 are one number: their canonical form is the same. */
static int take_integer(const json_t *v, const struct json_field *field, struct fail *f)
{
    double d = json_number_value(v);
    if (!json_is_number(v) || d < 0 || d > (double)MAX_INTEGER || floor(d) < d)
        return wrong(f, field, "a whole number, not negative");
    int64_t i = (int64_t)d;
    if (field->max > 0 && (uint64_t)i > field->max)
        return fail_field(f, ERR_MALFORMED, field->name, "larger than %zu", field->max);
    *(int64_t *)field->at = i;
    return 0;
}

static int take(json_t *v, const struct json_field *field, struct fail *f)
{
    switch (field->want) {
    case JSON_WANT_STR:
        return take_text(v, field, f);
    case JSON_WANT_INT:
        return take_integer(v, field, f);
    case JSON_WANT_BOOL:
        if (!json_is_boolean(v))
            return wrong(f, field, "true or false");
        *(bool *)field->at = json_is_true(v);
        return 0;
    case JSON_WANT_OBJ:
        if (!json_is_object(v))
            return wrong(f, field, "an object");
        break;
    case JSON_WANT_ARR:
        if (!json_is_array(v))
            return wrong(f, field, "an array");
        break;
    case JSON_WANT_ANY:
        break;
    }
    *(json_t **)field->at = v;
    return 0;
}

static bool in_table(const char *name, const struct json_field *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0)
            return true;
    return false;
}

/* jansson takes what it only looks at by non-const pointers too. */
static json_t *unconst(const json_t *v)
{
    union {
        const json_t *in;
        json_t *out;
    } same = {.in = v};
    return same.out;
}

static int refuse_others(const json_t *obj, const struct json_field *t, size_t n, struct fail *f)
{
    json_t *o = unconst(obj);
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        const char *name = json_object_iter_key(it);
        if (!in_table(name, t, n))
            return fail_field(f, ERR_UNKNOWN_FIELD, name, "the field is not known here");
    }
    return 0;
}

int json_fields(const json_t *obj, const struct json_field *t, size_t n, struct fail *f)
{
    if (!json_is_object(obj))
        return fail_set(f, ERR_MALFORMED, "expected a JSON object");
    int r = refuse_others(obj, t, n, f);
    for (size_t i = 0; i < n && !r; i++) {
        json_t *v = json_object_get(obj, t[i].name);
        if (v && (!json_is_null(v) || t[i].want == JSON_WANT_ANY))
            r = take(v, &t[i], f);
        else if (t[i].required)
            r = fail_field(f, ERR_MALFORMED, t[i].name, "the field is missing");
    }
    return r;
}

struct str json_text(const json_t *v)
{
    return json_is_string(v) ? (struct str){json_string_value(v), json_string_length(v)} : STR("");
}

/* --- pointers ------------------------------------------------------------------------------- */

/* Undoes "~1" and "~0"; false on any other '~'. */
static bool unescape(struct str token, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] != '~') {
            buf_ch(out, token.p[i]);
            continue;
        }
        i++;
        if (i == token.n || (token.p[i] != '0' && token.p[i] != '1'))
            return false;
        buf_ch(out, token.p[i] == '0' ? '~' : '/');
    }
    return buf_err(out) == 0;
}

static json_t *child(const json_t *v, struct str token, struct buf *scratch)
{
    uint64_t index;
    if (json_is_array(v))
        return str_u64(token, &index) ? json_array_get(v, index) : NULL;
    if (!json_is_object(v) || !unescape(token, scratch))
        return NULL;
    struct str name = buf_view(scratch);
    return json_object_getn(v, name.p, name.n);
}

json_t *json_at(const json_t *v, struct str pointer)
{
    struct buf scratch = {0};
    json_t *found = unconst(v);
    for (size_t at = 0, end; found && at < pointer.n; at = end) {
        end = str_find(pointer, '/', at + 1);
        found = pointer.p[at] == '/' ? child(found, str_sub(pointer, at + 1, end), &scratch) : NULL;
    }
    buf_free(&scratch);
    return found;
}
