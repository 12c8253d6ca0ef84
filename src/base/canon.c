/* Canonical JSON and its hash. Numbers rely on glibc's printf and strtod being exactly rounded, and
 * on LC_NUMERIC being "C", which this program never changes. */
#include "base/canon.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_emit.h"

enum { DIGITS_MAX = 17 };

/* A finite positive number as 0.DIGITS times ten to the power of point. */
struct decimal {
    char digits[DIGITS_MAX + 8];
    int n, point;
};

static double value_of(const struct decimal *d)
{
    char text[CANON_NUMBER + 16];
    snprintf(text, sizeof text, "0.%se%d", d->digits, d->point);
    return strtod(text, NULL);
}

static void strip_zeros(struct decimal *d)
{
    while (d->n > 1 && d->digits[d->n - 1] == '0')
        d->n--;
    d->digits[d->n] = 0;
}

/* Amounts and the like: a whole number of up to 15 digits over a small power of ten. Decimals of up
 * to 15 digits are told apart by doubles, so the first that divides back exactly is the shortest.
 */
static bool short_decimal(double v, struct decimal *d)
{
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    if (v >= 1e15 || v < 1e-6)
        return false;
    for (size_t k = 0; k < sizeof power / sizeof *power; k++) {
        double whole = nearbyint(v * power[k]);
        if (whole >= 1e15)
            return false;
        if (whole < 1 || whole / power[k] < v || whole / power[k] > v)
            continue;
        d->n = 0;
        char reversed[DIGITS_MAX];
        for (int64_t left = (int64_t)whole; left > 0; left /= 10)
            reversed[d->n++] = (char)('0' + left % 10);
        for (int i = 0; i < d->n; i++)
            d->digits[i] = reversed[d->n - 1 - i];
        d->point = d->n - (int)k;
        strip_zeros(d);
        return true;
    }
    return false;
}

/* Rounds v to n significant digits, the nearest such decimal. */
static void round_to(double v, int n, struct decimal *d)
{
    char text[CANON_NUMBER];
    snprintf(text, sizeof text, "%.*e", n - 1, v); /* "d.ddde-dd" or "de-dd" */
    d->digits[0] = text[0];
    if (n > 1)
        memcpy(d->digits + 1, text + 2, (size_t)n - 1);
    d->digits[n] = 0;
    d->n = n;
    d->point = (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
}

/* The next larger decimal of as many digits. */
static void next_up(struct decimal *d)
{
    int i = d->n - 1;
    while (i >= 0 && d->digits[i] == '9')
        d->digits[i--] = '0';
    if (i >= 0) {
        d->digits[i]++;
        return;
    }
    d->digits[0] = '1';
    d->point++;
}

static bool reads_back(const struct decimal *d, double v)
{
    double back = value_of(d);
    return back <= v && back >= v;
}

/* The fewest digits that read back, by trying. Any double has all decimals of 15 digits to itself,
 * so trying starts there, but for subnormals. At a power of two the doubles below lie half as far
 * apart as those above: the nearest decimal may be too far below, and the next one up still right.
 */
static void shortest(double v, struct decimal *d)
{
    int exponent, n = fpclassify(v) == FP_SUBNORMAL ? 1 : 15;
    bool power_of_two = frexp(v, &exponent) <= 0.5;
    for (; n < DIGITS_MAX; n++) {
        round_to(v, n, d);
        if (reads_back(d, v))
            break;
        if (!power_of_two)
            continue;
        next_up(d);
        if (reads_back(d, v))
            break;
    }
    if (n == DIGITS_MAX)
        round_to(v, n, d);
    strip_zeros(d);
}

/* ECMAScript's Number::toString, steps 6 to 12; "point" is its n, "n" its k. */
static void lay_out(char out[CANON_NUMBER], bool minus, const struct decimal *d)
{
    int k = d->n, point = d->point;
    const char *sign = minus ? "-" : "", *s = d->digits;
    if (k <= point && point <= 21)
        snprintf(out, CANON_NUMBER, "%s%s%.*s", sign, s, point - k, "000000000000000000000");
    else if (0 < point && point <= 21)
        snprintf(out, CANON_NUMBER, "%s%.*s.%s", sign, point, s, s + point);
    else if (-6 < point && point <= 0)
        snprintf(out, CANON_NUMBER, "%s0.%.*s%s", sign, -point, "00000", s);
    else
        snprintf(out, CANON_NUMBER, "%s%c%s%se%+d", sign, s[0], k > 1 ? "." : "", s + 1, point - 1);
}

void canon_number(char out[CANON_NUMBER], double d)
{
    struct decimal decimal;
    CS_ASSERT(isfinite(d));
    if (fpclassify(d) == FP_ZERO) { /* -0 too */
        memcpy(out, "0", 2);
        return;
    }
    if (!short_decimal(fabs(d), &decimal))
        shortest(fabs(d), &decimal);
    lay_out(out, d < 0, &decimal);
}

int canon_write(const json_t *v, struct buf *out)
{
    return json_emit(v, true, out);
}

void hash_text(char out[HASH_TEXT], struct str bytes)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)bytes.p, bytes.n);
    memcpy(out, "sha256:", 7);
    hex_encode(out + 7, hash, sizeof hash);
}

int canon_hash(const json_t *v, char out[HASH_TEXT])
{
    struct buf b;
    buf_init(&b, 0);
    int r = canon_write(v, &b);
    if (!r)
        hash_text(out, buf_view(&b));
    buf_free(&b);
    return r;
}
