/* Builds the tree from libfyaml's events, not from its documents: events carry the place of every
 * node (counted from 0), and depth, aliases and tags are refused before anything is made of them.
 * Characters that an editor does not show are refused before libfyaml sees the text. */
#include "base/yaml.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 4 << 20, NODES_MAX = 64 << 20, DEPTH_MAX = 32 };

/* libfyaml 0.7.12 takes stack for every blank line at the end of a block of text, and keeps all
 * tokens of a line and of a bracket that does not close. People's files stay far below these. */
enum { BLANK_LINES_MAX = 100, LINE_MAX_BYTES = 65536, OPEN_MAX = 1000 };

struct yaml_doc {
    struct arena *arena;
    const char *name;
    struct str text;
    struct yaml_node *root;
};

struct reader {
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct yaml_doc *doc;
    struct complaints *c;
    struct buf pending; /* struct yaml_node *: children of all open nodes, the innermost last */
    int depth;
    int line, column; /* of the last node that had a place: an absent value has none */
    bool stopped;
};

const struct yaml_node *yaml_root(const struct yaml_doc *d)
{
    return d->root;
}

const char *yaml_name(const struct yaml_doc *d)
{
    return d->name;
}

struct str yaml_bytes(const struct yaml_doc *d)
{
    return d->text;
}

void yaml_free(struct yaml_doc *d)
{
    if (!d)
        return;
    arena_free(d->arena);
    free(d);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (str_eq_c(map->key[i]->text, key))
            return map->item[i];
    return NULL;
}

/* --- the text itself ------------------------------------------------------------------------ */

/* Line separators that only some readers know, marks of direction and of no width: with them a
 * file does not say what it shows. Given as UTF-8. */
static bool unseen(struct str c)
{
    static const struct {
        const char *first, *last;
    } ranges[] = {
        {"\xc2\x80", "\xc2\x9f"},                 /* C1 controls */
        {"\xe2\x80\x8b", "\xe2\x80\x8f"},         /* zero width, marks of direction */
        {"\xe2\x80\xa8", "\xe2\x80\xae"},         /* line separators, embeddings, overrides */
        {"\xe2\x81\xa0", "\xe2\x81\xaf"},         /* invisible operators, isolates */
        {"\xef\xbb\xbf", "\xef\xbb\xbf"},         /* byte order mark */
        {"\xf3\xa0\x80\x80", "\xf3\xa0\x81\xbf"}, /* tags */
    };
    if (c.n == 1)
        return ((unsigned char)c.p[0] < 0x20 && !strchr("\t\n\r", c.p[0])) || c.p[0] == 0x7f ||
               c.p[0] == 0;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (strlen(ranges[i].first) == c.n && memcmp(c.p, ranges[i].first, c.n) >= 0 &&
            memcmp(c.p, ranges[i].last, c.n) <= 0)
            return true;
    return false;
}

struct survey {
    int line, column;
    int blanks; /* line ends since the last character that is not white space */
    int open;   /* brackets, wherever they stand */
    size_t line_from;
};

/* What is wrong with the character at `at`, or NULL. */
static const char *fault(struct survey *v, struct str text, size_t at, size_t n)
{
    char c = text.p[at];
    if (n == 0)
        return "invalid UTF-8";
    if (unseen(str_sub(text, at, at + n)))
        return "a character that cannot be seen; inside double quotes write it as \\u....";
    if (c == '\n' || c == '\r')
        v->blanks++;
    else if (c != ' ' && c != '\t')
        v->blanks = 0;
    if (c == '[' || c == '{')
        v->open++;
    else if ((c == ']' || c == '}') && v->open > 0)
        v->open--;
    if (v->blanks > BLANK_LINES_MAX)
        return "too many blank lines on end";
    if (v->open > OPEN_MAX)
        return "too many brackets that do not close";
    return at - v->line_from > LINE_MAX_BYTES ? "the line is too long" : NULL;
}

static bool check_text(const char *name, struct str text, struct complaints *c)
{
    struct survey v = {.line = 1, .column = 1};
    if (text.n > FILE_MAX) {
        complain(c, name, 1, 1, "the file is larger than %d bytes", FILE_MAX);
        return false;
    }
    for (size_t i = 0, k; i < text.n; i += k) {
        k = utf8_step(text, i);
        const char *what = fault(&v, text, i, k);
        if (what) {
            complain(c, name, v.line, v.column, "%s", what);
            return false;
        }
        v.column++;
        if (text.p[i] == '\n') {
            v.line++;
            v.column = 1;
            v.line_from = i + 1;
        }
    }
    return true;
}

