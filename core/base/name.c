/* The canonicaliser. Called by core/vfs before anything else looks at a path, and by configuration and people for
 * single names. Pure: no state, any thread, never blocks. No other file includes utf8proc.
 *
 * A path goes through here on every request, so names of plain ASCII (nearly all) are decoded, checked and folded in
 * one run over their bytes; only a name with a byte above 0x7f pays for Unicode. All of it happens in a struct on the
 * stack; the arena is asked once, for exactly what is kept.
 */
#include "core/base/name.h"

#include <string.h>

#include <utf8proc.h>

enum {
	/* NFC shortens UTF-8 to a third at the most (Hangul jamo, U+212A), so nothing longer can fit. This also bounds
	 * the sorting of combining marks, which is quadratic in their number. */
	SEGMENT_MAX = 3 * GH_NAME_MAX,
	/* What was kept, and behind it one more segment before its canonical form is measured. */
	ROOM = GH_PATH_MAX + 3 * SEGMENT_MAX + 1,
	DECOMPOSED_MAX = 4 * SEGMENT_MAX, /* a code point decomposes canonically into at most four */
};

/* Names and keys lie one after the other, each with its NUL. */
struct pile {
	unsigned len;
	char bytes[ROOM];
};

struct part {
	uint16_t name_at, key_at, name_len, key_len;
};

struct builder {
	bool percent, climb, case_sensitive;
	unsigned depth;
	struct part part[GH_DEPTH_MAX];
	struct pile names, keys;
};

/* ---- one name with bytes above 0x7f ---- */

/* Refuses C1 controls and what Unicode has not assigned (non-characters are in that category); utf8proc_iterate has
 * refused malformed sequences and surrogates. */
static bool utf8_allowed(const char *s, unsigned len)
{
	const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s, *end = p + len;
	utf8proc_int32_t cp;

	while (p < end) {
		utf8proc_ssize_t n = utf8proc_iterate(p, end - p, &cp);

		if (n <= 0)
			return false;
		p += n;
		if (cp < 0x80)
			continue; /* looked at already */
		switch (utf8proc_category(cp)) {
		case UTF8PROC_CATEGORY_CN:
		case UTF8PROC_CATEGORY_CS:
		case UTF8PROC_CATEGORY_CC:
			return false;
		default:
			break;
		}
	}
	return true;
}

/* Composes in place; the new count. utf8proc (2.8 and before) takes U+11A7, one below the first trailing jamo, for a
 * trailing jamo number nought and drops it behind a syllable: two names would become one. It is a starter that composes
 * with nothing (Unicode 3.12), so what lies between its occurrences can be composed apart. */
