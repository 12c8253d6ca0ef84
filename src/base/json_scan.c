/* RFC 8259 by recursive descent, building nothing. Refuses what two programs might read
 * differently: duplicate keys (compared decoded), lone surrogates, NUL, numbers that a double
 * cannot hold. Every refusal has the byte offset of the offence. */
#include "base/json_scan.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/env.h"
#include "base/json.h"

enum { FEW_NAMES = 8 };

#define MAX_INTEGER UINT64_C(9007199254740991) /* 2^53 - 1 */
#define TOO_LARGE_INTEGER "integers must lie within +-(2^53-1); send larger ones as strings"

/* A member's name. Names with escapes are compared by their decoded form, kept in scan.decoded. */
struct name {
    uint64_t hash;   /* only where there are many */
    size_t position; /* of the opening quote in the text */
    size_t from, n;  /* the bytes, in the text or in scan.decoded */
    bool decoded;
};

struct scan {
    struct str text;
    size_t at;
    unsigned depth;
    struct fail *f;
    struct buf names;   /* struct name of all open objects, the innermost last */
    struct buf decoded; /* names that had escapes */
};

static int scan_value(struct scan *s);

static int refuse(const struct scan *s, size_t position, const char *what)
{
    return fail_at(s->f, ERR_MALFORMED, (long)position, "%s", what);
}

static unsigned char peek(const struct scan *s)
{
    return s->at < s->text.n ? (unsigned char)s->text.p[s->at] : 0;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->text.n && (s->text.p[s->at] == ' ' || s->text.p[s->at] == '\t' ||
                                 s->text.p[s->at] == '\n' || s->text.p[s->at] == '\r'))
        s->at++;
}

static int scan_word(struct scan *s, struct str word)
{
    if (!str_starts(str_sub(s->text, s->at, s->text.n), word))
        return refuse(s, s->at, "expected a JSON value");
    s->at += word.n;
    return 0;
}

/* --- strings -------------------------------------------------------------------------------- */

/* Four hex digits at `at`, or -1. */
static int unit_at(const struct scan *s, size_t at)
{
    int high = hex_pair(s->text, at), low = hex_pair(s->text, at + 2);
    return high < 0 || low < 0 ? -1 : high << 8 | low;
}

