/* sandbox: a make-believe SaaS for the demo, the tests and the benchmarks. Never part of
 * Countersign, and no substitute for a provider's own sandbox. */
#include "server.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char HELP[] =
    "usage: sandbox [--port N] [--client-id ID] [--secret S] [--access-token T]\n"
    "\n"
    "A make-believe SaaS on the loopback address. Prints its address and serves until\n"
    "SIGTERM. Port 0 (the default) takes a free one. Defaults: client id sandbox-client,\n"
    "secret sandbox-secret, access token access-sandbox-item.\n"
    "\n"
    "  /            Plaid: accounts, identity, auth, transactions, investments, liabilities,\n"
    "               item, signal, link/token/create (update mode), transfer/*\n"
    "               An authorization is declined above 100000.00 or for a legal name that\n"
    "               begins with Declined or Overdrawn; Unlinked: user_action_required;\n"
    "               Unchecked: approved with a rationale. Any account_id will do.\n"
    "  /crm         contacts, emails, blob?bytes=N[&chunked=1]; Authorization: Bearer SECRET\n"
    "  /_control    POST reset\n"
    "               POST clock {\"offset_ms\": N}\n"
    "               POST rules {\"path\": \"/p\" or \"/p*\", \"mode\": M, \"times\": N (-1: for "
    "ever),\n"
    "                 \"method\", \"delay_ms\", \"retry_after\", \"status\", \"error_type\", "
    "\"code\"};\n"
    "                 GET and DELETE rules\n"
    "               GET effects[?brief=1]   {\"total\", \"by_key\", \"by_path\"}; keys are\n"
    "                 authorization:<idempotency key or id>, transfer:<authorization id>,\n"
    "                 authorization_cancel:, transfer_cancel:<id>, recurring:, refund:<key>,\n"
    "                 contact:<email or id>, contact_update:, contact_delete:<id>, email:<to>\n"
    "               GET requests[?path=P][&limit=N]   the last 10000, byte for byte\n"
    "               GET transfers\n"
    "\n"
    "modes:\n";

static void print_help(void)
{
    fputs(HELP, stdout);
#define MODE(id, name, acts, errs, wait, delay, delivery) puts("  " name);
#include "mode.def"
#undef MODE
}

static const struct option OPTIONS[] = {
    {"port", required_argument, NULL, 'p'},   {"client-id", required_argument, NULL, 'c'},
    {"secret", required_argument, NULL, 's'}, {"access-token", required_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},         {0},
};

static int serve(const struct credentials *credentials, unsigned port)
{
    struct sandbox sb;
    struct server server;
    bool open;

    sandbox_init(&sb, credentials);
    open = server_open(&server, &sb, port);
    if (open) {
        printf("sandbox listening on http://127.0.0.1:%u\n", sb.port);
        fflush(stdout);
        server_run(&server);
        server_close(&server);
    }
    sandbox_free(&sb);
    return open ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct credentials credentials = {"sandbox-client", "sandbox-secret", "access-sandbox-item"};
    unsigned long port = 0;
    char *end = NULL;
    int o;

    while ((o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (o == 'p')
            port = strtoul(optarg, &end, 10);
        else if (o == 'c')
            credentials.client_id = optarg;
        else if (o == 's')
            credentials.secret = optarg;
        else if (o == 't')
            credentials.access_token = optarg;
        else if (o == 'h') {
            print_help();
            return 0;
        } else
            return 2;
    }
    if (optind < argc || port > 65535 || (end != NULL && *end != '\0')) {
        fputs("usage: sandbox [--port N] [--client-id ID] [--secret S] [--access-token T]\n",
              stderr);
        return 2;
    }
    return serve(&credentials, (unsigned)port);
}
