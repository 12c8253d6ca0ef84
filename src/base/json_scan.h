/* The scan that runs before jansson sees a text: it decides what is refused and where. */
#ifndef CS_BASE_JSON_SCAN_H
#define CS_BASE_JSON_SCAN_H

#include "base/buf.h"

/* 0 if the text is JSON that json.h accepts; otherwise fills f. Time is O(n log n) whatever the
 * text; the stack is bounded by JSON_DEPTH. */
CS_CHECK int json_scan(struct str text, struct fail *f);

#endif