/* --- events to nodes ------------------------------------------------------------------------ */

static void stop(struct reader *r)
{
    r->stopped = true;
}

/* Remembers where an event is; false if it is nowhere. */
static bool take_place(struct reader *r, const struct fy_mark *mark)
{
    if (!mark)
        return false;
    r->line = mark->line + 1;
    r->column = mark->column + 1;
    return true;
}

static void complain_here(struct reader *r, const struct fy_mark *mark, const char *what)
{
    take_place(r, mark);
    complain(r->c, r->doc->name, r->line, r->column, "%s", what);
}

/* The marks of anchors and aliases lie behind their '&' and '*'. */
static void complain_before(struct reader *r, const struct fy_mark *mark, const char *what)
{
    if (take_place(r, mark))
        r->column--;
    complain_here(r, NULL, what);
}

static struct yaml_node *new_node(struct reader *r, enum yaml_kind kind)
{
    struct yaml_node *node = arena_alloc(r->doc->arena, sizeof *node);
    if (!node) {
        stop(r);
        return NULL;
    }
    *node = (struct yaml_node){.kind = kind, .line = r->line, .column = r->column};
    return node;
}

static void refuse_extras(struct reader *r, struct fy_token *anchor, struct fy_token *tag)
{
    if (anchor)
        complain_before(r, fy_token_start_mark(anchor), "anchors are not allowed");
    if (tag)
        complain_here(r, fy_token_start_mark(tag), "tags are not allowed");
}

static bool means_null(struct str s)
{
    return s.n == 0 || str_eq(s, STR("~")) || str_eq(s, STR("null")) || str_eq(s, STR("Null")) ||
           str_eq(s, STR("NULL"));
}

/* A scalar's text, piece by piece. Not by fy_token_get_text: in 0.7.12 it leaks and returns NULL
 * where its two ways of counting differ, which "''''" inside single quotes makes them do. Here such
 * a text is refused instead. */
static struct str take_text(struct reader *r, struct fy_token *token)
{
    struct fy_token_iter *it = fy_token_iter_create(token);
    const struct fy_iter_chunk *chunk = NULL;
    struct buf text = {0};
    int failed = it ? 0 : -1;
    while (it && (chunk = fy_token_iter_chunk_next(it, chunk, &failed)))
        buf_put(&text, chunk->str, chunk->len);
    fy_token_iter_destroy(it);
    struct str taken = arena_str(r->doc->arena, buf_view(&text));
    if (failed || buf_err(&text) || text.n != fy_token_get_text_length(token))
        complain_here(r, NULL, "this text has two readings; put it into double quotes");
    else if (str_find(taken, 0, 0) != taken.n)
        complain_here(r, NULL, "NUL is not allowed in a text");
    buf_free(&text);
    return taken;
}

static struct yaml_node *build_scalar(struct reader *r, struct fy_event *e)
{
    enum fy_scalar_style style = fy_token_scalar_style(e->scalar.value);
    bool quoted = style != FYSS_PLAIN;
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
        r->column--; /* the mark lies behind the quote */
    struct str text = take_text(r, e->scalar.value);
    struct yaml_node *node = new_node(r, !quoted && means_null(text) ? YAML_NULL : YAML_SCALAR);
    if (!node)
        return NULL;
    node->quoted = quoted;
    node->text = text;
    return node;
}

static struct fy_event *next_event(struct reader *r)
{
    return r->stopped ? NULL : fy_parser_parse(r->parser);
}

static struct yaml_node *build(struct reader *r, struct fy_event *e);

/* Children up to the end event, onto the stack of pending nodes. */
static void gather(struct reader *r, enum fy_event_type end)
{
    for (;;) {
        struct fy_event *e = next_event(r);
        if (!e) {
            stop(r);
            return;
        }
        enum fy_event_type type = e->type;
        struct yaml_node *child = NULL;
        if (type != end)
            child = build(r, e);
        fy_parser_event_free(r->parser, e);
        if (type == end)
            return;
        if (child)
            buf_put(&r->pending, &child, sizeof(struct yaml_node *));
        if (!child || buf_err(&r->pending)) {
            stop(r);
            return;
        }
    }
}

/* Moves every `step`-th pending child from index `first` on into an array of its own. */
static struct yaml_node **settle(struct reader *r, size_t first, size_t step, size_t n)
{
    enum { SLOT = sizeof(struct yaml_node *) };
    struct yaml_node **out = arena_alloc(r->doc->arena, n * SLOT);
    for (size_t i = 0; out && i < n; i++)
        memcpy(&out[i], r->pending.p + (first + i * step) * SLOT, SLOT);
    return out;
}

