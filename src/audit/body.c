/* Writes an audit event's exact bytes: canonical JSON straight from the table of fields, since an
 * action has several events and a JSON library would cost more than all else in them. It refuses
 * what could not be read back as the same bytes, and shows no account number whole. */
#include <sodium.h>
#include <stdio.h>
#include "audit/body.h"

#define ACCOUNT_SHOWN 4

/* An event with what is found out while it is appended. */
struct draft {
    struct audit_event e;
    struct str event_id, type;
    int64_t seq;
    json_t *approvers; /* NULL: none */
};

static void put_null(struct buf *out)
{
    buf_put(out, "null", 4);
}

/* json_read refuses NUL, escaped or not: such bytes could be written and never be verified. */
static int put_text(struct buf *out, const void *member)
{
    const struct str *s = member;
    if (s->n == 0)
        put_null(out);
    else if (memchr(s->p, '\0', s->n) != NULL)
        return ERR_MALFORMED;
    else
        json_escape(out, *s);
    return 0;
}

/* Asterisks and the last four characters, whether or not the caller has masked it already. */
static int put_masked(struct buf *out, const void *member)
{
    const struct str *s = member;
    char masked[4 + ACCOUNT_SHOWN * 4] = "****";
    size_t from = s->n, shown = 0;
    while (from > 0 && shown < ACCOUNT_SHOWN && s->n - from < ACCOUNT_SHOWN * 4) {
        from--;
        shown += ((unsigned char)s->p[from] & 0xc0) != 0x80; /* not inside a UTF-8 character */
    }
    struct str whole = {masked, 4 + s->n - from};
    if (s->n == 0)
        whole.n = 0;
    else
        memcpy(masked + 4, s->p + from, s->n - from);
    return put_text(out, &whole);
}

static int put_count(struct buf *out, const void *member)
{
    char text[24];
    int64_t v = *(const int64_t *)member;
    if (v < 0) {
        put_null(out);
        return 0;
    }
    int n = snprintf(text, sizeof text, "%lld", (long long)v);
    buf_put(out, text, (size_t)n);
    return 0;
}

static int put_tier(struct buf *out, const void *member)
{
    int64_t v = *(const int *)member;
    return put_count(out, &v);
}

static int put_flag(struct buf *out, const void *member)
{
    int v = *(const int *)member;
    buf_c(out, v < 0 ? "null" : v == 0 ? "false" : "true");
    return 0;
}

static int put_time(struct buf *out, const void *member)
{
    char text[TIME_TEXT];
    int64_t ms = *(const int64_t *)member;
    struct str s = {text, ms == 0 ? 0 : TIME_TEXT - 1};
    time_format(text, ms);
    return put_text(out, &s);
}

static int put_first(struct buf *out, const void *member)
{
    struct str first = json_text(json_array_get(*(json_t *const *)member, 0));
    return put_text(out, &first);
}

static int put_list(struct buf *out, const void *member)
{
    json_t *list = *(json_t *const *)member;
    if (list == NULL) {
        put_null(out);
        return 0;
    }
    size_t i;
    json_t *item;
    buf_ch(out, '[');
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return ERR_MALFORMED;
        if (i > 0)
            buf_ch(out, ',');
        json_escape(out, json_text(item));
    }
    buf_ch(out, ']');
    return 0;
}

static const struct field {
    struct str key; /* with quotes and colon */
    int (*put)(struct buf *out, const void *member);
    size_t offset;
} fields[] = {
#define FIELD(name, column, put, member) \
    {{"\"" #name "\":", sizeof(#name) + 2}, put, offsetof(struct draft, member)},
#include "audit/field.def"
#undef FIELD
};

static int put_fields(const struct draft *d, struct buf *out)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        buf_ch(out, i == 0 ? '{' : ',');
        buf_str(out, fields[i].key);
        int err = fields[i].put(out, (const char *)d + fields[i].offset);
        if (err != 0)
            return err;
    }
    buf_ch(out, '}');
    return buf_err(out);
}

int audit_body(const struct audit_event *e, struct str event_id, int64_t seq, struct buf *out)
{
    struct draft d = {.e = *e, .event_id = event_id, .seq = seq};
    d.type = str_c(audit_type_text(e->type));
    int err = 0;
    if (e->approvers.n > 0)
        err = json_read(e->approvers, &d.approvers, NULL);
    if (err == 0 && d.approvers != NULL && !json_is_array(d.approvers))
        err = ERR_MALFORMED;
    if (err == 0)
        err = put_fields(&d, out);
    json_decref(d.approvers);
    return err;
}

void audit_leaf(struct str bytes, unsigned char out[AUDIT_LEAF])
{
    static const unsigned char is_leaf = 0;
    crypto_hash_sha256_state h;
    crypto_hash_sha256_init(&h);
    crypto_hash_sha256_update(&h, &is_leaf, 1);
    crypto_hash_sha256_update(&h, (const unsigned char *)bytes.p, bytes.n);
    crypto_hash_sha256_final(&h, out);
}
