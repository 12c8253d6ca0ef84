/* What the files of src/life share and nobody else sees. */
#ifndef CS_LIFE_INSIDE_H
#define CS_LIFE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/audit.h"
#include "base/crash.h"
#include "base/log.h"
#include "life/life.h"

enum life_event {
#define STATE(name, text, ended, settled)
#define MOVE(event, from, to, by, audit) EVENT_##event,
#include "life/life.def"
#undef STATE
#undef MOVE
    EVENT_COUNT
};

#define VOTES_MAX                                                                  \
    256 /* votes read per revision; more people than that never vote on one action \
         */
#define ARENA_MAX ((size_t)24 << 20)
#define IDEM_DAYS 30
#define IDEM_KEY_SIZE 44

/* --- one transaction and what follows its commit ---------------------------------------------- */
struct changed {
    char workspace[33], action[ID_SIZE], agent[ID_SIZE];
    int64_t seq;
    bool notice;
    int event; /* enum life_event, or -1 where no state changed */
};
#define CHANGES_MAX 128
struct work {
    struct life *l;
    void (*committed)(struct work *w); /* after the commit, before anybody is told; may be NULL */
    size_t n;
    struct changed changed[CHANGES_MAX]; /* published after commit */
};
/* Runs fn(tx, w) in one transaction, then passes the crash points and tells the observers. `w` must
 * be the first member of what fn expects; its list is emptied before every run. */
CS_CHECK int life_work(struct life *l, store_fn *fn, struct work *w);
/* For what changes without a change of state (a vote, a new target). */
void work_changed(struct work *w, const struct action *a, int64_t seq, bool notice, int event);

/* The only writer of states. Checks the table, writes row, audit event, jobs' and agents' counters.
 * ERR_CONFLICT if the action is not in the move's first state any more. `a` is updated. */
struct advance {
    struct str by;        /* person or agent that caused it, "" for none */
    struct str result;    /* sealed result, "" to keep what is there */
    struct str extra;     /* sealed note and state; used by moves from NEW alone */
    struct str channel;   /* audit channel: "api", "proxy", "web" */
    struct str approvers; /* JSON list of people, "" for none */
    struct str evidence;  /* for the audit event where it is not the action's own */
};
CS_CHECK int life_advance(struct store_tx *tx, struct work *w, struct action *a, enum life_event ev,
                          const struct advance *how);
/* An audit event about an action, with the fields that its row gives. */
CS_CHECK int life_audit(struct store_tx *tx, struct life *l, const struct action *a,
                        enum audit_type type, const struct advance *how, int64_t *ret_seq);

/* --- jobs ------------------------------------------------------------------------------------- */
#define JOB_EXPIRE "expire"   /* ref: action */
#define JOB_SEND "send"       /* ref: action: try again to send */
#define JOB_DELIVER "deliver" /* ref: delivery */
#define JOB_PRUNE "prune"     /* ref: "": forget old idempotency keys */
CS_CHECK int job_set(struct store_tx *tx, struct str workspace, const char *kind, struct str ref,
                     int64_t due, int64_t tries);
CS_CHECK int job_drop(struct store_tx *tx, struct str workspace, const char *kind, struct str ref);
CS_CHECK int jobs_start(struct life *l);
void jobs_stop(struct life *l);
void jobs_poke(struct life *l); /* look again now */

/* --- flights ---------------------------------------------------------------------------------- */
struct flight {
    _Atomic int refs;
    char id[ID_SIZE], workspace[33];
    struct flight *next;       /* in the table */
    char repair_for[ID_SIZE];  /* a call of our own: the blocked action that it is for; "" for an
                                  agent's */
    bool read_once;            /* no row yet: the whole story is written down with the result */
    struct action pending_row; /* with read_once: the row to be; texts in `arena` */
    struct arena *arena;
    struct str clear_request, clear_extra; /* with read_once: sealed when the row is written */
    pthread_mutex_t lock;
    struct keeper_result result, head;
    bool has_result, has_head;
    int stream_fd;
};
#define FLIGHT_BUCKETS 1024
struct flights {
    pthread_mutex_t lock;
    struct flight *bucket[FLIGHT_BUCKETS];
    size_t n;
};
struct flight *flight_new(struct life *l, struct str workspace, const char *id);
struct flight *flight_find(struct life *l, const char *id); /* a reference, or NULL */
void flight_land(struct life *l, struct flight *fl);        /* out of the table */
/* Every flight without a row: told that its call's fate is unknown (keeper died). */
void flights_lost(struct life *l);

/* --- recorders: results are written down by several threads, so that commits gather ------------
 */