static void put_utf8(struct buf *b, unsigned c)
{
    if (c < 0x80) {
        buf_ch(b, (char)c);
    } else if (c < 0x800) {
        buf_ch(b, (char)(0xc0 | c >> 6));
        buf_ch(b, (char)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        buf_ch(b, (char)(0xe0 | c >> 12));
        buf_ch(b, (char)(0x80 | (c >> 6 & 63)));
        buf_ch(b, (char)(0x80 | (c & 63)));
    } else {
        buf_ch(b, (char)(0xf0 | c >> 18));
        buf_ch(b, (char)(0x80 | (c >> 12 & 63)));
        buf_ch(b, (char)(0x80 | (c >> 6 & 63)));
        buf_ch(b, (char)(0x80 | (c & 63)));
    }
}

/* At "\u": one code point, from one escape or from a pair of surrogates. */
static int scan_unicode(struct scan *s, unsigned *ret)
{
    int high = unit_at(s, s->at + 2), low;
    if (high < 0)
        return refuse(s, s->at, "\\u must be followed by four hex digits");
    if (high == 0)
        return refuse(s, s->at, "NUL is not allowed in a string");
    if (high >= 0xdc00 && high <= 0xdfff)
        return refuse(s, s->at, "a surrogate without its first half");
    if (high < 0xd800 || high > 0xdbff) {
        *ret = (unsigned)high;
        s->at += 6;
        return 0;
    }
    low =
        str_starts(str_sub(s->text, s->at + 6, s->text.n), STR("\\u")) ? unit_at(s, s->at + 8) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return refuse(s, s->at, "a surrogate without its second half");
    *ret = 0x10000 + (((unsigned)high & 0x3ff) << 10 | ((unsigned)low & 0x3ff));
    s->at += 12;
    return 0;
}

/* At a backslash; the character is added to `decoded` where that is wanted. */
static int scan_escape(struct scan *s, struct buf *decoded)
{
    static const char spelt[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    unsigned c = 0;
    char e = s->at + 1 < s->text.n ? s->text.p[s->at + 1] : 0;
    if (e == 'u') {
        int r = scan_unicode(s, &c);
        if (r)
            return r;
    } else {
        const char *hit = e ? strchr(spelt, e) : NULL;
        if (!hit)
            return refuse(s, s->at, "not an escape that JSON knows");
        c = (unsigned char)meant[hit - spelt];
        s->at += 2;
    }
    if (decoded)
        put_utf8(decoded, c);
    return 0;
}

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* From behind the opening quote to behind the closing one. */
static int scan_string(struct scan *s, struct buf *decoded)
{
    for (;;) {
        size_t from = s->at;
        while (s->at < s->text.n && plain((unsigned char)s->text.p[s->at]))
            s->at++;
        if (s->at == s->text.n)
            return refuse(s, s->at, "the string does not end");
        unsigned char c = peek(s);
        if (c >= 0x80) {
            size_t n = utf8_step(s->text, s->at);
            if (n == 0)
                return refuse(s, s->at, "invalid UTF-8");
            s->at += n;
        }
        if (decoded)
            buf_put(decoded, s->text.p + from, s->at - from);
        if (c < 0x20)
            return refuse(s, s->at, "a control character must be escaped");
        if (c == '"') {
            s->at++;
            return 0;
        }
        if (c == '\\') {
            int r = scan_escape(s, decoded);
            if (r)
                return r;
        }
    }
}

/* --- numbers -------------------------------------------------------------------------------- */

static size_t skip_digits(struct scan *s)
{
    size_t from = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at - from;
}

/* Does any digit before the exponent differ from zero? */
static bool spelt_nonzero(struct str number)
{
    for (size_t i = 0; i < number.n && number.p[i] != 'e' && number.p[i] != 'E'; i++)
        if (number.p[i] >= '1' && number.p[i] <= '9')
            return true;
    return false;
}

/* Overflow has no double. What a double can only hold as 0 though it is spelt nonzero would be
 * approved and sent as another number. From 2^53 to 1e21 the canonical form is an integer that we
 * would refuse to read again. */
static int check_real(struct scan *s, struct str number, size_t position)
{
    char local[64], *copy = number.n < sizeof local ? local : malloc(number.n + 1);
    int r = 0;
    if (!copy)
        return fail_at(s->f, ERR_NOMEM, (long)position, "out of memory");
    memcpy(copy, number.p, number.n);
    copy[number.n] = 0;
    double d = fabs(strtod(copy, NULL));
    if (!isfinite(d))
        r = fail_at(s->f, ERR_NUMBER_RANGE, (long)position, "the number is too large for a double");
    else if (d > MAX_INTEGER && d < 1e21)
        r = fail_at(s->f, ERR_NUMBER_RANGE, (long)position, TOO_LARGE_INTEGER);
    else if (fpclassify(d) == FP_ZERO && spelt_nonzero(number))
        r = fail_at(s->f, ERR_NUMBER_RANGE, (long)position, "the number is too small for a double");
    if (copy != local)
        free(copy);
    return r;
}

static int check_integer(struct scan *s, struct str digits, size_t position)
{
    uint64_t v;
    if (str_u64(digits, &v) && v <= MAX_INTEGER)
        return 0;
    return fail_at(s->f, ERR_NUMBER_RANGE, (long)position, TOO_LARGE_INTEGER);
}

static int scan_number(struct scan *s)
{
    size_t from = s->at, digits_from;
    bool real = false;
    if (peek(s) == '-')
        s->at++;
    digits_from = s->at;
    if (peek(s) == '0')
        s->at++;
    else if (skip_digits(s) == 0)
        return refuse(s, s->at, digits_from == from ? "expected a JSON value" : "expected a digit");
    if (peek(s) >= '0' && peek(s) <= '9')
        return refuse(s, s->at, "a number may not start with 0");
    struct str integer = str_sub(s->text, digits_from, s->at);
    if (peek(s) == '.') {
        real = true;
        s->at++;
        if (skip_digits(s) == 0)
            return refuse(s, s->at, "expected a digit after the point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        real = true;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (skip_digits(s) == 0)
            return refuse(s, s->at, "expected a digit in the exponent");
    }
    return real ? check_real(s, str_sub(s->text, from, s->at), from)
                : check_integer(s, integer, from);
}

/* --- objects and arrays --------------------------------------------------------------------- */

static struct str name_bytes(const struct scan *s, const struct name *n)
{
    return str_sub(n->decoded ? buf_view(&s->decoded) : s->text, n->from, n->from + n->n);
}

/* At the opening quote of a member's name. */
static int scan_name(struct scan *s)
{
    struct name n = {.position = s->at};
    size_t decoded_from = s->decoded.n;
    if (peek(s) != '"')
        return refuse(s, s->at, "expected a member's name in quotes");
    n.from = ++s->at;
    int r = scan_string(s, NULL);
    if (r)
        return r;
    n.n = s->at - 1 - n.from;
    if (str_find(str_sub(s->text, n.from, n.from + n.n), '\\', 0) != n.n) {
        s->at = n.from;
        r = scan_string(s, &s->decoded);
        if (r)
            return r;
        n.from = decoded_from;
        n.n = s->decoded.n - decoded_from;
        n.decoded = true;
    }
    buf_put(&s->names, &n, sizeof n);
    if (buf_err(&s->names) || buf_err(&s->decoded))
        return fail_at(s->f, ERR_NOMEM, (long)n.position, "out of memory");
    return 0;
}

static int by_hash(const void *va, const void *vb)
{
    const struct name *a = va, *b = vb;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

/* Equal names become neighbours. The key is random, so that nobody can send unequal names that
 * collide and cost quadratic time. */
static void sort_by_hash(const struct scan *s, struct name *name, size_t n)
{
    unsigned char key[crypto_shorthash_KEYBYTES];
    env_system.random(env_system.arg, key, sizeof key);
    for (size_t i = 0; i < n; i++) {
        struct str bytes = name_bytes(s, &name[i]);
        crypto_shorthash((unsigned char *)&name[i].hash, (const unsigned char *)bytes.p, bytes.n,
                         key);
    }
    qsort(name, n, sizeof *name, by_hash);
}

/* Finds the earliest second use of a name. A few names are compared each with each: their hashes
 * are all zero. */
static int check_names(const struct scan *s, struct name *name, size_t n)
{
    size_t worst = SIZE_MAX;
    if (n > FEW_NAMES)
        sort_by_hash(s, name, n);
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && name[j - 1].hash == name[i].hash; j--)
            if (str_eq(name_bytes(s, &name[j - 1]), name_bytes(s, &name[i]))) {
                worst = name[i].position < worst ? name[i].position : worst;
                break;
            }
    if (worst == SIZE_MAX)
        return 0;
    return fail_at(s->f, ERR_DUPLICATE_KEY, (long)worst, "the object has this key twice");
}

static int scan_members(struct scan *s)
{
    int r;
    for (;;) {
        skip_space(s);
        if ((r = scan_name(s)))
            return r;
        skip_space(s);
        if (peek(s) != ':')
            return refuse(s, s->at, "expected ':'");
        s->at++;
        if ((r = scan_value(s)))
            return r;
        if (peek(s) == '}')
            return 0;
        if (peek(s) != ',')
            return refuse(s, s->at, "expected ',' or '}'");
        s->at++;
    }
}

static int scan_object(struct scan *s)
{
    size_t names_from = s->names.n, decoded_from = s->decoded.n;
    skip_space(s);
    if (peek(s) != '}') {
        int r = scan_members(s);
        if (r)
            return r;
        size_t n = (s->names.n - names_from) / sizeof(struct name);
        r = check_names(s, (struct name *)(void *)(s->names.p + names_from), n);
        if (r)
            return r;
        s->names.n = names_from;
        s->decoded.n = decoded_from;
    }
    s->at++;
    return 0;
}

static int scan_array(struct scan *s)
{
    skip_space(s);
    if (peek(s) == ']') {
        s->at++;
        return 0;
    }
    for (;;) {
        int r = scan_value(s);
        if (r)
            return r;
        if (peek(s) != ']' && peek(s) != ',')
            return refuse(s, s->at, "expected ',' or ']'");
        if (s->text.p[s->at++] == ']')
            return 0;
    }
}

static int scan_nested(struct scan *s)
{
    if (s->depth == JSON_DEPTH)
        return fail_at(s->f, ERR_MALFORMED, (long)s->at, "nested deeper than %d", JSON_DEPTH);
    s->depth++;
    int r = s->text.p[s->at++] == '{' ? scan_object(s) : scan_array(s);
    s->depth--;
    return r;
}

/* A value with the white space around it. */
static int scan_value(struct scan *s)
{
    int r;
    skip_space(s);
    switch (peek(s)) {
    case '{':
    case '[':
        r = scan_nested(s);
        break;
    case '"':
        s->at++;
        r = scan_string(s, NULL);
        break;
    case 't':
        r = scan_word(s, STR("true"));
        break;
    case 'f':
        r = scan_word(s, STR("false"));
        break;
    case 'n':
        r = scan_word(s, STR("null"));
        break;
    default:
        r = scan_number(s);
    }
    if (r)
        return r;
    skip_space(s);
    return 0;
}

int json_scan(struct str text, struct fail *f)
{
    struct scan s = {.text = text, .f = f};
    buf_init(&s.names, SIZE_MAX / 4);
    buf_init(&s.decoded, SIZE_MAX / 4);
    int r = str_starts(text, STR("\xef\xbb\xbf"))
                ? refuse(&s, 0, "a byte order mark is not allowed")
                : scan_value(&s);
    if (!r && s.at != text.n)
        r = refuse(&s, s.at, "there is more after the JSON value");
    buf_free(&s.names);
    buf_free(&s.decoded);
    return r;
}
