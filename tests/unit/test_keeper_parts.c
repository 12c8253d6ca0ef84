/* The keeper's parts by themselves: addresses, boxes, blanking, revocations, webhook signatures,
 * frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/address.h"
#include "keeper/blank.h"
#include "keeper/deliver.h"
#include "keeper/messages.h"
#include "keeper/revoke.h"
#include "keeper/seal.h"

/* --- addresses -------------------------------------------------------------------------------- */

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        enum address_kind kind;
    } all[] = {
        {"8.8.8.8", ADDRESS_PUBLIC},
        {"1.1.1.1", ADDRESS_PUBLIC},
        {"172.15.255.255", ADDRESS_PUBLIC},
        {"172.32.0.0", ADDRESS_PUBLIC},
        {"100.63.255.255", ADDRESS_PUBLIC},
        {"100.128.0.0", ADDRESS_PUBLIC},
        {"198.17.0.1", ADDRESS_PUBLIC},
        {"198.20.0.1", ADDRESS_PUBLIC},
        {"223.255.255.255", ADDRESS_PUBLIC},
        {"0.0.0.0", ADDRESS_PRIVATE},
        {"10.1.2.3", ADDRESS_PRIVATE},
        {"100.64.0.1", ADDRESS_PRIVATE},
        {"127.0.0.1", ADDRESS_PRIVATE},
        {"127.255.0.1", ADDRESS_PRIVATE},
        {"169.254.1.1", ADDRESS_PRIVATE},
        {"172.16.0.1", ADDRESS_PRIVATE},
        {"172.31.255.255", ADDRESS_PRIVATE},
        {"192.0.0.8", ADDRESS_PRIVATE},
        {"192.168.1.1", ADDRESS_PRIVATE},
        {"198.18.0.1", ADDRESS_PRIVATE},
        {"198.19.255.255", ADDRESS_PRIVATE},
        {"224.0.0.1", ADDRESS_PRIVATE},
        {"240.0.0.1", ADDRESS_PRIVATE},
        {"255.255.255.255", ADDRESS_PRIVATE},
        {"169.254.169.254", ADDRESS_NEVER},
        {"::ffff:169.254.169.254", ADDRESS_NEVER},
        {"64:ff9b::169.254.169.254", ADDRESS_NEVER},
        {"2002:a9fe:a9fe::1", ADDRESS_NEVER},
        {"::169.254.169.254", ADDRESS_NEVER},
        {"fd00:ec2::254", ADDRESS_NEVER},
        {"fd00:ec2::253", ADDRESS_PRIVATE},
        {"::", ADDRESS_PRIVATE},
        {"::1", ADDRESS_PRIVATE},
        {"fc00::1", ADDRESS_PRIVATE},
        {"fdff::1", ADDRESS_PRIVATE},
        {"fe80::1", ADDRESS_PRIVATE},
        {"fe80::1%eth0", ADDRESS_PRIVATE},
        {"ff02::1", ADDRESS_PRIVATE},
        {"::ffff:127.0.0.1", ADDRESS_PRIVATE},
        {"::ffff:10.0.0.1", ADDRESS_PRIVATE},
        {"::ffff:8.8.8.8", ADDRESS_PUBLIC},
        {"64:ff9b::10.0.0.1", ADDRESS_PRIVATE},
        {"64:ff9b::8.8.8.8", ADDRESS_PUBLIC},
        {"64:ff9b:1::8.8.8.8", ADDRESS_PRIVATE},
        {"2002:0a00:0001::1", ADDRESS_PRIVATE},
        {"2002:0808:0808::1", ADDRESS_PRIVATE},
        {"2001:0:4136:e378::1", ADDRESS_PRIVATE},
        {"2001:0:0:0:0:0:5601:5601", ADDRESS_NEVER}, /* Teredo hides 169.254.169.254 */
        {"2001:db8::1", ADDRESS_PRIVATE},
        {"2606:4700::1111", ADDRESS_PUBLIC},
        {"2a00:1450::1", ADDRESS_PUBLIC},
        {"4000::1", ADDRESS_PRIVATE},
        {"nonsense", ADDRESS_NEVER},
        {"", ADDRESS_NEVER},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001", ADDRESS_NEVER},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (address_kind_text(all[i].ip) != all[i].kind)
            fail_msg("%s is %d", all[i].ip, (int)address_kind_text(all[i].ip));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    assert_int_equal(address_kind((struct sockaddr *)&a), ADDRESS_PRIVATE);
    struct sockaddr_in6 b = {.sin6_family = AF_INET6};
    inet_pton(AF_INET6, "2606:4700::1111", &b.sin6_addr);
    assert_int_equal(address_kind((struct sockaddr *)&b), ADDRESS_PUBLIC);
    struct sockaddr c = {.sa_family = AF_UNIX};
    assert_int_equal(address_kind(&c), ADDRESS_NEVER);
}

