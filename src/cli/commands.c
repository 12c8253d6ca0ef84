/* Sub-commands that work on files alone: init, check, serve, demo, classify, version. */
#include "base/asset.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "keeper/keeper.h"
#include "life/life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- init ------------------------------------------------------------------------------------ */

static int make_dir(const char *dir, const char *name, mode_t mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    fprintf(stderr, "countersign: cannot make %s: %s\n", path, strerror(errno));
    return EXIT_REFUSED;
}

/* Never over what is there. */
static int write_new(const char *dir, const char *name, struct str text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "countersign: cannot write %s: %s\n", path, strerror(errno));
        return EXIT_REFUSED;
    }
    bool ok = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;
    return close(fd) == 0 && ok ? 0 : EXIT_REFUSED;
}

static int write_key(const char *dir, const char *name)
{
    char path[4096];
    struct fail f = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (keyring_create(path, &f) == 0)
        return 0;
    fprintf(stderr, "countersign: %s: %s\n", path, f.detail);
    return EXIT_REFUSED;
}

static int write_connectors(const char *dir)
{
    int r = 0;
    for (const struct asset *a = asset_table; r == 0 && a->name != NULL; a++)
        if (str_starts(str_c(a->name), STR("connectors/")))
            r = write_new(dir, a->name, asset_text(a));
    return r;
}

int cmd_init(int argc, char **argv)
{
    struct args args;
    int r = options_read(argc, argv, NULL, 0, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (args.n != 1)
        return usage_error("init", "one folder, please");
    const char *dir = args.arg[0];
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "countersign: cannot make %s: %s\n", dir, strerror(errno));
        return EXIT_REFUSED;
    }
    r = write_new(dir, "countersign.yaml", asset_text(asset_find("conf/countersign.yaml")));
    if (r == 0)
        r = write_new(dir, "policy.yaml", asset_text(asset_find("conf/policy.yaml")));
    if (r == 0)
        r = make_dir(dir, "keys", 0700) | make_dir(dir, "data", 0700) |
            make_dir(dir, "connectors", 0755);
    if (r == 0)
        r = write_connectors(dir);
    if (r == 0)
        r = write_key(dir, "keys/kek");
    if (r == 0)
        r = write_key(dir, "keys/payload");
    if (r != 0)
        return EXIT_REFUSED;
    printf(
        "Countersign is set up in %s. Next:\n"
        "  countersign person add you@example.com --role admin --password-stdin -c "
        "%s/countersign.yaml\n"
        "  countersign serve -c %s/countersign.yaml\n"
        "Keep %s/keys safe and out of backups of the database: without them nothing can be read.\n",
        dir, dir, dir, dir);
    return 0;
}

/* --- check ----------------------------------------------------------------------------------- */

static int check_all(const char *path)
{
    struct config cfg;
    struct complaints c;
    struct rules *rules = NULL;
    complaints_init(&c);
    int r = config_read(path, &cfg, &c);
    if (r == 0) {
        r = rules_read(&cfg, &rules, &c);
        config_free(&cfg);
    }
    fwrite(buf_view(&c.text).p, 1, c.text.n, stdout);
    if (r == 0)
        printf("ok: policy %s, connectors %s\n", policy_digest(rules->policy),
               connectors_digest(rules->connectors));
    else
        printf("%zu problem%s\n", c.n, c.n == 1 ? "" : "s");
    rules_unref(rules);
    complaints_free(&c);
    return r == 0 ? 0 : EXIT_REFUSED;
}

