/* Rules that make requests go wrong; see faults.h. */
#include "faults.h"

#include <stdlib.h>
#include <string.h>

static const struct mode MODES[MODE_COUNT] = {
#define MODE(id, name, acts, errs, wait, delay, delivery) \
    [MODE_##id] = {MODE_##id, name, acts, errs, wait, delay, delivery},
#include "mode.def"
#undef MODE
};

/* These work on an Item whose login is broken; that is how one mends it. */
static const char *const NEEDS_NO_LOGIN[] = {"/link/token/create", "/item/get", "/hosted_link/*"};

const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; i < MODE_COUNT; i++)
        if (strcmp(MODES[i].name, name) == 0)
            return &MODES[i];
    return NULL;
}

const struct mode *mode_none(void)
{
    return &MODES[MODE_OK];
}

void faults_add(struct faults *f, const struct rule *rule)
{
    f->rules = take_again(f->rules, (f->n + 1) * sizeof *f->rules);
    f->rules[f->n++] = *rule;
}

static bool path_fits(const char *pattern, struct text path)
{
    size_t n = strlen(pattern);

    if (n > 0 && pattern[n - 1] == '*')
        return path.n >= n - 1 && memcmp(path.s, pattern, n - 1) == 0;
    return text_is(path, pattern);
}

static bool rule_fits(const struct rule *rule, const struct request *r)
{
    if (rule->times == 0 || !path_fits(rule->path, r->path))
        return false;
    if (rule->method != NULL && !text_is(r->method, rule->method))
        return false;
    if (rule->fault.mode->id == MODE_DROP_AFTER_REUSED && r->nth < 2)
        return false;
    if (rule->fault.mode->id == MODE_ITEM_LOGIN_REQUIRED)
        for (size_t i = 0; i < sizeof NEEDS_NO_LOGIN / sizeof *NEEDS_NO_LOGIN; i++)
            if (path_fits(NEEDS_NO_LOGIN[i], r->path))
                return false;
    return true;
}

struct fault faults_take(struct faults *f, const struct request *r)
{
    for (size_t i = 0; i < f->n; i++) {
        struct rule *rule = &f->rules[i];
        if (!rule_fits(rule, r))
            continue;
        if (rule->times > 0)
            rule->times--;
        return rule->fault;
    }
    return (struct fault){.mode = mode_none()};
}

bool faults_pending(const struct faults *f, enum mode_id id)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->rules[i].fault.mode->id == id && f->rules[i].times != 0)
            return true;
    return false;
}

void faults_end(struct faults *f, enum mode_id id)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->rules[i].fault.mode->id == id)
            f->rules[i].times = 0;
}

void faults_free(struct faults *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->rules[i].path);
        free(f->rules[i].method);
    }
    free(f->rules);
    *f = (struct faults){0};
}
