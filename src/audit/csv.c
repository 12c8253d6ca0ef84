/* Audit events as CSV (RFC 4180), for people with spreadsheets. A cell that a spreadsheet would
 * take for a formula gets a leading apostrophe: agents choose some of these texts. */
#include <stdio.h>
#include "audit/audit.h"

static const char *const columns[] = {
#define FIELD(name, column, put, member) [column] = #name,
#include "audit/field.def"
#undef FIELD
};
#define COLUMNS (sizeof columns / sizeof *columns)

/* OWASP, "CSV injection"; the last four are the full-width forms of the first four. */
static const struct str formula[] = {
    STR("="),
    STR("+"),
    STR("-"),
    STR("@"),
    STR("\t"),
    STR("\r"),
    STR("\n"),
    STR("\xef\xbc\x9d"),
    STR("\xef\xbc\x8b"),
    STR("\xef\xbc\x8d"),
    STR("\xef\xbc\xa0"),
};

static bool is_formula(struct str s)
{
    for (size_t i = 0; i < sizeof formula / sizeof *formula; i++)
        if (str_starts(s, formula[i]))
            return true;
    return false;
}

/* Also quoted where only some locales' spreadsheets would cut the cell in two. */
static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (memchr(",;\t\"\r\n", s.p[i], 6) != NULL)
            return true;
    return false;
}

static void put_cell(struct buf *out, struct str s)
{
    bool quotes = needs_quotes(s);
    if (quotes)
        buf_ch(out, '"');
    if (is_formula(s))
        buf_ch(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_ch(out, '"');
        buf_ch(out, s.p[i]);
    }
    if (quotes)
        buf_ch(out, '"');
}

/* Texts of a list in one cell, a space between. */
static void put_list(struct buf *out, const json_t *list)
{
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (i > 0)
            buf_ch(&text, ' ');
        buf_str(&text, json_text(json_array_get(list, i)));
    }
    out->bad = out->bad || text.bad;
    put_cell(out, buf_view(&text));
    buf_free(&text);
}

static void put_value(struct buf *out, const json_t *v)
{
    if (json_is_string(v))
        put_cell(out, json_text(v));
    else if (json_is_integer(v))
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_boolean(v))
        buf_c(out, json_is_true(v) ? "true" : "false");
    else if (json_is_array(v))
        put_list(out, v);
    /* null is an empty cell */
}

void audit_csv_header(struct buf *out)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        if (i > 0)
            buf_ch(out, ',');
        buf_c(out, columns[i]);
    }
    buf_c(out, "\r\n");
}

int audit_csv_row(struct str bytes, struct buf *out)
{
    json_t *event = NULL;
    int err = json_read(bytes, &event, NULL);
    if (err != 0)
        return err;
    for (size_t i = 0; i < COLUMNS; i++) {
        if (i > 0)
            buf_ch(out, ',');
        put_value(out, json_object_get(event, columns[i]));
    }
    buf_c(out, "\r\n");
    json_decref(event);
    return buf_err(out);
}
