/* Link, in little; see link.h. */
#include "link.h"

#include "plaid.h"

#include <stdio.h>
#include <string.h>

#define LINK_LIFE_MS (30 * INT64_C(60000))

static const char PAGE[] =
    "<!doctype html><html lang=en><meta charset=utf-8><title>First Platypus Bank</title>"
    "<body style=\"font:1.1rem sans-serif;margin:3rem\"><h1>First Platypus Bank</h1>"
    "<p>Log in again to restore the connection. This is the sandbox: no password is needed.</p>"
    "<form method=post><button>Log in</button></form></body></html>\n";
static const char DONE[] =
    "<!doctype html><html lang=en><meta charset=utf-8><title>First Platypus Bank</title>"
    "<body style=\"font:1.1rem sans-serif;margin:3rem\"><h1>Done</h1>"
    "<p>The connection is restored. You may close this page.</p></body></html>\n";
static const char GONE[] = "<!doctype html><html lang=en><meta charset=utf-8><title>Gone</title>"
                           "<body><p>This link is unknown or has expired.</p></body></html>\n";

void link_token_create(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *item = plaid_string(c, "access_token");
    bool update = item != NULL || json_object_get(c->in, "transfer") != NULL;
    char id[ID_UUID_SIZE], expiration[ISO_SIZE], token[64];
    int64_t now = clock_now(&sb->clock);
    json_t *answer;

    if (!plaid_require(sb, c, out, "client_name language country_codes"))
        return;
    if (item != NULL && strcmp(item, sb->credentials.access_token) != 0) {
        plaid_fail(sb, out, PLAID_INVALID_TOKEN, NULL);
        return;
    }
    ids_uuid(&sb->ids, id);
    snprintf(token, sizeof token, "link-sandbox-%s", id);
    *map_at(&sb->links, text_of(token)) = (uint64_t)now;
    clock_iso(now + LINK_LIFE_MS, expiration);
    answer = json_pack("{s:s, s:s}", "link_token", token, "expiration", expiration);
    if (update || json_object_get(c->in, "hosted_link") != NULL)
        json_object_set_new(answer, "hosted_link_url",
                            json_sprintf("http://127.0.0.1:%u" LINK_PATH "%s", sb->port, token));
    plaid_ok(sb, out, answer);
}

void link_act(struct sandbox *sb, const struct call *c, struct reply *out)
{
    size_t skip = strlen(LINK_PATH);
    struct text token = {c->req->path.s + skip, c->req->path.n - skip};
    int64_t made = (int64_t)map_get(&sb->links, token);
    bool live = made != 0 && clock_now(&sb->clock) - made < LINK_LIFE_MS;

    out->type = "text/html; charset=utf-8";
    out->status = live ? 200 : 404;
    if (!live) {
        buf_str(&out->body, GONE);
    } else if (text_is(c->req->method, "POST")) {
        faults_end(&sb->faults, MODE_ITEM_LOGIN_REQUIRED);
        faults_end(&sb->faults, MODE_USER_ACTION_REQUIRED);
        buf_str(&out->body, DONE);
    } else {
        buf_str(&out->body, PAGE);
    }
}
