/* The one Item there is; see fixture.h. Names and ids are those of Plaid's own examples. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
#define JSON(...) #__VA_ARGS__

static const char *const PARTS[FIXTURE_COUNT] = {
[FIXTURE_ITEM] = JSON({
    "available_products": ["balance", "signal"],
    "billed_products": ["assets", "auth", "identity", "investments", "liabilities", "transactions", "transfer"],
    "products": ["auth", "identity", "transactions", "transfer"],
    "consent_expiration_time": null, "error": null, "institution_id": "ins_109508",
    "institution_name": "First Platypus Bank", "item_id": "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
    "update_type": "background", "webhook": "", "auth_method": "INSTANT_AUTH", "created_at": "2024-01-22T04:32:00Z"
}),
[FIXTURE_ACCOUNTS] = JSON([
    {"account_id": "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", "mask": "0000", "name": "Plaid Checking",
     "official_name": "Plaid Gold Standard 0% Interest Checking", "type": "depository", "subtype": "checking", "holder_category": "business",
     "balances": {"available": 12480.55, "current": 12630.55, "iso_currency_code": "USD", "limit": null, "unofficial_currency_code": null}},
    {"account_id": "3gE5gnRzNyfXpBK5wEEKcymJ5albGVUqg77gr", "mask": "1111", "name": "Plaid Saving",
     "official_name": "Plaid Silver Standard 0.1% Interest Saving", "type": "depository", "subtype": "savings", "holder_category": "business",
     "balances": {"available": 86000, "current": 86000, "iso_currency_code": "USD", "limit": null, "unofficial_currency_code": null}},
    {"account_id": "dVzbVMLjrxTnLjX4G66XUp5GLklm4oiZy88yK", "mask": "3333", "name": "Plaid Credit Card",
     "official_name": "Plaid Diamond 12.5% APR Interest Credit Card", "type": "credit", "subtype": "credit card",
     "balances": {"available": null, "current": 410, "iso_currency_code": "USD", "limit": 2000, "unofficial_currency_code": null}},
    {"account_id": "k67E4xKvMlhmleEa4pg9hlwGGNnnEeixPolGm", "mask": "6666", "name": "Plaid 401k",
     "official_name": null, "type": "investment", "subtype": "401k",
     "balances": {"available": null, "current": 24580.06, "iso_currency_code": "USD", "limit": null, "unofficial_currency_code": null}},
    {"account_id": "Pp1Vpkl9w8sajvK6oEEKtr7vZxBnGpf7LxxLE", "mask": "7777", "name": "Plaid Student Loan",
     "official_name": null, "type": "loan", "subtype": "student",
     "balances": {"available": null, "current": 65262, "iso_currency_code": "USD", "limit": null, "unofficial_currency_code": null}}
]),
[FIXTURE_OWNERS] = JSON([{
    "names": ["Alberta Bobbeth Charleson"],
    "emails": [{"data": "accountholder0@example.com", "primary": true, "type": "primary"},
               {"data": "accountholder1@example.com", "primary": false, "type": "secondary"}],
    "phone_numbers": [{"data": "2025550123", "primary": true, "type": "home"},
                      {"data": "2025550144", "primary": false, "type": "mobile"}],
    "addresses": [{"data": {"city": "Malakoff", "country": "US", "postal_code": "14236", "region": "NY", "street": "2992 Cameron Road"}, "primary": true}]
}]),
[FIXTURE_NUMBERS] = JSON({
    "ach": [
        {"account": "1111222233330000", "account_id": "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", "routing": "011401533", "wire_routing": "021000021", "is_tokenized_account_number": false},
        {"account": "1111222233331111", "account_id": "3gE5gnRzNyfXpBK5wEEKcymJ5albGVUqg77gr", "routing": "011401533", "wire_routing": "021000021", "is_tokenized_account_number": false}],
    "eft": [], "international": [], "bacs": []
}),
[FIXTURE_TRANSACTIONS] = JSON([
    {"transaction_id": "lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDje", "account_id": "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", "account_owner": null,
     "amount": 72.1, "date": "2026-09-24", "authorized_date": "2026-09-22", "name": "PURCHASE WM SUPERCENTER #1700", "merchant_name": "Walmart",
     "iso_currency_code": "USD", "unofficial_currency_code": null, "payment_channel": "in store", "pending": false, "pending_transaction_id": null,
     "personal_finance_category": {"primary": "GENERAL_MERCHANDISE", "detailed": "GENERAL_MERCHANDISE_SUPERSTORES", "confidence_level": "VERY_HIGH"}},
    {"transaction_id": "yhnUVvtcGGcCKU0bcz8PDQr5ZUxUXebUvbKC0", "account_id": "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", "account_owner": null,
     "amount": 28.34, "date": "2026-09-28", "authorized_date": "2026-09-27", "name": "Dd Doordash Burgerkin", "merchant_name": "Burger King",
     "iso_currency_code": "USD", "unofficial_currency_code": null, "payment_channel": "online", "pending": false, "pending_transaction_id": null,
     "personal_finance_category": {"primary": "FOOD_AND_DRINK", "detailed": "FOOD_AND_DRINK_FAST_FOOD", "confidence_level": "VERY_HIGH"}},
    {"transaction_id": "no86Eox18VHMvaOVL7gPUM9ap3aR1LsAVZ5nc", "account_id": "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", "account_owner": null,
     "amount": -4200, "date": "2026-10-01", "authorized_date": null, "name": "ACH CREDIT INVOICE 2214", "merchant_name": null,
     "iso_currency_code": "USD", "unofficial_currency_code": null, "payment_channel": "other", "pending": false, "pending_transaction_id": null,
     "personal_finance_category": {"primary": "INCOME", "detailed": "INCOME_OTHER_INCOME", "confidence_level": "LOW"}},
    {"transaction_id": "5QKmMdaQWgtzkvKEmwqwFKzpLqLxXZmEqjnoV", "account_id": "dVzbVMLjrxTnLjX4G66XUp5GLklm4oiZy88yK", "account_owner": null,
     "amount": 500, "date": "2026-10-02", "authorized_date": "2026-10-02", "name": "United Airlines", "merchant_name": "United Airlines",
     "iso_currency_code": "USD", "unofficial_currency_code": null, "payment_channel": "online", "pending": false, "pending_transaction_id": null,
     "personal_finance_category": {"primary": "TRAVEL", "detailed": "TRAVEL_FLIGHTS", "confidence_level": "VERY_HIGH"}},
    {"transaction_id": "vokyE5Rn6vHKqDLRXEn5fne7LwbKPLIXGK98d", "account_id": "dVzbVMLjrxTnLjX4G66XUp5GLklm4oiZy88yK", "account_owner": null,
     "amount": 6.33, "date": "2026-10-03", "authorized_date": "2026-10-03", "name": "Uber 072515 SF**POOL**", "merchant_name": "Uber",
     "iso_currency_code": "USD", "unofficial_currency_code": null, "payment_channel": "online", "pending": true, "pending_transaction_id": null,
     "personal_finance_category": {"primary": "TRANSPORTATION", "detailed": "TRANSPORTATION_TAXIS_AND_RIDE_SHARES", "confidence_level": "VERY_HIGH"}}
]),
[FIXTURE_HOLDINGS] = JSON([
    {"account_id": "k67E4xKvMlhmleEa4pg9hlwGGNnnEeixPolGm", "security_id": "JDdP7XPMklt5vwPmDN45t3KAoWAPmjtpaW7DP", "cost_basis": 23,
     "institution_price": 27, "institution_price_as_of": "2026-10-02", "institution_price_datetime": null, "institution_value": 636.31, "quantity": 23.567,
     "iso_currency_code": "USD", "unofficial_currency_code": null, "vested_quantity": null, "vested_value": null},
    {"account_id": "k67E4xKvMlhmleEa4pg9hlwGGNnnEeixPolGm", "security_id": "d6ePmbPxgWCWmMVv66q9iPV94n91vMtov5Are", "cost_basis": 1,
     "institution_price": 1, "institution_price_as_of": "2026-10-02", "institution_price_datetime": null, "institution_value": 23943.75, "quantity": 23943.75,
     "iso_currency_code": "USD", "unofficial_currency_code": null, "vested_quantity": null, "vested_value": null}
]),
[FIXTURE_SECURITIES] = JSON([
    {"security_id": "JDdP7XPMklt5vwPmDN45t3KAoWAPmjtpaW7DP", "name": "Matthews Pacific Tiger Fund Insti Class", "ticker_symbol": "MIPTX", "type": "mutual fund",
     "isin": null, "cusip": null, "sedol": null, "close_price": 27, "close_price_as_of": null, "is_cash_equivalent": false, "institution_id": null,
     "institution_security_id": null, "proxy_security_id": null, "iso_currency_code": "USD", "unofficial_currency_code": null},
    {"security_id": "d6ePmbPxgWCWmMVv66q9iPV94n91vMtov5Are", "name": "U S Dollar", "ticker_symbol": "CUR:USD", "type": "cash",
     "isin": null, "cusip": null, "sedol": null, "close_price": 1, "close_price_as_of": null, "is_cash_equivalent": true, "institution_id": null,
     "institution_security_id": null, "proxy_security_id": null, "iso_currency_code": "USD", "unofficial_currency_code": null}
]),
[FIXTURE_LIABILITIES] = JSON({
    "credit": [{"account_id": "dVzbVMLjrxTnLjX4G66XUp5GLklm4oiZy88yK", "is_overdue": false, "last_payment_amount": 168.25, "last_payment_date": "2026-09-22",
        "last_statement_balance": 1708.77, "last_statement_issue_date": "2026-09-28", "minimum_payment_amount": 20, "next_payment_due_date": "2026-10-28",
        "aprs": [{"apr_percentage": 12.5, "apr_type": "purchase_apr", "balance_subject_to_apr": 157.01, "interest_charge_amount": 25.66}]}],
    "mortgage": [],
    "student": [{"account_id": "Pp1Vpkl9w8sajvK6oEEKtr7vZxBnGpf7LxxLE", "account_number": "4277075694", "disbursement_dates": ["2018-08-28"],
        "expected_payoff_date": "2038-07-28", "guarantor": "DEPT OF ED", "interest_rate_percentage": 5.25, "is_overdue": false, "last_payment_amount": 138.05,
        "last_payment_date": "2026-09-22", "last_statement_balance": 1708.77, "last_statement_issue_date": "2026-09-28", "loan_name": "Consolidation",
        "minimum_payment_amount": 25, "next_payment_due_date": "2026-10-28", "origination_date": "2018-08-28", "origination_principal_amount": 65000}]
}),
[FIXTURE_SIGNAL] = JSON({
    "scores": {"customer_initiated_return_risk": {"score": 9, "risk_tier": 1}, "bank_initiated_return_risk": {"score": 12, "risk_tier": 1}},
    "core_attributes": {"available_balance": 12480.55, "current_balance": 12630.55},
    "ruleset": {"ruleset_key": "default", "result": "ACCEPT", "triggered_rule_details": null}, "warnings": []
}),
};
/* clang-format on */

