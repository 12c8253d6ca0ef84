/* Writes JSON values as RFC 8785 writes them: shortest escapes, shortest numbers, no white space.
 */
#include "base/json_emit.h"

#include <math.h>
#include <stdlib.h>

#include "base/canon.h"

/* What json_read accepts may be wrapped in a few levels of our own. */
enum { EMIT_DEPTH = 2 * JSON_DEPTH, FEW_MEMBERS = 32 };

#define MAX_INTEGER INT64_C(9007199254740991)

struct emit {
    struct buf *out;
    bool sorted;
    unsigned depth;
};

struct member {
    struct str name;
    const json_t *value;
};

static int emit_value(struct emit *e, const json_t *v);

/* UTF-8 orders like UTF-16 but for U+E000..U+FFFF (lead bytes EE and EF), which UTF-16 puts behind
 * the surrogates of all that is above (lead bytes F0 to F4). Continuation bytes are never EE or EF.
 */
static unsigned utf16_rank(char c)
{
    unsigned u = (unsigned char)c;
    return u == 0xee || u == 0xef ? u + 0x10 : u;
}

static int by_utf16(const void *va, const void *vb)
{
    struct str a = ((const struct member *)va)->name, b = ((const struct member *)vb)->name;
    for (size_t i = 0; i < a.n && i < b.n; i++)
        if (a.p[i] != b.p[i])
            return utf16_rank(a.p[i]) < utf16_rank(b.p[i]) ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

static void sort_members(struct member *m, size_t n)
{
    if (n > FEW_MEMBERS) {
        qsort(m, n, sizeof *m, by_utf16);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct member moved = m[i];
        size_t j = i;
        for (; j > 0 && by_utf16(&m[j - 1], &moved) > 0; j--)
            m[j] = m[j - 1];
        m[j] = moved;
    }
}

/* jansson takes iterators of const objects by a non-const pointer; nothing is changed. */
static void collect(const json_t *object, struct member *m)
{
    union {
        const json_t *in;
        json_t *out;
    } same = {.in = object};
    for (void *it = json_object_iter(same.out); it; it = json_object_iter_next(same.out, it)) {
        m->name = (struct str){json_object_iter_key(it), json_object_iter_key_len(it)};
        m->value = json_object_iter_value(it);
        m++;
    }
}

static int emit_members(struct emit *e, const struct member *m, size_t n)
{
    buf_ch(e->out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_ch(e->out, ',');
        json_escape(e->out, m[i].name);
        buf_ch(e->out, ':');
        int r = emit_value(e, m[i].value);
        if (r)
            return r;
    }
    buf_ch(e->out, '}');
    return 0;
}

static int emit_object(struct emit *e, const json_t *v)
{
    struct member few[FEW_MEMBERS], *m = few;
    size_t n = json_object_size(v);
    if (n > FEW_MEMBERS)
        m = malloc(n * sizeof *m);
    if (!m)
        return ERR_NOMEM;
    collect(v, m);
    if (e->sorted)
        sort_members(m, n);
    int r = emit_members(e, m, n);
    if (m != few)
        free(m);
    return r;
}

static int emit_array(struct emit *e, const json_t *v)
{
    buf_ch(e->out, '[');
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (i > 0)
            buf_ch(e->out, ',');
        int r = emit_value(e, json_array_get(v, i));
        if (r)
            return r;
    }
    buf_ch(e->out, ']');
    return 0;
}

static int emit_integer(struct emit *e, int64_t v)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t left = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
    if (left > (uint64_t)MAX_INTEGER)
        return ERR_NUMBER_RANGE;
    do {
        *--p = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (v < 0)
        *--p = '-';
    buf_put(e->out, p, (size_t)(digits + sizeof digits - p));
    return 0;
}

/* Below 1e21 a double without a fraction is laid out as an integer, and bound as one. */
static int emit_real(struct emit *e, double v)
{
    char number[CANON_NUMBER];
    if (fabs(v) > (double)MAX_INTEGER && fabs(v) < 1e21)
        return ERR_NUMBER_RANGE;
    canon_number(number, v);
    buf_c(e->out, number);
    return 0;
}

static int emit_nested(struct emit *e, const json_t *v)
{
    if (e->depth == EMIT_DEPTH)
        return ERR_MALFORMED;
    e->depth++;
    int r = json_is_object(v) ? emit_object(e, v) : emit_array(e, v);
    e->depth--;
    return r;
}

static int emit_value(struct emit *e, const json_t *v)
{
    CS_ASSERT(v);
    switch (json_typeof(v)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return emit_nested(e, v);
    case JSON_STRING:
        json_escape(e->out, json_text(v));
        return 0;
    case JSON_INTEGER:
        return emit_integer(e, json_integer_value(v));
    case JSON_REAL:
        return emit_real(e, json_real_value(v));
    case JSON_TRUE:
        buf_c(e->out, "true");
        return 0;
    case JSON_FALSE:
        buf_c(e->out, "false");
        return 0;
    case JSON_NULL:
        buf_c(e->out, "null");
        return 0;
    }
    cs_bug(__FILE__, __LINE__, "a JSON value of unknown type");
}

int json_emit(const json_t *v, bool sorted, struct buf *out)
{
    struct emit e = {.out = out, .sorted = sorted};
    int r = emit_value(&e, v);
    return r ? r : buf_err(out);
}
