/* Rules by themselves: what can be set, which of two goes first, words. Called by the control operations, and by
 * switchboard.c while it builds. Pure; any thread. */
#include "policy/switch_rule.h"

#include <string.h>

/* ---- text ---- */

/* Length of the UTF-8 character at s and its value; 0: not UTF-8 (overlong, surrogate, out of range, cut off). */
static unsigned utf8_one(const unsigned char *s, unsigned *ret)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned len, c;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	c = s[0] & (0xffu >> (len + 1));
	for (unsigned i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

enum text_wrong { TEXT_GOOD, TEXT_LONG, TEXT_LINES, TEXT_CONTROL, TEXT_NOT_UTF8 };

/* One line that can be said in an FTP reply: no line ends (Unicode's own neither), no control characters. */
static enum text_wrong text_check(const char *text, size_t max)
{
	const unsigned char *s = (const unsigned char *)text;

	if (!text)
		return TEXT_GOOD;
	if (strnlen(text, max + 1) > max)
		return TEXT_LONG;
	while (*s) {
		unsigned c, len = utf8_one(s, &c);

		if (!len)
			return TEXT_NOT_UTF8;
		if (c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029)
			return TEXT_LINES;
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return TEXT_CONTROL;
		s += len;
	}
	return TEXT_GOOD;
}

#define TEXT_WRONG(noun, most)                                                                                         \
	{                                                                                                              \
		NULL, "the " noun " is too long: at most " most " bytes", "the " noun " has line breaks: it is one line",  \
			"the " noun " has control characters", "the " noun " is not valid UTF-8"                       \
	}

static const char *texts_wrong(const struct switch_rule *r)
{
	static const char *const message[] = TEXT_WRONG("message", "512"), *const why[] = TEXT_WRONG("reason", "512"),
				 *const who[] = TEXT_WRONG("name of who sets it", "64"),
				 *const host[] = TEXT_WRONG("host's name", "64"), *const pod[] = TEXT_WRONG("pod's name", "64"),
				 *const dc[] = TEXT_WRONG("data centre's name", "64"),
				 *const flag[] = TEXT_WRONG("flag's key", "64");
	const struct {
		const char *text;
		size_t max;
		const char *const *wrong;
	} texts[] = {
		{ r->message, SWITCH_TEXT_MAX, message }, { r->why, SWITCH_TEXT_MAX, why },
		{ r->who, SWITCH_NAME_MAX, who },	  { r->host, SWITCH_NAME_MAX, host },
		{ r->pod, SWITCH_NAME_MAX, pod },	  { r->dc, SWITCH_NAME_MAX, dc },
		{ r->flag, SWITCH_NAME_MAX, flag },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		enum text_wrong w = text_check(texts[i].text, texts[i].max);

		if (w != TEXT_GOOD)
			return texts[i].wrong[w];
	}
	return NULL;
}

/* ---- a rule ---- */

static bool has_scope(const struct switch_rule *r)
{
	return r->protocols || r->classes || r->tenant || r->user || switch_given(r->host) || switch_given(r->pod) ||
	       switch_given(r->dc);
}

static const char *scope_wrong(const struct switch_rule *r)
{
	if (r->protocols & ~SWITCH_PROTOS_ALL)
		return "a protocol is unknown: webdav, ftp, ftps, rest, web, links";
	if (r->classes & ~SWITCH_CLASSES_ALL)
		return "a class of operations is unknown";
	if (r->user && !r->tenant)
		return "a user is named without its tenant";
	if (!has_scope(r) && !r->everywhere)
		return "the rule has no scope: name a protocol, class, tenant, user, host, pod or data centre, or say "
		       "that everywhere is meant";
	if (has_scope(r) && r->everywhere)
		return "the rule names a scope and says everywhere: it is one or the other";
	return NULL;
}

static const char *value_wrong(const struct switch_rule *r)
{
	if (r->mode != SWITCH_ON && r->mode != SWITCH_READONLY && r->mode != SWITCH_DRAIN && r->mode != SWITCH_OFF)
		return "the mode is unknown: on, read-only, drain, off";
	if (r->flag && !*r->flag)
		return "the flag's key is empty";
	if (r->flag && (r->percent < 1 || r->percent > 100))
		return "the percentage is out of range: 1 to 100";
	if (!r->flag && r->percent != 100)
		return "a switch has no percentage: it applies to all of its scope";
	if (!r->flag && r->value)
		return "a switch has no value";
	return NULL;
}

const char *switch_rule_wrong(const struct switch_rule *r, int64_t now_ms)
{
	const char *wrong = scope_wrong(r);

	if (!wrong)
		wrong = value_wrong(r);
	if (!wrong && r->expires_ms <= now_ms)
		wrong = "the expiry lies in the past";
	if (!wrong)
		wrong = texts_wrong(r);
	return wrong;
}

static bool same_name(const char *a, const char *b)
{
	return switch_given(a) ? switch_given(b) && !strcmp(a, b) : !switch_given(b);
}

bool switch_rule_same_scope(const struct switch_rule *a, const struct switch_rule *b)
{
	return same_name(a->flag, b->flag) && a->user == b->user && a->tenant == b->tenant &&
	       switch_protos_named(a->protocols) == switch_protos_named(b->protocols) && a->classes == b->classes &&
	       same_name(a->host, b->host) && same_name(a->pod, b->pod) && same_name(a->dc, b->dc);
}

/* ---- precedence ---- */

/* Fewer protocols go first, none (= any) last; `ftps` alone is narrower than any other single one. */
static unsigned protos_width(unsigned protocols)
{
	unsigned named = switch_protos_named(protocols);

	if (!named)
		return 2 * (SWITCH_PROTO_COUNT + 1);
	return 2 * (unsigned)__builtin_popcount(named) - (named == 1u << SWITCH_FTPS);
}

static unsigned classes_width(unsigned classes)
{
	return classes ? (unsigned)__builtin_popcount(classes) : SWITCH_CLASS_MAX + 1;
}

int switch_rule_compare(const struct switch_rule *a, const struct switch_rule *b)
{
	int by[] = {
		(b->user != 0) - (a->user != 0),
		(b->tenant != 0) - (a->tenant != 0),
		(int)protos_width(a->protocols) - (int)protos_width(b->protocols),
		(int)classes_width(a->classes) - (int)classes_width(b->classes),
		switch_given(b->host) - switch_given(a->host),
		switch_given(b->pod) - switch_given(a->pod),
		switch_given(b->dc) - switch_given(a->dc),
	};

	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++)
		if (by[i])
			return by[i];
	return a->id > b->id ? -1 : a->id < b->id;
}

