/* Is a proposed transfer one to approve? See decide.h.
 * Any account_id is accepted, so that tests may name their own. */
#include "decide.h"

#include "plaid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AMOUNT_LIMIT INT64_C(10000000) /* cents; above it: declined */

static const struct {
    const char *legal_name; /* how it begins */
    enum decision decision;
    const char *rationale;
} BY_NAME[] = {
    {"Declined", DECISION_DECLINED, "RISK"},
    {"Overdrawn", DECISION_DECLINED, "NSF"},
    {"Unlinked", DECISION_USER_ACTION, "ITEM_LOGIN_REQUIRED"},
    {"Unchecked", DECISION_APPROVED, "MANUALLY_VERIFIED_ITEM"},
};

static const struct {
    const char *field;
    const char *allowed; /* between blanks */
} CHOICES[] = {
    {"type", " debit credit "},
    {"network", " ach same-day-ach rtp wire "},
};

static bool among(const char *allowed, const char *value)
{
    char wanted[32];
    int n = snprintf(wanted, sizeof wanted, " %s ", value);

    return n > 2 && n < (int)sizeof wanted && strstr(allowed, wanted) != NULL;
}

static const char *problem_of(const struct call *c, int64_t *ret_cents)
{
    const json_t *user = json_object_get(c->in, "user");
    const char *amount = plaid_string(c, "amount");
    const char *key = plaid_string(c, "idempotency_key");

    for (size_t i = 0; i < sizeof CHOICES / sizeof *CHOICES; i++) {
        const char *value = plaid_string(c, CHOICES[i].field);
        if (value == NULL || !among(CHOICES[i].allowed, value))
            return i == 0 ? "type must be debit or credit"
                          : "network must be one of ach, same-day-ach, rtp, wire";
    }
    if (plaid_string(c, "account_id") == NULL)
        return "account_id must be a string";
    if (amount == NULL || !cents_parse(amount, ret_cents))
        return "amount must be a decimal string of a positive number with two decimals";
    if (json_string_length(json_object_get(user, "legal_name")) == 0)
        return "user.legal_name must be a non-empty string";
    if (key != NULL && strlen(key) > 50)
        return "idempotency_key must be at most 50 characters";
    return NULL;
}

bool proposal_valid(struct sandbox *sb, const struct call *c, struct reply *out, int64_t *ret_cents)
{
    const char *problem;

    if (!plaid_require(sb, c, out, "account_id type network amount user"))
        return false;
    problem = problem_of(c, ret_cents);
    if (problem != NULL)
        plaid_fail(sb, out, PLAID_INVALID_FIELD, problem);
    return problem == NULL;
}

static struct verdict verdict(enum decision decision, const char *rationale)
{
    struct verdict v = {.decision = decision};

    snprintf(v.rationale, sizeof v.rationale, "%s", rationale);
    return v;
}

struct verdict decide(const struct call *c, int64_t cents)
{
    const char *code = c->fault->code;
    const char *name =
        json_string_value(json_object_get(json_object_get(c->in, "user"), "legal_name"));

    if (c->fault->mode->id == MODE_DECLINED)
        return verdict(DECISION_DECLINED, code[0] ? code : "RISK");
    if (c->fault->mode->id == MODE_USER_ACTION_REQUIRED)
        return verdict(DECISION_USER_ACTION, code[0] ? code : "ITEM_LOGIN_REQUIRED");
    for (size_t i = 0; i < sizeof BY_NAME / sizeof *BY_NAME; i++)
        if (text_starts(text_of(name), BY_NAME[i].legal_name))
            return verdict(BY_NAME[i].decision, BY_NAME[i].rationale);
    if (cents > AMOUNT_LIMIT)
        return verdict(DECISION_DECLINED, "TRANSFER_LIMIT_REACHED");
    return verdict(DECISION_APPROVED, "");
}

char *proposal_text(const struct call *c)
{
    static const char *const COPIED[] = {"account_id",
                                         "type",
                                         "network",
                                         "amount",
                                         "user",
                                         "ach_class",
                                         "ledger_id",
                                         "iso_currency_code",
                                         "funding_account_id"};
    json_t *out = json_object();
    char *text;

    for (size_t i = 0; i < sizeof COPIED / sizeof *COPIED; i++) {
        json_t *v = json_object_get(c->in, COPIED[i]);
        if (v != NULL)
            json_object_set(out, COPIED[i], v);
    }
    if (json_object_get(out, "iso_currency_code") == NULL)
        json_object_set_new(out, "iso_currency_code", json_string("USD"));
    json_object_set_new(out, "originator_client_id", json_null());
    json_object_set_new(out, "credit_funds_source", json_string("sweep"));
    text = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    return text;
}
