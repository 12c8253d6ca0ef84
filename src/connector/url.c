/* URLs of destinations: see url.h. Not a general parser: what is rare or read in two ways is
 * refused. */
#include "connector/url.h"
#include "base/path.h"

static bool alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A name or IPv4 address; labels neither empty nor beginning or ending with '-'. */
static bool name_valid(struct str host)
{
    if (host.n == 0 || host.n > 253)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool edge = i == 0 || i + 1 == host.n || host.p[i - 1] == '.' || host.p[i + 1] == '.';
        if (!alnum(c) && (edge || (c != '-' && c != '.' && c != '_')))
            return false;
    }
    return true;
}

static bool v6_valid(struct str host)
{
    if (host.n < 4 || host.n > 48 || host.p[host.n - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < host.n; i++) {
        if (strchr("0123456789abcdefABCDEF:.", host.p[i]) == NULL || host.p[i] == '\0')
            return false;
    }
    return true;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static bool authority(struct str s, struct url *u)
{
    bool v6 = str_starts(s, STR("["));
    size_t end = v6 ? str_find(s, ']', 0) + 1 : str_find(s, ':', 0);

    if (end > s.n)
        return false;
    u->host = str_sub(s, 0, end);
    u->port = u->tls ? 443 : 80;
    if (end < s.n) {
        uint64_t port;
        if (s.p[end] != ':' || !str_u64(str_sub(s, end + 1, s.n), &port) || port == 0 ||
            port > UINT16_MAX)
            return false;
        u->port = (uint16_t)port;
    }
    return v6 ? v6_valid(u->host) : name_valid(u->host);
}

static bool plain(struct str s)
{
    if (s.n > URL_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= 0x20 || s.p[i] > 0x7e || strchr("#\\\"<>^`{|}", s.p[i]) != NULL)
            return false;
    }
    return true;
}

int url_split(struct str text, struct url *ret)
{
    struct url u = {.tls = str_starts(text, STR("https://"))};

    if (!plain(text) || (!u.tls && !str_starts(text, STR("http://"))))
        return ERR_MALFORMED;
    struct str rest = str_sub(text, u.tls ? 8 : 7, text.n);
    size_t query = str_find(rest, '?', 0);
    size_t path = str_find(str_sub(rest, 0, query), '/', 0);
    if (!authority(str_sub(rest, 0, path), &u))
        return ERR_MALFORMED;
    u.path = str_sub(rest, path, query);
    u.has_query = query < rest.n;
    u.query = str_sub(rest, query + 1, rest.n);
    *ret = u;
    return ERR_OK;
}

/* The normal form of a URL's path, "/" where it has none. */
static bool normal(const struct url *u, struct buf *out)
{
    return path_normal(u->path.n > 0 ? u->path : STR("/"), false, out, NULL) == ERR_OK;
}

bool url_is_base(struct str text)
{
    struct url u;
    struct buf path;

    if (url_split(text, &u) != ERR_OK || u.has_query || str_ends(u.path, STR("/")))
        return false;
    buf_init(&path, URL_MAX);
    bool ok = u.path.n == 0 || (normal(&u, &path) && str_eq(buf_view(&path), u.path));
    buf_free(&path);
    return ok;
}

static bool path_under(struct str prefix, struct str path)
{
    return str_starts(path, prefix) &&
           (str_ends(prefix, STR("/")) || path.n == prefix.n || path.p[prefix.n] == '/');
}

bool url_under(struct str prefix, struct str text)
{
    struct url p, u;
    struct buf p_path, u_path;

    if (url_split(prefix, &p) != ERR_OK || url_split(text, &u) != ERR_OK || p.has_query)
        return false;
    if (p.tls != u.tls || p.port != u.port || !str_eq_nocase(p.host, u.host))
        return false;
    buf_init(&p_path, URL_MAX);
    buf_init(&u_path, URL_MAX);
    bool ok = normal(&p, &p_path) && normal(&u, &u_path) &&
              path_under(buf_view(&p_path), buf_view(&u_path));
    buf_free(&p_path);
    buf_free(&u_path);
    return ok;
}