/* --- boxes ------------------------------------------------------------------------------------ */

static void make_keys(struct keyring *k, size_t n)
{
    *k = (struct keyring){.n = n};
    for (size_t i = 0; i < n; i++) {
        k->version[i] = (uint32_t)i + 1;
        k->key[i] = secret_alloc(KEY_BYTES);
        memset(k->key[i], (int)(i + 1), KEY_BYTES);
    }
}

static void credential_boxes(void **state)
{
    (void)state;
    struct keyring k, fewer;
    make_keys(&k, 2);
    make_keys(&fewer, 1);
    const struct credential_place here = {STR("w"), STR("con_1"), STR("https://a.example"), 3};
    const struct credential_place others[] = {
        {STR("v"), STR("con_1"), STR("https://a.example"), 3},
        {STR("w"), STR("con_2"), STR("https://a.example"), 3},
        {STR("w"), STR("con_1"), STR("https://b.example"), 3},
        {STR("w"), STR("con_1"), STR("https://a.example"), 2},
        {STR("wc"), STR("on_1"), STR("https://a.example"), 3}};
    struct buf box = {0}, clear = {0};
    assert_int_equal(seal_credential(&k, &here, STR("hello"), &box), 0);
    assert_null(memmem(box.p, box.n, "hello", 5));
    assert_int_equal(seal_open_credential(&k, &here, buf_view(&box), &clear), 0);
    assert_int_equal(clear.n, 5);
    assert_memory_equal(clear.p, "hello", 5);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(seal_open_credential(&k, &others[i], buf_view(&box), &clear), ERR_SEAL);
    for (size_t i = 0; i < box.n; i++) {
        box.p[i] ^= 1;
        assert_int_equal(seal_open_credential(&k, &here, buf_view(&box), &clear), ERR_SEAL);
        box.p[i] ^= 1;
    }
    for (size_t n = 0; n < box.n; n++)
        assert_int_equal(seal_open_credential(&k, &here, (struct str){box.p, n}, &clear), ERR_SEAL);
    assert_int_equal(seal_open_credential(&fewer, &here, buf_view(&box), &clear), ERR_SEAL);
    struct buf old = {0}; /* sealed under the older version: still opens */
    buf_wipe(&clear);
    assert_int_equal(seal_credential(&fewer, &here, STR("old"), &old), 0);
    assert_int_equal(seal_open_credential(&k, &here, buf_view(&old), &clear), 0);
    buf_wipe(&clear);
    buf_free(&old);
    buf_free(&box);
    keyring_free(&k);
    keyring_free(&fewer);
}

static void roster_boxes(void **state)
{
    (void)state;
    struct keyring k;
    struct buf box = {0}, clear = {0};
    int64_t version = 0;
    make_keys(&k, 1);
    assert_int_equal(seal_roster(&k, 7, STR("{}"), &box), 0);
    assert_int_equal(seal_open_roster(&k, buf_view(&box), &version, &clear), 0);
    assert_int_equal(version, 7);
    box.p[11] ^= 1; /* the version in clear is bound in */
    assert_int_equal(seal_open_roster(&k, buf_view(&box), &version, &clear), ERR_SEAL);
    assert_int_equal(seal_open_roster(&k, STR("csr1"), &version, &clear), ERR_SEAL);
    buf_free(&box);
    buf_wipe(&clear);
    keyring_free(&k);
}

/* --- webhooks --------------------------------------------------------------------------------- */

