/* The Plaid side: who may call, in what shape errors come, and which handler serves a path. */
#ifndef SANDBOX_PLAID_H
#define SANDBOX_PLAID_H

#include "sandbox.h"

enum plaid_error {
#define ERROR(id, status, type, code, message) PLAID_##id,
#include "plaid_error.def"
#undef ERROR
    PLAID_ERROR_COUNT
};

/* The surface's two entries; see sandbox.c. */
void plaid_act(struct sandbox *sb, const struct call *c, struct reply *out);
void plaid_err(struct sandbox *sb, const struct call *c, struct reply *out);

/* For handlers: the answers. `message` replaces the catalogue's if it is not NULL. */
void plaid_fail(struct sandbox *sb, struct reply *out, enum plaid_error e, const char *message);
void plaid_ok(struct sandbox *sb, struct reply *out, json_t *value);
/* The body as an object, for /item/get. */
json_t *plaid_error_json(struct sandbox *sb, enum plaid_error e);

/* For handlers: the fields. plaid_require answers MISSING_FIELDS and returns false if one of
 * the names (separated by spaces) is absent or null. */
bool plaid_require(struct sandbox *sb, const struct call *c, struct reply *out, const char *names);
/* A string field's value; NULL if it is absent or no string. */
const char *plaid_string(const struct call *c, const char *name);
/* An integer field's value; `otherwise` if it is absent. */
json_int_t plaid_integer(const struct call *c, const char *name, json_int_t otherwise);

#endif
