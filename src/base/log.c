/* The log sink: builds a whole line and gives it to the kernel in one write, so that lines of
 * several threads and processes do not mix. A line that cannot be built is replaced, not dropped.
 */
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#include "base/env.h"
#include "base/json.h"

enum { LINE_MAX_BYTES = 16384 };

static const char *const level_name[] = {"debug", "info", "warn", "error"};

static const char *log_part = "countersign";
static enum log_level log_least = LOG_INFO;

void log_open(const char *part, enum log_level least)
{
    log_part = part;
    log_least = least;
}

/* A full disk or a closed pipe must not stop the work: what cannot be logged is lost. */
static void write_line(struct str line)
{
    while (line.n > 0) {
        ssize_t n = write(STDERR_FILENO, line.p, line.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line = str_sub(line, (size_t)n, line.n);
    }
}

static void put_member(struct buf *b, const char *key, struct str value)
{
    buf_ch(b, ',');
    json_escape(b, str_c(key));
    buf_ch(b, ':');
    json_escape(b, value);
}

static void put_head(struct buf *b, enum log_level level, const char *event)
{
    char now[TIME_TEXT];
    time_format(now, env_now(&env_system));
    buf_c(b, "{\"time\":\"");
    buf_c(b, now);
    buf_ch(b, '"');
    put_member(b, "level", str_c(level_name[level]));
    put_member(b, "part", str_c(log_part));
    put_member(b, "event", str_c(event));
}

void log_write(enum log_level level, const char *event, const struct log_kv *kv, size_t n)
{
    struct buf b;
    if (level < log_least)
        return;
    buf_init(&b, LINE_MAX_BYTES);
    put_head(&b, level, event);
    for (size_t i = 0; i < n; i++) {
        if (!kv[i].is_number) {
            put_member(&b, kv[i].key, kv[i].text);
            continue;
        }
        buf_ch(&b, ',');
        json_escape(&b, str_c(kv[i].key));
        buf_printf(&b, ":%lld", (long long)kv[i].number);
    }
    buf_c(&b, "}\n");
    if (buf_err(&b) == ERR_TOO_LARGE) {
        buf_clear(&b);
        put_head(&b, level, event);
        put_member(&b, "log", STR("fields left out: the line was too long"));
        buf_c(&b, "}\n");
    }
    if (buf_err(&b))
        write_line(STR("{\"level\":\"error\",\"event\":\"log.no_memory\"}\n"));
    else
        write_line(buf_view(&b));
    buf_free(&b);
}
