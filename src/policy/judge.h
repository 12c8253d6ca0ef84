/* What a policy is made of. policy_load.c makes it from YAML, policy.c judges by it; for policy/
 * alone, others see struct policy as opaque. */
#ifndef CS_POLICY_JUDGE_H
#define CS_POLICY_JUDGE_H

#include "base/arena.h"
#include "policy/policy.h"

#define TIER_NONE (-1)

/* Verdicts in several threads count references to one rule's reason. */
#if !JSON_HAVE_ATOMIC_BUILTINS
#error "jansson must count references atomically"
#endif

/* Which calls a rule is about: all that is named must hold; NULL is not named. Conditions on the
 * payload (CEL) will be one more member. */
struct match {
    const char *connector, *operation, *connection, *agent, *workspace, *method, *path, *tag;
};

/* What a rule does. Zero and NULL: nothing; TIER_NONE for tier. */
struct rule {
    const char *name, *text;
    struct match match;
    bool deny;
    int tier;
    int64_t decide_within, execute_within;
    enum evidence evidence;
    int64_t count;      /* people wanted; 0: as many as the tier wants in all */
    const char *group;  /* ... of this group */
    json_t *people;     /* ... out of these; owned */
    json_t *quorum;     /* written out in full; owned */
    const char *effect; /* for people, made when loading */
    json_t *reason;     /* the same as JSON; owned, and shared with verdicts: never changed */
};

/* What a tier asks for unless a rule says otherwise. */
struct tier {
    int64_t decide_within, execute_within;
    enum evidence evidence;
    json_t *quorum; /* owned */
};

struct policy {
    struct yaml_doc *doc; /* owns the texts */
    struct arena *arena;
    struct tier tier[4]; /* only 2 and 3 are used */
    struct rule *rule;
    size_t n_rules;
    char digest[HASH_TEXT];
};

/* {"rule","effect","text"}, new. The rule's name may have two parts. */
json_t *reason_new(const char *prefix, const char *rule, const char *effect, const char *text);
/* How many people a well-formed quorum asks for in all. */
json_int_t quorum_people(const json_t *quorum);

#endif
