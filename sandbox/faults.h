/* Rules that make the next requests for a path go wrong in a chosen way (mode.def).
 * The first rule that fits and has uses left is taken. */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include "http.h"

enum mode_id {
#define MODE(id, name, acts, errs, wait, delay, delivery) MODE_##id,
#include "mode.def"
#undef MODE
    MODE_COUNT
};

enum wait { WAIT_NEVER = 0, WAIT_BEFORE, WAIT_AFTER };
enum delivery { DELIVER_WHOLE = 0, DELIVER_NOTHING, DELIVER_HALF, DELIVER_DRIP };

struct mode {
    enum mode_id id;
    const char *name;
    bool acts;
    bool errs;
    enum wait wait;
    unsigned delay_ms;
    enum delivery delivery;
};

/* What goes wrong with one request; a copy, so that rules may change meanwhile. */
struct fault {
    const struct mode *mode;
    unsigned delay_ms;
    unsigned retry_after; /* seconds, for rate_limited */
    int status;           /* for error */
    char code[64];        /* empty: the mode's own */
    char error_type[64];
};

struct rule {
    struct fault fault;
    char *path;   /* a trailing * stands for anything */
    char *method; /* NULL: any */
    long times;   /* uses left; negative: for ever */
};

struct faults {
    struct rule *rules;
    size_t n;
};

const struct mode *mode_find(const char *name);
const struct mode *mode_none(void);

/* Takes over path and method. */
void faults_add(struct faults *f, const struct rule *rule);
/* Uses up one use of the rule that fits; without one, the mode is "ok". */
struct fault faults_take(struct faults *f, const struct request *r);
/* Is some rule of that mode still waiting to be used? */
bool faults_pending(const struct faults *f, enum mode_id id);
/* Ends all rules of a mode. */
void faults_end(struct faults *f, enum mode_id id);
void faults_free(struct faults *f);

#endif
