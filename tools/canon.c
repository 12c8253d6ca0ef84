/* canon: RFC 8785 from the command line, and a check of number tables. Refuses what json.h refuses.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/canon.h"

static const char usage[] =
    "usage: canon < in.json > out.json\n"
    "       canon --numbers FILE\n"
    "\n"
    "Writes the RFC 8785 form of the JSON text on standard input, with no newline added.\n"
    "With --numbers, checks a file of lines \"bits of a double in hex,expected text\".\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n";

static int read_all(FILE *in, struct buf *text)
{
    char part[65536];
    size_t n;
    while ((n = fread(part, 1, sizeof part, in)) > 0)
        buf_put(text, part, n);
    return ferror(in) ? ERR_IO : buf_err(text);
}

static int canonicalise(FILE *in, struct buf *out, struct fail *f)
{
    struct buf text = {0};
    json_t *v = NULL;
    int r = read_all(in, &text);
    if (r)
        fail_set(f, r, "standard input cannot be read");
    if (!r)
        r = json_read(buf_view(&text), &v, f);
    if (!r) {
        r = canon_write(v, out);
        if (r)
            fail_set(f, r, "%s", err_title(r));
    }
    json_decref(v);
    buf_free(&text);
    return r;
}

static int run(void)
{
    struct buf out = {0};
    struct fail f;
    int r = canonicalise(stdin, &out, &f);
    if (r && f.position >= 0)
        fprintf(stderr, "canon: byte %ld: %s (%s)\n", f.position, f.detail, err_name(r));
    else if (r)
        fprintf(stderr, "canon: %s (%s)\n", f.detail, err_name(r));
    else if (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout) != 0)
        r = ERR_IO;
    buf_free(&out);
    return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* One line; a line that cannot be read is a failure too. */
static bool check_number(char *line)
{
    char got[CANON_NUMBER], *comma = strchr(line, ','), *end = line;
    double d;
    line[strcspn(line, "\r\n")] = 0;
    uint64_t bits = strtoull(line, &end, 16);
    if (!comma || end != comma || end == line)
        return false;
    memcpy(&d, &bits, sizeof d);
    if (!isfinite(d))
        return false;
    canon_number(got, d);
    if (strcmp(got, comma + 1) == 0)
        return true;
    fprintf(stderr, "canon: %s: got %s\n", line, got);
    return false;
}

static int check_numbers(const char *path)
{
    char *line = NULL;
    size_t size = 0, passed = 0, failed = 0;
    FILE *f = fopen(path, "re");
    if (!f) {
        perror(path);
        return EXIT_FAILURE;
    }
    while (getline(&line, &size, f) > 0) {
        if (check_number(line))
            passed++;
        else
            failed++;
    }
    bool unread = ferror(f) != 0;
    free(line);
    fclose(f);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed > 0 || passed == 0 || unread ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return run();
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 3 && strcmp(argv[1], "--numbers") == 0)
        return check_numbers(argv[2]);
    fputs(usage, stderr);
    return 2;
}
