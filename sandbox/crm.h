/* A plain REST service with a bearer token: contacts, e-mails, a large download.
 * It knows nothing of Plaid's habits; making a contact twice makes two, unless the caller sends
 * Idempotency-Key. */
#ifndef SANDBOX_CRM_H
#define SANDBOX_CRM_H

#include "http.h"
#include "map.h"

struct sandbox;
struct call;

struct contact {
    char *text; /* JSON; NULL once deleted */
};

struct crm {
    struct contact *contacts; /* contact number n at n - 1 */
    size_t contacts_n;
    uint64_t emails_n;
    char **kept; /* answers kept for idempotency keys: the body asked, the answer given */
    size_t kept_n;
    struct map by_key; /* idempotency key -> place in kept, plus 1 */
};

/* The surface's two entries; see sandbox.c. */
void crm_act(struct sandbox *sb, const struct call *c, struct reply *out);
void crm_err(struct sandbox *sb, const struct call *c, struct reply *out);
void crm_free(struct crm *crm);

#endif
