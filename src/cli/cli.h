/* The command line: one table of sub-commands (command.def), each with its usage and help, and what
 * they share. Exit status 0 done, 1 refused or failed, 2 wrong usage. */
#ifndef CS_CLI_CLI_H
#define CS_CLI_CLI_H

#include "base/config.h"
#include "base/json.h"

#define EXIT_REFUSED 1
#define EXIT_USAGE 2
/* A child's: starting it again would not help (sysexits EX_CONFIG). */
#define EXIT_MISCONFIGURED 78

/* Options as a table; positional arguments are what is left. */
struct option_row {
    const char *name;   /* "--role" */
    const char **value; /* takes a value; NULL for a switch */
    bool *flag;
    const char **list; /* takes a value, may come again; up to OPTION_LIST values, NULL-ended */
};
#define OPTION_LIST 32
struct args {
    const char *config; /* -c FILE */
    int n;
    char **arg; /* positional */
};
/* Fills what the rows point at. On wrong usage prints why and returns EXIT_USAGE; on --help prints
 * the command's help and returns -1. */
int options_read(int argc, char **argv, const struct option_row *row, size_t n, struct args *ret);

typedef int command_fn(int argc, char **argv);
/* Prints the usage line of a command from the table and a complaint; returns EXIT_USAGE. */
int usage_error(const char *command, const char *fmt, ...) CS_PRINTF(2, 3);

/* Reads the configuration, printing complaints. False after printing. */
bool config_load(const char *path, struct config *ret);

/* Asks gate through its admin socket; starts a gate of its own for the time if none is running. The
 * answer is printed by the caller. Returns an exit status; *status is the HTTP status. */
struct console_request {
    const char *config, *workspace, *method, *target;
    json_t *body; /* borrowed; NULL for none */
};
int console_ask(const struct console_request *q, int *status, struct buf *answer);
/* The same, and on an error status prints the problem's detail; EXIT_REFUSED then. */
int console_call(const struct console_request *q, json_t **ret);
/* For answers that are not JSON: copies the body to standard output as it comes. */
int console_stream(const struct console_request *q);

/* Text of standard input up to a limit, without a trailing newline when `line`. */
CS_CHECK int read_stdin(size_t max, bool line, struct buf *ret);
CS_CHECK int read_file(const char *path, size_t max, struct buf *ret);

/* The processes. */
int parent_run(const struct config *cfg, const char *config_path, bool listen);
int gate_main(const struct config *cfg, int control_fd, bool listen);

const char *cs_version(void);
/* Not for people: what the parent starts, with its control socket as fd 3. */
int role_gate(int argc, char **argv);
int role_keeper(int argc, char **argv);

#define COMMAND(name, fn, usage, help) int fn(int argc, char **argv);
#include "cli/command.def"
#undef COMMAND

#endif