static int by_key(const void *va, const void *vb)
{
    const struct yaml_node *a = *(struct yaml_node *const *)va, *b = *(struct yaml_node *const *)vb;
    size_t n = a->text.n < b->text.n ? a->text.n : b->text.n;
    int order = n > 0 ? memcmp(a->text.p, b->text.p, n) : 0;
    if (order == 0)
        order = a->text.n < b->text.n ? -1 : a->text.n > b->text.n;
    if (order == 0)
        order = a->line < b->line ? -1 : a->line > b->line;
    return order ? order : a->column - b->column;
}

static void check_keys(struct reader *r, const struct yaml_node *map)
{
    struct yaml_node **sorted = map->n ? malloc(map->n * sizeof(struct yaml_node *)) : NULL;
    if (map->n > 0 && !sorted) {
        stop(r);
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *key = sorted[i] = map->key[i];
        if (key->kind != YAML_SCALAR)
            complain(r->c, r->doc->name, key->line, key->column, "a key must be a plain text");
        else if (!key->quoted && str_eq(key->text, STR("<<")))
            complain(r->c, r->doc->name, key->line, key->column, "merge keys are not allowed");
    }
    if (map->n > 1)
        qsort(sorted, map->n, sizeof(struct yaml_node *), by_key);
    for (size_t i = 1; i < map->n; i++)
        if (sorted[i]->kind == YAML_SCALAR && sorted[i - 1]->kind == YAML_SCALAR &&
            str_eq(sorted[i]->text, sorted[i - 1]->text))
            complain(r->c, r->doc->name, sorted[i]->line, sorted[i]->column,
                     "key '%.*s' stands twice, first in line %d", STR_FMT(sorted[i]->text),
                     sorted[i - 1]->line);
    free(sorted);
}

/* libfyaml puts a map like "[a: b]" behind its first key. */
static void settle_map(struct reader *r, struct yaml_node *map, size_t first, size_t children)
{
    map->n = children / 2;
    map->key = settle(r, first, 2, map->n);
    map->item = settle(r, first + 1, 2, map->n);
    if (!map->key || !map->item) {
        stop(r);
        return;
    }
    check_keys(r, map);
    if (map->n > 0 && map->key[0]->line == map->line && map->key[0]->column < map->column)
        map->column = map->key[0]->column;
}

static struct yaml_node *build_nested(struct reader *r, enum yaml_kind kind)
{
    struct yaml_node *node = new_node(r, kind);
    size_t pending_from = r->pending.n, first = pending_from / sizeof(struct yaml_node *);
    if (!node)
        return NULL;
    if (r->depth == DEPTH_MAX) {
        complain_here(r, NULL, "nested too deeply");
        stop(r);
        return NULL;
    }
    r->depth++;
    gather(r, kind == YAML_MAP ? FYET_MAPPING_END : FYET_SEQUENCE_END);
    r->depth--;
    if (r->stopped)
        return NULL;
    size_t children = r->pending.n / sizeof(struct yaml_node *) - first;
    if (kind == YAML_MAP) {
        settle_map(r, node, first, children);
    } else {
        node->n = children;
        node->item = settle(r, first, 1, children);
    }
    r->pending.n = pending_from;
    return node;
}

/* The node that starts with event e, which stays the caller's. NULL where reading has to stop. */
static struct yaml_node *build(struct reader *r, struct fy_event *e)
{
    take_place(r, fy_event_start_mark(e));
    switch ((int)e->type) {
    case FYET_SCALAR:
        refuse_extras(r, e->scalar.anchor, e->scalar.tag);
        return build_scalar(r, e);
    case FYET_SEQUENCE_START:
        refuse_extras(r, e->sequence_start.anchor, e->sequence_start.tag);
        return build_nested(r, YAML_LIST);
    case FYET_MAPPING_START:
        refuse_extras(r, e->mapping_start.anchor, e->mapping_start.tag);
        return build_nested(r, YAML_MAP);
    case FYET_ALIAS:
        complain_before(r, fy_event_start_mark(e), "aliases are not allowed");
        return new_node(r, YAML_NULL);
    default:
        stop(r);
        return NULL;
    }
}

/* --- the stream ----------------------------------------------------------------------------- */

