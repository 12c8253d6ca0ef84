/* What survives: keeper killed and started again on its journal, a journal lost or damaged, rosters
 * rolled back, gates that come and go, and peers that are not gate. */
#include "test_keeper.h"

#include "keeper/messages.h"

static struct fixture x;

static int begin(void **state)
{
    (void)state;
    fixture_begin(&x);
    return 0;
}
static int end(void **state)
{
    (void)state;
    unsetenv("COUNTERSIGN_CRASH");
    fixture_end(&x);
    return 0;
}

static enum attempt_state query(const struct order *y, struct keeper_result *r)
{
    enum attempt_state s;
    struct fail f;
    keeper_result_free(r);
    assert_int_equal(
        keeper_query(x.kc, STR("default"), str_c(y->action), y->o.attempt, y->o.epoch, &s, r, &f),
        0);
    return s;
}

static void wait_lost(int times)
{
    pthread_mutex_lock(&x.lock);
    while (x.lost < times)
        wait_more(&x);
    pthread_mutex_unlock(&x.lock);
}

static void assert_refusal(struct order *y, int err)
{
    struct keeper_result *r = order_execute(&x, y);
    if (r->kind != RESULT_REFUSED || r->refusal != err)
        fail_msg("wanted %s, got kind %d, %s: %s", err_name(err), (int)r->kind,
                 err_name(r->refusal), r->detail);
}

static void wait_requests(int n)
{
    for (int i = 0; i < WAIT_S * 200 && x.server.requests < n; i++)
        usleep(5000);
    assert_int_equal(x.server.requests, n);
}

/* --- keeper dies ------------------------------------------------------------------------------ */

static void killed_while_sending(void **state)
{
    (void)state;
    struct order y;
    struct keeper_result r = {.status = 0};
    order_make(&x, &y, "POST", "/write/never", 1);
    assert_int_equal(query(&y, &r), ATTEMPT_NONE);
    assert_int_equal(keeper_execute(x.kc, &y.o), 0);
    wait_requests(1);
    assert_int_equal(query(&y, &r), ATTEMPT_IN_FLIGHT);
    end_keeper(&x, SIGKILL);
    wait_lost(1);
    assert_int_equal(keeper_execute(x.kc, &y.o), ERR_KEEPER);
    start_again(&x);
    assert_int_equal(query(&y, &r), ATTEMPT_SENT_UNKNOWN);
    assert_refusal(&y, ERR_K_USED);
    y.o.attempt = 2;
    assert_refusal(&y, ERR_K_USED);
    assert_int_equal(x.server.effects, 1);
    order_free(&y);
}

static void done_is_remembered(void **state)
{
    (void)state;
    struct order y;
    struct keeper_result r = {.status = 0};
    char epoch[33];
    order_make(&x, &y, "POST", "/write/ok", 1);
    order_execute(&x, &y);
    assert_int_equal(query(&y, &r), ATTEMPT_DONE);
    assert_true(r.body.n > 0); /* until gate acknowledges it, with its body */
    memcpy(epoch, x.who.epoch, sizeof epoch);
    for (int i = 0; i < 3; i++) { /* each start compacts */
        end_keeper(&x, SIGKILL);
        start_again(&x);
        assert_string_equal(x.who.epoch, epoch);
        assert_int_equal(query(&y, &r), ATTEMPT_DONE);
        assert_int_equal(r.kind, RESULT_ANSWERED);
        assert_int_equal(r.answer.class, ANSWER_SUCCEEDED);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.answer.provider_request_id, "req-1");
        assert_string_equal(r.executed_hash, y.request.hash);
        assert_true(r.body_omitted);
    }
    assert_refusal(&y, ERR_K_USED);
    y.o.epoch = STR("ffffffffffffffffffffffffffffffff");
    assert_int_equal(query(&y, &r), ATTEMPT_SENT_UNKNOWN);
    keeper_result_free(&r);
    order_free(&y);
}

/* At each named place of the way of one write: never sent twice, never called unsent when it was.
 */
