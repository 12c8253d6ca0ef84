/* The audit log: one event a line, written in the transaction of what it tells about, never changed
 * after. Each event's exact RFC 8785 bytes and its leaf hash (RFC 6962: SHA-256 of 0x00 and the
 * bytes) are stored with a gapless number per workspace, so that the verifiable tree can be built
 * over them. No payloads, no answers, no secrets, no personal data beyond who decided. */
#ifndef CS_AUDIT_AUDIT_H
#define CS_AUDIT_AUDIT_H

#include "base/id.h"
#include "base/json.h"
#include "store/store.h"

/* Types of events; the texts are the contract's (event.def). */
enum audit_type {
#define AUDIT(name, text, meaning) AUDIT_##name,
#include "audit/event.def"
#undef AUDIT
    AUDIT_COUNT
};
const char *audit_type_text(enum audit_type t);
bool audit_type_parse(struct str s, enum audit_type *ret);

/* One event. Empty texts and times of 0 become null; tier and revision below 0 likewise. */
struct audit_event {
    enum audit_type type;
    struct str workspace, action, agent, thread, connector, product, operation, endpoint,
        connection, provider_item, account, action_type,
        approvers /* JSON array text, "" for null */, payload_hash, executed_payload_hash,
        provider_request_id, outcome, error_code, channel, evidence;
    int64_t revision;
    int64_t at, approval_at; /* ms */
    int tier;
    int approval_required; /* -1 null, 0 false, 1 true */
    int64_t ttl_seconds;   /* -1 null */
};
#define AUDIT_EVENT_INIT                                                       \
    {                                                                          \
        .tier = -1, .revision = -1, .approval_required = -1, .ttl_seconds = -1 \
    }

/* Appends within tx; *ret_seq (may be NULL) is the event's number. */
CS_CHECK int audit_append(struct store_tx *tx, const struct env *env, const struct audit_event *e,
                          int64_t *ret_seq);

/* Reading, newest first. Zero or empty fields do not filter. `before_seq` is the cursor (0:
 * newest). */
struct audit_filter {
    struct str workspace, action, type;
    int64_t since; /* ms */
    int64_t before_seq;
    int64_t limit; /* 1 to 1000 */
};
/* Calls fn with each event's number and stored bytes; a non-zero return stops and is returned. */
typedef int audit_fn(void *arg, int64_t seq, struct str bytes);
CS_CHECK int audit_each(struct store_tx *tx, const struct audit_filter *flt, audit_fn *fn,
                        void *arg);
/* The same, oldest first from after_seq on, without filters: for export. */
CS_CHECK int audit_export(struct store_tx *tx, struct str workspace, int64_t after_seq,
                          int64_t limit, audit_fn *fn, void *arg);

/* CSV: header line and one event as a line (RFC 4180); a cell that a spreadsheet would take for a
 * formula is written with a leading apostrophe. */
void audit_csv_header(struct buf *out);
CS_CHECK int audit_csv_row(struct str bytes, struct buf *out);

/* Checks numbers without gaps and each leaf hash against its bytes; what `countersign audit verify`
 * can say until the tree is there. *bad is the first wrong number, 0 if none. */
CS_CHECK int audit_check(struct store_tx *tx, struct str workspace, int64_t *ret_events,
                         int64_t *ret_bad);

#endif
