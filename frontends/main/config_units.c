/* Values of the configuration as people write them: sizes, durations, counts, port ranges. Pure. */
#include "frontends/main/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit size_units[] = {
	{ "B", 1 }, { "KiB", 1ll << 10 }, { "MiB", 1ll << 20 }, { "GiB", 1ll << 30 }, { "TiB", 1ll << 40 }, { NULL, 0 }
};
static const struct unit duration_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 }
};

/* Leading decimal digits of text; *ret_rest is what follows. */
static enum gh_status digits_parse(const char *text, int64_t *ret, const char **ret_rest)
{
	int64_t v = 0;

	if (*text < '0' || *text > '9')
		return GH_INVALID;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *text - '0', &v))
			return GH_RANGE;
	}
	*ret = v;
	*ret_rest = text;
	return GH_OK;
}

static enum gh_status unit_apply(const struct unit *units, const char *how, const char *text, int64_t *ret, char *err)
{
	const char *rest;
	int64_t v;
	enum gh_status st = digits_parse(text, &v, &rest);

	if (st) {
		snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" is %s; write %s", text,
			 st == GH_RANGE ? "too large" : "not a whole number with a unit", how);
		return GH_INVALID;
	}
	while (*rest == ' ')
		rest++;
	if (!*rest && v == 0) {
		*ret = 0;
		return GH_OK;
	}
	for (; units->name; units++) {
		if (strcmp(rest, units->name))
			continue;
		if (__builtin_mul_overflow(v, units->factor, ret)) {
			snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" is too large", text);
			return GH_INVALID;
		}
		return GH_OK;
	}
	if (*rest)
		snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" has the unknown unit \"%.32s\"; write %s", text, rest, how);
	else
		snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" has no unit; write %s", text, how);
	return GH_INVALID;
}

static enum gh_status count_parse(const char *text, int64_t *ret, char *err)
{
	const char *rest;

	if (digits_parse(text, ret, &rest) || *rest) {
		snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" is not a whole number without a unit", text);
		return GH_INVALID;
	}
	return GH_OK;
}

static enum gh_status ports_parse(const struct config_key *k, const char *text, int64_t *ret, char *err)
{
	int64_t first, last;
	const char *rest;

	if (digits_parse(text, &first, &rest) || *rest != '-' || digits_parse(rest + 1, &last, &rest) || *rest ||
	    first < k->min || last > k->max || first > last) {
		snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" is not a range of ports; write FIRST-LAST, like 2200-2299", text);
		return GH_INVALID;
	}
	*ret = first * 65536 + last;
	return GH_OK;
}

enum gh_status config_parse_number(const struct config_key *k, const char *text, int64_t *ret, char *err)
{
	enum gh_status st = GH_OK;
	int64_t v = 0;

	switch (k->kind) {
	case CONFIG_TEXT:
	case CONFIG_PATH:
	case CONFIG_ADDRESS:
	case CONFIG_CHOICE:
	case CONFIG_USER:
		*ret = 0;
		return GH_OK;
	case CONFIG_SIZE:
		st = unit_apply(size_units, "sizes like 64KiB (B, KiB, MiB, GiB, TiB)", text, &v, err);
		break;
	case CONFIG_DURATION:
		st = unit_apply(duration_units, "durations like 10s (ms, s, m, h, d)", text, &v, err);
		break;
	case CONFIG_COUNT:
		st = count_parse(text, &v, err);
		break;
	case CONFIG_BOOL:
		if (strcmp(text, "true") && strcmp(text, "false")) {
			snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" is neither true nor false", text);
			return GH_INVALID;
		}
		*ret = !strcmp(text, "true");
		return GH_OK;
	case CONFIG_PORTS:
		return ports_parse(k, text, ret, err);
	}
	if (st)
		return st;
	if (v < k->min || v > k->max) {
		const char *unit = k->kind == CONFIG_SIZE ? " bytes" : k->kind == CONFIG_DURATION ? " ms" : "";

		snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" is out of range: %lld to %lld%s", text, (long long)k->min,
			 (long long)k->max, unit);
		return GH_INVALID;
	}
	*ret = v;
	return GH_OK;
}
