/* Collected complaints about people's files. A file cannot make a complaint look like two: control
 * characters that it brings along are shown as '?'. */
#include "base/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Nobody reads further; all are counted. */
enum { SHOWN_MAX = 200 };

void complaints_init(struct complaints *c)
{
    *c = (struct complaints){0};
    buf_init(&c->text, 0);
}

void complaints_free(struct complaints *c)
{
    buf_free(&c->text);
    c->n = 0;
}

static void put_clean(struct buf *b, const char *s)
{
    for (; *s; s++)
        buf_ch(b, (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

void complain(struct complaints *c, const char *file, int line, int column, const char *fmt, ...)
{
    char *message = NULL;
    va_list ap;
    if (c->n++ >= SHOWN_MAX)
        return;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        message = NULL;
    va_end(ap);
    put_clean(&c->text, file);
    buf_printf(&c->text, ":%d:%d: ", line, column);
    put_clean(&c->text, message ? message : "out of memory");
    if (c->n == SHOWN_MAX)
        buf_c(&c->text, " (further complaints are not shown)");
    buf_ch(&c->text, '\n');
    free(message);
}