static const struct {
    const char *name; /* of the part in a page */
    unsigned pages;   /* bit by bit */
} PLACES[FIXTURE_COUNT] = {
    [FIXTURE_ITEM] = {"item", ~0u},
    [FIXTURE_ACCOUNTS] = {"accounts", ~0u},
    [FIXTURE_NUMBERS] = {"numbers", 1u << PAGE_AUTH},
    [FIXTURE_HOLDINGS] = {"holdings", 1u << PAGE_HOLDINGS},
    [FIXTURE_SECURITIES] = {"securities", 1u << PAGE_HOLDINGS},
    [FIXTURE_LIABILITIES] = {"liabilities", 1u << PAGE_LIABILITIES},
};

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *out = json_loads(text, 0, &error);

    if (out == NULL) {
        fprintf(stderr, "sandbox: its own data is wrong: %s at %d\n", error.text, error.position);
        abort();
    }
    return out;
}

static json_t *page_of(const struct fixture *f, enum fixture_page page)
{
    json_t *out = json_object(), *accounts;

    for (size_t i = 0; i < FIXTURE_COUNT; i++)
        if (PLACES[i].pages & 1u << page)
            json_object_set_new(out, PLACES[i].name, json_deep_copy(f->parts[i]));
    accounts = json_object_get(out, "accounts");
    for (size_t i = 0; page == PAGE_IDENTITY && i < json_array_size(accounts); i++)
        json_object_set(json_array_get(accounts, i), "owners", f->parts[FIXTURE_OWNERS]);
    return out;
}

void fixture_load(struct fixture *f)
{
    *f = (struct fixture){0};
    for (size_t i = 0; i < FIXTURE_COUNT; i++)
        f->parts[i] = parse(PARTS[i]);
    for (unsigned i = 0; i < PAGE_COUNT; i++) {
        char *text;
        f->pages[i] = page_of(f, (enum fixture_page)i);
        text = json_dumps(f->pages[i], JSON_COMPACT);
        buf_str(&f->texts[i], text);
        f->texts[i].n--;
        free(text);
    }
}

void fixture_free(struct fixture *f)
{
    for (size_t i = 0; i < FIXTURE_COUNT; i++)
        json_decref(f->parts[i]);
    for (size_t i = 0; i < PAGE_COUNT; i++) {
        json_decref(f->pages[i]);
        buf_free(&f->texts[i]);
    }
    *f = (struct fixture){0};
}