static void crash_points(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum attempt_state state;
        int effects; /* -1: either */
    } all[] = {
        {"keeper_before_journal:1", ATTEMPT_NONE, 0},
        {"keeper_after_journal:1", ATTEMPT_SENT_UNKNOWN, 0},
        {"keeper_sending:1", ATTEMPT_SENT_UNKNOWN, -1},
        {"keeper_before_result:1", ATTEMPT_DONE, 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct order y;
        struct keeper_result r = {.status = 0};
        int before = x.server.effects;
        end_keeper(&x, SIGTERM);
        setenv("COUNTERSIGN_CRASH", all[i].name, 1);
        start_again(&x);
        order_make(&x, &y, "POST", "/write/ok", 1);
        assert_int_equal(keeper_execute(x.kc, &y.o), 0);
        int status = 0;
        waitpid(x.pid, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        close(x.control);
        unsetenv("COUNTERSIGN_CRASH");
        start_again(&x);
        if (query(&y, &r) != all[i].state)
            fail_msg("%s: state %d", all[i].name, (int)query(&y, &r));
        if (all[i].effects >= 0)
            assert_int_equal(x.server.effects - before, all[i].effects);
        y.o.attempt = all[i].state == ATTEMPT_NONE ? 1 : 2;
        struct keeper_result *again = order_execute(&x, &y);
        assert_int_equal(again->kind,
                         all[i].state == ATTEMPT_NONE ? RESULT_ANSWERED : RESULT_REFUSED);
        assert_true(x.server.effects - before <= 1);
        keeper_result_free(&r);
        order_free(&y);
    }
}

static void revocations_survive(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "POST", "/write/ok", 1);
    const struct revocation action = {REVOKE_ACTION, STR("default"), str_c(y.action), INT64_MAX,
                                      true};
    const struct revocation freeze = {FREEZE_OPERATION, STR("default"), STR("shop/item.read"),
                                      INT64_MAX, true};
    assert_int_equal(keeper_revoke(x.kc, &action), 0);
    assert_int_equal(keeper_revoke(x.kc, &freeze), 0);
    for (int i = 0; i < 2; i++) {
        end_keeper(&x, SIGKILL);
        start_again(&x);
        assert_refusal(&y, ERR_K_REVOKED);
        assert_int_equal(run_call(&x, "GET", "/read/ok", 0)->refusal, ERR_K_REVOKED);
    }
    order_free(&y);
}

static void sigterm_finishes_what_is_under_way(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "POST", "/write/slow", 1);
    assert_int_equal(keeper_execute(x.kc, &y.o), 0);
    wait_requests(1);
    int status;
    kill(x.pid, SIGTERM);
    close(x.control); /* the parent hangs up as soon as it has said so */
    waitpid(x.pid, &status, 0);
    x.pid = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(next_result(&x)->answer.class, ANSWER_SUCCEEDED);
    order_free(&y);
}

/* --- the journal ------------------------------------------------------------------------------ */

static char *journal_path(void)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/keeper/journal", x.data);
    return path;
}

static void lost_journal_is_a_new_epoch(void **state)
{
    (void)state;
    struct order y, old;
    order_make(&x, &y, "POST", "/pay/ok", 2);
    vote_add(&x, &y, 1);
    assert_int_equal(order_grant(&x, &y, NULL), 0);
    order_make(&x, &old, "POST", "/write/ok", 1);
    end_keeper(&x, SIGTERM);
    assert_int_equal(unlink(journal_path()), 0);
    usleep(2000); /* the epoch starts after the vote, by the clock */
    start_again(&x);
    assert_refusal(&y, ERR_K_GRANT);
    y.o.epoch = str_c(x.who.epoch); /* gate may say what it likes */
    assert_refusal(&y, ERR_K_GRANT);
    struct fail f = {0};
    assert_int_equal(order_grant(&x, &y, &f), ERR_K_QUORUM); /* the vote was cast before */
    old.o.epoch = str_c(x.who.epoch);
    old.o.attempt = 2; /* nobody remembers what the first one did */
    assert_refusal(&old, ERR_K_USED);
    assert_int_equal(x.server.requests, 0);
    order_free(&old);
    order_free(&y);
}

