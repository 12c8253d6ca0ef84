/* The set of revocations and freezes, a tree by (kind, workspace, id). An entry is never shortened:
 * of two revocations of one thing the longer stands. Only freezes can be taken back. */
#include "keeper/revoke.h"

#include <search.h>
#include <stdlib.h>

enum { ID_MOST = 512 };

struct held {
    struct revocation r; /* texts point to `text` */
    char text[];
};

static int compare_text(struct str a, struct str b)
{
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return a.n ? memcmp(a.p, b.p, a.n) : 0;
}

/* Both sides begin with a struct revocation. */
static int compare(const void *va, const void *vb)
{
    const struct revocation *a = va, *b = vb;
    int r = (int)a->kind - (int)b->kind;
    if (r == 0)
        r = compare_text(a->workspace, b->workspace);
    if (r || a->kind == FREEZE_WORKSPACE) /* there is one; the id adds nothing */
        return r;
    return compare_text(a->id, b->id);
}

static bool is_freeze(enum revoke_kind kind)
{
    return kind >= FREEZE_WORKSPACE;
}

bool revoke_valid(const struct revocation *r)
{
    return r->kind > REVOKE_NONE && r->kind <= FREEZE_OPERATION && r->workspace.n <= ID_MOST &&
           r->id.n <= ID_MOST && (r->on || is_freeze(r->kind));
}

static struct held *find(const struct revoke_set *set, const struct revocation *key)
{
    struct held *const *at = tfind(key, &set->root, compare);
    return at ? *at : NULL;
}

int revoke_take(struct revoke_set *set, const struct revocation *r)
{
    struct held *e = find(set, r);
    if (!r->on) {
        if (e)
            tdelete(e, &set->root, compare);
        free(e);
        return 0;
    }
    if (e) {
        if (r->until > e->r.until)
            e->r.until = r->until;
        return 0;
    }
    e = malloc(sizeof *e + r->workspace.n + r->id.n + 1);
    if (!e)
        return ERR_NOMEM;
    e->r = *r;
    memcpy(e->text, r->workspace.p, r->workspace.n);
    memcpy(e->text + r->workspace.n, r->id.p, r->id.n);
    e->r.workspace.p = e->text;
    e->r.id.p = e->text + r->workspace.n;
    if (tsearch(e, &set->root, compare))
        return 0;
    free(e);
    return ERR_NOMEM;
}

bool revoke_holds(const struct revoke_set *set, enum revoke_kind kind, struct str workspace,
                  struct str id, int64_t now)
{
    struct revocation key = {.kind = kind, .workspace = workspace, .id = id};
    const struct held *e = find(set, &key);
    return e && now <= e->r.until;
}

struct walk {
    int64_t now;
    void (*fn)(void *arg, const struct revocation *r);
    void *arg;
};

static void visit(const void *node, VISIT which, void *arg)
{
    const struct held *e = *(const struct held *const *)node;
    struct walk *w = arg;
    if ((which == postorder || which == leaf) && w->now <= e->r.until)
        w->fn(w->arg, &e->r);
}

void revoke_each(const struct revoke_set *set, int64_t now,
                 void (*fn)(void *arg, const struct revocation *r), void *arg)
{
    struct walk w = {now, fn, arg};
    twalk_r(set->root, visit, &w);
}

void revoke_free(struct revoke_set *set)
{
    tdestroy(set->root, free);
    set->root = NULL;
}
