/* What a set of loaded connectors is made of: each keeps the text it was read from. For connector/
 * alone; others see struct connectors as opaque. */
#ifndef CS_CONNECTOR_SET_H
#define CS_CONNECTOR_SET_H

#include "connector/connector.h"

#define CONNECTOR_PARAMS 16 /* parameters of one path template */

struct loaded {
    struct connector con;
    struct yaml_doc *doc; /* owns the texts */
    struct arena *arena;  /* owns the lists */
};

struct connectors {
    struct loaded **item; /* by name */
    size_t n;
    char digest[HASH_TEXT];
};

#endif