static void damaged_journal_stops_keeper(void **state)
{
    (void)state;
    run_call(&x, "POST", "/write/ok", 1);
    run_call(&x, "POST", "/write/ok", 1);
    end_keeper(&x, SIGTERM);
    int fd = open(journal_path(), O_RDWR);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 100), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 100), 1);
    spawn(&x);
    assert_int_equal(WEXITSTATUS(end_keeper(&x, 0)), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 100), 1);
    close(fd);
    start_again(&x);
}

static void second_keeper_is_refused(void **state)
{
    (void)state;
    int status, control = x.control;
    pid_t first = x.pid;
    spawn(&x);
    waitpid(x.pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 1);
    close(x.control);
    x.control = control;
    x.pid = first;
    assert_int_equal(run_call(&x, "GET", "/read/ok", 0)->kind, RESULT_ANSWERED);
}

static void files_belong_to_the_lesser_account(void **state)
{
    (void)state;
    struct stat st;
    char path[64], line[256];
    bool nobody = false, traced = true;
    assert_int_equal(stat(journal_path(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "/proc/%d/status", (int)x.pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "Uid:", 4) == 0)
            nobody = strtol(line + 4, NULL, 10) == (long)st.st_uid && st.st_uid != 0;
        if (strncmp(line, "NoNewPrivs:", 11) == 0)
            traced = strtol(line + 11, NULL, 10) != 1;
    }
    fclose(f);
    assert_false(traced);
    if (geteuid() == 0)
        assert_true(nobody);
}

/* --- rosters ---------------------------------------------------------------------------------- */

static void rosters_do_not_go_back(void **state)
{
    (void)state;
    struct buf first = {0}, other = {0}, doc = {0}, text = {0};
    int64_t version;
    struct fail f;
    buf_str(&first, buf_view(&x.sealed_roster));
    put_roster(&x, &text); /* another of the same version, sealed but not put in force */
    assert_int_equal(keeper_roster_put(x.kc, buf_view(&text), &other, &version, &f), 0);
    assert_int_equal(version, 2);
    change_roster(&x);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(keeper_roster_load(x.kc, buf_view(&first), &doc, &f), ERR_K_ROSTER);
        assert_int_equal(keeper_roster_load(x.kc, buf_view(&other), &doc, &f), ERR_K_ROSTER);
        assert_int_equal(keeper_roster_commit(x.kc, buf_view(&other), &f), ERR_K_ROSTER);
        assert_int_equal(keeper_roster_load(x.kc, STR(""), &doc, &f), ERR_K_ROSTER);
        x.sealed_roster.p[x.sealed_roster.n - 1] ^= 1;
        assert_int_equal(keeper_roster_load(x.kc, buf_view(&x.sealed_roster), &doc, &f),
                         ERR_K_ROSTER);
        x.sealed_roster.p[x.sealed_roster.n - 1] ^= 1;
        load_roster(&x, buf_view(&x.sealed_roster));
        end_keeper(&x, SIGKILL);
        start_again(&x);
        assert_int_equal(x.who.roster_version, 2);
    }
    buf_free(&first);
    buf_free(&other);
    buf_free(&text);
    buf_free(&doc);
}

static void nothing_is_sent_without_a_roster(void **state)
{
    (void)state;
    struct buf keep = x.sealed_roster;
    struct fail f;
    struct buf sealed = {0};
    int64_t version;
    end_keeper(&x, SIGTERM);
    x.sealed_roster = (struct buf){0};
    start_again(&x);
    assert_int_equal(run_call(&x, "GET", "/read/ok", 0)->refusal, ERR_K_ROSTER);
    assert_int_equal(keeper_roster_put(x.kc, STR("{}"), &sealed, &version, &f), ERR_CONFLICT);
    x.sealed_roster = keep;
    load_roster(&x, buf_view(&x.sealed_roster));
    assert_int_equal(run_call(&x, "GET", "/read/ok", 0)->kind, RESULT_ANSWERED);
    assert_int_not_equal(keeper_roster_put(x.kc, STR("{\"people\":[]}"), &sealed, &version, &f), 0);
    buf_free(&sealed);
}

