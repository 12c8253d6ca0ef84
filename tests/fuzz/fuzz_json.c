/* The scan and jansson must agree on what JSON is, and canonical text must be a fixed point.
 *
 * jansson is looser than the scan in four known ways (depth, NUL, 2^53, underflow) and its answer
 * is compared only where none of them is the reason of a refusal. */
#include <stdlib.h>

#include "base/canon.h"
#include "base/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* The refusals that are ours alone. */
static bool ours_alone(const struct fail *f)
{
    return f->err == ERR_NUMBER_RANGE || strstr(f->detail, "deeper") || strstr(f->detail, "NUL");
}

static void check_fixed_point(const json_t *v)
{
    struct buf first = {0}, second = {0};
    json_t *again = NULL;
    char hash[HASH_TEXT], same[HASH_TEXT];
    check(canon_write(v, &first) == 0);
    check(json_read(buf_view(&first), &again, NULL) == 0);
    check(canon_write(again, &second) == 0);
    check(str_eq(buf_view(&first), buf_view(&second)));
    check(canon_hash(v, hash) == 0);
    hash_text(same, buf_view(&first));
    check(strcmp(hash, same) == 0);
    json_decref(again);
    buf_free(&first);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct fail f = {.position = -1};
    int scanned = json_scan(text, &f);
    json_t *theirs = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL),
           *v = NULL;
    if (scanned == 0)
        check(theirs != NULL);
    else if (theirs)
        check(ours_alone(&f) || memchr(data, 0, size));
    if (scanned != 0)
        check(f.err == scanned && f.position >= 0 && (size_t)f.position <= size);
    check(json_read(text, &v, NULL) == scanned);
    if (v)
        check_fixed_point(v);
    json_decref(v);
    json_decref(theirs);
    return 0;
}
