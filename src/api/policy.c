/* What is in force, by digest, and reading it again. */
#include "api/problem.h"
#include "api/shape.h"

static json_t *connectors_json(const struct connectors *set)
{
    const struct connector *c;
    json_t *list = json_array();
    for (size_t i = 0; (c = connectors_at(set, i)) != NULL; i++)
        if (json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I}", "name", c->name, "title",
                                                  c->title != NULL ? c->title : c->name, "digest",
                                                  c->digest, "operations", (json_int_t)c->n_ops)) !=
            0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static int answer_policy(struct app *app, struct exchange *x)
{
    struct rules *rules = life_rules(app->life);
    struct roster *roster = life_roster(app->life);
    json_t *v = json_pack("{s:s, s:s, s:I, s:o}", "policy_digest", policy_digest(rules->policy),
                          "connectors_digest", connectors_digest(rules->connectors),
                          "roster_version", (json_int_t)roster_version(roster), "connectors",
                          connectors_json(rules->connectors));
    roster_unref(roster);
    rules_unref(rules);
    return exchange_json(x, 200, v);
}

int api_policy(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    int r = exchange_query_only(x, known, f);
    return r == ERR_OK ? answer_policy(app, x) : r;
}

/* A file that is wrong changes nothing; its complaints go to the admin who asked. */
static int refuse_files(struct exchange *x, const struct complaints *c, struct fail *f)
{
    struct str text = buf_view(&c->text);
    (void)fail_set(f, ERR_CONFLICT, "policy or connectors are wrong; what was in force stays so");
    return problem_answer(x, ERR_CONFLICT, f, json_pack("{s:o}", "complaints", shape_text(text)));
}

int api_policy_reload(struct app *app, struct exchange *x, struct fail *f)
{
    struct complaints c;
    int r = x->json != NULL ? json_fields(x->json, NULL, 0, f) : ERR_OK;
    if (r != ERR_OK)
        return r;
    complaints_init(&c);
    r = life_reload(app->life, &c, f);
    int answer = r == ERR_OK                  ? answer_policy(app, x)
                 : r == ERR_CONFIG && c.n > 0 ? refuse_files(x, &c, f)
                                              : r;
    complaints_free(&c);
    return answer;
}
