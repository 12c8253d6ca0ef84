/* One HTTP request and its answer, as handlers see it: no HTTP library in here, so that a handler
 * can be called by a test. The dispatcher (http/dispatch.c) has already enforced what the route's
 * row says (who, CSRF, body cap, content type) and parsed query and JSON body strictly.
 *
 * A handler returns 0 with the answer filled in, or an ERR_ number with *f filled, which becomes
 * problem+json. A handler that must wait sets `park` instead and returns 0; it holds no worker
 * meanwhile and `park.then` is called when the action changes or the time is up. */
#ifndef CS_API_EXCHANGE_H
#define CS_API_EXCHANGE_H

#include "base/arena.h"
#include "life/life.h"

enum who {
    WHO_NOBODY = 0,
    WHO_AGENT,   /* an agent's key */
    WHO_PERSON,  /* a person's session (cookie) */
    WHO_TOKEN,   /* a person's API token: reads only */
    WHO_CONSOLE, /* the command line, through the admin socket: administration, never a vote */
};

struct principal {
    enum who who;
    struct roster *roster;       /* reference, held for the exchange's life; never NULL */
    const struct agent *agent;   /* with WHO_AGENT */
    const struct person *person; /* with WHO_PERSON, WHO_TOKEN */
    struct str workspace;
    struct str session; /* session id, with WHO_PERSON */
    struct str csrf;    /* the session's token */
    int64_t auth_time;  /* when the person last proved who they are */
};

struct app;
struct exchange;
typedef int handler_fn(struct app *app, struct exchange *x, struct fail *f);

struct park {
    bool set;
    struct str action; /* wake when this action changes or its flight has news; arena memory */
    int64_t until;     /* env_mono time */
    handler_fn *then;
    bool flight_only; /* wake for the flight's news alone */
};

enum method {
    METHOD_NONE = 0,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS
};

/* One header of the request; the name is in lower case, the value is trimmed. */
struct exchange_header_pair {
    struct str name, value;
};

#define EXCHANGE_PARAMS 4
struct exchange {
    /* the request */
    enum method method;
    struct str method_text;                     /* as sent */
    struct str target;                          /* raw request target */
    struct str path, query_raw;                 /* its parts, raw; query without '?' */
    const struct exchange_header_pair *headers; /* in the order sent; filled by the dispatcher */
    size_t n_headers;
    json_t *query; /* [[name, value]] decoded; never NULL; names once each except on /proxy/ */
    struct str param[EXCHANGE_PARAMS]; /* the route's {parameters}, decoded; on /proxy/ param[1] is
                                          the raw rest with its leading '/' */
    struct str body;                   /* bytes */
    struct str content_type;           /* lower case, without parameters; "" where none */
    json_t *json;      /* parsed body where the route takes JSON; NULL for an empty body */
    struct str remote; /* peer address, for throttling */
    struct principal who;
    struct arena *arena; /* lives as long as the exchange */
    bool secure;         /* public_url is https */
    /* the answer */
    int status;
    const char *answer_type; /* "application/json" unless set */
    struct buf out;
    json_t *answer_headers; /* [[name, value]]; names and values are checked when written */
    int stream_fd;          /* >= 0: the body comes from this socket until its end (owned) */
    int64_t stream_bytes;   /* -1 unknown */
    bool events;            /* turn into a stream of server-sent events for `who` */
    int64_t events_after;   /* Last-Event-ID, 0: from now on */
    /* waiting */
    struct park park;
    bool timed_out;          /* `then` was called because the time was up */
    struct flight *flight;   /* what this request started; the dispatcher unrefs it */
    char action_id[ID_SIZE]; /* for handlers and `then` */
    void *memo;              /* handler's own, arena memory */
    const void *transport;   /* the dispatcher's own */
};

/* Request header by lower-case name; empty where absent. *n (may be NULL) counts how often it came.
 */
struct str exchange_header(const struct exchange *x, const char *name, size_t *n);
/* Calls fn for each request header, names in lower case. */
void exchange_headers(const struct exchange *x,
                      void (*fn)(void *arg, struct str name, struct str value), void *arg);
/* Query value by name; empty where absent. */
struct str exchange_query(const struct exchange *x, const char *name);
/* Adds a response header; control bytes are a programming error in names and dropped in values. */
void exchange_add_header(struct exchange *x, const char *name, struct str value);
/* Answers with a JSON value (reference taken over). */
CS_CHECK int exchange_json(struct exchange *x, int status, json_t *v);
/* Refuses query names that are not in the NULL-ended list, and names given twice. */
CS_CHECK int exchange_query_only(const struct exchange *x, const char *const *name, struct fail *f);

#endif
