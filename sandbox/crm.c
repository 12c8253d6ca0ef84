/* A plain REST service with a bearer token; see crm.h. */
#include "crm.h"

#include "sandbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTACT_PREFIX "ct_"

static void fail(struct reply *out, int status, const char *code, const char *message)
{
    reply_json(out, status, json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message));
}

static bool let_in(const struct sandbox *sb, const struct request *r)
{
    struct text given = http_header(r, "Authorization");

    return text_starts(given, "Bearer ") &&
           text_is((struct text){given.s + 7, given.n - 7}, sb->credentials.secret);
}

/* The contact named by the path's last segment, with its place; NULL if there is none. */
static json_t *find_contact(const struct sandbox *sb, const struct request *r, size_t *ret_place)
{
    size_t skip = strlen("/crm/contacts/" CONTACT_PREFIX);
    size_t place = 0;

    if (!text_starts(r->path, "/crm/contacts/" CONTACT_PREFIX) || r->path.n > skip + 12)
        return NULL;
    for (size_t i = skip; i < r->path.n; i++) {
        if (r->path.s[i] < '0' || r->path.s[i] > '9')
            return NULL;
        place = place * 10 + (size_t)(r->path.s[i] - '0');
    }
    if (place == 0 || place > sb->crm.contacts_n || sb->crm.contacts[place - 1].text == NULL)
        return NULL;
    *ret_place = place - 1;
    return json_loads(sb->crm.contacts[place - 1].text, 0, NULL);
}

static const char *key_of(const json_t *contact)
{
    const char *email = json_string_value(json_object_get(contact, "email"));

    return email ? email : json_string_value(json_object_get(contact, "id"));
}

/* Puts the contact in its place, as changed now; takes it over and answers it. */
static void keep_contact(struct sandbox *sb, struct reply *out, int status, size_t place,
                         json_t *contact)
{
    char now[ISO_SIZE];

    clock_iso(clock_now(&sb->clock), now);
    json_object_set_new(contact, "updated_at", json_string(now));
    free(sb->crm.contacts[place].text);
    sb->crm.contacts[place].text = json_dumps(contact, JSON_COMPACT);
    reply_json(out, status, contact);
}

/* Has this key been used? Then answers as before, or 409 if something else was asked. */
static bool answer_again(struct sandbox *sb, const struct call *c, struct reply *out)
{
    uint64_t place = map_get(&sb->crm.by_key, http_header(c->req, "Idempotency-Key"));

    if (place == 0)
        return false;
    if (text_is(c->req->body, sb->crm.kept[place - 1])) {
        buf_str(&out->body, sb->crm.kept[place]);
        out->status = 201;
    } else {
        fail(out, 409, "idempotency_conflict", "this Idempotency-Key came with another body");
    }
    return true;
}

static void keep_answer(struct sandbox *sb, const struct call *c, const struct reply *out)
{
    struct text key = http_header(c->req, "Idempotency-Key");
    struct crm *crm = &sb->crm;

    if (key.n == 0)
        return;
    crm->kept = take_again(crm->kept, (crm->kept_n + 2) * sizeof *crm->kept);
    crm->kept[crm->kept_n] = take_copy(c->req->body);
    crm->kept[crm->kept_n + 1] = take_copy((struct text){out->body.s, out->body.n});
    *map_at(&crm->by_key, key) = crm->kept_n + 1;
    crm->kept_n += 2;
}

static void contact_create(struct sandbox *sb, const struct call *c, struct reply *out)
{
    size_t n = sb->crm.contacts_n;
    char now[ISO_SIZE];
    json_t *contact;

    if (!json_is_object(c->in)) {
        fail(out, 400, "invalid_body", "a JSON object is wanted");
        return;
    }
    if (answer_again(sb, c, out))
        return;
    if ((n & (n - 1)) == 0) /* full at powers of two */
        sb->crm.contacts = take_again(sb->crm.contacts, (n ? 2 * n : 1) * sizeof *sb->crm.contacts);
    sb->crm.contacts[n].text = NULL;
    sb->crm.contacts_n = n + 1;
    clock_iso(clock_now(&sb->clock), now);
    contact = json_deep_copy(c->in);
    json_object_set_new(contact, "id", json_sprintf(CONTACT_PREFIX "%06zu", n + 1));
    json_object_set_new(contact, "created_at", json_string(now));
    effects_count(&sb->effects, "contact", key_of(contact), c->req->path);
    keep_contact(sb, out, 201, n, contact);
    keep_answer(sb, c, out);
}

static void contact_list(struct sandbox *sb, const struct call *c, struct reply *out)
{
    size_t limit =
        strtoul(http_query(c->req, "limit").n ? http_query(c->req, "limit").s : "100", NULL, 10);
    json_t *list = json_array();

    for (size_t i = 0; i < sb->crm.contacts_n && json_array_size(list) < limit; i++)
        if (sb->crm.contacts[i].text != NULL)
            json_array_append_new(list, json_loads(sb->crm.contacts[i].text, 0, NULL));
    reply_json(out, 200, json_pack("{s:o}", "items", list));
}

