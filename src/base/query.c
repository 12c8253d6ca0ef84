/* Query strings as lists of pairs, in order. What is judged is what query_write makes of the pairs
 * later, so spellings may vary, but nothing that decodes in two ways is let in. */
#include "base/path.h"

#include "base/json.h"

enum { PAIRS_MAX = 256 };

static int refuse(struct fail *f, size_t position, const char *what)
{
    return fail_at(f, ERR_UNSAFE_PATH, (long)position, "%s", what);
}

/* Decodes raw[from..to) once. */
static int decode(struct str raw, size_t from, size_t to, struct buf *out, struct fail *f)
{
    buf_clear(out);
    for (size_t i = from; i < to; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int v = hex_pair(str_sub(raw, 0, to), i + 1);
            if (v < 0)
                return refuse(f, i, "a percent sign without two hex digits");
            if (v == 0)
                return refuse(f, i, "NUL is not allowed in a query");
            c = (char)v;
            i += 2;
        } else if (c <= 0x20 || c >= 0x7f || c == '#') {
            return refuse(f, i, "a character that must be percent-encoded");
        } else if (c == '+') {
            c = ' ';
        }
        buf_ch(out, c);
    }
    if (!utf8_valid(buf_view(out)))
        return refuse(f, from, "escapes that are not UTF-8");
    return buf_err(out);
}

/* Adds the pair in raw[from..to); "name" alone is "name=". */
static int add_pair(struct str raw, size_t from, size_t to, json_t *pairs, struct buf *scratch,
                    struct fail *f)
{
    struct str pair = str_sub(raw, 0, to);
    size_t equals = str_find(pair, '=', from);
    json_t *entry = json_array();
    int r = json_array_append_new(pairs, entry) ? ERR_NOMEM : 0;
    for (int part = 0; part < 2 && !r; part++) {
        size_t start = part == 0 ? from : equals + 1, end = part == 0 ? equals : to;
        r = decode(raw, start < end ? start : end, end, scratch, f);
        struct str text = buf_view(scratch);
        if (!r && json_array_append_new(entry, json_stringn(text.p, text.n)))
            r = ERR_NOMEM;
    }
    return r;
}

/* Nothing between two '&' is no pair, as browsers and servers have it. */
int query_parse(struct str raw, json_t **ret, struct fail *f)
{
    json_t *pairs = json_array();
    struct buf scratch = {0};
    int r = pairs ? 0 : ERR_NOMEM;
    for (size_t at = 0, end; at < raw.n && !r; at = end + 1) {
        end = str_find(raw, '&', at);
        if (end == at)
            continue;
        if (json_array_size(pairs) == PAIRS_MAX)
            r = refuse(f, at, "more than 256 pairs in a query");
        else
            r = add_pair(raw, at, end, pairs, &scratch, f);
    }
    if (!r) {
        *ret = pairs;
        pairs = NULL;
    }
    json_decref(pairs);
    buf_free(&scratch);
    if (r == ERR_NOMEM)
        return fail_set(f, ERR_NOMEM, "out of memory");
    return r;
}

static void encode(struct buf *out, struct str s)
{
    static const char digit[] = "0123456789ABCDEF";
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c != 0 && strchr(plain, c))
            buf_ch(out, (char)c);
        else
            buf_put(out, (const char[]){'%', digit[c >> 4], digit[c & 15]}, 3);
    }
}

int query_write(const json_t *pairs, struct buf *out)
{
    size_t i;
    json_t *pair;
    if (!json_is_array(pairs) || json_array_size(pairs) > PAIRS_MAX)
        return ERR_MALFORMED;
    json_array_foreach(pairs, i, pair)
    {
        struct str name = json_text(json_array_get(pair, 0)),
                   value = json_text(json_array_get(pair, 1));
        if (json_array_size(pair) != 2 || !json_is_string(json_array_get(pair, 0)) ||
            !json_is_string(json_array_get(pair, 1)) || str_find(name, 0, 0) != name.n ||
            str_find(value, 0, 0) != value.n)
            return ERR_MALFORMED;
    }
    json_array_foreach(pairs, i, pair)
    {
        if (i > 0)
            buf_ch(out, '&');
        encode(out, json_text(json_array_get(pair, 0)));
        buf_ch(out, '=');
        encode(out, json_text(json_array_get(pair, 1)));
    }
    return buf_err(out);
}
