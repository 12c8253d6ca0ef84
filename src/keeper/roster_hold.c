/* Takes rosters into force, newer ones only. Refuses what the journal contradicts: an older
 * version, an altered one, an empty one where there has been one. */
#include "keeper/roster_hold.h"

#include "keeper/seal.h"

void roster_hold_free(struct roster_hold *h)
{
    roster_unref(h->now);
    h->now = NULL;
}

/* Is this version, sealed to these bytes, one that may be in force? */
static int check_version(const struct ledger *l, int64_t version, const char *hash, struct fail *f)
{
    if (version < l->roster_version)
        return fail_set(f, ERR_K_ROSTER, "the roster is version %lld, but %lld has been in force",
                        (long long)version, (long long)l->roster_version);
    if (version == l->roster_version && !str_eq_c(str_c(hash), l->roster_hash))
        return fail_set(f, ERR_K_ROSTER, "another roster of version %lld has been in force",
                        (long long)version);
    return 0;
}

static void put_in_force(struct roster_hold *h, struct roster *r)
{
    roster_unref(h->now);
    h->now = r;
}

static int load_first(struct roster_hold *h, struct buf *ret_doc, struct fail *f)
{
    struct roster *first = NULL;
    if (journal_ledger(h->journal)->roster_version > 0)
        return fail_set(f, ERR_K_ROSTER, "no roster was given, but there has been one");
    int r = roster_read(str_c(roster_empty), &first, f);
    if (r)
        return r;
    put_in_force(h, first);
    buf_c(ret_doc, roster_empty);
    return buf_err(ret_doc);
}

int roster_hold_load(struct roster_hold *h, struct str sealed, struct buf *ret_doc, struct fail *f)
{
    const struct ledger *l = journal_ledger(h->journal);
    struct buf doc = {0};
    struct roster *next = NULL;
    char hash[HASH_TEXT];
    int64_t version = 0;
    if (sealed.n == 0)
        return load_first(h, ret_doc, f);
    int r = seal_open_roster(h->kek, sealed, &version, &doc);
    if (r) {
        r = fail_set(f, ERR_K_ROSTER, "the roster is not one that keeper sealed");
        goto out;
    }
    hash_text(hash, sealed);
    r = check_version(l, version, hash, f);
    if (!r)
        r = roster_read(buf_view(&doc), &next, f);
    if (!r && roster_version(next) != version)
        r = fail_set(f, ERR_K_ROSTER, "the roster's version is not the one it was sealed as");
    if (r)
        goto out;
    if (version > l->roster_version)
        journal_roster(h->journal, version, hash);
    put_in_force(h, next);
    next = NULL;
    buf_str(ret_doc, buf_view(&doc));
    r = buf_err(ret_doc);
out:
    roster_unref(next);
    buf_wipe(&doc);
    return r;
}

/* The document as it will be sealed: its version is keeper's to give. */
static int number(json_t *doc, int64_t version, struct buf *out)
{
    if (!json_is_object(doc) || json_object_set_new(doc, "version", json_integer(version)))
        return ERR_MALFORMED;
    return json_write(doc, out);
}

int roster_hold_put(struct roster_hold *h, struct str text, int64_t *ret_version,
                    struct buf *ret_sealed, struct fail *f)
{
    int64_t version = journal_ledger(h->journal)->roster_version + 1;
    struct buf numbered = {0};
    struct roster *next = NULL;
    json_t *doc = NULL;
    if (!h->now)
        return fail_set(f, ERR_CONFLICT, "the roster in force must be loaded first");
    int r = json_read(text, &doc, f);
    if (!r)
        r = number(doc, version, &numbered);
    if (!r)
        r = roster_read(buf_view(&numbered), &next, f);
    if (!r)
        r = seal_roster(h->kek, version, buf_view(&numbered), ret_sealed);
    if (!r)
        *ret_version = version;
    roster_unref(next);
    json_decref(doc);
    buf_wipe(&numbered);
    return r;
}
