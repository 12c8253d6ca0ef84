/* The Plaid operations that move money; see transfer.h. What Plaid promises about doing a thing
 * once is kept: one transfer per authorization, one authorization, refund or recurring transfer
 * per idempotency key. An effect is counted when something new comes into being. */
#include "transfer.h"

#include "decide.h"
#include "plaid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTHORIZATION_LIFE_MS INT64_C(3600000)
#define KEY_LIFE_MS (48 * INT64_C(3600000))
#define DESCRIPTION_ACH 10
#define DESCRIPTION_OTHER 15

static void answer_authorization(struct sandbox *sb, struct reply *out, uint64_t number)
{
    const struct authorization *a = ledger_authorization_at(&sb->ledger, number);

    plaid_ok(sb, out,
             json_pack("{s:o}", "authorization", ledger_authorization_json(&sb->ledger, a)));
}

/* The authorization made under this key, if the key still stands for it. */
static uint64_t authorization_of_key(struct sandbox *sb, const char *key)
{
    uint64_t number = key ? *ledger_key(&sb->ledger, "authorization", key) : 0;
    const struct authorization *a = ledger_authorization_at(&sb->ledger, number);

    if (a == NULL || a->decision == DECISION_USER_ACTION)
        return 0;
    return clock_now(&sb->clock) - a->created < KEY_LIFE_MS ? number : 0;
}

void transfer_authorize(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *key = plaid_string(c, "idempotency_key");
    struct authorization a = {0};
    struct verdict v;
    uint64_t number;

    if (!proposal_valid(sb, c, out, &a.cents))
        return;
    number = authorization_of_key(sb, key);
    if (number != 0) {
        answer_authorization(sb, out, number);
        return;
    }
    v = decide(c, a.cents);
    a.created = clock_now(&sb->clock);
    a.decision = v.decision;
    snprintf(a.rationale, sizeof a.rationale, "%s", v.rationale);
    a.proposed = proposal_text(c);
    a.account_id = take_copy(text_of(plaid_string(c, "account_id")));
    a.ach = strstr(plaid_string(c, "network"), "ach") != NULL;
    number = ledger_add_authorization(&sb->ledger, &sb->ids, &a);
    if (key != NULL)
        *ledger_key(&sb->ledger, "authorization", key) = number;
    if (a.decision == DECISION_APPROVED)
        effects_count(&sb->effects, "authorization", key ? key : a.id, c->req->path);
    answer_authorization(sb, out, number);
}

void transfer_authorization_cancel(struct sandbox *sb, const struct call *c, struct reply *out)
{
    struct authorization *a;

    if (!plaid_require(sb, c, out, "authorization_id"))
        return;
    a = ledger_authorization(&sb->ledger, plaid_string(c, "authorization_id"));
    if (a == NULL || a->transfer != 0) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD,
                   a ? "authorization was already used" : "unable to find authorization");
        return;
    }
    if (!a->cancelled) {
        a->cancelled = true;
        effects_count(&sb->effects, "authorization_cancel", a->id, c->req->path);
    }
    plaid_ok(sb, out, json_object());
}

/* Why this authorization does not allow the transfer asked for; NULL if it does. */
static const char *obstacle(struct sandbox *sb, const struct call *c, const struct authorization *a,
                            int64_t cents)
{
    const char *account_id = plaid_string(c, "account_id");
    size_t length = json_string_length(json_object_get(c->in, "description"));

    if (a->decision != DECISION_APPROVED)
        return "authorization was not approved";
    if (a->cancelled)
        return "authorization was cancelled";
    if (clock_now(&sb->clock) - a->created >= AUTHORIZATION_LIFE_MS)
        return "authorization has expired";
    if (account_id == NULL || strcmp(account_id, a->account_id) != 0)
        return "account_id does not match the authorization";
    if (cents > a->cents)
        return "amount is more than was authorized";
    if (length == 0)
        return "description must not be empty";
    if (length > (a->ach ? DESCRIPTION_ACH : DESCRIPTION_OTHER))
        return a->ach ? "description must be at most 10 characters for ach"
                      : "description must be at most 15 characters";
    return NULL;
}

static void answer_transfer(struct sandbox *sb, struct reply *out, uint64_t number)
{
    plaid_ok(sb, out, json_pack("{s:o}", "transfer", ledger_transfer_json(&sb->ledger, number)));
}

