/* Replaces secrets by "[redacted]" in a stream of bytes. Values are found as they are; one that the
 * provider gives back in another spelling (base64, escaped) is not. */
#include "keeper/blank.h"

#include <stdlib.h>

#include "base/secret.h"

static int add(struct blank *b, struct str s)
{
    if (s.n < BLANK_LEAST)
        return 0;
    if (b->n == BLANK_MOST)
        return ERR_TOO_LARGE;
    char *copy = malloc(s.n);
    if (!copy)
        return ERR_NOMEM;
    memcpy(copy, s.p, s.n);
    b->secret[b->n] = copy;
    b->length[b->n++] = s.n;
    b->longest = s.n > b->longest ? s.n : b->longest;
    return 0;
}

int blank_init(struct blank *b, const json_t *secrets)
{
    *b = (struct blank){0};
    int r = 0;
    void *at = json_object_iter((json_t *)(uintptr_t)secrets);
    for (; at && !r; at = json_object_iter_next((json_t *)(uintptr_t)secrets, at))
        r = add(b, json_text(json_object_iter_value(at)));
    if (r)
        blank_free(b);
    return r;
}

/* Length of the longest secret at the start of s, 0 for none. */
static size_t secret_at(const struct blank *b, struct str s)
{
    size_t best = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->length[i] <= s.n && b->length[i] > best && s.p[0] == b->secret[i][0] &&
            memcmp(s.p, b->secret[i], b->length[i]) == 0)
            best = b->length[i];
    return best;
}

void blank_feed(struct blank *b, struct str piece, bool last, struct buf *out)
{
    if (b->n == 0) {
        buf_str(out, piece);
        return;
    }
    buf_str(&b->carry, piece);
    struct str all = buf_view(&b->carry);
    size_t at = 0, plain = 0; /* plain: start of what has no secret so far */
    while (at < all.n && (last || all.n - at >= b->longest)) {
        size_t n = secret_at(b, str_sub(all, at, all.n));
        if (n == 0) {
            at++;
            continue;
        }
        buf_str(out, str_sub(all, plain, at));
        buf_c(out, "[redacted]");
        at += n;
        plain = at;
    }
    buf_str(out, str_sub(all, plain, at));
    struct buf rest = {0};
    buf_str(&rest, str_sub(all, at, all.n));
    if (b->carry.bad || rest.bad)
        out->bad = true;
    buf_wipe(&b->carry);
    b->carry = rest;
}

void blank_free(struct blank *b)
{
    for (size_t i = 0; i < b->n; i++) {
        secret_wipe(b->secret[i], b->length[i]);
        free(b->secret[i]);
    }
    buf_wipe(&b->carry);
    *b = (struct blank){0};
}
