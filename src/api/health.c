/* /healthz says that the process answers, /readyz that it can do its work: keeper bound, recovery
 * done, the store readable. Neither says anything more: nobody has to be known to ask. */
#include "api/app.h"

int api_healthz(struct app *app, struct exchange *x, struct fail *f)
{
    (void)app;
    (void)f;
    return exchange_json(x, 200, json_pack("{s:s}", "status", "ok"));
}

static int touch(struct store_tx *tx, void *arg)
{
    struct store_rows *rows = NULL;
    (void)arg;
    int r = STORE_SELECT(tx, Q_AUDIT_HEAD, &rows, V_C("default"));
    if (r == ERR_OK)
        r = store_next(rows);
    store_end(rows);
    return r == ERR_DONE ? ERR_OK : r;
}

int api_readyz(struct app *app, struct exchange *x, struct fail *f)
{
    bool ready = !app->stopping && life_ready(app->life) &&
                 store_read(life_store(app->life), touch, NULL) == ERR_OK;
    (void)f;
    if (!ready)
        exchange_add_header(x, "Retry-After", STR("1"));
    return exchange_json(x, ready ? 200 : 503,
                         json_pack("{s:s}", "status", ready ? "ready" : "not ready"));
}
