/* Passwords: Argon2id by libsodium's interactive limits (64 MiB, two passes), two at a time so that
 * sign-ins cannot take the machine's memory, and only so many waiting so that they cannot take the
 * workers either. */
#include <semaphore.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "api/password.h"
#include "api/session.h"

#define AT_ONCE 2
#define WAITING 8
#define PASSWORD_MIN 12
#define PASSWORD_MAX 256

_Static_assert(crypto_pwhash_STRBYTES <= 128, "password_hash()'s buffer");

struct passwords {
    sem_t slots;
    _Atomic int inside; /* working or waiting */
    char nobody[128];   /* the hash of a password that nobody has */
};

static int make_hash(const char *p, size_t n, char out[128])
{
    if (crypto_pwhash_str(out, p, n, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return ERR_NOMEM;
    return ERR_OK;
}

int password_hash(struct str password, char out[128], struct fail *f)
{
    if (password.n < PASSWORD_MIN || password.n > PASSWORD_MAX)
        return fail_field(f, ERR_MALFORMED, "password", "expected %d to %d bytes", PASSWORD_MIN,
                          PASSWORD_MAX);
    int r = make_hash(password.p, password.n, out);
    return r == ERR_OK ? r : fail_set(f, r, "not enough memory to hash a password");
}

int passwords_new(struct passwords **ret)
{
    struct passwords *p = calloc(1, sizeof *p);
    unsigned char secret[32];
    if (p == NULL)
        return ERR_NOMEM;
    randombytes_buf(secret, sizeof secret);
    int r = make_hash((const char *)secret, sizeof secret, p->nobody);
    sodium_memzero(secret, sizeof secret);
    if (r == ERR_OK && sem_init(&p->slots, 0, AT_ONCE) != 0)
        r = ERR_IO;
    if (r == ERR_OK)
        *ret = p;
    else
        free(p);
    return r;
}

void passwords_free(struct passwords *p)
{
    if (p == NULL)
        return;
    CS_ASSERT(atomic_load(&p->inside) == 0);
    (void)sem_destroy(&p->slots);
    free(p);
}

int passwords_verify(struct passwords *p, const char *hash, struct str password, bool *ret)
{
    bool known = hash[0] != '\0' && password.n <= PASSWORD_MAX;
    if (password.n > PASSWORD_MAX)
        password.n = PASSWORD_MAX;
    if (atomic_fetch_add(&p->inside, 1) >= AT_ONCE + WAITING) {
        atomic_fetch_sub(&p->inside, 1);
        return ERR_UNAVAILABLE;
    }
    while (sem_wait(&p->slots) != 0)
        continue; /* interrupted */
    bool same = crypto_pwhash_str_verify(known ? hash : p->nobody, password.p, password.n) == 0;
    (void)sem_post(&p->slots);
    atomic_fetch_sub(&p->inside, 1);
    *ret = known && same;
    return ERR_OK;
}