struct recorder;
CS_CHECK int recorder_start(struct life *l);
void recorder_stop(struct life *l);
void recorder_take(struct life *l, struct keeper_result *r); /* owns *r's contents */
void recorder_take_head(struct life *l, struct keeper_result *r, int fd);
void recorder_take_delivered(struct life *l, const struct delivered *d);
void life_delivered(struct life *l, const struct delivered *d);

/* --- the whole -------------------------------------------------------------------------------- */
struct frozen {
    char workspace[33], id[ID_SIZE];
    enum revoke_kind kind;
    char target[160];
};
struct life {
    struct life_options o;
    struct keeper_client *keeper;
    pthread_mutex_t lock; /* rules, roster, identity, frozen */
    struct rules *rules;
    struct roster *roster;
    struct keeper_identity who;
    struct frozen *frozen;
    size_t n_frozen;
    /* Held for reading from before `sending` is committed until the order is handed over, and for
     * writing while recovery asks what became of the rows that are `sending`. */
    pthread_rwlock_t egress;
    pthread_mutex_t roster_change; /* one change of the roster at a time */
    _Atomic int64_t high;          /* highest time seen */
    int64_t high_stored;           /* writer thread's own */
    _Atomic bool ready, stopping, lost;
    _Atomic bool knows_people; /* a roster has been loaded: nothing is recorded before */
    struct flights flights;
    struct recorder *recorder;
    struct jobs *jobs;
    struct {
        _Atomic uint64_t proposed, joined, held, denied, executed, succeeded, failed, declined,
            unknown, rejected, expired, cancelled, votes, votes_refused, deliveries,
            delivery_failures;
    } stat;
};

/* 2_classify.c */
struct judged {
    struct rules *rules; /* reference */
    const struct connector *connector;
    struct request request;
    struct verdict verdict;
};
CS_CHECK int judge(struct life *l, const struct proposal *p, struct judged *ret, struct fail *f);
/* The verdict on what is stored, with the rules of now. */
CS_CHECK int judge_again(struct life *l, const struct roster *r, const struct action *a,
                         struct str request, struct judged *ret, struct fail *f);
void judged_free(struct judged *j);

/* 3_hold.c: deadlines, quorum, nonce and binding of a (new) revision of an action that is held. */
CS_CHECK int hold_bind(struct store_tx *tx, struct life *l, struct action *a, struct arena *ar,
                       const struct judged *j);
/* Back to people as a new revision (policy or roster became stricter). */
CS_CHECK int hold_again(struct store_tx *tx, struct work *w, struct action *a, struct arena *ar,
                        const struct judged *j);

/* 5_execute.c */
void life_execute(struct life *l, struct str workspace, struct str id);
/* Hands an action whose `sending` is committed to keeper. */
CS_CHECK int hand_over(struct life *l, struct arena *ar, const struct action *a, struct str request,
                       struct str grant, const struct action_vote *v, size_t n);
void idem_key(const struct action *a, const struct operation *op, char out[IDEM_KEY_SIZE]);
CS_CHECK int send_row(struct store_tx *tx, struct life *l, const struct action *a, struct str key,
                      struct str grant);

/* 6_record.c */
CS_CHECK int record_result(struct life *l, struct keeper_result *r);

/* repair.c: asks the provider for a link by which people can mend what blocked the action. */
void repair_start(struct life *l, struct str workspace, struct str id);
CS_CHECK int repair_record(struct life *l, const struct flight *fl, const struct keeper_result *r);

/* 7_resume.c: rows of deliveries for what just happened. */
CS_CHECK int resume_enqueue(struct store_tx *tx, struct life *l, const struct action *a);
void resume_deliver(struct life *l, struct str workspace, struct str delivery);
CS_CHECK int resume_check(const struct agent *agent, const json_t *targets, struct fail *f);
/* `joined`: the action is there already; if it is settled, the new target is told at once. */
CS_CHECK int resume_add(struct store_tx *tx, struct life *l, struct arena *ar, struct str workspace,
                        struct str action, const json_t *targets, bool joined);

/* 0_recover.c */
CS_CHECK int recover(struct life *l, struct fail *f);
void sweep_approved(struct life *l);
/* The same when what stood in the way may be gone: now, whatever time their next attempt has. */
void hurry_approved(struct life *l);
/* Blocked actions are tried again at once (a connection got new secrets). */
void sweep_blocked(struct life *l);

/* freeze.c */
CS_CHECK int frozen_load(struct life *l);

/* life.c */
const struct connection *life_connection(const struct roster *r, const struct action *a);
void identity_epoch(struct life *l, char out[33]);
int64_t life_epoch_started(struct life *l);

#endif
