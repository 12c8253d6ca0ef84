/* Identifiers that look like Plaid's; see ids.h. */
#include "ids.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

/* splitmix64: a system call for each request id would cost more than the answer. */
static uint64_t next(struct ids *ids)
{
    uint64_t z = (ids->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void ids_seed(struct ids *ids)
{
    if (getrandom(&ids->state, sizeof ids->state, 0) != sizeof ids->state)
        ids->state = 1;
}

void ids_request(struct ids *ids, char out[ID_REQUEST_SIZE])
{
    static const char LETTERS[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    uint64_t bits = 0;

    for (int i = 0; i < ID_REQUEST_SIZE - 1; i++) {
        if (i % 10 == 0)
            bits = next(ids);
        out[i] = LETTERS[(bits & 63) % 62];
        bits >>= 6;
    }
    out[ID_REQUEST_SIZE - 1] = '\0';
}

void ids_uuid(struct ids *ids, char out[ID_UUID_SIZE])
{
    uint64_t a = next(ids), b = next(ids);

    snprintf(out, ID_UUID_SIZE, "%08" PRIx32 "-%04x-4%03x-%04x-%012" PRIx64, (uint32_t)(a >> 32),
             (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff),
             (unsigned)(0x8000 | (b >> 48 & 0x3fff)), b & 0xffffffffffffu);
}