static void sealed_but_not_committed_roster_is_taken(void **state)
{
    (void)state;
    struct buf text = {0}, sealed = {0}, doc = {0};
    int64_t version;
    struct fail f;
    put_roster(&x, &text);
    assert_int_equal(keeper_roster_put(x.kc, buf_view(&text), &sealed, &version, &f), 0);
    end_keeper(&x, SIGKILL); /* gate has stored it, COMMIT never came */
    start_again(&x);
    assert_int_equal(keeper_roster_load(x.kc, buf_view(&sealed), &doc, &f), 0);
    assert_non_null(strstr(doc.p, "\"version\":2"));
    buf_free(&x.sealed_roster);
    x.sealed_roster = sealed;
    buf_free(&text);
    buf_free(&doc);
}

/* --- policy ----------------------------------------------------------------------------------- */

static void policy_made_stricter_after_the_grant(void **state)
{
    (void)state;
    struct order y;
    struct fail f;
    order_make(&x, &y, "POST", "/pay/ok", 2);
    vote_add(&x, &y, 1);
    assert_int_equal(order_grant(&x, &y, &f), 0);
    put_file(x.dir, "policy.yaml",
             "version: 1\ntiers:\n  2: {evidence: session, quorum: [{count: 2}]}\n"
             "  3: {evidence: session, quorum: [{count: 2}]}\nrules: []\n",
             0644);
    assert_int_equal(
        keeper_reload(x.kc, policy_digest(x.rules), connectors_digest(x.connectors), &f),
        0); /* the old one still stands */
    load_rules(&x);
    assert_int_equal(keeper_reload(x.kc, "sha256:other", connectors_digest(x.connectors), &f),
                     ERR_CONFLICT);
    assert_int_equal(
        keeper_reload(x.kc, policy_digest(x.rules), connectors_digest(x.connectors), &f), 0);
    assert_refusal(&y, ERR_K_STRICTER);
    put_file(x.dir, "policy.yaml",
             "version: 1\ntiers:\n  2: {evidence: passkey, quorum: [{count: 1}]}\n"
             "  3: {evidence: session, quorum: [{count: 2}]}\nrules: []\n",
             0644);
    load_rules(&x);
    assert_int_equal(
        keeper_reload(x.kc, policy_digest(x.rules), connectors_digest(x.connectors), &f), 0);
    assert_refusal(&y, ERR_K_STRICTER);
    put_file(x.dir, "policy.yaml", "version: 1\nrules: [{nonsense: 1}]\n",
             0644); /* unreadable: the old one stays */
    assert_int_not_equal(keeper_reload(x.kc, "sha256:other", connectors_digest(x.connectors), &f),
                         0);
    assert_int_equal(run_call(&x, "GET", "/read/ok", 0)->kind, RESULT_ANSWERED);
    put_file(x.dir, "policy.yaml", policy_yaml, 0644);
    load_rules(&x);
    order_free(&y);
}

/* --- gates ------------------------------------------------------------------------------------ */

static void gate_comes_back(void **state)
{
    (void)state;
    struct order y, ended;
    struct keeper_result r = {.status = 0};
    struct fail f;
    order_make(&x, &ended, "POST", "/write/ok", 1);
    order_execute(&x, &ended); /* not acknowledged */
    order_make(&x, &y, "POST", "/write/slow", 1);
    assert_int_equal(keeper_execute(x.kc, &y.o), 0);
    wait_requests(2);
    assert_int_equal(bind_gate(&x, &f), 0); /* a new gate, the same keeper */
    assert_int_equal(query(&ended, &r), ATTEMPT_DONE);
    assert_true(r.body.n > 0 && !r.body_omitted);
    assert_string_equal(next_result(&x)->action, y.action); /* goes to the new gate */
    keeper_ack(x.kc, STR("default"), str_c(ended.action), 1);
    assert_int_equal(query(&ended, &r), ATTEMPT_DONE);
    assert_true(r.body_omitted);
    keeper_result_free(&r);
    order_free(&y);
    order_free(&ended);
}

