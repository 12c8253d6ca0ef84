/* The make-believe service: everything it knows, and which part answers what.
 * Single-threaded: one loop serves all connections, so nothing here is locked. */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "clock.h"
#include "crm.h"
#include "effects.h"
#include "faults.h"
#include "fixture.h"
#include "ids.h"
#include "ledger.h"
#include "reqlog.h"

/* What a caller must show; borrowed for the life of the program. */
struct credentials {
    const char *client_id;
    const char *secret;
    const char *access_token;
};

struct sandbox {
    struct credentials credentials;
    unsigned port;
    struct clock clock;
    struct ids ids;
    struct fixture fixture;
    struct reqlog log;
    struct faults faults;
    struct effects effects;
    struct ledger ledger;
    struct crm crm;
    struct map links; /* link token -> when it was made, in ms */
};

/* What an operation is given. */
struct call {
    const struct request *req;
    const struct fault *fault;
    json_t *in; /* borrowed: the JSON body; NULL if there is none */
};

void sandbox_init(struct sandbox *sb, const struct credentials *credentials);
void sandbox_free(struct sandbox *sb);
/* Forgets everything that happened and every rule, and puts the clock right. */
void sandbox_reset(struct sandbox *sb);

/* Writes the request down and says what is to go wrong with it. Called once for each. */
struct fault sandbox_admit(struct sandbox *sb, const struct request *r);
/* Carries it out, as far as the fault lets it, and fills `out`. */
void sandbox_answer(struct sandbox *sb, const struct request *r, const struct fault *fault,
                    struct reply *out);

/* Answers with a JSON value, which it takes over. */
void reply_json(struct reply *out, int status, json_t *value);

#endif
