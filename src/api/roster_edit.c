/* The one way in which administration changes who may do what. */
#include "api/roster_edit.h"

int roster_edit_begin(struct app *app, struct roster_edit *ret, struct fail *f)
{
    struct roster_edit e = {.from = life_roster(app->life)};
    e.doc = json_deep_copy(roster_doc(e.from));
    if (e.doc == NULL) {
        roster_edit_end(&e);
        return fail_set(f, ERR_NOMEM, "out of memory");
    }
    *ret = e;
    return ERR_OK;
}

void roster_edit_end(struct roster_edit *e)
{
    roster_unref(e->from);
    json_decref(e->doc);
    *e = (struct roster_edit){0};
}

json_t *roster_edit_entry(const struct roster_edit *e, const char *list, const char *id)
{
    json_t *entries = json_object_get(e->doc, list);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        json_t *entry = json_array_get(entries, i);
        if (str_eq_c(json_text(json_object_get(entry, "id")), id))
            return entry;
    }
    return NULL;
}

int roster_edit_add(struct roster_edit *e, const char *list, json_t *entry)
{
    return json_array_append_new(json_object_get(e->doc, list), entry) == 0 ? ERR_OK : ERR_NOMEM;
}

int roster_edit_commit(struct app *app, const struct exchange *x, struct roster_edit *e,
                       const char *what, store_fn *extra, void *extra_arg, struct fail *f)
{
    struct str by = x->who.person != NULL ? str_c(x->who.person->id) : STR("console");
    return life_roster_change(app->life, e->doc, x->who.workspace, by, what, extra, extra_arg, f);
}

bool roster_name_valid(struct str s)
{
    if (s.n == 0 || s.n > 63 || s.p[0] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

bool roster_email_valid(struct str s)
{
    size_t at = str_find(s, '@', 0);
    if (at == 0 || at + 1 >= s.n || s.n > 254 || str_find(s, '@', at + 1) < s.n || !utf8_valid(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

int roster_texts(const json_t *list, const char *field, bool (*valid)(struct str s), struct fail *f)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_string(v) || !valid(json_text(v)))
            return fail_field(f, ERR_MALFORMED, field, "entry %zu is not valid", i + 1);
    }
    return ERR_OK;
}
