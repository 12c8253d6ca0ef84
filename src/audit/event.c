/* Types of audit events and their texts. */
#include "audit/audit.h"

static const char *const texts[AUDIT_COUNT] = {
#define AUDIT(name, text, meaning) [AUDIT_##name] = text,
#include "audit/event.def"
#undef AUDIT
};

const char *audit_type_text(enum audit_type t)
{
    CS_ASSERT(t < AUDIT_COUNT);
    return texts[t];
}

bool audit_type_parse(struct str s, enum audit_type *ret)
{
    for (size_t i = 0; i < AUDIT_COUNT; i++)
        if (str_eq_c(s, texts[i])) {
            *ret = (enum audit_type)i;
            return true;
        }
    return false;
}
