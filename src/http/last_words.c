/* The one place that writes HTTP by hand. Header values come through headers_each, which lets no
 * control character pass. */
#include "http/last_words.h"

#include "http/dispatch.h"
#include "http/headers.h"

static void write_header(void *arg, const char *name, const char *value)
{
    buf_printf(arg, "%s: %s\r\n", name, value);
}

int last_words_write(const struct call *c, struct buf *out)
{
    buf_printf(out, "HTTP/1.1 %d Refused\r\nConnection: close\r\n", c->x.status);
    headers_each(c, write_header, out);
    buf_printf(out, "Content-Length: %zu\r\n\r\n", c->x.out.n);
    buf_str(out, buf_view(&c->x.out));
    return buf_err(out);
}

int last_words_of(int err, const struct app *app, struct buf *out)
{
    struct call c;
    struct fail f = {.position = -1};
    int r = call_init(&c, app);
    if (r)
        return r;
    (void)fail_set(&f, err, "%s", err_title(err));
    dispatch_refuse(&c, err, &f);
    r = last_words_write(&c, out);
    call_free(&c);
    return r;
}
