/* JSON makers shared by the views. Texts from the store are checked for UTF-8 by jansson: one that
 * is not gives NULL, and so no answer, rather than an altered text. */
#include "api/shape.h"

json_t *shape_text(struct str s)
{
    return json_stringn(s.p, s.n);
}

json_t *shape_opt(struct str s)
{
    return s.n > 0 ? shape_text(s) : json_null();
}

json_t *shape_time(int64_t ms)
{
    char text[TIME_TEXT];
    if (ms == 0)
        return json_null();
    time_format(text, ms);
    return json_string(text);
}

json_t *shape_parsed(struct str text)
{
    return text.n > 0 ? json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL) : json_array();
}

json_t *shape_texts(const char *const *p, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(out, json_string(p[i])) != 0) {
            json_decref(out);
            return NULL;
        }
    return out;
}

json_t *shape_approvals(json_t *quorum, int64_t given)
{
    json_int_t required = 0;
    for (size_t i = 0; i < json_array_size(quorum); i++)
        required += json_integer_value(json_object_get(json_array_get(quorum, i), "count"));
    return json_pack("{s:I, s:I, s:O}", "required", required, "given", (json_int_t)given, "quorum",
                     quorum);
}

json_t *shape_person(const struct roster *r, struct str id)
{
    const struct person *p = roster_person(r, id);
    if (p == NULL)
        return json_pack("{s:s%}", "id", id.p, id.n);
    return json_pack("{s:s, s:s}", "id", p->id, "email", p->email);
}

json_t *shape_operation(struct str name)
{
    return name.n > 0 ? shape_text(name) : json_string("unknown");
}

struct str shape_agent_name(const struct roster *r, struct str id)
{
    const struct agent *a = roster_agent(r, id);
    return a != NULL ? str_c(a->name) : id;
}

struct str shape_connection_name(const struct roster *r, struct str id)
{
    const struct connection *c = roster_connection(r, id);
    return c != NULL ? str_c(c->name) : id;
}