/* The vector that Standard Webhooks publishes. */
static void webhook_vector(void **state)
{
    (void)state;
    char sig[DELIVER_SIGNATURE], text[64];
    /* whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw */
    static const unsigned char published[] = {0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a,
                                              0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c,
                                              0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0};
    deliver_secret_text(published, sizeof published, text);
    assert_string_equal(text, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    deliver_sign(published, sizeof published, STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330,
                 STR("{\"test\": 2432232314}"), sig);
    assert_string_equal(sig, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    deliver_sign(published, sizeof published, STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265331,
                 STR("{\"test\": 2432232314}"), sig);
    assert_string_not_equal(sig, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void hook_keys_differ(void **state)
{
    (void)state;
    unsigned char kek[KEY_BYTES] = {1}, a[HOOK_BYTES], b[HOOK_BYTES];
    seal_hook_key(kek, STR("w"), STR("agt_1"), a);
    seal_hook_key(kek, STR("w"), STR("agt_1"), b);
    assert_memory_equal(a, b, sizeof a);
    seal_hook_key(kek, STR("wa"), STR("gt_1"), b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* --- blanking --------------------------------------------------------------------------------- */

static void blanking(void **state)
{
    (void)state;
    const char *text = "a secret-one b secret-one-longer c short secret-onX secret-one";
    const char *want = "a [redacted] b [redacted] c short secret-onX [redacted]";
    json_t *secrets =
        json_pack("{s:s, s:s, s:s}", "a", "secret-one", "b", "secret-one-longer", "c", "short");
    for (size_t piece = 1; piece <= strlen(text); piece++) { /* however it is cut */
        struct blank b;
        struct buf out = {0};
        assert_int_equal(blank_init(&b, secrets), 0);
        for (size_t at = 0; at < strlen(text); at += piece)
            blank_feed(&b, str_sub(str_c(text), at, at + piece), false, &out);
        blank_feed(&b, STR(""), true, &out);
        assert_string_equal(out.p, want);
        buf_free(&out);
        blank_free(&b);
    }
    json_decref(secrets);
}

/* --- revocations ------------------------------------------------------------------------------ */

static void count(void *arg, const struct revocation *r)
{
    (void)r;
    ++*(int *)arg;
}

static void revocations(void **state)
{
    (void)state;
    struct revoke_set set = {NULL};
    int n = 0;
    struct revocation r = {REVOKE_ACTION, STR("w"), STR("act_1"), 1000, true};
    assert_true(revoke_valid(&r));
    assert_int_equal(revoke_take(&set, &r), 0);
    assert_true(revoke_holds(&set, REVOKE_ACTION, STR("w"), STR("act_1"), 1000));
    assert_false(revoke_holds(&set, REVOKE_ACTION, STR("w"), STR("act_1"), 1001));
    assert_false(revoke_holds(&set, REVOKE_ACTION, STR("v"), STR("act_1"), 1));
    assert_false(revoke_holds(&set, REVOKE_ACTION, STR("w"), STR("act_2"), 1));
    assert_false(revoke_holds(&set, REVOKE_PERSON, STR("w"), STR("act_1"), 1));
    r.until = 500; /* never shortened */
    assert_int_equal(revoke_take(&set, &r), 0);
    assert_true(revoke_holds(&set, REVOKE_ACTION, STR("w"), STR("act_1"), 1000));
    r.on = false; /* never taken back */
    assert_false(revoke_valid(&r));
    struct revocation f = {FREEZE_WORKSPACE, STR("w"), STR("w"), INT64_MAX, true};
    assert_int_equal(revoke_take(&set, &f), 0);
    assert_true(revoke_holds(&set, FREEZE_WORKSPACE, STR("w"), STR(""), INT64_MAX));
    revoke_each(&set, 1, count, &n);
    assert_int_equal(n, 2);
    f.on = false;
    assert_true(revoke_valid(&f));
    assert_int_equal(revoke_take(&set, &f), 0);
    assert_false(revoke_holds(&set, FREEZE_WORKSPACE, STR("w"), STR(""), 1));
    f.kind = REVOKE_NONE;
    assert_false(revoke_valid(&f));
    revoke_free(&set);
}

/* --- frames ----------------------------------------------------------------------------------- */

static int pair[2];

static void send_raw(const void *p, size_t n, const int *fds, size_t n_fds)
{
    char bytes[256], space[CMSG_SPACE(4 * sizeof(int))] = {0};
    memcpy(bytes, p, n);
    struct iovec io = {bytes, n};
    struct msghdr msg = {.msg_iov = &io, .msg_iovlen = 1};
    if (n_fds > 0) {
        msg.msg_control = space;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    assert_int_equal(sendmsg(pair[0], &msg, 0), (ssize_t)n);
}

/* An ACK frame's head, with one byte changed to v. */
static int head_with(size_t at, unsigned char v, const void *fields, size_t n, const int *fds,
                     size_t n_fds)
{
    unsigned char p[256] = {'c', 's', 'k', '1', 0, 1, 0, VERB_ACK,         0, 0, 0, 0,
                            0,   0,   0,   9,   0, 0, 0, (unsigned char)n, 0, 0, 0, 0};
    struct frame f;
    memcpy(p + 24, fields, n);
    p[at] = v;
    send_raw(p, 24 + n, fds, n_fds);
    int r = frame_recv(pair[1], TO_KEEPER, &f);
    if (!r)
        frame_free(&f);
    return r;
}

static void frames_are_strict(void **state)
{
    (void)state;
    struct frame f;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(frame_recv(pair[1], TO_KEEPER, &f), ERR_DONE);
    assert_int_equal(head_with(0, 'c', "abc", 3, NULL, 0), 0);
    assert_int_equal(head_with(0, 'x', "abc", 3, NULL, 0), ERR_MALFORMED);     /* magic */
    assert_int_equal(head_with(5, 2, "abc", 3, NULL, 0), ERR_MALFORMED);       /* version */
    assert_int_equal(head_with(7, 99, "abc", 3, NULL, 0), ERR_MALFORMED);      /* no such verb */
    assert_int_equal(head_with(7, VERB_OK, "abc", 3, NULL, 0), ERR_MALFORMED); /* other direction */
    assert_int_equal(head_with(19, 2, "abc", 3, NULL, 0), ERR_MALFORMED);      /* bytes left over */
    assert_int_equal(head_with(19, 4, "abc", 3, NULL, 0), ERR_MALFORMED);      /* too short */
    assert_int_equal(head_with(18, 5, "abc", 3, NULL, 0), ERR_MALFORMED);      /* over ACK's cap */
    assert_int_equal(head_with(23, 4, "abc", 3, NULL, 0), ERR_MALFORMED);      /* unknown flag */
    assert_int_equal(head_with(23, 1, "abc", 3, NULL, 0), ERR_MALFORMED); /* memfd without need */
    assert_int_equal(head_with(23, 2, "abc", 3, pair, 1),
                     ERR_MALFORMED); /* stream on another verb */
    assert_int_equal(head_with(0, 'c', "abc", 3, pair, 1),
                     ERR_MALFORMED); /* descriptor not announced */
    int many[4] = {pair[0], pair[0], pair[0], pair[0]};
    assert_int_equal(head_with(0, 'c', "abc", 3, many, 4), ERR_MALFORMED);
    send_raw("short", 5, NULL, 0);
    assert_int_equal(frame_recv(pair[1], TO_KEEPER, &f), ERR_MALFORMED);
    char rest[8]; /* it was not taken */
    assert_int_equal(recv(pair[1], rest, sizeof rest, 0), 5);
    close(pair[0]);
    assert_int_equal(frame_recv(pair[1], TO_KEEPER, &f), ERR_TRUNCATED);
    close(pair[1]);
}

/* Fields in a memfd: `n` is written, `size` announced. */
static int memfd_frame(size_t n, size_t size, int seals)
{
    unsigned char p[24] = {'c', 's', 'k', '1', 0, 1, 0, VERB_EXECUTE, 0, 0, 0, 0, 0, 0, 0, 1, 0,
                           0,   0,   0,   0,   0, 0, 1};
    struct frame f;
    int fd = memfd_create("t", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    for (int i = 0; i < 4; i++)
        p[16 + i] = (unsigned char)(size >> (24 - 8 * i));
    send_raw(p, sizeof p, &fd, 1);
    close(fd);
    int r = frame_recv(pair[1], TO_KEEPER, &f);
    if (!r)
        frame_free(&f);
    return r;
}

static void large_fields(void **state)
{
    (void)state;
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    const size_t n = 3 * WIRE_INLINE;
    struct buf fields = {0};
    struct frame f;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    while (fields.n < n)
        buf_printf(&fields, "%zu,", fields.n);
    assert_int_equal(frame_send(pair[0], VERB_EXECUTE, 5, buf_view(&fields), -1), 0);
    assert_int_equal(frame_recv(pair[1], TO_KEEPER, &f), 0);
    assert_int_equal(f.id, 5);
    assert_int_equal(f.fields.n, fields.n);
    assert_memory_equal(f.fields.p, fields.p, fields.n);
    frame_free(&f);
    assert_int_equal(frame_send(pair[0], VERB_ACK, 5, buf_view(&fields), -1), ERR_TOO_LARGE);
    assert_int_equal(memfd_frame(n, n, all), 0);
    assert_int_equal(memfd_frame(n, n, 0), ERR_MALFORMED); /* could still be changed */
    assert_int_equal(memfd_frame(n, n, F_SEAL_SHRINK | F_SEAL_GROW), ERR_MALFORMED);
    assert_int_equal(memfd_frame(n, n + 1, all), ERR_MALFORMED);
    assert_int_equal(memfd_frame(n, n - 1, all), ERR_MALFORMED);
    buf_free(&fields);
    close(pair[0]);
    close(pair[1]);
}

static void order_round_trip(void **state)
{
    (void)state;
    struct vote vote = {STR("sha256:b"), STR("apr_1"),   VOTE_APPROVE, 5, 4,
                        STR("ses"),      STR("session"), STR("1:ff")},
                *votes;
    struct exec_order o = {.about = {.action = STR("act_1"),
                                     .tier = 3,
                                     .revision = -1,
                                     .decide_by = INT64_MIN},
                           .attempt = 2,
                           .request = STR("r"),
                           .vote = &vote,
                           .n_votes = 1,
                           .may_stream = true},
                      got;
    struct buf b = {0};
    messages_put_order(&b, &o);
    struct wire_in in = {(unsigned char *)b.p, (unsigned char *)b.p + b.n, false};
    assert_int_equal(messages_get_order(&in, &got, &votes), 0);
    assert_true(str_eq_c(got.about.action, "act_1") && got.about.tier == 3 &&
                got.about.decide_by == INT64_MIN);
    assert_true(str_eq_c(got.vote[0].person, "apr_1") && got.vote[0].decision == VOTE_APPROVE &&
                got.may_stream);
    free(votes);
    for (size_t n = 0; n < b.n; n++) { /* every truncation */
        struct wire_in cut = {(unsigned char *)b.p, (unsigned char *)b.p + n, false};
        assert_int_equal(messages_get_order(&cut, &got, &votes), ERR_MALFORMED);
    }
    buf_ch(&b, 0); /* and a byte too many */
    in = (struct wire_in){(unsigned char *)b.p, (unsigned char *)b.p + b.n, false};
    assert_int_equal(messages_get_order(&in, &got, &votes), ERR_MALFORMED);
    buf_clear(&b);
    o.n_votes = 0;
    o.about.tier = 4; /* out of its range */
    messages_put_order(&b, &o);
    in = (struct wire_in){(unsigned char *)b.p, (unsigned char *)b.p + b.n, false};
    assert_int_equal(messages_get_order(&in, &got, &votes), ERR_MALFORMED);
    buf_free(&b);
}

static void result_round_trip(void **state)
{
    (void)state;
    struct keeper_result r = {.action = "act_1",
                              .kind = RESULT_ANSWERED,
                              .status = 200,
                              .answer = {.class = ANSWER_DECLINED, .error_code = "X"},
                              .headers = json_pack("[[s,s]]", "a", "b"),
                              .body_omitted = true,
                              .body_bytes = 1LL << 40},
                         got;
    struct buf b = {0};
    buf_c(&r.body, "hello");
    messages_put_result(&b, &r);
    struct wire_in in = {(unsigned char *)b.p, (unsigned char *)b.p + b.n, false};
    assert_int_equal(messages_get_result(&in, &got), 0);
    assert_true(json_equal(got.headers, r.headers));
    assert_int_equal(got.answer.class, ANSWER_DECLINED);
    assert_string_equal(got.body.p, "hello");
    assert_true(got.body_omitted && got.body_bytes == 1LL << 40);
    keeper_result_free(&got);
    keeper_result_free(&r);
    buf_free(&b);
}

int main(void)
{
    log_open("test", LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),         cmocka_unit_test(credential_boxes),
        cmocka_unit_test(roster_boxes),      cmocka_unit_test(webhook_vector),
        cmocka_unit_test(hook_keys_differ),  cmocka_unit_test(blanking),
        cmocka_unit_test(revocations),       cmocka_unit_test(frames_are_strict),
        cmocka_unit_test(large_fields),      cmocka_unit_test(order_round_trip),
        cmocka_unit_test(result_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
