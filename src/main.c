/* Boot order only: finds the sub-command and calls it. */
#include "cli/cli.h"

#include <sodium.h>

struct row {
    const char *name;
    command_fn *fn;
    const char *usage, *help;
};
static const struct row rows[] = {
#define COMMAND(name, fn, usage, help) {name, fn, usage, help},
#include "cli/command.def"
#undef COMMAND
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static int print_help(FILE *out)
{
    fputs("Countersign: the approval gateway for AI agents\n\n", out);
    for (size_t i = 0; i < N_ROWS; i++)
        fprintf(out, "  countersign %s\n", rows[i].usage);
    fputs("\nEach takes --help. docs/TOUR.md leads through one action.\n", out);
    return out == stdout ? 0 : EXIT_USAGE;
}

/* Two-word names first: "person add" before anything called "person". */
static const struct row *find(int argc, char **argv, int *words)
{
    char two[64];
    if (argc > 2 && snprintf(two, sizeof two, "%s %s", argv[1], argv[2]) < (int)sizeof two)
        for (size_t i = 0; i < N_ROWS; i++)
            if (strcmp(rows[i].name, two) == 0) {
                *words = 2;
                return &rows[i];
            }
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, argv[1]) == 0) {
            *words = 1;
            return &rows[i];
        }
    return NULL;
}

/* "person --help", "person": what there is under that word. */
static int print_group(const char *word, bool asked)
{
    size_t n = strlen(word), found = 0;
    for (size_t i = 0; i < N_ROWS; i++)
        if (strncmp(rows[i].name, word, n) == 0 && rows[i].name[n] == ' ') {
            fprintf(asked ? stdout : stderr, "%s countersign %s\n",
                    found == 0 ? "usage:" : "      ", rows[i].usage);
            found++;
        }
    if (found == 0)
        fprintf(stderr, "countersign: there is no command %s; countersign --help lists them\n",
                word);
    return found > 0 && asked ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        fputs("countersign: libsodium cannot be initialised\n", stderr);
        return EXIT_REFUSED;
    }
    if (argc < 2)
        return print_help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return print_help(stdout);
    if (strcmp(argv[1], "gate") == 0)
        return role_gate(argc - 1, argv + 1);
    if (strcmp(argv[1], "keeper") == 0)
        return role_keeper(argc - 1, argv + 1);
    int words = 0;
    const struct row *row = find(argc, argv, &words);
    if (row == NULL)
        return print_group(argv[1], argc > 2 && strcmp(argv[2], "--help") == 0);
    argv[words] = (char *)(uintptr_t)row->name; /* options_read finds the command's help by it */
    return row->fn(argc - words, argv + words);
}
