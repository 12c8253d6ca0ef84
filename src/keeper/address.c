/* Address ranges. Anything that is not plainly a public unicast address is private: the ranges of
 * RFC 6890 and its successors, and v6 addresses that carry a v4 address are judged by both. */
#include "keeper/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct range {
    unsigned char base[16];
    unsigned bits;
    enum address_kind kind;
};

/* The first that fits decides. */
static const struct range v4_ranges[] = {
    {{169, 254, 169, 254}, 32, ADDRESS_NEVER}, /* metadata service of most clouds */
    {{0}, 8, ADDRESS_PRIVATE},
    {{10}, 8, ADDRESS_PRIVATE},
    {{100, 64}, 10, ADDRESS_PRIVATE},
    {{127}, 8, ADDRESS_PRIVATE},
    {{169, 254}, 16, ADDRESS_PRIVATE},
    {{172, 16}, 12, ADDRESS_PRIVATE},
    {{192, 0, 0}, 24, ADDRESS_PRIVATE},
    {{192, 0, 2}, 24, ADDRESS_PRIVATE},
    {{192, 88, 99}, 24, ADDRESS_PRIVATE},
    {{192, 168}, 16, ADDRESS_PRIVATE},
    {{198, 18}, 15, ADDRESS_PRIVATE},
    {{198, 51, 100}, 24, ADDRESS_PRIVATE},
    {{203, 0, 113}, 24, ADDRESS_PRIVATE},
    {{224}, 3, ADDRESS_PRIVATE}, /* multicast, reserved, broadcast */
    {{0}, 0, ADDRESS_PUBLIC},
};
static const struct range v6_ranges[] = {
    {{0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128, ADDRESS_NEVER},
    {{0, 0x64, 0xff, 0x9b}, 96, ADDRESS_PUBLIC},      /* NAT64: as the v4 address inside */
    {{[10] = 0xff, [11] = 0xff}, 96, ADDRESS_PUBLIC}, /* v4-mapped: likewise */
    {{0x20, 0x01}, 23, ADDRESS_PRIVATE},              /* Teredo, benchmarking, ORCHID, ... */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, ADDRESS_PRIVATE},
    {{0x20, 0x02}, 16, ADDRESS_PRIVATE}, /* 6to4 */
    {{0x3f, 0xff}, 20, ADDRESS_PRIVATE},
    {{0x20}, 3, ADDRESS_PUBLIC}, /* global unicast */
    {{0},
     0,
     ADDRESS_PRIVATE}, /* ::, ::1, fc00::/7, fe80::/10, ff00::/8 and what is not given out */
};
/* Where a v4 address lies inside a v6 one. */
static const struct {
    struct range range;
    size_t at;
    unsigned char flip;
} embedded[] = {
    {{{[10] = 0xff, [11] = 0xff}, 96, 0}, 12, 0},
    {{{0, 0x64, 0xff, 0x9b}, 96, 0}, 12, 0},
    {{{0x20, 0x01, 0, 0}, 32, 0}, 12, 0xff},
    /* Teredo hides it */ {{{0x20, 0x02}, 16, 0}, 2, 0},
    {{{0}, 96, 0}, 12, 0},
};

static int in_range(const unsigned char *a, const struct range *r)
{
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    if (memcmp(a, r->base, whole) != 0)
        return 0;
    return rest == 0 || ((a[whole] ^ r->base[whole]) >> (8 - rest)) == 0;
}

static enum address_kind lookup(const unsigned char *a, const struct range *r)
{
    while (!in_range(a, r))
        r++; /* the last row fits everything */
    return r->kind;
}

static enum address_kind v6_kind(const unsigned char *a)
{
    enum address_kind kind = lookup(a, v6_ranges);
    for (size_t i = 0; i < sizeof embedded / sizeof *embedded; i++) {
        unsigned char v4[4];
        if (!in_range(a, &embedded[i].range))
            continue;
        for (size_t k = 0; k < sizeof v4; k++)
            v4[k] = a[embedded[i].at + k] ^ embedded[i].flip;
        enum address_kind inner = lookup(v4, v4_ranges);
        kind = inner < kind ? inner : kind;
    }
    return kind;
}

enum address_kind address_kind(const struct sockaddr *sa)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    if (sa->sa_family == AF_INET) {
        memcpy(&in4, sa, sizeof in4);
        return lookup((const unsigned char *)&in4.sin_addr, v4_ranges);
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(&in6, sa, sizeof in6);
        return v6_kind(in6.sin6_addr.s6_addr);
    }
    return ADDRESS_NEVER;
}

enum address_kind address_kind_text(const char *ip)
{
    char plain[INET6_ADDRSTRLEN + 1];
    unsigned char a[16];
    size_t n = strcspn(ip, "%");
    if (n >= sizeof plain)
        return ADDRESS_NEVER;
    memcpy(plain, ip, n);
    plain[n] = 0;
    if (inet_pton(AF_INET, plain, a) == 1)
        return lookup(a, v4_ranges);
    return inet_pton(AF_INET6, plain, a) == 1 ? v6_kind(a) : ADDRESS_NEVER;
}
