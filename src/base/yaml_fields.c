/* Reads a YAML map by a table into a struct, and says what is wrong with every field of it. */
#include "base/yaml.h"

#include <stdio.h>

#include "base/env.h"

enum { NAME_MAX_COMPARED = 40 };

struct target {
    const struct yaml_doc *doc;
    struct complaints *c;
    char *out;
};

/* --- did you mean --------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between two names: a letter more, less, other, or two swapped (optimal string alignment).
 */
static size_t distance(struct str a, struct str b)
{
    size_t d[NAME_MAX_COMPARED + 1][NAME_MAX_COMPARED + 1];
    for (size_t i = 0; i <= a.n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= b.n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= a.n; i++)
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = d[i - 1][j - 1] + (a.p[i - 1] != b.p[j - 1]);
            d[i][j] = least(change, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a.n][b.n];
}

/* The closest name at a third of its letters or less; NULL if none is near. */
static const char *nearest(struct str name, const struct yaml_field *t, size_t n)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        struct str have = str_c(t[i].name);
        if (name.n > NAME_MAX_COMPARED || have.n > NAME_MAX_COMPARED)
            continue;
        size_t d = distance(name, have);
        if (d <= 1 + have.n / 4 && d < best_distance && d < have.n) {
            best = t[i].name;
            best_distance = d;
        }
    }
    return best;
}

static const struct yaml_field *field_of(struct str name, const struct yaml_field *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_c(name, t[i].name))
            return &t[i];
    return NULL;
}

static void refuse_unknown(struct target *to, const struct yaml_node *key,
                           const struct yaml_field *t, size_t n)
{
    const char *near = nearest(key->text, t, n);
    complain(to->c, yaml_name(to->doc), key->line, key->column, "'%.*s' is not known here%s%s%s",
             STR_FMT(key->text), near ? "; did you mean '" : "", near ? near : "",
             near ? "'?" : "");
}

/* --- values --------------------------------------------------------------------------------- */

static bool to_integer(struct str s, int64_t *ret)
{
    bool minus = s.n > 1 && s.p[0] == '-';
    uint64_t v;
    if (!str_u64(str_sub(s, minus, s.n), &v) || v > INT64_MAX)
        return false;
    *ret = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool to_size(struct str s, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t bytes;
    } units[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    size_t digits = 0;
    int64_t v;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    if (!to_integer(str_sub(s, 0, digits), &v))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (str_eq_c(str_sub(s, digits, s.n), units[i].unit))
            return !__builtin_mul_overflow(v, units[i].bytes, ret);
    return false;
}

static bool to_number(enum yaml_want want, const struct yaml_node *v, int64_t *ret)
{
    if (want == YW_DURATION)
        return duration_parse(v->text, ret) == 0;
    if (want == YW_SIZE)
        return to_size(v->text, ret);
    return !v->quoted && to_integer(v->text, ret);
}

/* Writes a bound the way a person would: 60000 ms as "1m", 1048576 bytes as "1MiB". */
static void spell(char *out, size_t size, enum yaml_want want, int64_t v)
{
    static const struct {
        enum yaml_want want;
        int64_t factor;
        const char *unit;
    } units[] = {
        {YW_DURATION, 86400000, "d"}, {YW_DURATION, 3600000, "h"}, {YW_DURATION, 60000, "m"},
        {YW_DURATION, 1000, "s"},     {YW_DURATION, 1, "ms"},      {YW_SIZE, 1 << 30, "GiB"},
        {YW_SIZE, 1 << 20, "MiB"},    {YW_SIZE, 1 << 10, "KiB"},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].want == want && v != 0 && v % units[i].factor == 0) {
            snprintf(out, size, "%lld%s", (long long)(v / units[i].factor), units[i].unit);
            return;
        }
    snprintf(out, size, "%lld", (long long)v);
}

static bool in_bounds(struct target *to, const struct yaml_field *field, const struct yaml_node *v,
                      int64_t number)
{
    char min[32], max[32];
    if (field->max <= field->min || (number >= field->min && number <= field->max))
        return true;
    spell(min, sizeof min, field->want, field->min);
    spell(max, sizeof max, field->want, field->max);
    complain(to->c, yaml_name(to->doc), v->line, v->column, "%s must be between %s and %s",
             field->name, min, max);
    return false;
}

static bool take_bool(struct target *to, const struct yaml_field *field, const struct yaml_node *v)
{
    bool yes = str_eq(v->text, STR("true"));
    if (v->quoted || (!yes && !str_eq(v->text, STR("false"))))
        return false;
    *(bool *)(void *)(to->out + field->offset) = yes;
    return true;
}

/* False if the value is of the wrong type. */
static bool take_scalar(struct target *to, const struct yaml_field *field,
                        const struct yaml_node *v)
{
    int64_t number;
    if (v->kind != YAML_SCALAR)
        return false;
    if (field->want == YW_BOOL)
        return take_bool(to, field, v);
    if (field->want == YW_STR) {
        *(const char **)(void *)(to->out + field->offset) = v->text.p;
        return true;
    }
    if (!to_number(field->want, v, &number))
        return false;
    if (in_bounds(to, field, v, number))
        *(int64_t *)(void *)(to->out + field->offset) = number;
    return true;
}

static bool take(struct target *to, const struct yaml_field *field, const struct yaml_node *v)
{
    switch (field->want) {
    case YW_STR:
    case YW_INT:
    case YW_BOOL:
    case YW_DURATION:
    case YW_SIZE:
        return take_scalar(to, field, v);
    case YW_LIST:
        if (v->kind != YAML_LIST)
            return false;
        break;
    case YW_MAP:
        if (v->kind != YAML_MAP)
            return false;
        break;
    case YW_ANY:
        break;
    }
    *(const struct yaml_node **)(void *)(to->out + field->offset) = v;
    return true;
}

static const char *const expected[] = {
    [YW_STR] = "a text",
    [YW_INT] = "a whole number",
    [YW_BOOL] = "true or false",
    [YW_DURATION] = "a duration such as 90s, 15m, 24h or 7d",
    [YW_SIZE] = "a size such as 4096, 16KiB or 1MiB",
    [YW_LIST] = "a list",
    [YW_MAP] = "a map",
    [YW_ANY] = "a value",
};

/* --- the map -------------------------------------------------------------------------------- */

static void take_pair(struct target *to, const struct yaml_node *key, const struct yaml_node *v,
                      const struct yaml_field *t, size_t n)
{
    const struct yaml_field *field = field_of(key->text, t, n);
    if (!field)
        refuse_unknown(to, key, t, n);
    else if (!take(to, field, v))
        complain(to->c, yaml_name(to->doc), v->line, v->column, "%s must be %s", field->name,
                 expected[field->want]);
}

/* A file without any node is an empty map. */
int yaml_fields(const struct yaml_doc *d, const struct yaml_node *map, const struct yaml_field *t,
                size_t n, void *out, struct complaints *c)
{
    struct target to = {.doc = d, .c = c, .out = out};
    size_t before = c->n;
    if (map->kind != YAML_MAP && !(map->kind == YAML_NULL && map == yaml_root(d))) {
        complain(c, yaml_name(d), map->line, map->column, "expected a map");
        return ERR_CONFIG;
    }
    for (size_t i = 0; i < map->n; i++)
        take_pair(&to, map->key[i], map->item[i], t, n);
    for (size_t i = 0; i < n; i++)
        if (t[i].required && !yaml_get(map, t[i].name))
            complain(c, yaml_name(d), map->line, map->column, "'%s' is missing", t[i].name);
    return c->n > before ? ERR_CONFIG : 0;
}
