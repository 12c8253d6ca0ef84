/* POST /v1/workspaces: a new tenant, empty. An admin of a workspace administers that one alone, so
 * only the console makes others. */
#include "api/roster_edit.h"
#include "api/shape.h"

static int add_workspace(struct app *app, const struct exchange *x, struct str name, struct fail *f)
{
    struct roster_edit e;
    int r = roster_edit_begin(app, &e, f);
    if (r != ERR_OK)
        return r;
    if (roster_workspace(e.from, name))
        r = fail_field(f, ERR_CONFLICT, "name", "there is a workspace of this name already");
    if (r == ERR_OK)
        r = roster_edit_add(&e, "workspaces", json_pack("{s:o}", "id", shape_text(name)));
    if (r == ERR_OK)
        r = roster_edit_commit(app, x, &e, "workspace.added", NULL, NULL, f);
    roster_edit_end(&e);
    return r;
}

int api_workspace_add(struct app *app, struct exchange *x, struct fail *f)
{
    struct str name = STR("");
    const struct json_field t[] = {{"name", JSON_WANT_STR, &name, true, 32}};
    int r = json_fields(x->json, t, 1, f);
    if (r == ERR_OK && x->who.who != WHO_CONSOLE)
        r = fail_set(f, ERR_WRONG_PRINCIPAL, "only the command line adds workspaces");
    if (r == ERR_OK && !roster_name_valid(name))
        r = fail_field(f, ERR_MALFORMED, "name", "expected a-z, 0-9 and '-', at most 32");
    if (r == ERR_OK)
        r = add_workspace(app, x, name, f);
    return r == ERR_OK ? exchange_json(x, 201, json_pack("{s:o}", "id", shape_text(name))) : r;
}