int cmd_check(int argc, char **argv)
{
    bool reference = false;
    struct option_row row[] = {{.name = "--reference", .flag = &reference}};
    struct args args;
    int r = options_read(argc, argv, row, 1, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (reference) {
        config_reference(stdout);
        return 0;
    }
    if (args.config == NULL || args.n > 0)
        return usage_error("check", "-c FILE is missing");
    return check_all(args.config);
}

/* --- serve and its children ------------------------------------------------------------------ */

static enum log_level level_of(const struct config *cfg)
{
    static const char *const name[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (strcmp(cfg->log_level, name[i]) == 0)
            return (enum log_level)i;
    return LOG_INFO;
}

static int with_config(int argc, char **argv, struct config *cfg, struct args *args,
                       bool *no_listen)
{
    struct option_row row[] = {{.name = "--no-listen", .flag = no_listen}};
    int r = options_read(argc, argv, row, no_listen != NULL ? 1 : 0, args);
    if (r != 0)
        return r;
    if (args->config == NULL || args->n > 0)
        return usage_error("serve",
                           args->config == NULL ? "-c FILE is missing" : "no arguments, please");
    return config_load(args->config, cfg) ? 0 : EXIT_REFUSED;
}

int cmd_serve(int argc, char **argv)
{
    struct config cfg;
    struct args args;
    int r = with_config(argc, argv, &cfg, &args, NULL);
    if (r != 0)
        return r < 0 ? 0 : r;
    r = parent_run(&cfg, args.config, true);
    config_free(&cfg);
    return r;
}

static int run_role(int argc, char **argv, const char *part, bool gate)
{
    struct config cfg;
    struct args args;
    bool no_listen = false;
    if (with_config(argc, argv, &cfg, &args, &no_listen) != 0)
        return EXIT_MISCONFIGURED;
    if (no_listen) /* of the moment, for one command: only what went wrong is worth a line */
        cfg.log_level = "warn";
    log_open(part, level_of(&cfg));
    int r = gate ? gate_main(&cfg, 3, !no_listen) : keeper_main(&cfg, 3);
    config_free(&cfg);
    return r;
}

/* Only the parent calls these two: fd 3 is its control socket. */
int role_gate(int argc, char **argv)
{
    return run_role(argc, argv, "gate", true);
}

int role_keeper(int argc, char **argv)
{
    return run_role(argc, argv, "keeper", false);
}

/* --- demo ------------------------------------------------------------------------------------ */

/* demo/demo.mjs: in the source tree (build/X/countersign -> demo/), or installed. */
static bool find_demo(char *out, size_t size, char *bin, size_t bin_size)
{
    ssize_t n = readlink("/proc/self/exe", bin, bin_size - 1);
    if (n <= 0)
        return false;
    bin[n] = '\0';
    char *slash = strrchr(bin, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    static const char *const at[] = {"../../demo/demo.mjs", "../share/countersign/demo/demo.mjs"};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        int k = snprintf(out, size, "%s/%s", bin, at[i]);
        if (k > 0 && (size_t)k < size && access(out, R_OK) == 0)
            return true;
    }
    return false;
}

int cmd_demo(int argc, char **argv)
{
    const char *port = NULL;
    bool automatic = false;
    struct option_row row[] = {{.name = "--port", .value = &port},
                               {.name = "--auto", .flag = &automatic}};
    struct args args;
    int r = options_read(argc, argv, row, 2, &args);
    if (r != 0)
        return r < 0 ? 0 : r;
    char script[4300], bin[4096];
    if (!find_demo(script, sizeof script, bin, sizeof bin)) {
        fprintf(stderr, "countersign: demo/demo.mjs is not where it was expected, beside %s\n",
                bin);
        return EXIT_REFUSED;
    }
    const char *run[10] = {"node", script, "--bin-dir", bin};
    int n = 4;
    if (port != NULL) {
        run[n++] = "--port";
        run[n++] = port;
    }
    if (automatic)
        run[n++] = "--auto";
    execvp("node", (char *const *)(uintptr_t)run);
    fprintf(stderr, "countersign: node cannot be started: %s\n", strerror(errno));
    return EXIT_REFUSED;
}

int cmd_version(int argc, char **argv)
{
    struct args args;
    int r = options_read(argc, argv, NULL, 0, &args);
    if (r == 0)
        printf("countersign %s\n", cs_version());
    return r > 0 ? r : 0;
}
