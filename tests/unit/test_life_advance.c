/* The table of states, explored: every pair of state and event that is not in life.def is refused
 * and leaves nothing behind; every state reaches an end; a row that has moved on is not moved
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "life/inside.h"

struct row {
    const char *event;
    enum state from, to;
};
static const struct row table[] = {
#define STATE(name, text, ended, settled)
#define MOVE(event, from, to, by, audit) {#event, STATE_##from, STATE_##to},
#include "life/life.def"
#undef STATE
#undef MOVE
};

struct world {
    char dir[64], path[128];
    struct config cfg;
    struct keyring keys;
    struct vault *vault;
    struct store *store;
    struct life *l;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct complaints c;
    struct rules *rules = NULL;
    assert_int_not_equal(sodium_init(), -1);
    snprintf(w->dir, sizeof w->dir, "/tmp/cs-life-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/payload", w->dir);
    assert_int_equal(keyring_create(w->path, NULL), 0);
    assert_int_equal(keyring_read(w->path, &w->keys, NULL), 0);
    char epochs[128];
    snprintf(epochs, sizeof epochs, "%s/epochs", w->dir);
    assert_int_equal(vault_open(epochs, &w->keys, &w->vault, NULL), 0);
    assert_int_equal(store_open(&(struct store_options){"sqlite", w->dir, 2}, &w->store, NULL), 0);
    w->cfg.connectors_dir = "connectors";
    w->cfg.policy = "conf/policy.yaml";
    complaints_init(&c);
    assert_int_equal(rules_read(&w->cfg, &rules, &c), 0);
    complaints_free(&c);
    struct life_options o = {
        .cfg = &w->cfg, .env = &env_system, .store = w->store, .vault = w->vault, .rules = rules};
    assert_int_equal(life_new(&o, &w->l), 0);
    assert_int_equal(roster_read(str_c(roster_empty), &w->l->roster, NULL), 0);
    *state = w;
    return 0;
}

static void remove_all(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(path) != 0)
            remove_all(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    life_free(w->l);
    store_close(w->store);
    vault_close(w->vault);
    keyring_free(&w->keys);
    remove_all(w->dir);
    free(w);
    return 0;
}

/* --- bringing an action into a state by the table's own moves -------------------------------- */

struct step {
    struct work work; /* first */
    struct action a;
    enum life_event event;
    bool undo;
    int result;
};
enum { UNDONE = 9999 }; /* no error of the catalogue */

static int take_step(struct store_tx *tx, void *arg)
{
    struct step *s = arg;
    struct action a = s->a;
    s->result = life_advance(tx, &s->work, &a, s->event, NULL);
    if (s->result != 0)
        return s->result;
    if (s->undo)
        return UNDONE;
    s->a = a;
    return 0;
}

static int step(struct world *w, struct action *a, enum life_event ev, bool undo)
{
    struct step *s = calloc(1, sizeof *s);
    s->a = *a;
    s->event = ev;
    s->undo = undo;
    int r = life_work(w->l, take_step, &s->work);
    if (undo && s->result == 0)
        assert_int_equal(r, UNDONE);
    r = s->result;
    if (!undo && r == 0)
        *a = s->a;
    free(s);
    return r;
}

static struct action draft(char id[ID_SIZE])
{
    static const char hash[] = "sha256:00";
    id_new(&env_system, "act", id);
    return (struct action){.workspace = STR("default"),
                           .id = str_c(id),
                           .agent = STR("agt_a"),
                           .connection = STR("con_a"),
                           .connector = STR("plaid"),
                           .operation = STR("transfer.create"),
                           .method = STR("POST"),
                           .path = STR("/transfer/create"),
                           .tier = 3,
                           .revision = 1,
                           .payload_hash = str_c(hash),
                           .join_hash = str_c(hash),
                           .reasons = STR("[]"),
                           .decide_by = INT64_MAX / 2,
                           .execute_by = INT64_MAX / 2,
                           .sealed_request = STR("x")};
}

/* Breadth first through the table from NEW to `goal`; fills the events in order. */
static size_t way_to(enum state goal, enum life_event *way)
{
    int came_by[STATE_COUNT];
    enum state queue[STATE_COUNT];
    size_t head = 0, tail = 0, n = 0;
    for (int i = 0; i < STATE_COUNT; i++)
        came_by[i] = -1;
    queue[tail++] = STATE_NEW;
    while (head < tail) {
        enum state at = queue[head++];
        for (size_t i = 0; i < EVENT_COUNT; i++)
            if (table[i].from == at && table[i].to != STATE_NEW && came_by[table[i].to] < 0) {
                came_by[table[i].to] = (int)i;
                queue[tail++] = table[i].to;
            }
    }
    for (enum state s = goal; s != STATE_NEW; s = table[came_by[s]].from) {
        assert_true(came_by[s] >= 0); /* else life.def has a state that nothing leads to */
        for (size_t i = n++; i > 0; i--)
            way[i] = way[i - 1];
        way[0] = (enum life_event)came_by[s];
    }
    return n;
}

