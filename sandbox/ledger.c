/* What the transfer product remembers; see ledger.h. */
#include "ledger.h"

#include "clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_RETURN 2 /* days until a transfer is settled, and may no more be returned */
#define DAY_UNAUTHORIZED 60
#define CENTS_MAX INT64_C(1000000000000)

/* Room for one more in an array that doubles; its capacity is n rounded up to a power of two. */
static void *one_more(void *array, size_t n, size_t size)
{
    if (n > 0 && (n & (n - 1)) != 0)
        return array;
    return take_again(array, (n ? 2 * n : 1) * size);
}

static void name(struct ledger *l, struct ids *ids, char id[ID_UUID_SIZE], uint64_t number)
{
    ids_uuid(ids, id);
    *map_at(&l->by_id, text_of(id)) = number;
}

uint64_t ledger_add_authorization(struct ledger *l, struct ids *ids, struct authorization *item)
{
    size_t n = l->authorizations_n;

    name(l, ids, item->id, n + 1);
    l->authorizations = one_more(l->authorizations, n, sizeof *item);
    l->authorizations[n] = *item;
    return ++l->authorizations_n;
}

uint64_t ledger_add_transfer(struct ledger *l, struct ids *ids, struct transfer *item)
{
    size_t n = l->transfers_n;

    name(l, ids, item->id, n + 1);
    l->transfers = one_more(l->transfers, n, sizeof *item);
    l->transfers[n] = *item;
    return ++l->transfers_n;
}

uint64_t ledger_add_refund(struct ledger *l, struct ids *ids, struct refund *item)
{
    size_t n = l->refunds_n;

    name(l, ids, item->id, n + 1);
    l->refunds = one_more(l->refunds, n, sizeof *item);
    l->refunds[n] = *item;
    return ++l->refunds_n;
}

void ledger_add_event(struct ledger *l, const struct transfer_event *event)
{
    l->events = one_more(l->events, l->events_n, sizeof *event);
    l->events[l->events_n++] = *event;
}

struct authorization *ledger_authorization_at(const struct ledger *l, uint64_t number)
{
    return number > 0 && number <= l->authorizations_n ? &l->authorizations[number - 1] : NULL;
}

struct transfer *ledger_transfer_at(const struct ledger *l, uint64_t number)
{
    return number > 0 && number <= l->transfers_n ? &l->transfers[number - 1] : NULL;
}

struct authorization *ledger_authorization(struct ledger *l, const char *id)
{
    uint64_t number = id ? map_get(&l->by_id, text_of(id)) : 0;
    struct authorization *a = ledger_authorization_at(l, number);

    return a != NULL && strcmp(a->id, id) == 0 ? a : NULL;
}

struct transfer *ledger_transfer(struct ledger *l, const char *id)
{
    uint64_t number = id ? map_get(&l->by_id, text_of(id)) : 0;
    struct transfer *t = ledger_transfer_at(l, number);

    return t != NULL && strcmp(t->id, id) == 0 ? t : NULL;
}

uint64_t *ledger_key(struct ledger *l, const char *kind, const char *key)
{
    struct buf b = {0};
    uint64_t *out;

    buf_fmt(&b, "%s:%s", kind, key);
    out = map_at(&l->by_key, (struct text){b.s, b.n});
    buf_free(&b);
    return out;
}

bool cents_parse(const char *s, int64_t *out)
{
    int64_t n = 0;
    size_t digits = 0;

    for (; *s >= '0' && *s <= '9' && n < CENTS_MAX; s++, digits++)
        n = n * 10 + (*s - '0');
    if (digits == 0 || s[0] != '.')
        return false;
    for (int i = 1; i <= 2; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        n = n * 10 + (s[i] - '0');
    }
    *out = n;
    return s[3] == '\0' && n > 0;
}

static json_t *cents_json(int64_t cents)
{
    return json_sprintf("%" PRId64 ".%02" PRId64, cents / 100, cents % 100);
}

static json_t *time_json(int64_t ms)
{
    char iso[ISO_SIZE];

    clock_iso(ms, iso);
    return json_string(iso);
}

static json_t *date_json(int64_t ms, int days)
{
    char date[ISO_SIZE];

    clock_date(ms, days, date);
    return json_string(date);
}

json_t *ledger_rationale_json(const char *code)
{
    return code[0] ? json_pack("{s:s, s:s}", "code", code, "description", "decided by the sandbox")
                   : json_null();
}

