/* The Plaid operations that only read; see read.h. */
#include "read.h"

#include "plaid.h"

#include <stdlib.h>
#include <string.h>

static bool listed(const json_t *ids, const json_t *id)
{
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (json_equal(json_array_get(ids, i), id))
            return true;
    return false;
}

/* Takes out of every list, however deep, what belongs to an account that is not listed. */
static void keep_accounts(json_t *value, const json_t *ids)
{
    for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at))
        keep_accounts(json_object_iter_value(at), ids);
    for (size_t i = json_array_size(value); i-- > 0;) {
        json_t *child = json_array_get(value, i);
        const json_t *id = json_object_get(child, "account_id");
        if (id != NULL && !listed(ids, id))
            json_array_remove(value, i);
        else
            keep_accounts(child, ids);
    }
}

static void page(struct sandbox *sb, const struct call *c, struct reply *out, enum fixture_page p)
{
    const json_t *ids = json_object_get(json_object_get(c->in, "options"), "account_ids");
    const struct buf *text = &sb->fixture.texts[p];
    char id[ID_REQUEST_SIZE];
    json_t *chosen;

    if (ids == NULL) { /* the hot path: benchmarks read balances */
        ids_request(&sb->ids, id);
        buf_add(&out->body, text->s, text->n);
        buf_str(&out->body, ",\"request_id\":\"");
        buf_str(&out->body, id);
        buf_str(&out->body, "\"}");
        out->status = 200;
        return;
    }
    chosen = json_deep_copy(sb->fixture.pages[p]);
    keep_accounts(chosen, ids);
    if (json_array_size(json_object_get(chosen, "accounts")) < json_array_size(ids)) {
        json_decref(chosen);
        plaid_fail(sb, out, PLAID_INVALID_ACCOUNT, NULL);
        return;
    }
    plaid_ok(sb, out, chosen);
}

void read_accounts(struct sandbox *sb, const struct call *c, struct reply *out)
{
    page(sb, c, out, PAGE_ACCOUNTS);
}

void read_identity(struct sandbox *sb, const struct call *c, struct reply *out)
{
    page(sb, c, out, PAGE_IDENTITY);
}

void read_auth(struct sandbox *sb, const struct call *c, struct reply *out)
{
    page(sb, c, out, PAGE_AUTH);
}

void read_holdings(struct sandbox *sb, const struct call *c, struct reply *out)
{
    page(sb, c, out, PAGE_HOLDINGS);
}

void read_liabilities(struct sandbox *sb, const struct call *c, struct reply *out)
{
    page(sb, c, out, PAGE_LIABILITIES);
}

/* Transactions from `*at` on, `count` of them; *at becomes the place after the last. */
static json_t *some_transactions(const struct sandbox *sb, size_t *at, size_t count)
{
    const json_t *all = sb->fixture.parts[FIXTURE_TRANSACTIONS];
    json_t *out = json_array();

    for (; *at < json_array_size(all) && json_array_size(out) < count; ++*at)
        json_array_append(out, json_array_get(all, *at));
    return out;
}

void read_transactions(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const json_t *options = json_object_get(c->in, "options");
    const json_t *offset = json_object_get(options, "offset");
    const json_t *count = json_object_get(options, "count");
    size_t at = json_is_integer(offset) ? (size_t)json_integer_value(offset) : 0;
    size_t n = json_is_integer(count) ? (size_t)json_integer_value(count) : 100;
    size_t total = json_array_size(sb->fixture.parts[FIXTURE_TRANSACTIONS]);

    if (!plaid_require(sb, c, out, "start_date end_date"))
        return;
    plaid_ok(sb, out,
             json_pack("{s:O, s:O, s:o, s:I}", "accounts", sb->fixture.parts[FIXTURE_ACCOUNTS],
                       "item", sb->fixture.parts[FIXTURE_ITEM], "transactions",
                       some_transactions(sb, &at, n), "total_transactions", (json_int_t)total));
}

/* The cursor is a place in the list, which only ever grows by nothing. */
void read_transactions_sync(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *cursor = plaid_string(c, "cursor");
    size_t total = json_array_size(sb->fixture.parts[FIXTURE_TRANSACTIONS]);
    json_int_t count = plaid_integer(c, "count", 100);
    size_t at = 0;
    json_t *added;
    char next[32];

    if (cursor != NULL && cursor[0] != '\0') {
        if (strncmp(cursor, "cursor-", 7) != 0) {
            plaid_fail(sb, out, PLAID_INVALID_FIELD, "cursor not associated with access_token");
            return;
        }
        at = strtoul(cursor + 7, NULL, 10);
    }
    if (count < 1 || count > 500) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "count must be between 1 and 500");
        return;
    }
    added = some_transactions(sb, &at, (size_t)count);
    snprintf(next, sizeof next, "cursor-%zu", at);
    plaid_ok(sb, out,
             json_pack("{s:O, s:o, s:[], s:[], s:s, s:b, s:s}", "accounts",
                       sb->fixture.parts[FIXTURE_ACCOUNTS], "added", added, "modified", "removed",
                       "next_cursor", next, "has_more", at < total, "transactions_update_status",
                       "HISTORICAL_UPDATE_COMPLETE"));
}

void read_item(struct sandbox *sb, const struct call *c, struct reply *out)
{
    json_t *item = json_deep_copy(sb->fixture.parts[FIXTURE_ITEM]);

    (void)c;
    if (faults_pending(&sb->faults, MODE_ITEM_LOGIN_REQUIRED))
        json_object_set_new(item, "error", plaid_error_json(sb, PLAID_LOGIN_REQUIRED));
    plaid_ok(sb, out,
             json_pack("{s:o, s:{s:n, s:{s:s, s:n}}}", "item", item, "status", "last_webhook",
                       "transactions", "last_successful_update", "2026-10-03T15:52:39Z",
                       "last_failed_update"));
}

void read_signal(struct sandbox *sb, const struct call *c, struct reply *out)
{
    if (plaid_require(sb, c, out, "account_id client_transaction_id amount"))
        plaid_ok(sb, out, json_deep_copy(sb->fixture.parts[FIXTURE_SIGNAL]));
}
