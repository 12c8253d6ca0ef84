/* countersign.yaml: read once at start by a table (setting.def), never changed after. */
#ifndef CS_BASE_CONFIG_H
#define CS_BASE_CONFIG_H

#include <stdio.h>
#include "base/yaml.h"

#define METRICS_DEFAULT "127.0.0.1:9480"

struct config {
    const char *listen, *public_url, *data_dir, *store, *kek_file, *payload_key_file, *policy,
        *connectors_dir, *metrics_listen, *user, *log_level;
    int64_t limit_body, limit_headers, limit_request_time, limit_connections, limit_workers,
        limit_queue, limit_pending, limit_upstream_time, limit_connect_time, limit_answer,
        limit_calls;
    int64_t session_idle, session_absolute, login_attempts;
    struct arena *arena; /* owns the texts */
};

/* Reads a file; all complaints are collected. PATH settings come back absolute. public_url is
 * filled in when unset. Checks that listen addresses parse and that public_url is http(s) without
 * a path. */
CS_CHECK int config_read(const char *path, struct config *ret, struct complaints *c);
void config_free(struct config *c);
/* Prints the reference: every setting with default, bounds, unit and help, as commented YAML. */
void config_reference(FILE *out);
/* Splits "host:port" or "[v6]:port"; false if it is neither. */
bool config_address(struct str s, char host[64], uint16_t *port);

#endif
