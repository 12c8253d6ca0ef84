/* Sorted lists of keys: see roster_index.h. */
#include <stdlib.h>

#include "policy/roster_index.h"

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static int compare(struct str a, struct str b, bool nocase)
{
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        unsigned char x = nocase ? lower(a.p[i]) : (unsigned char)a.p[i];
        unsigned char y = nocase ? lower(b.p[i]) : (unsigned char)b.p[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

static int by_key(const void *va, const void *vb)
{
    const struct index_row *a = va, *b = vb;
    int r = compare(a->first, b->first, false);
    return r != 0 ? r : compare(a->second, b->second, true);
}

void index_add(struct index *x, struct str first, struct str second, const void *row)
{
    x->row[x->n++] = (struct index_row){first, second, row};
}

bool index_sort(struct index *x, struct str *twice)
{
    if (x->n > 0)
        qsort(x->row, x->n, sizeof *x->row, by_key);
    for (size_t i = 1; i < x->n; i++) {
        if (by_key(&x->row[i - 1], &x->row[i]) == 0) {
            *twice = x->row[i].second.n > 0 ? x->row[i].second : x->row[i].first;
            return false;
        }
    }
    return true;
}

const void *index_find(const struct index *x, struct str first, struct str second)
{
    const struct index_row key = {first, second, NULL};

    if (x->n == 0)
        return NULL;
    const struct index_row *hit = bsearch(&key, x->row, x->n, sizeof *x->row, by_key);
    return hit != NULL ? hit->row : NULL;
}
