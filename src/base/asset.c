/* Looks up the files built into the program. It never reads the disk. */
#include "base/asset.h"

const struct asset *asset_find(const char *name)
{
    for (const struct asset *a = asset_table; a->name != NULL; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

struct str asset_text(const struct asset *a)
{
    if (a == NULL)
        return (struct str){"", 0};
    return (struct str){(const char *)a->p, (size_t)(a->end - a->p)};
}
