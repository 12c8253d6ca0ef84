/* Classify: what is this call, and what does policy say about it? The request is made canonical
 * once, here, and everything after works on those bytes. Nothing is stored. */
#include "life/inside.h"

void judged_free(struct judged *j)
{
    verdict_free(&j->verdict);
    request_free(&j->request);
    rules_unref(j->rules);
    *j = (struct judged){0};
}

static void ask_policy(struct judged *j, const struct agent *agent, const struct connection *con)
{
    struct policy_facts facts = {
        .workspace = str_c(agent->workspace),
        .agent = str_c(agent->id),
        .agent_name = str_c(agent->name),
        .connection = str_c(con->name),
        .connector = j->connector,
        .op = j->request.op,
        .method = str_c(request_method(&j->request)),
        .path = str_c(request_path(&j->request)),
    };
    policy_verdict(j->rules->policy, &facts, &j->verdict);
}

/* Nobody could let it go on: said where the tier is explained, so that somebody sees to it. */
static int note_impossible(struct judged *j, const struct roster *r, const struct agent *agent)
{
    struct verdict *v = &j->verdict;
    if (v->decision != DECISION_HOLD || quorum_possible(v->quorum, r, agent))
        return 0;
    json_t *reasons = json_copy(v->reasons); /* its items are shared with the policy */
    json_t *note = json_pack("{s:s, s:s, s:s}", "rule", "roster", "effect", "cannot be approved",
                             "text", "the people there are now cannot meet this quorum");
    if (reasons == NULL || json_array_append_new(reasons, note) != 0) {
        json_decref(reasons);
        return ERR_NOMEM;
    }
    json_decref(v->reasons);
    v->reasons = reasons;
    return 0;
}

int judge(struct life *l, const struct proposal *p, struct judged *ret, struct fail *f)
{
    struct judged j = {.rules = life_rules(l)};
    j.connector = connectors_find(j.rules->connectors, str_c(p->connection->connector));
    int r = 0;
    if (j.connector == NULL)
        r = fail_set(f, ERR_UNAVAILABLE, "the connector %s of this connection is not loaded",
                     p->connection->connector);
    if (r == 0)
        r = request_build(j.connector, &p->in, &j.request, f);
    if (r == 0 && p->operation.n > 0 &&
        !(j.request.op != NULL && str_eq_c(p->operation, j.request.op->name)))
        r = fail_field(f, ERR_OPERATION_MISMATCH, "operation", "method and path name %s",
                       j.request.op != NULL ? j.request.op->name
                                            : "no operation of this connector");
    if (r != 0) {
        judged_free(&j);
        return r;
    }
    ask_policy(&j, p->agent, p->connection);
    r = note_impossible(&j, p->roster, p->agent);
    if (r != 0) {
        judged_free(&j);
        return r;
    }
    *ret = j;
    return 0;
}

int judge_again(struct life *l, const struct roster *roster, const struct action *a,
                struct str request, struct judged *ret, struct fail *f)
{
    const struct agent *agent = roster_agent(roster, a->agent);
    const struct connection *con = life_connection(roster, a);
    if (agent == NULL || con == NULL)
        return fail_set(f, ERR_K_ROSTER, "the agent or the connection is no longer there");
    struct judged j = {.rules = life_rules(l)};
    j.connector = connectors_find(j.rules->connectors, str_c(con->connector));
    int r = j.connector != NULL ? request_read(j.connector, request, &j.request, f)
                                : fail_set(f, ERR_K_ROSTER, "the connector is no longer loaded");
    if (r == 0 && !str_eq_c(a->payload_hash, j.request.hash))
        r = fail_set(f, ERR_K_HASH, "the stored payload is not the one that was hashed");
    if (r != 0) {
        judged_free(&j);
        return r;
    }
    ask_policy(&j, agent, con);
    *ret = j;
    return 0;
}

int life_classify(struct life *l, const struct proposal *p, struct classified *ret, struct fail *f)
{
    struct judged j;
    int r = judge(l, p, &j, f);
    if (r != 0)
        return r;
    *ret = (struct classified){.verdict = j.verdict};
    if (j.request.op != NULL)
        CS_ASSERT(str_copy(ret->operation, sizeof ret->operation, str_c(j.request.op->name)));
    j.verdict = (struct verdict){0}; /* moved */
    judged_free(&j);
    return 0;
}
