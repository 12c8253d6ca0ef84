/* Reads options by a table. It refuses what it does not know, naming it. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>

struct command_row {
    const char *name, *usage, *help;
};
static const struct command_row rows[] = {
#define COMMAND(name, fn, usage, help) {name, usage, help},
#include "cli/command.def"
#undef COMMAND
};

static const struct command_row *row_of(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

int usage_error(const char *command, const char *fmt, ...)
{
    const struct command_row *row = row_of(command);
    va_list ap;
    va_start(ap, fmt);
    fputs("countersign: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: countersign %s\n", row != NULL ? row->usage : command);
    return EXIT_USAGE;
}

static const struct option_row *find_option(const struct option_row *row, size_t n,
                                            const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(row[i].name, name) == 0)
            return &row[i];
    return NULL;
}

static bool append(const char **list, const char *value)
{
    for (size_t i = 0; i < OPTION_LIST; i++)
        if (list[i] == NULL) {
            list[i] = value;
            return true;
        }
    return false;
}

static int print_help(const char *command)
{
    const struct command_row *row = row_of(command);
    if (row != NULL)
        printf("usage: countersign %s\n\n%s\n", row->usage, row->help);
    return -1;
}

/* argv[0] is the command's name. */
int options_read(int argc, char **argv, const struct option_row *row, size_t n, struct args *ret)
{
    const char *command = argv[0];
    *ret = (struct args){.arg = argv + 1};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0)
            return print_help(command);
        if (a[0] != '-' || a[1] == '\0') {
            ret->arg[ret->n++] = argv[i];
            continue;
        }
        const struct option_row *o = find_option(row, n, a);
        bool is_config = strcmp(a, "-c") == 0;
        if (o == NULL && !is_config)
            return usage_error(command, "there is no option %s here", a);
        if (o != NULL && o->flag != NULL) {
            *o->flag = true;
            continue;
        }
        if (i + 1 >= argc)
            return usage_error(command, "%s needs a value", a);
        const char *value = argv[++i];
        if (is_config)
            ret->config = value;
        else if (o->value != NULL)
            *o->value = value;
        else if (!append(o->list, value))
            return usage_error(command, "%s at most %d times", a, OPTION_LIST - 1);
    }
    return 0;
}

bool config_load(const char *path, struct config *ret)
{
    struct complaints c;
    complaints_init(&c);
    int r = config_read(path, ret, &c);
    if (r != 0)
        fwrite(buf_view(&c.text).p, 1, c.text.n, stderr);
    complaints_free(&c);
    return r == 0;
}
