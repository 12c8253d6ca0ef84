/* policy/binding: bindings, votes and MACs cover everything that they are about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/secret.h"
#include "policy/binding.h"

static struct binding usual(void)
{
    return (struct binding){
        .action = STR("act_01jd000000e008000000000000"),
        .workspace = STR("default"),
        .agent = STR("agt_01jd000000e008000000000000"),
        .connection = STR("con_01jd000000e008000000000000"),
        .revision = 1,
        .tier = 3,
        .quorum = STR("[{\"count\":2,\"group\":\"finance\"}]"),
        .evidence = STR("session"),
        .payload_hash =
            STR("sha256:0000000000000000000000000000000000000000000000000000000000000000"),
        .decide_by = 1000,
        .execute_by = 2000,
        .nonce = STR("00112233445566778899aabbccddeeff"),
    };
}

/* The bytes are a promise to people outside: an auditor makes them with any RFC 8785 program. */
static void test_binding_bytes(void **state)
{
    (void)state;
    static const char bytes[] =
        "{\"action\":\"act_01jd000000e008000000000000\",\"agent\":\"agt_"
        "01jd000000e008000000000000\","
        "\"connection\":\"con_01jd000000e008000000000000\",\"decide_by\":1000,\"evidence\":"
        "\"session\","
        "\"execute_by\":2000,\"nonce\":\"00112233445566778899aabbccddeeff\",\"payload_hash\":"
        "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\","
        "\"quorum\":[{\"count\":2,\"group\":\"finance\"}],\"revision\":1,\"tier\":3,\"version\":1,"
        "\"workspace\":\"default\"}";
    struct binding b = usual();
    char hash[HASH_TEXT], expected[HASH_TEXT];

    assert_int_equal(binding_hash(&b, hash), ERR_OK);
    hash_text(expected, str_c(bytes));
    assert_string_equal(hash, expected);
}

static void differs(const struct binding *b, const char *what)
{
    struct binding u = usual();
    char one[HASH_TEXT], other[HASH_TEXT];

    assert_int_equal(binding_hash(&u, one), ERR_OK);
    assert_int_equal(binding_hash(b, other), ERR_OK);
    if (strcmp(one, other) == 0)
        fail_msg("%s is not bound", what);
}

