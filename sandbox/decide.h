/* Is a proposed transfer one to approve? Also: are its fields in order? */
#ifndef SANDBOX_DECIDE_H
#define SANDBOX_DECIDE_H

#include "sandbox.h"

struct verdict {
    enum decision decision;
    char rationale[64];
};

/* Answers an error and returns false if a field is missing or wrong. */
bool proposal_valid(struct sandbox *sb, const struct call *c, struct reply *out,
                    int64_t *ret_cents);
/* The rule's mode decides first, then the legal name, then the amount. */
struct verdict decide(const struct call *c, int64_t cents);
/* "proposed_transfer" as JSON text, for the caller to free. */
char *proposal_text(const struct call *c);

#endif
