/* The program's own log: one JSON object a line on standard error, one escaper. What an operator
 * reads while it runs; what an auditor reads is the audit log (audit/). Never give it payload text,
 * personal data or secrets: it takes ids, codes and numbers. */
#ifndef CS_BASE_LOG_H
#define CS_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Set once at start: program part ("gate", "keeper") and least level written. */
void log_open(const char *part, enum log_level least);

struct log_kv {
    const char *key;
    struct str text; /* used when is_number is false */
    int64_t number;
    bool is_number;
};
#define KV_S(k, s) ((struct log_kv){.key = (k), .text = (s)})
#define KV_C(k, c) ((struct log_kv){.key = (k), .text = str_c(c)})
#define KV_N(k, v) ((struct log_kv){.key = (k), .number = (int64_t)(v), .is_number = true})

void log_write(enum log_level level, const char *event, const struct log_kv *kv, size_t n);
#define log_event(level, event, ...)                              \
    log_write(level, event, (const struct log_kv[]){__VA_ARGS__}, \
              sizeof((const struct log_kv[]){__VA_ARGS__}) / sizeof(struct log_kv))

#endif
