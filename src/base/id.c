/* Identifiers and tokens. Within one millisecond an id is its predecessor plus a random 48-bit
 * step, so that ids sort by making and are still not to be guessed from each other. */
#include "base/id.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#define CROCKFORD "0123456789abcdefghjkmnpqrstvwxyz"
enum { ENCODED = 26, PREFIX = 3 };

/* The 74 free bits of a UUIDv7 (RFC 9562, 5.7): rand_a has 12, rand_b 62. */
struct uuid {
    int64_t ms;
    uint64_t a, b;
};

#define A_MAX UINT64_C(0xfff)
#define B_MAX (UINT64_MAX >> 2)
#define STEP_MAX (UINT64_MAX >> 16)

/* The next id after `last`, which was made in the same millisecond; false when the bits are used
 * up. */
static bool step(struct uuid *last, uint64_t random)
{
    last->b += 1 + (random & STEP_MAX);
    if (last->b > B_MAX) {
        last->b &= B_MAX;
        last->a++;
    }
    return last->a <= A_MAX;
}

static struct uuid next_uuid(const struct env *env)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct uuid last = {.ms = -1};
    uint64_t random[2];
    int64_t now = env_now(env);
    env->random(env->arg, random, sizeof random);
    CS_ASSERT(now >= 0 && now < INT64_C(1) << 48);
    pthread_mutex_lock(&lock);
    /* A fresh start leaves the top bit clear: room for 2^25 steps. */
    if (now != last.ms || !step(&last, random[1]))
        last = (struct uuid){.ms = now, .a = random[0] & A_MAX >> 1, .b = random[1] & B_MAX};
    struct uuid u = last;
    pthread_mutex_unlock(&lock);
    return u;
}

static uint64_t high_half(struct uuid u)
{
    return (uint64_t)u.ms << 16 | UINT64_C(7) << 12 | u.a;
}

static uint64_t low_half(struct uuid u)
{
    return UINT64_C(2) << 62 | u.b;
}

void id_new(const struct env *env, const char *prefix, char out[ID_SIZE])
{
    CS_ASSERT(strlen(prefix) == PREFIX);
    struct uuid u = next_uuid(env);
    unsigned __int128 v = (unsigned __int128)high_half(u) << 64 | low_half(u);
    memcpy(out, prefix, PREFIX);
    out[PREFIX] = '_';
    for (size_t i = ENCODED; i > 0; i--) {
        out[PREFIX + i] = CROCKFORD[(unsigned)v & 31];
        v >>= 5;
    }
    out[PREFIX + 1 + ENCODED] = 0;
}

/* 26 characters hold 130 bits; the first may only use three of its five. */
static bool decode(struct str s, unsigned __int128 *ret)
{
    unsigned __int128 v = 0;
    if (s.n != PREFIX + 1 + ENCODED || s.p[PREFIX] != '_' || s.p[PREFIX + 1] > '7')
        return false;
    for (size_t i = PREFIX + 1; i < s.n; i++) {
        const char *digit = s.p[i] ? strchr(CROCKFORD, s.p[i]) : NULL;
        if (!digit)
            return false;
        v = v << 5 | (unsigned)(digit - CROCKFORD);
    }
    *ret = v;
    return true;
}

bool id_valid(const char *prefix, struct str s)
{
    unsigned __int128 v;
    return strlen(prefix) == PREFIX && str_starts(s, str_c(prefix)) && decode(s, &v) &&
           ((unsigned)(v >> 76) & 15) == 7 && ((unsigned)(v >> 62) & 3) == 2;
}

int64_t id_time(struct str s)
{
    unsigned __int128 v = 0;
    CS_ASSERT(decode(s, &v));
    return (int64_t)(v >> 80);
}

void uuid_new(const struct env *env, char out[UUID_SIZE])
{
    struct uuid u = next_uuid(env);
    uint64_t high = high_half(u), low = low_half(u);
    snprintf(out, UUID_SIZE, "%08llx-%04llx-%04llx-%04llx-%012llx",
             (unsigned long long)(high >> 32), (unsigned long long)(high >> 16 & 0xffff),
             (unsigned long long)(high & 0xffff), (unsigned long long)(low >> 48),
             (unsigned long long)(low & 0xffffffffffff));
}

void token_new(const struct env *env, const char *prefix, char out[TOKEN_SIZE])
{
    unsigned char secret[32];
    size_t n = strlen(prefix);
    CS_ASSERT(n + 44 <= TOKEN_SIZE);
    env->random(env->arg, secret, sizeof secret);
    memcpy(out, prefix, n);
    sodium_bin2base64(out + n, TOKEN_SIZE - n, secret, sizeof secret,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof secret);
}
