/* The configuration: every setting is a row of setting.def. Defaults are themselves a YAML text
 * made from the rows and read by the same code, so that a default cannot mean what a file could not
 * say. */
#include "base/config.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct setting {
    const char *section, *name;
    enum yaml_want want;
    bool is_path;
    size_t offset;
    const char *standard;
    int64_t min, max;
    const char *unit, *help;
};

#define WANT_STR YW_STR, false
#define WANT_PATH YW_STR, true
#define WANT_INT YW_INT, false
#define WANT_DURATION YW_DURATION, false
#define WANT_SIZE YW_SIZE, false
#define WANT_BOOL YW_BOOL, false

static const struct setting settings[] = {
#define SETTING(section, name, kind, field, standard, min, max, unit, help) \
    {section, name, WANT_##kind, offsetof(struct config, field), standard, min, max, unit, help},
#include "base/setting.def"
#undef SETTING
};

enum { SETTINGS = sizeof settings / sizeof *settings, SECTIONS_MAX = 8 };

/* Sections in the order of their first row; the top level is not one of them. */
static size_t list_sections(const char *names[SECTIONS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *section = settings[i].section;
        if (section[0] == 0 || (n > 0 && strcmp(names[n - 1], section) == 0))
            continue;
        CS_ASSERT(n < SECTIONS_MAX);
        names[n++] = section;
    }
    return n;
}

/* --- the reference -------------------------------------------------------------------------- */

static bool quoted(const struct setting *s)
{
    return s->want == YW_STR;
}

static void write_setting(struct buf *b, const struct setting *s, bool reference)
{
    const char *quote = quoted(s) ? "\"" : "", *indent = s->section[0] ? "  " : "";
    if (reference) {
        buf_printf(b, "\n#%s %s", indent, s->help);
        if (s->unit[0])
            buf_printf(b, " Unit: %s.", s->unit);
        if (s->max > s->min)
            buf_printf(b, " From %lld to %lld%s.", (long long)s->min, (long long)s->max,
                       s->want == YW_DURATION ? " ms" : "");
        buf_ch(b, '\n');
    }
    buf_printf(b, "%s%s%s: %s%s%s\n", reference ? "#" : "", indent, s->name, quote, s->standard,
               quote);
}

/* The defaults as YAML: bare for reading them, or commented out and explained for people. */
static void write_settings(struct buf *b, bool reference)
{
    const char *section = "";
    for (size_t i = 0; i < SETTINGS; i++) {
        if (strcmp(section, settings[i].section) != 0) {
            section = settings[i].section;
            buf_printf(b, "%s%s:\n", reference ? "\n#" : "", section);
        }
        write_setting(b, &settings[i], reference);
    }
}

void config_reference(FILE *out)
{
    struct buf b = {0};
    buf_c(&b,
          "# countersign.yaml: every setting with its default. Paths are relative to this file.\n"
          "# Take the '#' away to change one; under a section, from the section's line too.\n");
    write_settings(&b, true);
    if (!buf_err(&b))
        fwrite(b.p, 1, b.n, out);
    buf_free(&b);
}

/* --- reading -------------------------------------------------------------------------------- */

struct loaded {
    struct config config;
    const struct yaml_node *section[SECTIONS_MAX];
};

/* The rows of one section as fields; the top level has the sections as fields too. */
static size_t table_of(const char *section, struct yaml_field t[SETTINGS + SECTIONS_MAX])
{
    const char *names[SECTIONS_MAX] = {0};
    size_t n = 0, sections = section[0] ? 0 : list_sections(names);
    for (size_t i = 0; i < SETTINGS; i++)
        if (strcmp(settings[i].section, section) == 0)
            t[n++] =
                (struct yaml_field){.name = settings[i].name,
                                    .want = settings[i].want,
                                    .offset = offsetof(struct loaded, config) + settings[i].offset,
                                    .min = settings[i].min,
                                    .max = settings[i].max};
    for (size_t i = 0; i < sections; i++)
        t[n++] = (struct yaml_field){.name = names[i],
                                     .want = YW_MAP,
                                     .offset = offsetof(struct loaded, section) +
                                               i * sizeof(struct yaml_node *)};
    return n;
}

static void read_settings(const struct yaml_doc *doc, struct loaded *to, struct complaints *c)
{
    struct yaml_field t[SETTINGS + SECTIONS_MAX];
    const char *names[SECTIONS_MAX] = {0};
    size_t sections = list_sections(names);
    memset(to->section, 0, sizeof to->section);
    (void)!yaml_fields(doc, yaml_root(doc), t, table_of("", t), to, c);
    for (size_t i = 0; i < sections; i++)
        if (to->section[i])
            (void)!yaml_fields(doc, to->section[i], t, table_of(names[i], t), to, c);
}

/* Every row has a default, so that afterwards no field is unset. */
static int read_defaults(struct loaded *to, struct yaml_doc **doc, struct complaints *c)
{
    struct buf text = {0};
    write_settings(&text, false);
    int r = buf_err(&text);
    if (!r)
        r = yaml_read("setting.def", buf_view(&text), doc, c);
    if (!r)
        read_settings(*doc, to, c);
    buf_free(&text);
    return r;
}

/* --- checks --------------------------------------------------------------------------------- */

bool config_address(struct str s, char host[64], uint16_t *port)
{
    unsigned char v6[16];
    uint64_t number;
    bool brackets = s.n > 0 && s.p[0] == '[';
    size_t end = str_find(s, brackets ? ']' : ':', 0), colon = brackets ? end + 1 : end;
    if (colon >= s.n || s.p[colon] != ':')
        return false;
    struct str name = str_sub(s, brackets, end);
    if (name.n == 0 || !str_u64(str_sub(s, colon + 1, s.n), &number) || number > UINT16_MAX ||
        !str_copy(host, 64, name))
        return false;
    if (brackets
            ? inet_pton(AF_INET6, host, v6) != 1
            : strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
                  name.n)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool good_address(const char *text)
{
    char host[64];
    uint16_t port;
    return config_address(str_c(text), host, &port);
}

/* scheme://authority and nothing behind it; what the authority may hold is the browser's business,
 * but it can neither end a header nor carry a user name. */
static bool good_url(const char *text)
{
    struct str s = str_c(text), authority;
    if (s.n == 0) /* not set: made from listen */
        return true;
    if (str_starts(s, STR("https://")))
        authority = str_sub(s, 8, s.n);
    else if (str_starts(s, STR("http://")))
        authority = str_sub(s, 7, s.n);
    else
        return false;
    return authority.n > 0 &&
           strspn(authority.p,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") ==
               authority.n;
}

static bool good_store(const char *text)
{
    struct str s = str_c(text);
    return str_eq(s, STR("sqlite")) || str_starts(s, STR("postgres://")) ||
           str_starts(s, STR("postgresql://"));
}

static bool good_level(const char *text)
{
    return strcmp(text, "debug") == 0 || strcmp(text, "info") == 0 || strcmp(text, "warn") == 0 ||
           strcmp(text, "error") == 0;
}

static bool not_empty(const char *text)
{
    return text[0] != 0;
}

static const struct check {
    const char *name;
    size_t offset;
    bool (*good)(const char *text);
    const char *rule;
} checks[] = {
    {"listen", offsetof(struct config, listen), good_address, "host:port or [v6]:port"},
    {"metrics_listen", offsetof(struct config, metrics_listen), good_address,
     "host:port or [v6]:port"},
    {"public_url", offsetof(struct config, public_url), good_url,
     "http:// or https:// with a host and no path"},
    {"store", offsetof(struct config, store), good_store, "sqlite or a postgres:// URL"},
    {"log_level", offsetof(struct config, log_level), good_level, "debug, info, warn or error"},
    {"user", offsetof(struct config, user), not_empty, "the name of an account"},
    {"data_dir", offsetof(struct config, data_dir), not_empty, "a folder"},
    {"kek_file", offsetof(struct config, kek_file), not_empty, "a file"},
    {"payload_key_file", offsetof(struct config, payload_key_file), not_empty, "a file"},
    {"policy", offsetof(struct config, policy), not_empty, "a file"},
    {"connectors_dir", offsetof(struct config, connectors_dir), not_empty, "a folder"},
};

static const char **text_at(struct config *c, size_t offset)
{
    return (const char **)(void *)((char *)c + offset);
}

static void run_checks(const struct yaml_doc *doc, struct config *config, struct complaints *c)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        const struct yaml_node *at = yaml_get(yaml_root(doc), checks[i].name);
        if (at && !checks[i].good(*text_at(config, checks[i].offset)))
            complain(c, yaml_name(doc), at->line, at->column, "%s must be %s", checks[i].name,
                     checks[i].rule);
    }
}

/* --- making it last ------------------------------------------------------------------------- */

/* The folder of the file, absolute; NULL where it is not there. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    char *absolute = dir ? realpath(dir, NULL) : NULL;
    free(dir);
    return absolute;
}

static const char *absolute(struct arena *a, const char *folder, const char *path)
{
    struct str s = str_c(path);
    if (s.p[0] == '/' || str_starts(s, STR("credential:")))
        return arena_cstr(a, s);
    return arena_printf(a, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
}

/* Copies all texts out of the documents, which are freed, and completes what depends on others. */
static int keep_texts(struct config *config, const char *file)
{
    char *folder = folder_of(file);
    config->arena = arena_new((size_t)1 << 20);
    if (!folder || !config->arena) {
        free(folder);
        return ERR_NOMEM;
    }
    if (config->public_url[0] == 0)
        config->public_url = arena_printf(config->arena, "http://%s", config->listen);
    for (size_t i = 0; i < SETTINGS; i++) {
        if (settings[i].want != YW_STR)
            continue;
        const char **text = text_at(config, settings[i].offset);
        *text = settings[i].is_path ? absolute(config->arena, folder, *text)
                                    : arena_cstr(config->arena, str_c(*text));
    }
    free(folder);
    return arena_overflowed(config->arena) ? ERR_NOMEM : 0;
}

int config_read(const char *path, struct config *ret, struct complaints *c)
{
    struct loaded loaded = {0};
    struct yaml_doc *defaults = NULL, *doc = NULL;
    size_t before = c->n;
    int r = read_defaults(&loaded, &defaults, c);
    if (!r)
        r = yaml_read_file(path, &doc, c);
    if (r)
        goto out;
    read_settings(doc, &loaded, c);
    if (c->n == before)
        run_checks(doc, &loaded.config, c);
    r = c->n > before ? ERR_CONFIG : keep_texts(&loaded.config, path);
    if (r)
        goto out;
    *ret = loaded.config;
    loaded.config.arena = NULL;
out:
    arena_free(loaded.config.arena);
    yaml_free(defaults);
    yaml_free(doc);
    return r;
}

void config_free(struct config *c)
{
    arena_free(c->arena);
    *c = (struct config){0};
}
