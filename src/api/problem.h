/* Refusals as RFC 9457 problem+json. */
#ifndef CS_API_PROBLEM_H
#define CS_API_PROBLEM_H

#include "api/exchange.h"

/* The document of an error: type, title, status, detail and, where there is one, field, action,
 * position. New reference; NULL without memory. */
json_t *problem_doc(int err, const struct fail *f);
/* Makes it the exchange's answer. `more` (may be NULL; reference taken over) adds members. For
 * handlers whose refusal carries headers or members of its own. */
CS_CHECK int problem_answer(struct exchange *x, int err, const struct fail *f, json_t *more);

#endif
