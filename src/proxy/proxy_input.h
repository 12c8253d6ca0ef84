/* A vendor SDK's request as a proposal. */
#ifndef CS_PROXY_PROXY_INPUT_H
#define CS_PROXY_PROXY_INPUT_H

#include "proxy/proxy.h"

#define PROXY_WAIT_MAX 55

/* What the Prefer header asks for (RFC 7240); what is not understood is ignored. */
struct preference {
    bool async;   /* respond-async */
    int64_t wait; /* seconds, at most PROXY_WAIT_MAX */
};
void preference_read(const struct exchange *x, struct preference *ret);

struct proxy_input {
    struct proposal p;
    json_t *headers, *body; /* owned */
};
/* Fills all but roster, agent and connection. Free it whatever comes back. */
CS_CHECK int proxy_input_read(struct exchange *x, struct proxy_input *ret, struct fail *f);
void proxy_input_free(struct proxy_input *in);

#endif
