/* Identifiers that look like Plaid's. Random, not secret. */
#ifndef SANDBOX_IDS_H
#define SANDBOX_IDS_H

#include <stdint.h>

struct ids {
    uint64_t state;
};

#define ID_REQUEST_SIZE 16 /* 15 letters and digits */
#define ID_UUID_SIZE 37

void ids_seed(struct ids *ids);
void ids_request(struct ids *ids, char out[ID_REQUEST_SIZE]);
void ids_uuid(struct ids *ids, char out[ID_UUID_SIZE]);

#endif
