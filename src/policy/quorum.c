/* Counting votes: see quorum.h. A factor that cannot be read is met by nobody, and with it the
 * whole quorum by no one: a list that has lost its names must not become a list of everybody. */
#include <stdlib.h>

#include "policy/quorum.h"

#define FACTORS_MAX 16
#define COUNT_MAX 100 /* people in one factor */
#define SEATS_MAX (FACTORS_MAX * COUNT_MAX)

struct factor {
    int count;
    const char *group;    /* NULL: any */
    const json_t *people; /* NULL: any */
};

/* --- factors --------------------------------------------------------------------------------- */

static bool names_only(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (json_text(json_array_get(list, i)).n == 0)
            return false;
    }
    return json_array_size(list) > 0;
}

static bool read_factor(const json_t *v, struct factor *ret)
{
    int64_t count = 0;
    struct str group = {NULL, 0};
    json_t *people = NULL;
    const struct json_field field[] = {
        {"count", JSON_WANT_INT, &count, true, COUNT_MAX},
        {"group", JSON_WANT_STR, &group, false, 0},
        {"people", JSON_WANT_ARR, &people, false, 0},
    };

    if (json_fields(v, field, sizeof field / sizeof field[0], NULL) != ERR_OK || count < 1)
        return false;
    /* a member that is there but says nothing is not the same as none */
    if (json_object_get(v, "group") != NULL && group.n == 0)
        return false;
    if (json_object_get(v, "people") != NULL && !names_only(people))
        return false;
    *ret = (struct factor){.count = (int)count, .group = group.p, .people = people};
    return true;
}

/* Number of factors, 0 if the quorum is not to be understood. */
static size_t read_factors(const json_t *quorum, struct factor out[FACTORS_MAX])
{
    size_t n = json_array_size(quorum);

    if (!json_is_array(quorum) || n > FACTORS_MAX)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!read_factor(json_array_get(quorum, i), &out[i]))
            return 0;
    }
    return n;
}

static bool named(const json_t *people, const struct person *p)
{
    for (size_t i = 0; i < json_array_size(people); i++) {
        struct str name = json_text(json_array_get(people, i));
        if (str_eq_c(name, p->id) || str_eq_nocase(name, str_c(p->email)))
            return true;
    }
    return false;
}

static bool fits(const struct factor *f, const struct person *p)
{
    return (f->group == NULL || person_in_group(p, f->group)) &&
           (f->people == NULL || named(f->people, p));
}

/* --- people ---------------------------------------------------------------------------------- */

/* What the roster says now of somebody who may be remembered from an older one. */
static bool may_approve(const struct roster *r, const struct agent *agent, const struct person *p)
{
    const struct person *now = p != NULL ? roster_person(r, str_c(p->id)) : NULL;

    return now != NULL && now->enabled && now->role == ROLE_APPROVER &&
           strcmp(now->workspace, agent->workspace) == 0 && strcmp(now->id, agent->owner) != 0;
}

int quorum_may_vote(const json_t *quorum, const struct roster *r, const struct agent *agent,
                    const struct person *p)
{
    struct factor factor[FACTORS_MAX] = {{.count = 0}};
    size_t n = read_factors(quorum, factor);

    if (agent == NULL || p == NULL)
        return ERR_NOT_AN_APPROVER;
    if (strcmp(agent->owner, p->id) == 0)
        return ERR_OWN_ACTION;
    if (!may_approve(r, agent, p))
        return ERR_NOT_AN_APPROVER;
    const struct person *now = roster_person(r, str_c(p->id));
    for (size_t i = 0; i < n; i++) {
        if (fits(&factor[i], now))
            return ERR_OK;
    }
    return ERR_NOT_AN_APPROVER;
}

/* --- assignment ------------------------------------------------------------------------------ */

#define FREE (-1)

/* People and the seats that the factors offer, one per person asked for. */
struct seating {
    const struct person **person; /* distinct, each may approve */
    int *seat;                    /* seat of each person, or FREE */
    bool *tried;
    size_t n;
    const struct factor *factor;
    int owner[SEATS_MAX]; /* factor of each seat */
    int seats;
};

/* Seats somebody there, moving others to other seats where that helps (Kuhn's augmenting path; no
 * deeper than there are seats). */
static bool fill(struct seating *s, int seat)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->tried[i] || !fits(&s->factor[s->owner[seat]], s->person[i]))
            continue;
        s->tried[i] = true;
        if (s->seat[i] == FREE || fill(s, s->seat[i])) {
            s->seat[i] = seat;
            return true;
        }
    }
    return false;
}

static bool seating_init(struct seating *s, size_t people)
{
    s->person = calloc(people + 1, sizeof *s->person);
    s->seat = calloc(people + 1, sizeof *s->seat);
    s->tried = calloc(people + 1, sizeof *s->tried);
    return s->person != NULL && s->seat != NULL && s->tried != NULL;
}

static void seating_free(struct seating *s)
{
    free(s->person);
    free(s->seat);
    free(s->tried);
}

/* One who votes twice is one person. */
static void sit(struct seating *s, const struct person *p)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->person[i]->id, p->id) == 0)
            return;
    }
    s->person[s->n] = p;
    s->seat[s->n++] = FREE;
}

static int fill_all(struct seating *s)
{
    int given = 0;
    for (int seat = 0; seat < s->seats; seat++) {
        memset(s->tried, 0, s->n * sizeof *s->tried);
        given += fill(s, seat);
    }
    return given;
}

static void offer_seats(struct seating *s, const struct factor *factor, size_t n)
{
    s->factor = factor;
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < factor[i].count; k++)
            s->owner[s->seats++] = (int)i;
    }
}

void quorum_count(const json_t *quorum, const struct roster *r, const struct agent *agent,
                  const struct person *const *approver, size_t n, struct quorum_state *ret)
{
    struct factor factor[FACTORS_MAX] = {{.count = 0}};
    struct seating s = {.n = 0};

    *ret = (struct quorum_state){.met = false};
    size_t factors = read_factors(quorum, factor);
    offer_seats(&s, factor, factors);
    ret->required = s.seats;
    if (agent != NULL && seating_init(&s, n)) {
        for (size_t i = 0; i < n; i++) {
            if (may_approve(r, agent, approver[i]))
                sit(&s, roster_person(r, str_c(approver[i]->id)));
        }
        ret->given = fill_all(&s);
        ret->met = s.seats > 0 && ret->given == s.seats;
    }
    seating_free(&s);
}

bool quorum_possible(const json_t *quorum, const struct roster *r, const struct agent *agent)
{
    struct quorum_state state;
    size_t n = 0;

    while (roster_person_at(r, n) != NULL)
        n++;
    const struct person **all = calloc(n + 1, sizeof *all);
    if (all == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        all[i] = roster_person_at(r, i);
    quorum_count(quorum, r, agent, all, n, &state);
    free(all);
    return state.met;
}
