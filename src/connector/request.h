/* The canonical payload: RFC 8785 JSON of {"method","path","query","headers","body"}, without the
 * places that Countersign fills in itself. One parse serves policy, screen, hash and send: gate
 * makes it once from what the agent sent, stores the bytes, and keeper reads those bytes back and
 * refuses them unless they are canonical. */
#ifndef CS_CONNECTOR_REQUEST_H
#define CS_CONNECTOR_REQUEST_H

#include "connector/connector.h"

struct request {
    json_t *doc;                /* owned; all five members present */
    struct buf bytes;           /* owned; the canonical form */
    char hash[HASH_TEXT];       /* payload_hash */
    const struct operation *op; /* NULL: not listed by the connector */
};

/* What the agent gave. */
struct request_input {
    struct str method;     /* upper case */
    struct str path;       /* raw, as in the request target, without query */
    json_t *query;         /* array of [name, value] pairs, or NULL: none */
    const json_t *headers; /* object of strings, or NULL; names in any case */
    json_t *body;          /* JSON, or NULL: none */
    struct str raw_body;   /* body bytes where body is NULL and the content type is not JSON */
    struct str content_type;
};

/* Normalises, matches the operation, drops injected and not-passed places, makes canonical form and
 * hash. Errors: ERR_UNSAFE_PATH, ERR_MALFORMED, ERR_NUMBER_RANGE, ERR_UNSUPPORTED_TYPE, ... */
CS_CHECK int request_build(const struct connector *c, const struct request_input *in,
                           struct request *ret, struct fail *f);
/* Turns the API's query ({"a":"1","b":["x","y"]}) into pairs; new reference. */
CS_CHECK int request_query(const json_t *object, json_t **ret, struct fail *f);
/* Reads stored bytes; ERR_K_HASH unless they are exactly the canonical form of a whole payload. */
CS_CHECK int request_read(const struct connector *c, struct str bytes, struct request *ret,
                          struct fail *f);
void request_free(struct request *r);

const char *request_method(const struct request *r);
const char *request_path(const struct request *r);
const json_t *request_body(const struct request *r); /* borrowed; NULL for JSON null */

/* What goes over the wire, made by keeper just before sending: places filled from `secrets` (JSON
 * object of strings), key put where the operation wants it, body in its format. `url_path` is path
 * and query; headers are [[name, value]]. Free with wire_free, which wipes. */
struct wire {
    struct buf url_path;
    struct buf headers; /* "Name: value\n" lines, no CR, checked for control bytes */
    struct buf body;
    bool has_body;
};
CS_CHECK int request_wire(const struct connector *c, const struct request *r, const json_t *secrets,
                          struct str idem_key, struct wire *ret, struct fail *f);
void wire_free(struct wire *w);

#endif
