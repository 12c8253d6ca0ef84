/* The make-believe service: dispatch between its parts; see sandbox.h. */
#include "sandbox.h"

#include "control.h"
#include "link.h"
#include "plaid.h"

#include <stdlib.h>

static bool is_control(const struct request *r)
{
    return text_starts(r->path, "/_control/");
}

void sandbox_init(struct sandbox *sb, const struct credentials *credentials)
{
    *sb = (struct sandbox){.credentials = *credentials};
    ids_seed(&sb->ids);
    fixture_load(&sb->fixture);
    reqlog_init(&sb->log);
}

static void forget(struct sandbox *sb)
{
    sb->clock.offset_ms = 0;
    faults_free(&sb->faults);
    effects_free(&sb->effects);
    ledger_free(&sb->ledger);
    crm_free(&sb->crm);
    map_free(&sb->links);
}

void sandbox_reset(struct sandbox *sb)
{
    forget(sb);
    reqlog_clear(&sb->log);
}

void sandbox_free(struct sandbox *sb)
{
    forget(sb);
    reqlog_free(&sb->log);
    fixture_free(&sb->fixture);
}

struct fault sandbox_admit(struct sandbox *sb, const struct request *r)
{
    if (is_control(r))
        return (struct fault){.mode = mode_none()};
    reqlog_add(&sb->log, r);
    return faults_take(&sb->faults, r);
}

static const struct surface {
    const char *prefix;
    void (*act)(struct sandbox *sb, const struct call *c, struct reply *out);
    void (*err)(struct sandbox *sb, const struct call *c, struct reply *out);
} SURFACES[] = {
    {"/_control/", control_act, plaid_err},
    {"/crm/", crm_act, crm_err},
    {LINK_PATH, link_act, plaid_err},
    {"/", plaid_act, plaid_err}, /* last: fits everything */
};

static const struct surface *surface_of(const struct request *r)
{
    const struct surface *s = SURFACES;

    while (!text_starts(r->path, s->prefix))
        s++;
    return s;
}

void sandbox_answer(struct sandbox *sb, const struct request *r, const struct fault *fault,
                    struct reply *out)
{
    const struct surface *surface = surface_of(r);
    json_t *in = NULL;
    struct call call = {.req = r, .fault = fault};

    if (r->body.n > 0)
        in = json_loadb(r->body.s, r->body.n, JSON_REJECT_DUPLICATES, NULL);
    call.in = in;
    if (fault->mode->acts)
        surface->act(sb, &call, out);
    if (fault->mode->errs) {
        http_reply_free(out);
        surface->err(sb, &call, out);
    }
    json_decref(in);
}

void reply_json(struct reply *out, int status, json_t *value)
{
    size_t n = json_dumpb(value, NULL, 0, JSON_COMPACT);
    char *to = buf_room(&out->body, n);

    json_dumpb(value, to, n, JSON_COMPACT);
    out->body.n += n;
    out->status = status;
    json_decref(value);
}
