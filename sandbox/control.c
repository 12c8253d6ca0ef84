/* /_control; see control.h. */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_DEFAULT 2

static void refuse(struct reply *out, const char *why)
{
    reply_json(out, 400, json_pack("{s:s}", "error", why));
}

static void agree(struct reply *out)
{
    reply_json(out, 200, json_pack("{s:b}", "ok", 1));
}

static void reset(struct sandbox *sb, const struct call *c, struct reply *out)
{
    (void)c;
    sandbox_reset(sb);
    agree(out);
}

static void set_clock(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const json_t *offset = json_object_get(c->in, "offset_ms");
    char now[ISO_SIZE];

    if (!json_is_integer(offset)) {
        refuse(out, "offset_ms must be an integer");
        return;
    }
    sb->clock.offset_ms = json_integer_value(offset);
    clock_iso(clock_now(&sb->clock), now);
    reply_json(out, 200, json_pack("{s:s}", "now", now));
}

static json_int_t integer(const json_t *rule, const char *name, json_int_t otherwise)
{
    const json_t *v = json_object_get(rule, name);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

static const char *string(const json_t *rule, const char *name)
{
    return json_string_value(json_object_get(rule, name));
}

static bool fields_known(json_t *in)
{
    static const char KNOWN[] =
        " path method mode times delay_ms retry_after status error_type code ";

    for (void *at = json_object_iter(in); at != NULL; at = json_object_iter_next(in, at)) {
        char name[32];
        snprintf(name, sizeof name, " %s ", json_object_iter_key(at));
        if (strstr(KNOWN, name) == NULL)
            return false;
    }
    return true;
}

/* A rule out of JSON; otherwise says what is wrong with it. */
static const char *read_rule(json_t *in, struct rule *out)
{
    const char *path = string(in, "path"), *mode = string(in, "mode");
    const char *method = string(in, "method"), *code = string(in, "code");
    const char *type = string(in, "error_type");

    if (!fields_known(in))
        return "a rule has path, mode and perhaps method, times, delay_ms, retry_after, "
               "status, error_type, code";
    if (path == NULL || mode == NULL || mode_find(mode) == NULL)
        return "a rule needs a path and a known mode; see sandbox --help";
    *out = (struct rule){.times = (long)integer(in, "times", 1)};
    out->fault.mode = mode_find(mode);
    out->fault.delay_ms = (unsigned)integer(in, "delay_ms", out->fault.mode->delay_ms);
    out->fault.retry_after = (unsigned)integer(in, "retry_after", RETRY_AFTER_DEFAULT);
    out->fault.status = (int)integer(in, "status", 0);
    snprintf(out->fault.code, sizeof out->fault.code, "%s", code ? code : "");
    snprintf(out->fault.error_type, sizeof out->fault.error_type, "%s", type ? type : "");
    out->path = take_copy(text_of(path));
    out->method = method ? take_copy(text_of(method)) : NULL;
    return NULL;
}

static void add_rule(struct sandbox *sb, const struct call *c, struct reply *out)
{
    struct rule rule;
    const char *problem = json_is_object(c->in) ? read_rule(c->in, &rule) : "an object is wanted";

    if (problem != NULL) {
        refuse(out, problem);
        return;
    }
    faults_add(&sb->faults, &rule);
    agree(out);
}

static void clear_rules(struct sandbox *sb, const struct call *c, struct reply *out)
{
    (void)c;
    faults_free(&sb->faults);
    agree(out);
}

static void list_rules(struct sandbox *sb, const struct call *c, struct reply *out)
{
    json_t *list = json_array();

    (void)c;
    for (size_t i = 0; i < sb->faults.n; i++) {
        const struct rule *r = &sb->faults.rules[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "path", r->path, "mode",
                                              r->fault.mode->name, "times", (json_int_t)r->times));
    }
    reply_json(out, 200, list);
}

static void get_effects(struct sandbox *sb, const struct call *c, struct reply *out)
{
    bool brief = text_is(http_query(c->req, "brief"), "1");

    reply_json(out, 200, effects_json(&sb->effects, !brief));
}

/* The path parameter may be percent-encoded, as URLSearchParams does with slashes. */
static char *decoded(struct text t)
{
    struct buf b = {0};

    for (size_t i = 0; i < t.n; i++) {
        if (t.s[i] == '%' && i + 2 < t.n) {
            char hex[3] = {t.s[i + 1], t.s[i + 2], '\0'};
            buf_fmt(&b, "%c", (int)strtol(hex, NULL, 16));
            i += 2;
        } else {
            buf_add(&b, t.s + i, 1);
        }
    }
    return b.s ? b.s : take_copy((struct text){0});
}

static void get_requests(struct sandbox *sb, const struct call *c, struct reply *out)
{
    char *path = decoded(http_query(c->req, "path"));
    struct text limit = http_query(c->req, "limit");

    reply_json(
        out, 200,
        reqlog_json(&sb->log, text_of(path), limit.n ? strtoul(limit.s, NULL, 10) : REQLOG_COUNT));
    free(path);
}

static void get_transfers(struct sandbox *sb, const struct call *c, struct reply *out)
{
    json_t *list = json_array();

    (void)c;
    for (uint64_t i = 1; i <= sb->ledger.transfers_n; i++)
        json_array_append_new(list, ledger_transfer_json(&sb->ledger, i));
    reply_json(out, 200, list);
}

static const struct {
    const char *method;
    const char *path;
    void (*handler)(struct sandbox *sb, const struct call *c, struct reply *out);
} ROUTES[] = {
    {"POST", "/_control/reset", reset},          {"POST", "/_control/clock", set_clock},
    {"POST", "/_control/rules", add_rule},       {"GET", "/_control/rules", list_rules},
    {"DELETE", "/_control/rules", clear_rules},  {"GET", "/_control/effects", get_effects},
    {"GET", "/_control/requests", get_requests}, {"GET", "/_control/transfers", get_transfers},
};

void control_act(struct sandbox *sb, const struct call *c, struct reply *out)
{
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++)
        if (text_is(c->req->method, ROUTES[i].method) && text_is(c->req->path, ROUTES[i].path)) {
            ROUTES[i].handler(sb, c, out);
            return;
        }
    reply_json(out, 404, json_pack("{s:s}", "error", "no such control"));
}
