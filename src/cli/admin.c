/* Sub-commands that go through the admin socket: people, agents, connections, tokens, workspaces,
 * the audit log, classify. Secrets and passwords come from files or standard input, never from
 * argv. */
#include "base/secret.h"
#include "cli/cli.h"

#include <stdlib.h>

static const char *const workspace_option = "--workspace";

/* A path segment for a target; what is no plain name has to be found another way. */
static bool plain(const char *s)
{
    for (const char *p = s; *p != '\0'; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '-'))
            return false;
    return *s != '\0';
}

static json_t *string_list(const char *const *list)
{
    json_t *a = json_array();
    for (size_t i = 0; list[i] != NULL; i++)
        json_array_append_new(a, json_string(list[i]));
    return a;
}

/* Sends and hands the answer on; the body is given up. */
static int call(const struct args *args, const char *workspace, const char *method,
                const char *target, json_t *body, json_t **ret)
{
    struct console_request q = {args->config, workspace, method, target, body};
    int r = console_call(&q, ret);
    json_decref(body);
    return r;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

/* --- people ---------------------------------------------------------------------------------- */

int cmd_person_add(int argc, char **argv)
{
    const char *role = NULL, *workspace = NULL, *groups[OPTION_LIST] = {NULL};
    bool from_stdin = false;
    struct option_row row[] = {{.name = "--role", .value = &role},
                               {.name = "--group", .list = groups},
                               {.name = "--password-stdin", .flag = &from_stdin},
                               {.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 4, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 1 || role == NULL || !from_stdin || args.config == NULL)
        return usage_error("person add", "EMAIL, --role, --password-stdin and -c are needed");
    struct buf password;
    buf_init(&password, 4096);
    if (read_stdin(1024, true, &password) != 0) {
        buf_wipe(&password);
        return usage_error("person add", "no password on standard input");
    }
    json_t *body = json_pack("{s:s, s:s, s:o, s:s%}", "email", args.arg[0], "role", role, "groups",
                             string_list(groups), "password", buf_view(&password).p, password.n);
    buf_wipe(&password);
    if (body == NULL)
        return usage_error("person add", "the password is not UTF-8 text");
    json_t *ret = NULL;
    r = call(&args, workspace, "POST", "/v1/people", body, &ret);
    if (r == 0)
        printf("%s\n", text_of(ret, "id"));
    json_decref(ret);
    return r;
}

static int list(int argc, char **argv, const char *target, void (*print)(const json_t *item))
{
    const char *workspace = NULL;
    struct option_row row[] = {{.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 1, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 0 || args.config == NULL)
        return usage_error(argv[0], "-c FILE is missing");
    json_t *ret = NULL;
    r = call(&args, workspace, "GET", target, NULL, &ret);
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(ret, "items"), i, item) print(item);
    json_decref(ret);
    return r;
}

static void print_person(const json_t *p)
{
    printf("%s  %-8s  %-8s  %s", text_of(p, "id"), text_of(p, "role"),
           json_is_true(json_object_get(p, "enabled")) ? "enabled" : "disabled",
           text_of(p, "email"));
    size_t i;
    const json_t *g;
    json_array_foreach(json_object_get(p, "groups"), i, g)
        printf("%s%s", i == 0 ? "  groups: " : ", ", json_string_value(g));
    putchar('\n');
}

int cmd_person_list(int argc, char **argv)
{
    return list(argc, argv, "/v1/people", print_person);
}

/* One person by email; verbs on people take ids. */
static int on_person(int argc, char **argv, const char *verb, const char *printed)
{
    const char *workspace = NULL;
    struct option_row row[] = {{.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 1, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 1 || args.config == NULL)
        return usage_error(argv[0], "EMAIL and -c are needed");
    char target[128];
    bool id =
        plain(args.arg[0]) && strncmp(args.arg[0], "apr_", 4) == 0 && strlen(args.arg[0]) < 40;
    snprintf(target, sizeof target, "/v1/people/%s/%s", id ? args.arg[0] : "by-email", verb);
    json_t *body = id ? json_object() : json_pack("{s:s}", "email", args.arg[0]);
    json_t *ret = NULL;
    r = call(&args, workspace, "POST", target, body, &ret);
    if (r == 0)
        printf("%s\n", text_of(ret, printed));
    json_decref(ret);
    return r;
}

int cmd_person_disable(int argc, char **argv)
{
    return on_person(argc, argv, "disable", "id");
}

int cmd_token_add(int argc, char **argv)
{
    return on_person(argc, argv, "tokens", "token");
}

/* --- agents ---------------------------------------------------------------------------------- */

int cmd_agent_add(int argc, char **argv)
{
    const char *owner = NULL, *workspace = NULL, *connections[OPTION_LIST] = {NULL},
               *urls[OPTION_LIST] = {NULL};
    bool allow_private = false;
    struct option_row row[] = {{.name = "--owner", .value = &owner},
                               {.name = "--connection", .list = connections},
                               {.name = "--resume-url", .list = urls},
                               {.name = "--allow-private", .flag = &allow_private},
                               {.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 5, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 1 || owner == NULL || args.config == NULL)
        return usage_error("agent add", "NAME, --owner and -c are needed");
    json_t *body = json_pack("{s:s, s:s, s:o, s:o, s:b}", "name", args.arg[0], "owner", owner,
                             "connections", string_list(connections), "resume_urls",
                             string_list(urls), "allow_private", allow_private);
    json_t *ret = NULL;
    r = call(&args, workspace, "POST", "/v1/agents", body, &ret);
    if (r == 0) {
        /* The key alone on standard output, so that scripts can take it; the rest is for people. */
        printf("%s\n", text_of(ret, "key"));
        fprintf(stderr, "agent %s; its key is shown this once\n", text_of(ret, "id"));
        if (text_of(ret, "webhook_secret")[0] != '\0')
            fprintf(stderr, "webhook secret: %s\n", text_of(ret, "webhook_secret"));
    }
    json_decref(ret);
    return r;
}

static void print_agent(const json_t *a)
{
    printf("%s  %-8s  %s\n", text_of(a, "id"),
           json_is_true(json_object_get(a, "enabled")) ? "enabled" : "disabled",
           text_of(a, "name"));
}

int cmd_agent_list(int argc, char **argv)
{
    return list(argc, argv, "/v1/agents", print_agent);
}

/* --- connections ----------------------------------------------------------------------------- */

static int read_secrets(const char *path, json_t **ret)
{
    struct buf text;
    struct fail f = {0};
    buf_init(&text, 65536);
    int r = read_file(path, 65536, &text);
    if (r != 0)
        fprintf(stderr, "countersign: cannot read %s\n", path);
    else if ((r = json_read(buf_view(&text), ret, &f)) != 0)
        fprintf(stderr, "countersign: %s: byte %ld: %s\n", path, f.position, f.detail);
    buf_wipe(&text);
    return r;
}

int cmd_connection_add(int argc, char **argv)
{
    const char *connector = NULL, *base_url = NULL, *secrets = NULL, *workspace = NULL;
    bool allow_private = false;
    struct option_row row[] = {{.name = "--connector", .value = &connector},
                               {.name = "--base-url", .value = &base_url},
                               {.name = "--allow-private", .flag = &allow_private},
                               {.name = "--secrets", .value = &secrets},
                               {.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 5, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 1 || connector == NULL || secrets == NULL || args.config == NULL)
        return usage_error("connection add", "NAME, --connector, --secrets and -c are needed");
    json_t *secret = NULL;
    if (read_secrets(secrets, &secret) != 0)
        return EXIT_REFUSED;
    json_t *body = json_pack("{s:s, s:s, s:b, s:o}", "name", args.arg[0], "connector", connector,
                             "allow_private", allow_private, "secrets", secret);
    if (base_url != NULL)
        json_object_set_new(body, "base_url", json_string(base_url));
    json_t *ret = NULL;
    r = call(&args, workspace, "POST", "/v1/connections", body, &ret);
    if (r == 0)
        printf("%s\n", text_of(ret, "id"));
    json_decref(ret);
    return r;
}

static void print_connection(const json_t *c)
{
    printf("%s  %-12s  %-20s  %s\n", text_of(c, "id"), text_of(c, "connector"), text_of(c, "name"),
           text_of(c, "base_url"));
}

int cmd_connection_list(int argc, char **argv)
{
    return list(argc, argv, "/v1/connections", print_connection);
}

int cmd_workspace_add(int argc, char **argv)
{
    struct args args;
    int r = options_read(argc, argv, NULL, 0, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 1 || args.config == NULL)
        return usage_error("workspace add", "NAME and -c are needed");
    json_t *ret = NULL;
    r = call(&args, NULL, "POST", "/v1/workspaces", json_pack("{s:s}", "name", args.arg[0]), &ret);
    if (r == 0)
        printf("%s\n", text_of(ret, "id"));
    json_decref(ret);
    return r;
}

/* --- audit ----------------------------------------------------------------------------------- */

int cmd_audit_export(int argc, char **argv)
{
    const char *format = "jsonl", *workspace = NULL;
    struct option_row row[] = {{.name = "--format", .value = &format},
                               {.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 2, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 0 || args.config == NULL ||
        (strcmp(format, "jsonl") != 0 && strcmp(format, "csv") != 0))
        return usage_error("audit export", "-c FILE is needed; the format is jsonl or csv");
    char target[64];
    snprintf(target, sizeof target, "/v1/audit/export?format=%s", format);
    struct console_request q = {args.config, workspace, "GET", target, NULL};
    return console_stream(&q);
}

int cmd_audit_verify(int argc, char **argv)
{
    const char *workspace = NULL;
    struct option_row row[] = {{.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 1, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 0 || args.config == NULL)
        return usage_error("audit verify", "-c FILE is missing");
    json_t *ret = NULL;
    r = call(&args, workspace, "GET", "/v1/audit/verify", NULL, &ret);
    long long events = (long long)json_integer_value(json_object_get(ret, "events"));
    long long bad = (long long)json_integer_value(json_object_get(ret, "first_bad"));
    if (r == 0 && bad == 0)
        printf("%lld events, no gap, every leaf hash fits\n", events);
    if (r == 0 && bad != 0) {
        printf("event %lld is missing or was changed\n", bad);
        r = EXIT_REFUSED;
    }
    json_decref(ret);
    return r;
}

/* --- classify -------------------------------------------------------------------------------- */

int cmd_classify(int argc, char **argv)
{
    const char *workspace = NULL;
    struct option_row row[] = {{.name = workspace_option, .value = &workspace}};
    struct args args;
    int r = options_read(argc, argv, row, 1, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 0 || args.config == NULL)
        return usage_error("classify", "-c FILE is missing");
    json_t *body = NULL, *ret = NULL;
    if (read_secrets("-", &body) != 0)
        return EXIT_REFUSED;
    r = call(&args, workspace, "POST", "/v1/classify", body, &ret);
    if (r == 0) {
        json_dumpf(ret, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(ret);
    return r;
}