json_t *ledger_authorization_json(const struct ledger *l, const struct authorization *a)
{
    static const char *const DECISIONS[] = {
        [DECISION_DECLINED] = "declined",
        [DECISION_USER_ACTION] = "user_action_required",
        [DECISION_APPROVED] = "approved",
    };

    (void)l;
    return json_pack("{s:s, s:o, s:s, s:o, s:n, s:n, s:n, s:o}", "id", a->id, "created",
                     time_json(a->created), "decision", DECISIONS[a->decision],
                     "decision_rationale", ledger_rationale_json(a->rationale),
                     "guarantee_decision", "guarantee_decision_rationale", "payment_risk",
                     "proposed_transfer", json_loads(a->proposed, 0, NULL));
}

json_t *ledger_refund_json(const struct ledger *l, uint64_t number)
{
    const struct refund *r = &l->refunds[number - 1];

    return json_pack("{s:s, s:s, s:o, s:s, s:o, s:n, s:n}", "id", r->id, "transfer_id",
                     ledger_transfer_at(l, r->transfer)->id, "amount", cents_json(r->cents),
                     "status", "pending", "created", time_json(r->created), "failure_reason",
                     "network_trace_id");
}

static json_t *refunds_json(const struct ledger *l, uint64_t transfer)
{
    json_t *out = json_array();

    if (ledger_transfer_at(l, transfer)->refunded > 0)
        for (size_t i = 1; i <= l->refunds_n; i++)
            if (l->refunds[i - 1].transfer == transfer)
                json_array_append_new(out, ledger_refund_json(l, i));
    return out;
}

json_t *ledger_transfer_json(const struct ledger *l, uint64_t number)
{
    const struct transfer *t = ledger_transfer_at(l, number);
    const struct authorization *a = ledger_authorization_at(l, t->authorization);
    json_t *out = json_loads(a->proposed, 0, NULL);
    json_t *rest = json_pack(
        "{s:s, s:s, s:o, s:o, s:s, s:o, s:s, s:b, s:o, s:n, s:n, s:n, s:n, s:n}", "id", t->id,
        "authorization_id", a->id, "amount", cents_json(t->cents), "created", time_json(t->created),
        "description", t->description, "metadata", json_loads(t->metadata, JSON_DECODE_ANY, NULL),
        "status", t->cancelled ? "cancelled" : "pending", "cancellable", !t->cancelled, "refunds",
        refunds_json(l, number), "failure_reason", "guarantee_decision",
        "guarantee_decision_rationale", "recurring_transfer_id", "network_trace_id");

    json_object_update(out, rest);
    json_decref(rest);
    json_object_set_new(out, "expected_settlement_date", date_json(t->created, DAY_RETURN));
    json_object_set_new(out, "standard_return_window", date_json(t->created, DAY_RETURN));
    json_object_set_new(out, "unauthorized_return_window", date_json(t->created, DAY_UNAUTHORIZED));
    return out;
}

json_t *ledger_event_json(const struct ledger *l, uint64_t number)
{
    const struct transfer_event *e = &l->events[number - 1];
    const struct transfer *t = ledger_transfer_at(l, e->transfer);
    const struct authorization *a = ledger_authorization_at(l, t->authorization);
    json_t *proposed = json_loads(a->proposed, 0, NULL);
    json_t *out = json_pack(
        "{s:I, s:s, s:o, s:s, s:O, s:s, s:o, s:n, s:n, s:n, s:n}", "event_id", (json_int_t)number,
        "event_type", e->type, "timestamp", time_json(e->at), "transfer_id", t->id, "transfer_type",
        json_object_get(proposed, "type"), "account_id", a->account_id, "transfer_amount",
        cents_json(t->cents), "failure_reason", "sweep_id", "sweep_amount", "originator_client_id");

    json_object_set_new(out, "refund_id",
                        e->refund ? json_string(l->refunds[e->refund - 1].id) : json_null());
    json_decref(proposed);
    return out;
}

void ledger_free(struct ledger *l)
{
    for (size_t i = 0; i < l->authorizations_n; i++) {
        free(l->authorizations[i].proposed);
        free(l->authorizations[i].account_id);
    }
    for (size_t i = 0; i < l->transfers_n; i++) {
        free(l->transfers[i].description);
        free(l->transfers[i].metadata);
    }
    free(l->authorizations);
    free(l->transfers);
    free(l->refunds);
    free(l->events);
    json_decref(l->recurring);
    map_free(&l->by_id);
    map_free(&l->by_key);
    *l = (struct ledger){0};
}
