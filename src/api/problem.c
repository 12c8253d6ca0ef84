/* Problem documents. Internal errors say no more than that it is not possible just now: what went
 * wrong inside is for the log. */
#include "api/problem.h"

static bool internal(int err)
{
    return err_http(err) == 503 && err != ERR_UNAVAILABLE && err != ERR_FROZEN;
}

static int put_text(json_t *doc, const char *name, const char *text)
{
    return text[0] == '\0' ? 0 : json_object_set_new(doc, name, json_string(text));
}

json_t *problem_doc(int err, const struct fail *f)
{
    static const struct fail none = {.position = -1};
    if (f == NULL || internal(err))
        f = &none;
    json_t *doc = json_object();
    char type[96];
    (void)snprintf(type, sizeof type, "urn:countersign:%s", err_code(err));
    int bad = put_text(doc, "type", type);
    bad |= put_text(doc, "title", err_title(internal(err) ? ERR_UNAVAILABLE : err));
    bad |= json_object_set_new(doc, "status", json_integer(err_http(err)));
    bad |= put_text(doc, "detail", f->detail);
    bad |= put_text(doc, "field", f->field);
    bad |= put_text(doc, "action", f->action);
    if (f->position >= 0 && f->err != ERR_OK)
        bad |= json_object_set_new(doc, "position", json_integer(f->position));
    if (bad == 0)
        return doc;
    json_decref(doc);
    return NULL;
}

int problem_answer(struct exchange *x, int err, const struct fail *f, json_t *more)
{
    json_t *doc = problem_doc(err, f);
    int bad = doc == NULL || (more != NULL && json_object_update_missing(doc, more) != 0);
    json_decref(more);
    if (bad) {
        json_decref(doc);
        return ERR_NOMEM;
    }
    int r = exchange_json(x, err_http(err), doc);
    if (r == ERR_OK)
        x->answer_type = "application/problem+json";
    return r;
}
