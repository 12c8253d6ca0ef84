/* Answers to a vendor's SDK: the provider's own, or ours in the vendor's error shape. */
#ifndef CS_PROXY_PROXY_ANSWER_H
#define CS_PROXY_PROXY_ANSWER_H

#include "proxy/proxy.h"

/* The provider's answer as it is. */
CS_CHECK int proxy_pass(struct exchange *x, const struct keeper_result *r);
/* The same where its body streams over fd (owned from here on). */
CS_CHECK int proxy_pass_stream(struct exchange *x, const struct keeper_result *head, int fd);
/* What an action's state says, with the provider's answer where there is one. */
CS_CHECK int proxy_answer_state(struct app *app, struct exchange *x, const struct connector *c,
                                const struct action *a);
/* Our own error: Countersign-Error, and Countersign-Action once there is an action. */
CS_CHECK int proxy_error(struct exchange *x, const struct connector *c, int status,
                         const char *code, const char *message);
/* A refusal before there was an action, in the vendor's shape. */
CS_CHECK int proxy_refuse(struct exchange *x, const struct connector *c, int err,
                          const struct fail *f);

#endif