static uint64_t make_transfer(struct sandbox *sb, const struct call *c, struct authorization *a,
                              int64_t cents)
{
    const json_t *metadata = json_object_get(c->in, "metadata");
    struct transfer t = {.created = clock_now(&sb->clock), .cents = cents};
    struct transfer_event event = {.type = "pending", .at = t.created};

    t.authorization = map_get(&sb->ledger.by_id, text_of(a->id));
    t.description = take_copy(text_of(plaid_string(c, "description")));
    t.metadata = metadata ? json_dumps(metadata, JSON_COMPACT | JSON_ENCODE_ANY)
                          : take_copy(text_of("null"));
    a->transfer = ledger_add_transfer(&sb->ledger, &sb->ids, &t);
    event.transfer = a->transfer;
    ledger_add_event(&sb->ledger, &event);
    effects_count(&sb->effects, "transfer", a->id, c->req->path);
    return a->transfer;
}

void transfer_create(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *amount = plaid_string(c, "amount");
    struct authorization *a;
    const char *problem;
    int64_t cents = 0;

    if (!plaid_require(sb, c, out, "account_id authorization_id description"))
        return;
    a = ledger_authorization(&sb->ledger, plaid_string(c, "authorization_id"));
    if (a == NULL) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "unable to find authorization");
        return;
    }
    if (a->transfer != 0) { /* asked again: the same transfer, and no second effect */
        answer_transfer(sb, out, a->transfer);
        return;
    }
    if (amount != NULL && !cents_parse(amount, &cents)) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "amount must be a decimal string");
        return;
    }
    problem = obstacle(sb, c, a, cents);
    if (problem != NULL)
        plaid_fail(sb, out, PLAID_INVALID_FIELD, problem);
    else
        answer_transfer(sb, out, make_transfer(sb, c, a, cents ? cents : a->cents));
}

/* The transfer named by transfer_id (or authorization_id); otherwise answers an error. */
static struct transfer *wanted(struct sandbox *sb, const struct call *c, struct reply *out)
{
    struct transfer *t = ledger_transfer(&sb->ledger, plaid_string(c, "transfer_id"));
    const struct authorization *a =
        ledger_authorization(&sb->ledger, plaid_string(c, "authorization_id"));

    if (t == NULL && a != NULL)
        t = ledger_transfer_at(&sb->ledger, a->transfer);
    if (t == NULL)
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "unable to find transfer");
    return t;
}

static uint64_t number_of(const struct sandbox *sb, const struct transfer *t)
{
    return (uint64_t)(t - sb->ledger.transfers) + 1;
}

void transfer_get(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const struct transfer *t = wanted(sb, c, out);

    if (t != NULL)
        answer_transfer(sb, out, number_of(sb, t));
}

void transfer_list(struct sandbox *sb, const struct call *c, struct reply *out)
{
    json_int_t count = plaid_integer(c, "count", 25), offset = plaid_integer(c, "offset", 0);
    json_int_t total = (json_int_t)sb->ledger.transfers_n;
    json_t *list;

    if (offset < 0 || count < 1 || count > 25) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "offset must be >= 0 and count 1 to 25");
        return;
    }
    list = json_array();
    for (json_int_t i = total - offset; i > 0 && i > total - offset - count; i--) /* newest first */
        json_array_append_new(list, ledger_transfer_json(&sb->ledger, (uint64_t)i));
    plaid_ok(sb, out,
             json_pack("{s:o, s:b}", "transfers", list, "has_more", offset + count < total));
}

void transfer_cancel(struct sandbox *sb, const struct call *c, struct reply *out)
{
    struct transfer_event event = {.type = "cancelled", .at = clock_now(&sb->clock)};
    struct transfer *t;

    if (!plaid_require(sb, c, out, "transfer_id"))
        return;
    t = wanted(sb, c, out);
    if (t == NULL)
        return;
    if (t->cancelled) {
        plaid_fail(sb, out, PLAID_NOT_CANCELLABLE, NULL);
        return;
    }
    t->cancelled = true;
    event.transfer = number_of(sb, t);
    ledger_add_event(&sb->ledger, &event);
    effects_count(&sb->effects, "transfer_cancel", t->id, c->req->path);
    plaid_ok(sb, out, json_object());
}

