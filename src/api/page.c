/* The reviewer's page and its parts, as they were built into the program. Nothing is read from the
 * disk and a name is only ever compared with the table, so there is no path to escape from. */
#include <sodium.h>
#include <stdio.h>

#include "api/app.h"
#include "base/asset.h"

struct kind {
    const char *suffix, *type;
};
static const struct kind kinds[] = {
    {".html", "text/html; charset=utf-8"},        {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},          {".svg", "image/svg+xml"},
    {".yaml", "application/yaml; charset=utf-8"}, {".txt", "text/plain; charset=utf-8"},
};

static const char *type_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (str_ends(str_c(name), str_c(kinds[i].suffix)))
            return kinds[i].type;
    return "application/octet-stream";
}

/* Does the client take gzip? "q=0" in any spelling says no. */
static bool takes_gzip(const struct exchange *x)
{
    struct str line = exchange_header(x, "accept-encoding", NULL);
    for (size_t at = 0, end; at < line.n; at = end + 1) {
        end = str_find(line, ',', at);
        struct str item = str_sub(line, at, end);
        size_t semi = str_find(item, ';', 0);
        struct str q = str_trim(str_sub(item, semi + 1, item.n));
        if (!str_eq_nocase(str_trim(str_sub(item, 0, semi)), STR("gzip")))
            continue;
        return !(str_eq_c(q, "q=0") || str_starts(q, STR("q=0.0")) || str_eq_c(q, "q=0."));
    }
    return false;
}

static void etag_of(struct str bytes, bool gzip, char out[48])
{
    unsigned char hash[16];
    char hex[33];
    (void)crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes.p, bytes.n, NULL, 0);
    hex_encode(hex, hash, sizeof hash);
    (void)snprintf(out, 48, "\"%s%s\"", hex, gzip ? "-gz" : "");
}

/* Is the tag among those of If-None-Match? Weak comparison, as RFC 9110 has it. */
static bool unchanged(const struct exchange *x, struct str etag)
{
    struct str line = exchange_header(x, "if-none-match", NULL);
    if (str_eq_c(str_trim(line), "*"))
        return true;
    for (size_t at = 0, end; at < line.n; at = end + 1) {
        end = str_find(line, ',', at);
        struct str tag = str_trim(str_sub(line, at, end));
        if (str_starts(tag, STR("W/")))
            tag = str_sub(tag, 2, tag.n);
        if (str_eq(tag, etag))
            return true;
    }
    return false;
}

static int serve(struct exchange *x, const char *name, struct fail *f)
{
    const struct asset *a = asset_find(name);
    char etag[48];
    if (a == NULL)
        return fail_set(f, ERR_NOT_FOUND, "there is no such file");
    bool gzip = a->gz != NULL && takes_gzip(x);
    struct str bytes =
        gzip ? (struct str){(const char *)a->gz, (size_t)(a->gz_end - a->gz)} : asset_text(a);
    etag_of(asset_text(a), gzip, etag);
    exchange_add_header(x, "ETag", str_c(etag));
    exchange_add_header(x, "Vary", STR("Accept-Encoding"));
    exchange_add_header(x, "Cache-Control", STR("no-cache"));
    x->answer_type = type_of(name);
    if (unchanged(x, str_c(etag))) {
        x->status = 304;
        return ERR_OK;
    }
    if (gzip)
        exchange_add_header(x, "Content-Encoding", STR("gzip"));
    buf_str(&x->out, bytes);
    x->status = 200;
    return buf_err(&x->out);
}

/* Scripts and styles come from here alone, none inline; nothing is framed, embedded or posted away.
 */
int api_page(struct app *app, struct exchange *x, struct fail *f)
{
    (void)app;
    exchange_add_header(
        x, "Content-Security-Policy",
        STR("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            "connect-src 'self'; object-src 'none'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'"));
    return serve(x, "web/index.html", f);
}

int api_asset(struct app *app, struct exchange *x, struct fail *f)
{
    char name[128];
    (void)app;
    int n = snprintf(name, sizeof name, "web/%.*s", STR_FMT(x->param[0]));
    if (n < 0 || (size_t)n >= sizeof name || strlen(name) != (size_t)n)
        return fail_set(f, ERR_NOT_FOUND, "there is no such file");
    return serve(x, name, f);
}

int api_favicon(struct app *app, struct exchange *x, struct fail *f)
{
    (void)app;
    return serve(x, "web/icon.svg", f);
}

int api_openapi(struct app *app, struct exchange *x, struct fail *f)
{
    (void)app;
    return serve(x, "docs/openapi.yaml", f);
}
