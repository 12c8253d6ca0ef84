/* Connectors: what Countersign knows of one SaaS API, read from YAML (connectors/NAME.yaml) by gate
 * and by keeper, each for itself. Pure: memory in, structs out; only connector_load_dir reads
 * files. Unknown is dangerous: an operation that is not listed is tier 3, a write, and injects
 * nothing but the connector's own headers. docs/ADDING.md shows how to add a row. */
#ifndef CS_CONNECTOR_CONNECTOR_H
#define CS_CONNECTOR_CONNECTOR_H

#include "base/env.h"
#include "base/json.h"
#include "base/path.h"
#include "base/canon.h"
#include "base/yaml.h"

/* What kind of thing a call does; the audit log's action_type. Zero is the careful one. */
enum op_kind { OP_WRITE = 0, OP_READ, OP_AUTHORIZATION };

/* How the provider treats the same call twice. Zero: as two calls. */
enum idempotency {
    IDEM_NONE = 0,
    IDEM_PAYLOAD, /* a field that the payload already has makes it so (Plaid's authorization_id) */
    IDEM_BODY,    /* a key of ours goes into the body at `idem_at` */
    IDEM_HEADER,  /* a key of ours goes into the header `idem_at` */
};

enum body_format { BODY_JSON = 0, BODY_FORM, BODY_RAW };

/* A place that Countersign fills in: {secret} names are replaced from the connection's secrets. */
struct inject {
    const char *place; /* header name in lower case, or JSON pointer into the body */
    const char *value; /* template, e.g. "Bearer {token}" */
};

/* "the value at this pointer is one of these" */
struct match_values {
    const char *at; /* JSON pointer; NULL: never holds */
    const char **value;
    size_t n;
};

struct operation {
    const char *name;    /* "transfer.create" */
    const char *method;  /* "POST" */
    const char *path;    /* template, "/contacts/{id}" */
    const char *product; /* the audit log's product, e.g. "transfer" */
    const char *text;    /* why the tier, for people: "moves money" */
    int line;            /* in the YAML file */
    enum op_kind kind;
    int tier;
    bool deny;        /* never for agents */
    bool slash;       /* %2f may stand in parameters */
    const char **tag; /* read, pii, money, external, bulk, permission, ... */
    size_t n_tags;
    struct inject *body; /* places in the body filled from secrets */
    size_t n_body;
    enum body_format format;
    enum idempotency idem;
    const char *idem_at;
    int64_t idem_window;                   /* ms */
    int64_t decide_within, execute_within; /* ms; 0: what policy says */
    /* decide_within counts from when the provider made what `decide_key` points at, if we know */
    const char *decide_kind, *decide_key;
    /* after success: remember that `remember_key` of `remember_kind` was made at `remember_at` */
    const char *remember_kind, *remember_key, *remember_at;
    struct match_values declined, user_action;
    /* for the reviewer: JSON pointers into the request's body (or a constant for currency: "=USD")
     */
    const char *amount, *currency, *payee, *rows, *account;
    const char **pii; /* pointers whose values never go to logs or audit */
    size_t n_pii;
};

struct connector {
    const char *name, *title, *base_url, *file;
    const char
        *agent_key_header; /* where the vendor's client puts its key; NULL: Authorization only */
    const char **secret;   /* members that the secrets file must have */
    size_t n_secrets;
    const char **optional_secret; /* members that it may have; a place filled from an absent one
                                     stays empty */
    size_t n_optional_secrets;
    const char
        *item_secret_id;   /* optional member kept in clear for the audit log's provider_item_id */
    struct inject *header; /* headers filled in on every call */
    size_t n_headers;
    enum body_format format;               /* of operations that are not listed */
    const char **drop_header, **drop_body; /* what the agent put there is dropped, not forwarded */
    size_t n_drop_headers, n_drop_body;
    const char **pass_header; /* request headers of the agent that are part of the payload */
    size_t n_pass_headers;
    const char **answer_header; /* response headers given to the agent */
    size_t n_answer_headers;
    const char *error_code, *error_type, *error_message; /* pointers into an error body */
    bool error_in_2xx;      /* the provider says "refused" with a 2xx status (Slack's ok:false) */
    const char *request_id; /* pointer into any answer, or header name when no '/' leads */
    const char **reauth;    /* error codes that mean: the credential needs re-authentication */
    size_t n_reauth;
    struct {                       /* a call of our own after such an error, giving people a link */
        const char *operation;     /* NULL: there is none; under tier 2 */
        const char *body;          /* its JSON body */
        const char *url, *expires; /* pointers into the answer */
    } repair;
    const char *ratelimit_limit, *ratelimit_remaining, *ratelimit_reset, *ratelimit_unit;
    int pending_status;     /* 428 unless the vendor's client needs another */
    const char *error_body; /* template of our own errors in the vendor's shape */
    struct operation *op;
    size_t n_ops;
    char digest[HASH_TEXT]; /* of the file's bytes */
};

struct connectors; /* all that were loaded; immutable */

/* Loads every *.yaml of a folder; complaints have file, line and column. */
CS_CHECK int connectors_load(const char *dir, struct connectors **ret, struct complaints *c);
/* A set of one connector from memory; `file` stands in complaints. */
CS_CHECK int connectors_read(const char *file, struct str text, struct connectors **ret,
                             struct complaints *c);
void connectors_free(struct connectors *set);
const struct connector *connectors_find(const struct connectors *set, struct str name);
const struct connector *connectors_at(const struct connectors *set,
                                      size_t i);             /* NULL past the end */
const char *connectors_digest(const struct connectors *set); /* over all files, in name order */

/* The operation that method and normal path name, or NULL. Literal segments win over {parameters};
 * methods are compared exactly; HEAD is taken as GET's operation only when it is tagged read. */
const struct operation *connector_match(const struct connector *c, struct str method,
                                        struct str path);
const struct operation *connector_operation(const struct connector *c, struct str name);
bool operation_tagged(const struct operation *op, const char *tag); /* NULL op: false */
bool operation_is_read(const struct operation *op); /* may be sent again; NULL op: false */

/* --- reading an answer ---------------------------------------------------------------------- */
enum answer_class {
    ANSWER_UNCLEAR = 0, /* cannot tell whether there was an effect: 5xx on a write, cut off */
    ANSWER_SUCCEEDED,
    ANSWER_DECLINED,
    ANSWER_REAUTH,       /* no effect; the credential or the end user needs to act */
    ANSWER_RATE_LIMITED, /* no effect */
    ANSWER_FAILED,       /* the provider refused: no effect */
};
struct answer {
    enum answer_class class;
    char error_code[64]; /* provider's code, "" where none */
    char provider_request_id[96];
};
/* status and headers ([[name, value]]) as received; body is parsed JSON or NULL. Reads (op tagged
 * read) with 5xx are FAILED, as they have no effect. */
void connector_read_answer(const struct connector *c, const struct operation *op, int status,
                           const json_t *headers, const json_t *body, struct answer *ret);

/* Our own error in the vendor's shape: fills the template's ${code} ${message} ${action}, each JSON
 * escaped. Content type is application/json. */
CS_CHECK int connector_error_body(const struct connector *c, const char *code, const char *message,
                                  const char *action, struct buf *out);

/* What a reviewer wants on top: {"rows","amount","currency","payee","external"}, nulls where
 * unknown. New reference. */
json_t *connector_impact(const struct operation *op, const json_t *request);
/* The account that the request names, masked to its last four ("****4829"), "" where none. */
void connector_account(const struct operation *op, const json_t *request, char out[16]);

#endif
