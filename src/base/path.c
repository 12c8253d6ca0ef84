/* The path of a request target: one walk that copies what is safe and refuses the rest. Whatever a
 * proxy, a framework or a file system is known to read differently (dot segments, doubled slashes,
 * backslashes, parameters, encoded separators, overlong UTF-8, characters that URL libraries encode
 * or do not) has no normal form here. */
#include "base/path.h"

struct walk {
    struct str raw;
    size_t at;
    bool slash_ok;
    struct fail *f;
    char out[PATH_MAX_LEN];
    size_t n;
    char decoded[PATH_MAX_LEN]; /* the present segment, to see whether it is UTF-8 */
    size_t decoded_n;
};

static int refuse(const struct walk *w, const char *what)
{
    return fail_at(w->f, ERR_UNSAFE_PATH, (long)w->at, "%s", what);
}

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* RFC 3986 pchar without escapes and without ';', which some servers take as parameters. */
static bool literal(unsigned char c)
{
    return unreserved(c) || (c != 0 && strchr("!$&'()*+,=:@", c));
}

/* "%2f" is let through as a part of a segment where the caller asks for it. */
static const char *bad_escape(unsigned char c, bool slash_ok)
{
    if (c < 0x20 || c == 0x7f)
        return "an encoded control character";
    if (c == '.')
        return "an encoded dot";
    if (c == '\\')
        return "an encoded backslash";
    if (c == '%')
        return "a percent sign encoded again";
    if (c == '/' && !slash_ok)
        return "an encoded slash";
    return NULL;
}

static int take_escape(struct walk *w)
{
    static const char digit[] = "0123456789ABCDEF";
    int v = hex_pair(w->raw, w->at + 1);
    if (v < 0)
        return refuse(w, "a percent sign without two hex digits");
    unsigned char c = (unsigned char)v;
    const char *bad = bad_escape(c, w->slash_ok);
    if (bad)
        return refuse(w, bad);
    w->decoded[w->decoded_n++] = (char)c;
    if (unreserved(c)) {
        w->out[w->n++] = (char)c;
    } else {
        w->out[w->n++] = '%';
        w->out[w->n++] = digit[c >> 4];
        w->out[w->n++] = digit[c & 15];
    }
    w->at += 3;
    return 0;
}

static int take_literal(struct walk *w)
{
    unsigned char c = (unsigned char)w->raw.p[w->at];
    if (c == '\\')
        return refuse(w, "a backslash");
    if (c == ';')
        return refuse(w, "path parameters");
    if (c == '#' || c == '?')
        return refuse(w, "a path ends before '?' and '#'");
    if (!literal(c))
        return refuse(w, "a character that must be percent-encoded");
    w->out[w->n++] = w->decoded[w->decoded_n++] = (char)c;
    w->at++;
    return 0;
}

static int take_segment(struct walk *w)
{
    size_t from = w->n;
    w->decoded_n = 0;
    while (w->at < w->raw.n && w->raw.p[w->at] != '/') {
        int r = w->raw.p[w->at] == '%' ? take_escape(w) : take_literal(w);
        if (r)
            return r;
    }
    struct str segment = {w->out + from, w->n - from};
    if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
        return refuse(w, "a dot segment");
    if (!utf8_valid((struct str){w->decoded, w->decoded_n}))
        return refuse(w, "escapes that are not UTF-8");
    return 0;
}

/* A segment is empty only behind the last slash: for "/" itself and for one trailing slash. */
static int take_path(struct walk *w)
{
    if (w->raw.n == 0 || w->raw.p[0] != '/')
        return refuse(w, "a path starts with '/'");
    while (w->at < w->raw.n) {
        w->out[w->n++] = '/';
        w->at++;
        if (w->at < w->raw.n && w->raw.p[w->at] == '/')
            return refuse(w, "an empty segment");
        int r = take_segment(w);
        if (r)
            return r;
    }
    return 0;
}

int path_normal(struct str raw, bool slash_ok, struct buf *out, struct fail *f)
{
    struct walk w = {.raw = raw, .slash_ok = slash_ok, .f = f};
    /* no step makes a path longer, so that this bound holds for the arrays too */
    if (raw.n > PATH_MAX_LEN)
        return fail_at(f, ERR_UNSAFE_PATH, PATH_MAX_LEN, "the path is longer than %d bytes",
                       PATH_MAX_LEN);
    int r = take_path(&w);
    if (r)
        return r;
    buf_put(out, w.out, w.n);
    return buf_err(out);
}

/* The next segment from *at, which is at a slash; *at moves to the next slash or the end. */
static struct str next_segment(struct str s, size_t *at)
{
    size_t from = *at + 1;
    *at = str_find(s, '/', from);
    return str_sub(s, from, *at);
}

static bool is_parameter(struct str segment)
{
    return segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}';
}

bool path_match(struct str template, struct str path, struct path_param *params, size_t max,
                size_t *n)
{
    size_t t = 0, p = 0, found = 0;
    if (template.n == 0 || path.n == 0 || template.p[0] != '/' || path.p[0] != '/')
        return false;
    while (t < template.n && p < path.n) {
        struct str want = next_segment(template, &t), have = next_segment(path, &p);
        if (!is_parameter(want)) {
            if (!str_eq(want, have))
                return false;
            continue;
        }
        if (have.n == 0 || found == max)
            return false;
        params[found++] = (struct path_param){str_sub(want, 1, want.n - 1), have};
    }
    if (t < template.n || p < path.n)
        return false;
    *n = found;
    return true;
}