static void contact_one(struct sandbox *sb, const struct call *c, struct reply *out)
{
    size_t place;
    json_t *contact = find_contact(sb, c->req, &place);

    if (contact == NULL)
        fail(out, 404, "not_found", "no such contact");
    else
        reply_json(out, 200, contact);
}

static void contact_change(struct sandbox *sb, const struct call *c, struct reply *out)
{
    size_t place;
    json_t *id, *contact = find_contact(sb, c->req, &place);

    if (contact == NULL || !json_is_object(c->in)) {
        fail(out, contact ? 400 : 404, contact ? "invalid_body" : "not_found",
             contact ? "a JSON object is wanted" : "no such contact");
        json_decref(contact);
        return;
    }
    id = json_incref(json_object_get(contact, "id"));
    json_object_update(contact, c->in);
    json_object_set_new(contact, "id", id);
    effects_count(&sb->effects, "contact_update", json_string_value(id), c->req->path);
    keep_contact(sb, out, 200, place, contact);
}

static void contact_delete(struct sandbox *sb, const struct call *c, struct reply *out)
{
    size_t place;
    json_t *contact = find_contact(sb, c->req, &place);

    if (contact == NULL) {
        fail(out, 404, "not_found", "no such contact");
        return;
    }
    effects_count(&sb->effects, "contact_delete", json_string_value(json_object_get(contact, "id")),
                  c->req->path);
    free(sb->crm.contacts[place].text);
    sb->crm.contacts[place].text = NULL;
    json_decref(contact);
    out->status = 204;
}

static void email_send(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *to = json_string_value(json_object_get(c->in, "to"));

    if (to == NULL) {
        fail(out, 422, "invalid_field", "to must be a string");
        return;
    }
    effects_count(&sb->effects, "email", to, c->req->path);
    reply_json(out, 202,
               json_pack("{s:o, s:s, s:s}", "id", json_sprintf("em_%06" PRIu64, ++sb->crm.emails_n),
                         "to", to, "status", "queued"));
}

static void blob_get(struct sandbox *sb, const struct call *c, struct reply *out)
{
    struct text bytes = http_query(c->req, "bytes");

    (void)sb;
    out->type = "application/octet-stream";
    out->status = 200;
    out->stream_bytes = bytes.n ? strtoull(bytes.s, NULL, 10) : 0;
    out->chunked = text_is(http_query(c->req, "chunked"), "1");
}

static const struct {
    const char *method;
    const char *path; /* a trailing slash: one more segment follows */
    void (*handler)(struct sandbox *sb, const struct call *c, struct reply *out);
} ROUTES[] = {
    {"GET", "/crm/contacts", contact_list},
    {"POST", "/crm/contacts", contact_create},
    {"GET", "/crm/contacts/", contact_one},
    {"PATCH", "/crm/contacts/", contact_change},
    {"DELETE", "/crm/contacts/", contact_delete},
    {"POST", "/crm/emails", email_send},
    {"GET", "/crm/blob", blob_get},
};

static bool fits(struct text path, const char *pattern)
{
    if (pattern[strlen(pattern) - 1] == '/')
        return text_starts(path, pattern);
    return text_is(path, pattern);
}

void crm_act(struct sandbox *sb, const struct call *c, struct reply *out)
{
    bool known = false;

    if (!let_in(sb, c->req)) {
        fail(out, 401, "unauthorized", "the bearer token is missing or wrong");
        return;
    }
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        if (!fits(c->req->path, ROUTES[i].path))
            continue;
        known = true;
        if (text_is(c->req->method, ROUTES[i].method)) {
            ROUTES[i].handler(sb, c, out);
            return;
        }
    }
    if (known)
        fail(out, 405, "method_not_allowed", "this path has no such method");
    else
        fail(out, 404, "not_found", "no such path");
}

static const struct {
    int status;
    const char *code, *message;
} ERRORS[MODE_COUNT] = {
    [MODE_ITEM_LOGIN_REQUIRED] = {401, "invalid_token", "the token has expired or was revoked"},
    [MODE_RATE_LIMITED] = {429, "rate_limited", "too many requests"},
    [MODE_ERROR] = {500, "internal", "an error that a rule asked for"},
    [MODE_ERROR_BEFORE] = {500, "internal", "failed before doing anything"},
    [MODE_ERROR_AFTER] = {500, "internal", "an unexpected error occurred"},
};

void crm_err(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const struct fault *f = c->fault;
    enum mode_id id = f->mode->id;

    (void)sb;
    if (id == MODE_RATE_LIMITED)
        buf_fmt(&out->extra, "Retry-After: %u\r\n", f->retry_after);
    fail(out, f->status ? f->status : ERRORS[id].status, f->code[0] ? f->code : ERRORS[id].code,
         ERRORS[id].message);
}

void crm_free(struct crm *crm)
{
    for (size_t i = 0; i < crm->contacts_n; i++)
        free(crm->contacts[i].text);
    for (size_t i = 0; i < crm->kept_n; i++)
        free(crm->kept[i]);
    free(crm->contacts);
    free(crm->kept);
    map_free(&crm->by_key);
    *crm = (struct crm){0};
}
