/* Who calls /proxy/: the agent's key stands in Authorization or where the vendor's client puts its
 * own key. What stands there and is no key of ours may be a vendor's secret, sent by a client that
 * was only half reconfigured: it is refused, not logged, not repeated, and its sender is told to
 * rotate it. */
#include "proxy/proxy.h"

#define KEY_MAX 256

/* The credentials found so far. */
struct keys {
    struct str key; /* the one key, "" while there is none */
    bool foreign;   /* something that is none of our keys */
    bool differing; /* two different ones of ours */
};

static void take(struct keys *k, struct str value)
{
    struct str bearer = STR("Bearer ");
    if (str_eq_nocase(str_sub(value, 0, bearer.n), bearer))
        value = str_trim(str_sub(value, bearer.n, value.n));
    if (value.n == 0)
        return;
    if (!str_starts(value, STR("csa_")) || value.n > KEY_MAX)
        k->foreign = true;
    else if (k->key.n > 0 && !str_eq_secret(k->key, value))
        k->differing = true;
    else
        k->key = value;
}

struct search {
    const char *header;
    struct keys *keys;
};

static void one_header(void *arg, struct str name, struct str value)
{
    const struct search *s = arg;
    if (str_eq_nocase(name, str_c(s->header)))
        take(s->keys, value);
}

static void look_in(const struct exchange *x, const char *header, struct keys *k)
{
    struct search s = {header, k};
    if (header != NULL)
        exchange_headers(x, one_header, &s);
}

/* The vendor's header, by the connections of the name in the path. The caller is not known yet, so
 * those of every workspace are looked at; which exist is not told. Where there is none, a key in
 * any vendor's header still says who calls, so that "no such connection" can be said to an agent.
 */
static void look_in_vendor(struct app *app, const struct exchange *x, struct keys *k)
{
    struct rules *rules = life_rules(app->life);
    const struct connection *con;
    const struct connector *c;
    bool found = false;
    for (size_t i = 0; (con = roster_connection_at(x->who.roster, i)) != NULL; i++)
        if (str_eq_c(x->param[0], con->name) &&
            (c = connectors_find(rules->connectors, str_c(con->connector))) != NULL) {
            look_in(x, c->agent_key_header, k);
            found = true;
        }
    for (size_t i = 0; !found && (c = connectors_at(rules->connectors, i)) != NULL; i++)
        look_in(x, c->agent_key_header, k);
    rules_unref(rules);
}

int proxy_authenticate(struct app *app, const struct exchange *x, const struct agent **ret,
                       struct fail *f)
{
    struct keys k = {0};
    char hash[HASH_TEXT];
    look_in(x, "authorization", &k);
    look_in_vendor(app, x, &k);
    if (k.differing)
        return fail_set(f, ERR_KEY_MISMATCH, "two different keys were given");
    if (k.foreign)
        return fail_set(f, ERR_UNAUTHENTICATED,
                        "what stands where the key goes is no Countersign key; if it is a vendor's "
                        "secret it has left your program: rotate it");
    if (k.key.n == 0)
        return fail_set(f, ERR_UNAUTHENTICATED, "an agent's key is needed");
    hash_text(hash, k.key);
    const struct agent *a = roster_agent_key(x->who.roster, str_c(hash));
    if (a == NULL || !a->enabled)
        return fail_set(f, ERR_UNAUTHENTICATED, "the key is not known or has been disabled");
    *ret = a;
    return ERR_OK;
}
