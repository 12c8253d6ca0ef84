/* Lists: limit, opaque cursor, {"items","next"}. */
#ifndef CS_API_LISTING_H
#define CS_API_LISTING_H

#include "api/app.h"

#define LISTING_MAX 200

struct listing {
    int64_t limit;
    struct str after; /* what the cursor holds, "" from the start; arena memory */
};
/* Reads `limit` (1 to 200, default 50) and `cursor`. ERR_MALFORMED naming the field. */
CS_CHECK int listing_read(struct exchange *x, struct listing *ret, struct fail *f);
/* Answers 200 with {"items": items, "next": cursor or null}. Takes `items` over; next "" is the
 * end. */
CS_CHECK int listing_answer(struct exchange *x, json_t *items, struct str next);
/* The cursor's text; NULL without memory or for "". */
json_t *listing_cursor(struct str next);
/* A whole number from the query within [min, max], or `otherwise` where absent. */
CS_CHECK int listing_number(const struct exchange *x, const char *name, int64_t min, int64_t max,
                            int64_t otherwise, int64_t *ret, struct fail *f);

#endif