static void start_document(struct reader *r, struct fy_event *e)
{
    struct fy_document_state *state = e->document_start.document_state;
    take_place(r, fy_event_start_mark(e));
    if (r->doc->root) {
        complain_here(r, NULL, "a further document is not allowed");
        stop(r);
    }
    if (fy_document_state_version_explicit(state) || fy_document_state_tags_explicit(state))
        complain_here(r, NULL, "directives are not allowed");
}

/* True once the stream has ended as it should. */
static bool read_stream(struct reader *r)
{
    bool ended = false;
    while (!ended) {
        struct fy_event *e = next_event(r);
        if (!e)
            return false;
        enum fy_event_type type = e->type;
        if (type == FYET_DOCUMENT_START)
            start_document(r, e);
        else if (type == FYET_STREAM_END)
            ended = true;
        else if (type != FYET_STREAM_START && type != FYET_DOCUMENT_END)
            r->doc->root = build(r, e);
        fy_parser_event_free(r->parser, e);
    }
    return true;
}

/* libfyaml counts the lines of its errors from 1, unlike its marks. */
static void report(struct reader *r)
{
    void *at = NULL;
    struct fy_diag_error *e;
    while ((e = fy_diag_errors_iterate(r->diag, &at)))
        complain(r->c, r->doc->name, e->line > 0 ? e->line : r->line,
                 e->column > 0 ? e->column : r->column, "%s", e->msg ? e->msg : "syntax error");
}

static bool open_parser(struct reader *r)
{
    struct fy_diag_cfg diag;
    fy_diag_cfg_default(&diag);
    diag.fp = NULL;
    r->diag = fy_diag_create(&diag);
    if (!r->diag)
        return false;
    fy_diag_set_collect_errors(r->diag, true);
    r->parser = fy_parser_create(&(struct fy_parse_cfg){
        .search_path = "",
        .flags = FYPCF_QUIET | FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2,
        .diag = r->diag,
    });
    return r->parser && fy_parser_set_string(r->parser, r->doc->text.p, r->doc->text.n) == 0;
}

static int parse(struct yaml_doc *doc, struct complaints *c)
{
    struct reader r = {.doc = doc, .c = c, .line = 1, .column = 1};
    size_t before = c->n;
    int err = 0;
    buf_init(&r.pending, SIZE_MAX / 4);
    if (!open_parser(&r)) {
        err = ERR_NOMEM;
    } else {
        bool ended = read_stream(&r);
        report(&r);
        if (arena_overflowed(doc->arena))
            complain_here(&r, NULL, "the file has too many nodes");
        else if (!ended && c->n == before)
            complain_here(&r, NULL, "the file cannot be read on from here");
        else if (ended && !doc->root)
            doc->root = new_node(&r, YAML_NULL);
        if (c->n > before || !doc->root)
            err = ERR_CONFIG;
    }
    fy_parser_destroy(r.parser);
    if (r.diag)
        fy_diag_destroy(r.diag);
    buf_free(&r.pending);
    return err;
}

int yaml_read(const char *name, struct str text, struct yaml_doc **ret, struct complaints *c)
{
    struct yaml_doc *doc;
    int r;
    if (!check_text(name, text, c))
        return ERR_CONFIG;
    doc = calloc(1, sizeof *doc);
    if (!doc)
        return ERR_NOMEM;
    doc->arena = arena_new(NODES_MAX);
    if (!doc->arena) {
        free(doc);
        return ERR_NOMEM;
    }
    doc->name = arena_cstr(doc->arena, str_c(name));
    doc->text = arena_str(doc->arena, text);
    r = parse(doc, c);
    if (r) {
        yaml_free(doc);
        return r;
    }
    *ret = doc;
    return 0;
}

int yaml_read_file(const char *path, struct yaml_doc **ret, struct complaints *c)
{
    struct buf text;
    char part[8192];
    size_t n;
    int r;
    FILE *f = fopen(path, "re");
    if (!f) {
        complain(c, path, 1, 1, "cannot be opened: %s", strerror(errno));
        return ERR_CONFIG;
    }
    buf_init(&text, FILE_MAX + sizeof part);
    while (text.n <= FILE_MAX && (n = fread(part, 1, sizeof part, f)) > 0)
        buf_put(&text, part, n);
    if (ferror(f)) {
        complain(c, path, 1, 1, "cannot be read: %s", strerror(errno));
        r = ERR_CONFIG;
    } else {
        r = buf_err(&text);
        if (!r)
            r = yaml_read(path, buf_view(&text), ret, c);
    }
    buf_free(&text);
    fclose(f);
    return r;
}