/* ---- words ---- */

static const char *const proto_names[SWITCH_PROTO_COUNT] = {
	[SWITCH_WEBDAV] = "webdav", [SWITCH_FTP] = "ftp", [SWITCH_FTPS] = "ftps",
	[SWITCH_REST] = "rest",	    [SWITCH_WEB] = "web", [SWITCH_LINKS] = "links",
};
static const char *const mode_names[] = {
	[SWITCH_ON] = "on", [SWITCH_READONLY] = "read-only", [SWITCH_DRAIN] = "drain", [SWITCH_OFF] = "off",
};

const char *switch_proto_name(enum switch_proto p)
{
	return (unsigned)p < SWITCH_PROTO_COUNT ? proto_names[p] : "?";
}

static int proto_of(const char *word, size_t len)
{
	for (int i = 0; i < SWITCH_PROTO_COUNT; i++)
		if (strlen(proto_names[i]) == len && !memcmp(proto_names[i], word, len))
			return i;
	return -1;
}

bool switch_proto_parse(const char *text, enum switch_proto *ret)
{
	int p = proto_of(text, strlen(text));

	if (p < 0)
		return false;
	*ret = (enum switch_proto)p;
	return true;
}

const char *switch_mode_name(enum switch_mode m)
{
	return (unsigned)m < sizeof(mode_names) / sizeof(mode_names[0]) ? mode_names[m] : "?";
}

bool switch_mode_parse(const char *text, enum switch_mode *ret)
{
	for (unsigned i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
		if (!strcmp(mode_names[i], text)) {
			*ret = (enum switch_mode)i;
			return true;
		}
	}
	return false;
}

unsigned switch_protos_parse(const char *text, const char **ret_bad)
{
	unsigned bits = 0;

	for (;;) {
		size_t len = strcspn(text, ",");
		int p = proto_of(text, len);

		if (p < 0) {
			*ret_bad = text;
			return 0;
		}
		bits |= 1u << p;
		if (!text[len])
			return bits;
		text += len + 1;
	}
}

const char *switch_proto_wrong(const char *word)
{
	if (strcspn(word, ",") == 5 && !memcmp(word, "admin", 5))
		return "the admin listener cannot be shut by a rule: it is the way back";
	return "unknown protocol: webdav, ftp, ftps, rest, web, links";
}
