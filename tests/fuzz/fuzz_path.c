/* A normal path is a fixed point and holds nothing that has a second reading; queries survive being
 * written and read again. */
#include <stdlib.h>

#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* Said once more, apart from the code that makes it so. */
static void check_shape(const char *p, size_t n)
{
    check(n > 0 && p[0] == '/');
    for (size_t i = 0; i < n; i++)
        check(p[i] > 0x20 && p[i] < 0x7f && !strchr("\\;?#\"<>{}|^`[]", p[i]));
    check(!strstr(p, "//") && !strstr(p, "/./") && !strstr(p, "/../"));
    check(!strstr(p, "%2E") && !strstr(p, "%25") && !strstr(p, "%5C") && !strstr(p, "%00"));
    check(!(n >= 2 && strcmp(p + n - 2, "/.") == 0) && !(n >= 3 && strcmp(p + n - 3, "/..") == 0));
}

static void check_path(struct str raw, bool slash_ok)
{
    struct buf out = {0}, again = {0};
    struct fail f = {.position = -1};
    int r = path_normal(raw, slash_ok, &out, &f);
    if (r) {
        check(r == ERR_UNSAFE_PATH && out.n == 0);
        check(f.position >= 0 && (size_t)f.position <= raw.n);
    } else {
        check(out.n <= raw.n);
        check_shape(out.p, out.n);
        check(slash_ok || !strstr(out.p, "%2F"));
        check(path_normal(buf_view(&out), slash_ok, &again, NULL) == 0);
        check(str_eq(buf_view(&out), buf_view(&again)));
    }
    buf_free(&out);
    buf_free(&again);
}

static void check_query(struct str raw)
{
    json_t *pairs = NULL, *back = NULL;
    struct buf out = {0};
    if (query_parse(raw, &pairs, NULL) == 0) {
        check(query_write(pairs, &out) == 0);
        check(query_parse(buf_view(&out), &back, NULL) == 0);
        check(json_equal(pairs, back));
    }
    json_decref(pairs);
    json_decref(back);
    buf_free(&out);
}

static void check_match(struct str text)
{
    struct path_param params[4];
    size_t n = 0, middle = str_find(text, '\n', 0);
    if (!path_match(str_sub(text, 0, middle), str_sub(text, middle + 1, text.n), params, 4, &n))
        return;
    check(n <= 4);
    for (size_t i = 0; i < n; i++)
        check(params[i].value.n > 0 && params[i].name.n > 0 &&
              str_find(params[i].value, '/', 0) == params[i].value.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    check_path(text, false);
    check_path(text, true);
    check_query(text);
    check_match(text);
    return 0;
}
