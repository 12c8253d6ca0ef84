/* Paging. A cursor is the place of the last item in the list's order, in base64url so that nobody
 * builds on its form; whoever reads it checks it like any other input. */
#include <sodium.h>

#include "api/listing.h"

enum { CURSOR_MAX = 128 };

int listing_number(const struct exchange *x, const char *name, int64_t min, int64_t max,
                   int64_t otherwise, int64_t *ret, struct fail *f)
{
    struct str s = exchange_query(x, name);
    uint64_t v;
    if (s.n == 0) {
        *ret = otherwise;
        return ERR_OK;
    }
    if (!str_u64(s, &v) || v < (uint64_t)min || v > (uint64_t)max)
        return fail_field(f, ERR_MALFORMED, name, "expected a whole number from %lld to %lld",
                          (long long)min, (long long)max);
    *ret = (int64_t)v;
    return ERR_OK;
}

static int read_cursor(struct exchange *x, struct str *ret, struct fail *f)
{
    struct str s = exchange_query(x, "cursor");
    char *clear = arena_alloc(x->arena, CURSOR_MAX);
    size_t n = 0;
    if (s.n == 0) {
        *ret = STR("");
        return ERR_OK;
    }
    if (clear == NULL)
        return fail_set(f, ERR_NOMEM, "out of memory");
    if (sodium_base642bin((unsigned char *)clear, CURSOR_MAX, s.p, s.n, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n == 0 || !utf8_valid((struct str){clear, n}))
        return fail_field(f, ERR_MALFORMED, "cursor", "this cursor was not given out here");
    *ret = (struct str){clear, n};
    return ERR_OK;
}

int listing_read(struct exchange *x, struct listing *ret, struct fail *f)
{
    struct listing l = {0};
    int r = listing_number(x, "limit", 1, LISTING_MAX, 50, &l.limit, f);
    if (r == ERR_OK)
        r = read_cursor(x, &l.after, f);
    if (r == ERR_OK)
        *ret = l;
    return r;
}

json_t *listing_cursor(struct str next)
{
    char text[sodium_base64_ENCODED_LEN(CURSOR_MAX, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    if (next.n == 0)
        return json_null();
    CS_ASSERT(next.n <= CURSOR_MAX);
    sodium_bin2base64(text, sizeof text, (const unsigned char *)next.p, next.n,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return json_string(text);
}

int listing_answer(struct exchange *x, json_t *items, struct str next)
{
    return exchange_json(x, 200,
                         json_pack("{s:o, s:o}", "items", items, "next", listing_cursor(next)));
}
