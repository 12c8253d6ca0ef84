/* Idempotency-Key: the IETF draft quotes it, most clients do not; both name the same key. */
#include "api/idem_key.h"

static bool unquote(struct arena *a, struct str s, struct str *ret)
{
    char *out = arena_cstr(a, STR(""));
    size_t n = 0;
    if (s.n < 2 || s.p[s.n - 1] != '"' || (out = arena_alloc(a, s.n)) == NULL)
        return false;
    for (size_t i = 1; i + 1 < s.n; i++) {
        if (s.p[i] == '"')
            return false;
        if (s.p[i] == '\\') {
            i++;
            if (i + 1 >= s.n || (s.p[i] != '"' && s.p[i] != '\\'))
                return false;
        }
        out[n++] = s.p[i];
    }
    *ret = (struct str){out, n};
    return true;
}

int idem_key_header(const struct exchange *x, struct str *ret, struct fail *f)
{
    size_t n = 0;
    struct str s = exchange_header(x, "idempotency-key", &n);
    if (n == 0) {
        *ret = STR("");
        return ERR_OK;
    }
    if (n > 1)
        return fail_field(f, ERR_KEY_MISMATCH, "Idempotency-Key", "the header came more than once");
    if (s.n > 0 && s.p[0] == '"' && !unquote(x->arena, s, &s))
        return fail_field(f, ERR_MALFORMED, "Idempotency-Key", "the quoted key is malformed");
    if (s.n == 0 || s.n > IDEM_KEY_MAX || !utf8_valid(s))
        return fail_field(f, ERR_MALFORMED, "Idempotency-Key", "expected 1 to 255 bytes of text");
    *ret = s;
    return ERR_OK;
}
