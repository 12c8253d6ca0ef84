/* What action_view.c and person_view.c share. For api/ alone. */
#ifndef CS_API_PERSON_VIEW_H
#define CS_API_PERSON_VIEW_H

#include "api/action_view.h"

/* The object without what is sealed, approvals recounted. */
CS_CHECK int view_base(struct app *app, const struct sight *s, json_t **ret);
/* Adds `state` and `result`; *note (may be NULL) lies in the sight's arena. */
CS_CHECK int view_sealed(struct app *app, const struct sight *s, json_t *v, struct str *note);

#endif
