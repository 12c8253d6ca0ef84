/* Recover: at start, and whenever keeper comes back, every action that is `sending` is asked after;
 * approved ones that nobody sent are sent. Deadlines need no recovery: they are rows. */
#include "life/inside.h"

#include <stdlib.h>

#define PAGE 256

struct open_send {
    char workspace[33], action[ID_SIZE], epoch[33];
    int64_t attempt, revision;
};
struct page {
    size_t n;
    struct open_send item[PAGE];
};

static int read_open(struct store_tx *tx, void *arg)
{
    struct page *p = arg;
    char workspace[33] = "", action[ID_SIZE] = "";
    if (p->n > 0) { /* the next page begins behind the last of this one */
        memcpy(workspace, p->item[p->n - 1].workspace, sizeof workspace);
        memcpy(action, p->item[p->n - 1].action, sizeof action);
    }
    p->n = 0;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_SEND_OPEN, &rows, V_C(workspace), V_C(action), V_INT(PAGE));
    while (r == 0 && p->n < PAGE && (r = store_next(rows)) == 0) {
        struct open_send *s = &p->item[p->n];
        if (!str_copy(s->workspace, sizeof s->workspace, store_text(rows, 0)) ||
            !str_copy(s->action, sizeof s->action, store_text(rows, 1)) ||
            !str_copy(s->epoch, sizeof s->epoch, store_text(rows, 4)))
            continue;
        s->attempt = store_int(rows, 2);
        s->revision = store_int(rows, 3);
        p->n++;
    }
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static void report(struct life *l, const struct open_send *s, enum result_kind kind,
                   const char *detail)
{
    struct keeper_result r = {.kind = kind, .attempt = s->attempt, .revision = s->revision};
    memcpy(r.action, s->action, sizeof r.action);
    memcpy(r.workspace, s->workspace, sizeof r.workspace);
    CS_ASSERT(str_copy(r.detail, sizeof r.detail, str_c(detail)));
    buf_init(&r.body, 0);
    recorder_take(l, &r);
}

static int ask_after(struct life *l, const struct open_send *s, struct fail *f)
{
    enum attempt_state state = ATTEMPT_SENT_UNKNOWN;
    struct keeper_result done = {0};
    int r = keeper_query(l->keeper, str_c(s->workspace), str_c(s->action), s->attempt,
                         str_c(s->epoch), &state, &done, f);
    if (r != 0)
        return r;
    switch (state) {
    case ATTEMPT_DONE:
        recorder_take(l, &done);
        break;
    case ATTEMPT_NONE:
        report(l, s, RESULT_NOT_SENT, "the sending process has no entry of it: no byte left");
        break;
    case ATTEMPT_SENT_UNKNOWN:
        report(l, s, RESULT_UNKNOWN, "it was being sent when the sending process ended");
        break;
    case ATTEMPT_IN_FLIGHT:
        break;
    }
    log_event(LOG_INFO, "recover.sending", KV_C("action", s->action), KV_N("attempt", s->attempt),
              KV_N("state", state));
    return 0;
}

int recover(struct life *l, struct fail *f)
{
    struct page *p = calloc(1, sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    int r;
    do {
        r = store_read(l->o.store, read_open, p);
        for (size_t i = 0; r == 0 && i < p->n; i++)
            r = ask_after(l, &p->item[i], f);
    } while (r == 0 && p->n == PAGE);
    free(p);
    return r;
}

/* --- what was approved and not sent, or blocked ---------------------------------------------- */

struct sweep {
    enum store_query query;
    char workspace[PAGE][33], id[PAGE][ID_SIZE];
    size_t n;
};

static int read_sweep(struct store_tx *tx, void *arg)
{
    struct sweep *s = arg;
    char workspace[33] = "", id[ID_SIZE] = "";
    if (s->n > 0) {
        memcpy(workspace, s->workspace[s->n - 1], sizeof workspace);
        memcpy(id, s->id[s->n - 1], sizeof id);
    }
    s->n = 0;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, s->query, &rows, V_C(workspace), V_C(id), V_INT(PAGE));
    while (r == 0 && s->n < PAGE && (r = store_next(rows)) == 0)
        if (str_copy(s->workspace[s->n], 33, store_text(rows, 0)) &&
            str_copy(s->id[s->n], ID_SIZE, store_text(rows, 1)))
            s->n++;
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

struct soon {
    struct str workspace, id;
    int64_t now;
};

/* An attempt that already has its time keeps it; the sweep only hurries what has none. */
static int set_soon(struct store_tx *tx, void *arg)
{
    const struct soon *s = arg;
    return STORE_EXEC(tx, Q_JOB_IF_NONE, NULL, V_TEXT(s->workspace), V_C(JOB_SEND), V_TEXT(s->id),
                      V_INT(s->now));
}

static int set_now(struct store_tx *tx, void *arg)
{
    const struct soon *s = arg;
    return job_set(tx, s->workspace, JOB_SEND, s->id, s->now, 0);
}

static void sweep(struct life *l, enum store_query query, store_fn *fn)
{
    struct sweep *s = calloc(1, sizeof *s);
    if (s == NULL || l->jobs == NULL) {
        free(s);
        return;
    }
    s->query = query;
    int r;
    do {
        r = store_read(l->o.store, read_sweep, s);
        for (size_t i = 0; r == 0 && i < s->n; i++) {
            struct soon soon = {str_c(s->workspace[i]), str_c(s->id[i]), life_now(l)};
            r = store_tx(l->o.store, fn, &soon);
        }
    } while (r == 0 && s->n == PAGE);
    if (r != 0)
        log_event(LOG_WARN, "recover.sweep_failed", KV_C("why", err_name(r)));
    free(s);
    jobs_poke(l);
}

void sweep_approved(struct life *l)
{
    sweep(l, Q_ACTION_APPROVED, set_soon);
}

void hurry_approved(struct life *l)
{
    sweep(l, Q_ACTION_APPROVED, set_now);
}

void sweep_blocked(struct life *l)
{
    sweep(l, Q_ACTION_BLOCKED, set_now);
}
