/* Everything that is demanded before a call is sent, in one list (check.c: steps). */
#ifndef CS_KEEPER_CHECK_H
#define CS_KEEPER_CHECK_H

#include "connector/request.h"
#include "keeper/self.h"

/* An order that passed. */
struct checked {
    struct rules *rules; /* reference: connector and operation point into it */
    const struct connector *connector;
    const struct connection *connection; /* the roster's; valid during this turn */
    const struct agent *agent;
    struct request request;
    struct verdict verdict;
    bool voted;      /* votes were demanded and are there */
    bool journalled; /* a write, or a single-use permission */
    int64_t now;
    unsigned char same[SAME_BYTES];
    json_t *secrets;
    struct wire wire;
};

CS_CHECK int check_execute(struct keeper *k, const struct exec_order *o, struct checked *ret,
                           struct fail *f);
/* All that can be checked without grant and credential; answers a grant. */
CS_CHECK int check_grant(struct keeper *k, const struct exec_order *o, struct buf *ret_grant,
                         struct fail *f);
void checked_free(struct checked *c);

#endif
