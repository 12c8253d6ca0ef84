/* What a reviewer wants to know before reading the payload: how many, how much, to whom, outside or
 * not. Only what the connector points at; where it points at nothing the answer is null, never a
 * guess. */
#include "connector/connector.h"

static const json_t *pointed(const json_t *request, const char *pointer)
{
    const json_t *body = json_object_get(request, "body");
    return pointer != NULL && body != NULL ? json_at(body, str_c(pointer)) : NULL;
}

/* A string or number as it stands, otherwise null. */
static json_t *scalar(const json_t *request, const char *pointer)
{
    const json_t *v = pointed(request, pointer);
    return json_is_string(v) || json_is_number(v) ? json_deep_copy(v) : json_null();
}

static json_t *currency(const json_t *request, const char *pointer)
{
    if (pointer != NULL && pointer[0] == '=')
        return json_string(pointer + 1);
    return scalar(request, pointer);
}

/* A list counts its items. */
static json_t *rows(const json_t *request, const char *pointer)
{
    const json_t *v = pointed(request, pointer);
    if (json_is_array(v))
        return json_integer((json_int_t)json_array_size(v));
    return json_is_integer(v) ? json_deep_copy(v) : json_null();
}

json_t *connector_impact(const struct operation *op, const json_t *request)
{
    static const struct operation unknown;
    const struct operation *o = op != NULL ? op : &unknown;

    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "rows", rows(request, o->rows), "amount",
                     scalar(request, o->amount), "currency", currency(request, o->currency),
                     "payee", scalar(request, o->payee), "external",
                     op == NULL ? json_null() : json_boolean(operation_tagged(op, "external")));
}

void connector_account(const struct operation *op, const json_t *request, char out[16])
{
    static const char alnum[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct str v = json_text(op != NULL ? pointed(request, op->account) : NULL);
    char tail[5] = "";

    out[0] = '\0';
    if (v.n == 0)
        return;
    /* of something so short that four characters are most of it, nothing is shown */
    if (v.n >= 8 && !str_copy(tail, sizeof tail, str_sub(v, v.n - 4, v.n)))
        tail[0] = '\0';
    if (strspn(tail, alnum) != strlen(tail))
        tail[0] = '\0';
    (void)snprintf(out, 16, "****%s", tail);
}