void transfer_events(struct sandbox *sb, const struct call *c, struct reply *out)
{
    json_int_t after = plaid_integer(c, "after_id", 0), count = plaid_integer(c, "count", 100);
    json_int_t total = (json_int_t)sb->ledger.events_n, last = after;
    json_t *list;

    if (!plaid_require(sb, c, out, "after_id"))
        return;
    if (after < 0 || count < 1 || count > 500) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "after_id must be >= 0 and count 1 to 500");
        return;
    }
    list = json_array();
    while (last < total && last - after < count)
        json_array_append_new(list, ledger_event_json(&sb->ledger, (uint64_t)++last));
    plaid_ok(sb, out, json_pack("{s:o, s:b}", "transfer_events", list, "has_more", last < total));
}

static json_t *recurring_json(struct sandbox *sb, const struct call *c, const struct verdict *v)
{
    char id[ID_UUID_SIZE], created[ISO_SIZE], *proposed = proposal_text(c);
    json_t *recurring = json_loads(proposed, 0, NULL);

    free(proposed);
    ids_uuid(&sb->ids, id);
    clock_iso(clock_now(&sb->clock), created);
    json_object_set_new(recurring, "recurring_transfer_id", json_string(id));
    json_object_set_new(recurring, "created", json_string(created));
    json_object_set_new(recurring, "status", json_string("active"));
    json_object_set_new(recurring, "transfer_ids", json_array());
    json_object_set(recurring, "schedule", json_object_get(c->in, "schedule"));
    json_object_set(recurring, "description", json_object_get(c->in, "description"));
    json_object_set(recurring, "next_origination_date",
                    json_object_get(json_object_get(c->in, "schedule"), "start_date"));
    return json_pack("{s:o, s:s, s:o}", "recurring_transfer", recurring, "decision", "approved",
                     "decision_rationale", ledger_rationale_json(v->rationale));
}

void transfer_recurring_create(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *key = plaid_string(c, "idempotency_key");
    struct verdict v;
    int64_t cents;
    json_t *known;

    if (!plaid_require(sb, c, out, "idempotency_key schedule description") ||
        !proposal_valid(sb, c, out, &cents))
        return;
    known = key ? json_object_get(sb->ledger.recurring, key) : NULL;
    v = decide(c, cents);
    if (known == NULL && v.decision != DECISION_APPROVED) {
        plaid_ok(sb, out,
                 json_pack("{s:n, s:s, s:o}", "recurring_transfer", "decision",
                           v.decision == DECISION_DECLINED ? "declined" : "user_action_required",
                           "decision_rationale", ledger_rationale_json(v.rationale)));
        return;
    }
    if (known == NULL) {
        known = recurring_json(sb, c, &v);
        if (sb->ledger.recurring == NULL)
            sb->ledger.recurring = json_object();
        json_object_set_new(sb->ledger.recurring, key, known);
        effects_count(&sb->effects, "recurring", key, c->req->path);
    }
    plaid_ok(sb, out, json_copy(known));
}

static uint64_t make_refund(struct sandbox *sb, const struct call *c, struct transfer *t,
                            int64_t cents, const char *key)
{
    struct refund r = {
        .transfer = number_of(sb, t), .cents = cents, .created = clock_now(&sb->clock)};
    struct transfer_event event = {
        .type = "refund.pending", .transfer = r.transfer, .at = r.created};

    t->refunded += cents;
    event.refund = ledger_add_refund(&sb->ledger, &sb->ids, &r);
    ledger_add_event(&sb->ledger, &event);
    effects_count(&sb->effects, "refund", key, c->req->path);
    return event.refund;
}

void transfer_refund_create(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *key = plaid_string(c, "idempotency_key"), *amount = plaid_string(c, "amount");
    uint64_t *number;
    struct transfer *t;
    int64_t cents;

    if (!plaid_require(sb, c, out, "transfer_id amount idempotency_key"))
        return;
    t = wanted(sb, c, out);
    if (t == NULL)
        return;
    if (key == NULL || amount == NULL || !cents_parse(amount, &cents)) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "amount must be a decimal string");
        return;
    }
    number = ledger_key(&sb->ledger, "refund", key);
    if (*number == 0 && t->refunded + cents > t->cents) {
        plaid_fail(sb, out, PLAID_INVALID_FIELD, "refund is more than the transfer");
        return;
    }
    if (*number == 0)
        *number = make_refund(sb, c, t, cents, key);
    plaid_ok(sb, out, json_pack("{s:o}", "refund", ledger_refund_json(&sb->ledger, *number)));
}