#define DIFFERS(member, ...)              \
    do {                                  \
        struct binding changed = usual(); \
        changed.member = __VA_ARGS__;     \
        differs(&changed, #member);       \
    } while (0)

static void test_binding_covers(void **state)
{
    (void)state;
    DIFFERS(action, STR("act_01jd000000e008000000000001"));
    DIFFERS(workspace, STR("other"));
    DIFFERS(agent, STR("agt_01jd000000e008000000000001"));
    DIFFERS(connection, STR("con_01jd000000e008000000000001"));
    DIFFERS(revision, 2);
    DIFFERS(tier, 2);
    DIFFERS(quorum, STR("[{\"count\":1,\"group\":\"finance\"}]"));
    DIFFERS(evidence, STR("passkey"));
    DIFFERS(payload_hash,
            STR("sha256:1000000000000000000000000000000000000000000000000000000000000000"));
    DIFFERS(decide_by, 1001);
    DIFFERS(execute_by, 2001);
    DIFFERS(nonce, STR("10112233445566778899aabbccddeeff"));
}

#define REFUSED(member, ...)                                    \
    do {                                                        \
        struct binding bad = usual();                           \
        char hash[HASH_TEXT];                                   \
        bad.member = __VA_ARGS__;                               \
        assert_int_not_equal(binding_hash(&bad, hash), ERR_OK); \
    } while (0)

static void test_binding_refuses(void **state)
{
    (void)state;
    REFUSED(action, STR(""));
    REFUSED(workspace, STR(""));
    REFUSED(agent, STR(""));
    REFUSED(connection, STR(""));
    REFUSED(evidence, STR(""));
    REFUSED(revision, 0);
    REFUSED(tier, 4);
    REFUSED(tier, -1);
    REFUSED(quorum, STR(""));
    REFUSED(quorum, STR("{}"));
    REFUSED(quorum, STR("[{\"count\":1,\"count\":2}]"));
    REFUSED(payload_hash, STR("sha256:00"));
    REFUSED(nonce, STR(""));
    REFUSED(nonce, STR("zz112233445566778899aabbccddeeff"));
}

/* --- votes ----------------------------------------------------------------------------------- */

static const unsigned char KEY_A[KEY_BYTES] = {1}, KEY_B[KEY_BYTES] = {2};

static struct vote a_vote(void)
{
    return (struct vote){.binding = STR("sha256:ab"),
                         .person = STR("apr_1"),
                         .decision = VOTE_APPROVE,
                         .at = 10,
                         .auth_time = 5,
                         .session = STR("s1"),
                         .evidence = STR("session")};
}

#define VOTE_DIFFERS(member, ...)                                \
    do {                                                         \
        struct vote v = a_vote();                                \
        char one[MAC_TEXT], other[MAC_TEXT];                     \
        assert_int_equal(vote_mac(KEY_A, 1, &v, one), ERR_OK);   \
        v.member = __VA_ARGS__;                                  \
        assert_int_equal(vote_mac(KEY_A, 1, &v, other), ERR_OK); \
        if (strcmp(one, other) == 0)                             \
            fail_msg("%s is not covered", #member);              \
    } while (0)

static void test_vote_covers(void **state)
{
    (void)state;
    VOTE_DIFFERS(binding, STR("sha256:ac"));
    VOTE_DIFFERS(person, STR("apr_2"));
    VOTE_DIFFERS(decision, VOTE_REJECT);
    VOTE_DIFFERS(at, 11);
    VOTE_DIFFERS(auth_time, 6);
    VOTE_DIFFERS(session, STR("s2"));
    VOTE_DIFFERS(evidence, STR("passkey"));
}

static void test_vote_refuses(void **state)
{
    (void)state;
    char mac[MAC_TEXT];
    struct vote v = a_vote();

    v.decision = VOTE_NONE;
    assert_int_equal(vote_mac(KEY_A, 1, &v, mac), ERR_MALFORMED);
    v = a_vote();
    v.person = STR("");
    assert_int_equal(vote_mac(KEY_A, 1, &v, mac), ERR_MALFORMED);
    v = a_vote();
    v.binding = STR("");
    assert_int_equal(vote_mac(KEY_A, 1, &v, mac), ERR_MALFORMED);
    v = a_vote();
    v.session = STR("");
    assert_int_equal(vote_mac(KEY_A, 1, &v, mac), ERR_MALFORMED);
}

static void test_mac_text(void **state)
{
    (void)state;
    const struct str ab_c[] = {STR("ab"), STR("c")}, a_bc[] = {STR("a"), STR("bc")};
    char one[MAC_TEXT], other[MAC_TEXT];

    mac_text(KEY_A, 7, "session", ab_c, 2, one);
    assert_true(str_starts(str_c(one), STR("7:")));
    assert_int_equal(strlen(one), 66);
    mac_text(KEY_A, 7, "session", ab_c, 2, other);
    assert_string_equal(one, other);
    mac_text(KEY_A, 7, "session", a_bc, 2, other); /* the same letters, parted elsewhere */
    assert_string_not_equal(one, other);
    mac_text(KEY_A, 7, "session", ab_c, 1, other);
    assert_string_not_equal(one, other);
    mac_text(KEY_A, 7, "vote", ab_c, 2, other);
    assert_string_not_equal(one, other);
    mac_text(KEY_B, 7, "session", ab_c, 2, other);
    assert_string_not_equal(one, other);
    mac_text(KEY_A, UINT32_MAX, "session", ab_c, 2, other); /* the longest version fits */
    assert_int_equal(strlen(other), 75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binding_bytes),   cmocka_unit_test(test_binding_covers),
        cmocka_unit_test(test_binding_refuses), cmocka_unit_test(test_vote_covers),
        cmocka_unit_test(test_vote_refuses),    cmocka_unit_test(test_mac_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