static unsigned compose(utf8proc_int32_t *cps, unsigned n)
{
	unsigned out = 0, at = 0, stop;

	for (; at < n; at = stop + 1) {
		utf8proc_ssize_t got = 0;

		for (stop = at; stop < n && cps[stop] != 0x11a7; stop++)
			;
		if (stop > at)
			got = utf8proc_normalize_utf32(cps + at, stop - at, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
		if (got < 0)
			return 0;
		memmove(cps + out, cps + at, (size_t)got * sizeof(*cps));
		out += (unsigned)got;
		if (stop < n)
			cps[out++] = 0x11a7;
	}
	return out;
}

/* NFC of s as code points; 0 when it does not fit cps (of DECOMPOSED_MAX). */
static unsigned nfc(const char *s, unsigned len, utf8proc_int32_t *cps)
{
	utf8proc_ssize_t n = utf8proc_decompose((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, cps, DECOMPOSED_MAX,
						UTF8PROC_STABLE | UTF8PROC_COMPOSE);

	return n <= 0 || n > DECOMPOSED_MAX ? 0 : compose(cps, (unsigned)n);
}

/* UTF-8 of n code points into out (room for 4 each); length. */
static unsigned encode(const utf8proc_int32_t *cps, unsigned n, char *out)
{
	unsigned len = 0;

	for (unsigned i = 0; i < n; i++)
		len += (unsigned)utf8proc_encode_char(cps[i], (utf8proc_uint8_t *)out + len);
	return len;
}

/* The simple fold: one code point to one, so that straße and strasse stay two names. */
static utf8proc_int32_t fold(utf8proc_int32_t cp)
{
	utf8proc_int32_t to[4];
	int class = 0;

	if (cp < 0x80)
		return cp >= 'A' && cp <= 'Z' ? cp + ('a' - 'A') : cp;
	if (cp == 0x130)
		return cp; /* dotted capital I: its lower case is two code points, or another letter */
	if (utf8proc_decompose_char(cp, to, 4, UTF8PROC_CASEFOLD, &class) == 1)
		return to[0];
	return utf8proc_tolower(cp);
}

static enum gh_status key_of(const utf8proc_int32_t *name, unsigned n, char *key, unsigned *ret_len)
{
	char folded[4 * GH_NAME_MAX];
	utf8proc_int32_t cps[DECOMPOSED_MAX];
	unsigned len = 0;

	for (unsigned i = 0; i < n; i++)
		len += (unsigned)utf8proc_encode_char(fold(name[i]), (utf8proc_uint8_t *)folded + len);
	n = nfc(folded, len, cps);
	if (!n || n > GH_NAME_MAX)
		return GH_TOOLONG;
	/* What NFC makes of folded text may still be longer than a key can be: measure before it is kept. */
	len = encode(cps, n, folded);
	if (len > GH_NAME_MAX)
		return GH_TOOLONG;
	memcpy(key, folded, len);
	*ret_len = len;
	return GH_OK;
}

/* name holds len bytes of checked ASCII and unchecked others; replaced by its canonical form. */
static enum gh_status unicode_name(char *name, unsigned *len, char *key, unsigned *ret_key_len, bool case_sensitive)
{
	utf8proc_int32_t cps[DECOMPOSED_MAX];
	char text[4 * GH_NAME_MAX];
	unsigned n;

	if (!utf8_allowed(name, *len))
		return GH_BADNAME;
	n = nfc(name, *len, cps);
	if (!n || n > GH_NAME_MAX)
		return GH_TOOLONG;
	*len = encode(cps, n, text);
	if (*len > GH_NAME_MAX)
		return GH_TOOLONG;
	memcpy(name, text, *len);
	if (!case_sensitive)
		return key_of(cps, n, key, ret_key_len);
	memcpy(key, name, *len);
	*ret_key_len = *len;
	return GH_OK;
}

/* ---- one segment ---- */

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct decoded {
	unsigned len;
	bool high; /* some byte is above 0x7f */
};

/* Decodes and folds as if it were ASCII, and refuses what is refused in ASCII. */
static enum gh_status segment_decode(const char *s, const char *end, bool percent, bool case_sensitive, char *name,
				     char *key, struct decoded *ret)
{
	unsigned n = 0;
	unsigned char high = 0;

	while (s < end) {
		unsigned char c = (unsigned char)*s++;

		if (c == '%' && percent) {
			int up = end - s >= 2 ? hex_digit((unsigned char)s[0]) : -1;
			int low = up >= 0 ? hex_digit((unsigned char)s[1]) : -1;

			if (low < 0)
				return GH_BADNAME;
			c = (unsigned char)(up << 4 | low);
			s += 2;
		}
		if (c < 0x20 || c == 0x7f || c == '\\' || c == '/')
			return GH_BADNAME;
		high |= c;
		name[n] = (char)c;
		key[n++] = (char)(c >= 'A' && c <= 'Z' && !case_sensitive ? c + ('a' - 'A') : c);
	}
	*ret = (struct decoded){ n, high >= 0x80 };
	return GH_OK;
}

static bool is_dot(const char *name, unsigned len)
{
	return len == 1 && name[0] == '.';
}

static bool is_dotdot(const char *name, unsigned len)
{
	return len == 2 && name[0] == '.' && name[1] == '.';
}

static enum gh_status climb(struct builder *b)
{
	if (!b->climb)
		return GH_BADNAME;
	if (b->depth) {
		b->depth--;
		b->names.len = b->part[b->depth].name_at;
		b->keys.len = b->part[b->depth].key_at;
	}
	return GH_OK;
}

/* *ret_folder: the segment, were it the last one, says that a folder is meant. */
static enum gh_status segment_add(struct builder *b, const char *s, const char *end, bool *ret_folder)
{
	char *name = b->names.bytes + b->names.len, *key = b->keys.bytes + b->keys.len;
	unsigned key_len;
	struct decoded d;
	enum gh_status st;

	if ((size_t)(end - s) > (b->percent ? 3 * (size_t)SEGMENT_MAX : SEGMENT_MAX))
		return GH_TOOLONG; /* before it is decoded: the piles have room for this much, see ROOM */
	st = segment_decode(s, end, b->percent, b->case_sensitive, name, key, &d);
	if (st != GH_OK)
		return st;
	*ret_folder = d.len == 0 || is_dot(name, d.len) || is_dotdot(name, d.len);
	if (*ret_folder)
		return is_dotdot(name, d.len) ? climb(b) : GH_OK;
	if (d.len > (d.high ? SEGMENT_MAX : GH_NAME_MAX) || b->depth == GH_DEPTH_MAX)
		return GH_TOOLONG;
	key_len = d.len;
	if (d.high)
		st = unicode_name(name, &d.len, key, &key_len, b->case_sensitive);
	if (st != GH_OK)
		return st;
	name[d.len] = key[key_len] = '\0';
	b->part[b->depth++] = (struct part){ (uint16_t)b->names.len, (uint16_t)b->keys.len, (uint16_t)d.len,
					     (uint16_t)key_len };
	b->names.len += d.len + 1;
	b->keys.len += key_len + 1;
	/* Each NUL stands where the text of the path has a slash. */
	return b->names.len > GH_PATH_MAX || b->keys.len > GH_PATH_MAX ? GH_TOOLONG : GH_OK;
}

/* ---- the path ---- */

/* "/a/b" from "a\0b\0"; *at moves behind its NUL. */
static const char *text_make(const struct builder *b, const struct pile *pile, bool keys, char **at, uint32_t *ret_len)
{
	char *text = *at, *p = text;

	*p++ = '/';
	for (unsigned i = 0; i < b->depth; i++) {
		unsigned from = keys ? b->part[i].key_at : b->part[i].name_at;
		unsigned len = keys ? b->part[i].key_len : b->part[i].name_len;

		if (i)
			*p++ = '/';
		memcpy(p, pile->bytes + from, len);
		p += len;
	}
	*ret_len = (uint32_t)(p - text);
	*p++ = '\0';
	*at = p;
	return text;
}

/* One piece of memory: the struct, its components, the path's text, the names; then the same of the keys, unless all
 * of them are spelled like the names, as most are. */
static enum gh_status path_make(struct gh_arena *a, const struct builder *b, struct gh_path **ret_path)
{
	bool same = b->names.len == b->keys.len && memcmp(b->names.bytes, b->keys.bytes, b->names.len) == 0;
	size_t head = sizeof(struct gh_path) + b->depth * sizeof(struct gh_component);
	size_t total = head + 2 + 2 * (size_t)b->names.len + (same ? 0 : 2 + 2 * (size_t)b->keys.len);
	struct gh_path *path = gh_alloc(a, total);
	const char *names, *keys;
	char *at;

	if (!path)
		return GH_NOMEM;
	at = (char *)path + head;
	path->depth = b->depth;
	path->text = text_make(b, &b->names, false, &at, &path->text_len);
	names = keys = memcpy(at, b->names.bytes, b->names.len);
	path->key = path->text;
	path->key_len = path->text_len;
	if (!same) {
		at += b->names.len;
		path->key = text_make(b, &b->keys, true, &at, &path->key_len);
		keys = memcpy(at, b->keys.bytes, b->keys.len);
	}
	for (unsigned i = 0; i < b->depth; i++)
		path->comp[i] = (struct gh_component){ names + b->part[i].name_at, keys + b->part[i].key_at,
						       b->part[i].name_len, b->part[i].key_len };
	*ret_path = path;
	return GH_OK;
}

/* The limit is on what the bytes mean, not on how a door spells them: a path that FTP may use must fit an href. */
static bool sent_too_long(const char *bytes, size_t len, bool percent)
{
	size_t codes = 0;

	if (len <= GH_PATH_MAX)
		return false;
	if (!percent || len > 3 * (size_t)GH_PATH_MAX)
		return true;
	for (size_t i = 0; i < len; i++)
		codes += bytes[i] == '%';
	return len > GH_PATH_MAX + 2 * codes;
}

static void builder_init(struct builder *b, unsigned flags, const struct gh_name_rule *rule)
{
	b->percent = flags & GH_PATH_PERCENT;
	b->climb = flags & GH_PATH_CLIMB;
	b->case_sensitive = rule->case_sensitive;
	b->depth = b->names.len = b->keys.len = 0;
}

enum gh_status gh_path_parse(struct gh_arena *a, const char *bytes, size_t len, unsigned flags,
			     const struct gh_name_rule *rule, struct gh_path **ret_path)
{
	const char *s = bytes, *end = bytes + len, *cut;
	struct builder b; /* not cleared: most of it is never touched */
	enum gh_status st;
	bool folder = false;

	builder_init(&b, flags, rule);
	if (sent_too_long(bytes, len, b.percent))
		return GH_TOOLONG;
	while (s < end) {
		cut = memchr(s, '/', (size_t)(end - s));
		st = segment_add(&b, s, cut ? cut : end, &folder);
		if (st != GH_OK)
			return st;
		folder = folder || cut; /* a slash behind the last segment */
		s = cut ? cut + 1 : end;
	}
	st = path_make(a, &b, ret_path);
	if (st == GH_OK)
		(*ret_path)->trailing_slash = folder;
	return st;
}

enum gh_status gh_name_check(struct gh_arena *a, const char *bytes, size_t len, const struct gh_name_rule *rule,
			     struct gh_component *ret)
{
	struct gh_path *path;
	struct builder b;
	enum gh_status st;
	bool empty;

	if (len > GH_PATH_MAX)
		return GH_TOOLONG;
	builder_init(&b, 0, rule);
	st = segment_add(&b, bytes, bytes + len, &empty);
	if (st == GH_OK && empty)
		st = GH_BADNAME;
	if (st == GH_OK)
		st = path_make(a, &b, &path);
	if (st == GH_OK)
		*ret = path->comp[0];
	return st;
}