/* What a peer says that is not gate ends the process. */
static void assert_ends_keeper(const char *what, bool greet, enum verb verb, struct str fields)
{
    int status, fd = give_socket(&x);
    struct buf hello = {0};
    wire_text(&hello, str_c(policy_digest(x.rules)));
    wire_text(&hello, str_c(connectors_digest(x.connectors)));
    if (greet)
        assert_int_equal(frame_send(fd, VERB_HELLO, 1, buf_view(&hello), -1), 0);
    if (verb == VERB_HELLO)
        fields = buf_view(&hello);
    if (verb)
        assert_int_equal(frame_send(fd, verb, 2, fields, -1), 0);
    else
        assert_int_equal(send(fd, fields.p, fields.n, MSG_NOSIGNAL), (ssize_t)fields.n);
    waitpid(x.pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        fail_msg("%s: status %x", what, (unsigned)status);
    close(fd);
    close(x.control);
    spawn(&x);
    buf_free(&hello);
}

static void strangers_end_keeper(void **state)
{
    (void)state;
    assert_ends_keeper("no HELLO", false, VERB_ROSTER_LOAD, STR("\0\0\0\0"));
    assert_ends_keeper("HELLO twice", true, VERB_HELLO, STR(""));
    assert_ends_keeper("bytes left over", true, VERB_ROSTER_LOAD, STR("\0\0\0\0x"));
    assert_ends_keeper("too short", true, VERB_ACK, STR("\0\0\0\1"));
    assert_ends_keeper("no order", true, VERB_EXECUTE, STR("x"));
    assert_ends_keeper("no order to grant", true, VERB_GRANT, STR(""));
    assert_ends_keeper("nothing to revoke", true, VERB_REVOKE,
                       STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"));
    assert_ends_keeper("an answer's verb", true, VERB_OK, STR(""));
    assert_ends_keeper("no frame", true, 0, STR("GET / HTTP/1.1\r\n\r\n"));
    struct fail f;
    assert_int_equal(bind_gate(&x, &f), 0);
    load_roster(&x, buf_view(&x.sealed_roster));
    assert_int_equal(run_call(&x, "GET", "/read/ok", 0)->kind, RESULT_ANSWERED);
}

static void wrong_digests_are_refused(void **state)
{
    (void)state;
    struct keeper_identity who;
    struct fail f;
    assert_int_equal(keeper_client_bind(x.kc, give_socket(&x), "sha256:other",
                                        connectors_digest(x.connectors), &who, &f),
                     ERR_CONFLICT);
    assert_int_equal(bind_gate(&x, &f), 0);
}

static void hook_secret_is_stable(void **state)
{
    (void)state;
    char a[64], b[64];
    struct fail f;
    assert_int_equal(keeper_hook_secret(x.kc, STR("default"), str_c(x.agent), a, &f), 0);
    end_keeper(&x, SIGTERM);
    start_again(&x);
    assert_int_equal(keeper_hook_secret(x.kc, STR("default"), str_c(x.agent), b, &f), 0);
    assert_string_equal(a, b);
    assert_int_equal(strncmp(a, "whsec_", 6), 0);
    assert_int_equal(strlen(a), 6 + 32);
}

int main(int argc, char **argv)
{
    keeper_child(argc, argv);
    log_open("test", LOG_ERROR);
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(killed_while_sending),
        CASE(done_is_remembered),
#ifdef CS_TESTING
        CASE(crash_points),
#endif
        CASE(revocations_survive),
        CASE(sigterm_finishes_what_is_under_way),
        CASE(lost_journal_is_a_new_epoch),
        CASE(damaged_journal_stops_keeper),
        CASE(second_keeper_is_refused),
        CASE(files_belong_to_the_lesser_account),
        CASE(rosters_do_not_go_back),
        CASE(nothing_is_sent_without_a_roster),
        CASE(sealed_but_not_committed_roster_is_taken),
        CASE(policy_made_stricter_after_the_grant),
        CASE(gate_comes_back),
        CASE(strangers_end_keeper),
        CASE(wrong_digests_are_refused),
        CASE(hook_secret_is_stable),
    };
    (void)crash_points;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