static struct action action_in(struct world *w, enum state goal, char id[ID_SIZE])
{
    enum life_event way[STATE_COUNT];
    struct action a = draft(id);
    size_t n = way_to(goal, way);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(step(w, &a, way[i], false), 0);
    assert_int_equal(a.state, goal);
    return a;
}

struct count {
    int64_t events, bad;
};

static int count_events(struct store_tx *tx, void *arg)
{
    struct count *c = arg;
    return audit_check(tx, STR("default"), &c->events, &c->bad);
}

static int64_t events(struct world *w)
{
    struct count c = {0};
    assert_int_equal(store_read(w->store, count_events, &c), 0);
    assert_int_equal(c.bad, 0);
    return c.events;
}

/* --- the tests ------------------------------------------------------------------------------- */

static void what_is_not_in_the_table_is_refused(void **state)
{
    struct world *w = *state;
    for (int s = STATE_PENDING; s < STATE_COUNT; s++) {
        char id[ID_SIZE];
        struct action a = action_in(w, (enum state)s, id);
        for (size_t ev = 0; ev < EVENT_COUNT; ev++) {
            int64_t before = events(w);
            int r = step(w, &a, (enum life_event)ev, true);
            if (table[ev].from == (enum state)s)
                assert_int_equal(r, 0);
            else
                assert_int_equal(r, ERR_CONFLICT);
            assert_int_equal(events(w), before);
        }
    }
}

static void every_state_reaches_an_end(void **state)
{
    (void)state;
    bool ends[STATE_COUNT] = {false};
    for (int s = 0; s < STATE_COUNT; s++)
        ends[s] = state_ended((enum state)s);
    for (int round = 0; round < STATE_COUNT; round++)
        for (size_t i = 0; i < EVENT_COUNT; i++)
            ends[table[i].from] |= ends[table[i].to];
    for (int s = 0; s < STATE_COUNT; s++)
        assert_true(ends[s]);
    for (size_t i = 0; i < EVENT_COUNT; i++)
        assert_false(state_ended(table[i].from)); /* and an end is an end */
}

/* In memory it is still pending, in the store it is not: somebody else was quicker. */
static void a_row_that_has_moved_on_is_not_moved(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    struct action a = action_in(w, STATE_PENDING, id), stale = a;
    assert_int_equal(step(w, &a, EVENT_approve, false), 0);
    assert_int_equal(step(w, &stale, EVENT_reject, false), ERR_CONFLICT);
    assert_int_equal(step(w, &stale, EVENT_approve, false), ERR_CONFLICT);
}

static void each_move_writes_its_audit_event(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    int64_t before = events(w);
    struct action a = action_in(w, STATE_PENDING, id);
    assert_int_equal(events(w), before + 2); /* proposed, held */
    assert_int_equal(step(w, &a, EVENT_approve, false), 0);
    assert_int_equal(events(w), before + 3);
    assert_int_equal(a.changed_seq, before + 3);
}

struct load {
    int64_t pending;
};

static int read_load(struct store_tx *tx, void *arg)
{
    struct load *l = arg;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_LOAD_GET, &rows, V_C("default"), V_C("agt_a"));
    if (r == 0)
        r = store_next(rows);
    l->pending = r == 0 ? store_int(rows, 0) : 0;
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static int64_t pending(struct world *w)
{
    struct load l = {0};
    assert_int_equal(store_read(w->store, read_load, &l), 0);
    return l.pending;
}

static void the_count_of_pending_follows(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    int64_t before = pending(w);
    struct action a = action_in(w, STATE_PENDING, id);
    assert_int_equal(pending(w), before + 1);
    assert_int_equal(step(w, &a, EVENT_approve, false), 0);
    assert_int_equal(pending(w), before);
    assert_int_equal(step(w, &a, EVENT_stricter, false), 0);
    assert_int_equal(pending(w), before + 1);
    assert_int_equal(step(w, &a, EVENT_reject, false), 0);
    assert_int_equal(pending(w), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_reaches_an_end),
        cmocka_unit_test(each_move_writes_its_audit_event),
        cmocka_unit_test(what_is_not_in_the_table_is_refused),
        cmocka_unit_test(a_row_that_has_moved_on_is_not_moved),
        cmocka_unit_test(the_count_of_pending_follows),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
