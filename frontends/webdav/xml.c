/* Request bodies into a tree: see xml.h. Called by service.c as bytes arrive.
 *
 * bytes -> decoder (byte order mark, UTF-16) -> guard -> 16 KiB pieces -> libxml2's push parser -> handlers -> tree
 *
 * The guard is a lexer of a few states in front of the parser because libxml2 compares each attribute of a tag with all
 * others before it reports the tag (quadratic), and rescans what it holds at every push: it refuses DOCTYPE and tags
 * with too many attributes before the parser sees them, and the pieces keep the pushes few, however small the client's
 * are.
 */
#include "frontends/webdav/xml.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 16384

enum encoding { ENC_UNKNOWN, ENC_UTF8, ENC_UTF16LE, ENC_UTF16BE };
enum guard { G_START, G_TEXT, G_LT, G_TAG, G_DQUOTE, G_SQUOTE, G_END_TAG, G_BANG, G_DASH, G_COMMENT, G_CDATA, G_PI };

struct dav_xml {
	xmlParserCtxtPtr ctxt;
	struct gh_arena *arena;
	size_t cap, received;
	enum gh_status st; /* sticky */
	bool finished;

	enum encoding enc;
	unsigned char head[4]; /* until the encoding is known */
	unsigned head_len;
	unsigned low, high; /* UTF-16: first byte of a unit | 256; a high surrogate that waits for its other half */

	enum guard guard;
	unsigned attrs, run; /* attributes of the open tag; matched characters of a closing sequence */

	char piece[PIECE_BYTES];
	size_t piece_len;

	struct dav_el *root, *open;
	unsigned depth, elements;
	struct gh_buf text; /* of the open element, until the next tag */
};

/* ---- SAX handlers: the tree ---- */

static const char *or_empty(const xmlChar *s)
{
	return s ? (const char *)s : "";
}

static void refuse(struct dav_xml *x, enum gh_status st)
{
	if (x->st == GH_OK)
		x->st = st;
	xmlStopParser(x->ctxt);
}

static void append(struct dav_el *parent, struct dav_el *e)
{
	e->parent = parent;
	if (parent->last)
		parent->last->next = e;
	else
		parent->first = e;
	parent->last = e;
}

static void flush_text(struct dav_xml *x)
{
	struct dav_el *t;

	if (x->text.len == 0 || !x->open) {
		gh_buf_clear(&x->text);
		return;
	}
	t = gh_alloc(x->arena, sizeof(*t));
	if (t) {
		t->text = gh_strndup(x->arena, x->text.data, x->text.len);
		t->text_len = x->text.len;
		append(x->open, t);
	}
	if (x->text.failed || gh_arena_overflowed(x->arena))
		refuse(x, GH_TOOLARGE);
	gh_buf_clear(&x->text);
}

/* libxml2 leaves each "&" of an attribute's value, also of a namespace declaration's, as "&#38;", for a second parse
 * that never happens here. */
static char *attribute_value(struct gh_arena *a, const char *s, size_t len)
{
	char *out = gh_strndup(a, s, len), *w = out;

	if (!out || !memchr(s, '&', len))
		return out;
	for (const char *r = out; *r; r++) {
		*w++ = *r;
		if (!strncmp(r, "&#38;", 5))
			r += 4;
	}
	*w = 0;
	return out;
}

/* A namespace name: the dictionary's own string where it can stay as it is. */
static const char *namespace_name(struct dav_xml *x, const xmlChar *uri)
{
	const char *s = or_empty(uri), *out;

	if (!strchr(s, '&'))
		return s;
	out = attribute_value(x->arena, s, strlen(s));
	return out ? out : ""; /* the arena remembers */
}

/* attributes: localname, prefix, URI, value, end of value; names are strings of the parser's dictionary, which lives as
 * long as the document. */
static void take_attributes(struct dav_xml *x, struct dav_el *e, int count, const xmlChar **attributes)
{
	e->attrs = gh_alloc_array(x->arena, (size_t)count, sizeof(*e->attrs));
	if (!e->attrs)
		return;
	for (int i = 0; i < count; i++, attributes += 5) {
		struct dav_attr *a = &e->attrs[e->attr_count++];

		a->name = or_empty(attributes[0]);
		a->prefix = or_empty(attributes[1]);
		a->ns = namespace_name(x, attributes[2]);
		a->value =
			attribute_value(x->arena, (const char *)attributes[3], (size_t)(attributes[4] - attributes[3]));
		if (!strcmp(a->prefix, "xml") && !strcmp(a->name, "lang"))
			e->lang = a->value && a->value[0] ? a->value : NULL;
	}
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int bind_count,
		     const xmlChar **binds, int attr_count, int defaulted, const xmlChar **attributes)
{
	struct dav_xml *x = arg;
	struct dav_el *e;

	if (x->st != GH_OK)
		return;
	flush_text(x);
	if (++x->depth > DAV_XML_DEPTH_MAX || ++x->elements > DAV_XML_ELEMENTS_MAX ||
	    bind_count + attr_count > DAV_XML_ATTRS_MAX) {
		refuse(x, GH_INVALID);
		return;
	}
	e = gh_alloc(x->arena, sizeof(*e));
	if (!e) {
		refuse(x, GH_TOOLARGE);
		return;
	}
	e->name = or_empty(name);
	e->prefix = or_empty(prefix);
	e->ns = namespace_name(x, uri);
	e->lang = x->open ? x->open->lang : NULL;
	if (bind_count > 0)
		e->binds = gh_alloc_array(x->arena, (size_t)bind_count, sizeof(*e->binds));
	for (int i = 0; e->binds && i < bind_count; i++) {
		e->binds[i].prefix = or_empty(binds[2 * i]);
		e->binds[i].uri = namespace_name(x, binds[2 * i + 1]);
		e->bind_count++;
	}
	if (attr_count > 0)
		take_attributes(x, e, attr_count, attributes);
	if (x->open)
		append(x->open, e);
	else
		x->root = e;
	x->open = e;
	if (gh_arena_overflowed(x->arena))
		refuse(x, GH_TOOLARGE);
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct dav_xml *x = arg;

	if (x->st != GH_OK || !x->open)
		return;
	flush_text(x);
	x->open = x->open->parent;
	x->depth--;
}

static void on_text(void *arg, const xmlChar *text, int len)
{
	struct dav_xml *x = arg;

	if (x->st == GH_OK && len > 0)
		gh_buf_add(&x->text, text, (size_t)len);
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	refuse(arg, GH_INVALID);
}

#if LIBXML_VERSION >= 21200
static void on_error(void *arg, const xmlError *e)
#else
static void on_error(void *arg, xmlErrorPtr e)
#endif
{
	struct dav_xml *x = arg;

	/* A namespace name that is no proper URI is still a name. */
	if (e->level >= XML_ERR_ERROR && e->code != XML_WAR_NS_URI && x->st == GH_OK)
		x->st = GH_INVALID;
}

/* ---- guard ---- */

static void push(struct dav_xml *x)
{
	size_t len = x->piece_len;

	x->piece_len = 0;
	if (x->st != GH_OK || len == 0)
		return;
	xmlParseChunk(x->ctxt, x->piece, (int)len, 0);
	if (x->st == GH_OK && !x->ctxt->wellFormed)
		x->st = GH_INVALID;
}

/* Ends the run of `mark` characters (two of them) that must stand before '>'. */
static void guard_closing(struct dav_xml *x, char c, char mark)
{
	if (c == mark)
		x->run += x->run < 2;
	else if (c == '>' && x->run >= (mark == '?' ? 1u : 2u))
		x->guard = G_TEXT;
	else
		x->run = 0;
}

static void guard_tag(struct dav_xml *x, char c)
{
	if (c == '"')
		x->guard = G_DQUOTE;
	else if (c == '\'')
		x->guard = G_SQUOTE;
	else if (c == '>')
		x->guard = G_TEXT;
	else if (c == '=' && ++x->attrs > DAV_XML_ATTRS_MAX)
		x->st = GH_INVALID;
}

static void guard_open(struct dav_xml *x, char c)
{
	x->attrs = x->run = 0;
	switch (c) {
	case '!':
		x->guard = G_BANG;
		break;
	case '?':
		x->guard = G_PI;
		break;
	case '/':
		x->guard = G_END_TAG;
		break;
	default:
		x->guard = G_TAG;
		guard_tag(x, c);
	}
}

static void guard(struct dav_xml *x, char c)
{
	switch (x->guard) {
	case G_START: /* anything else would let the parser guess at an encoding that the guard cannot read */
		if (c == '<')
			x->guard = G_LT;
		else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			x->st = GH_INVALID;
		break;
	case G_TEXT:
		if (c == '<')
			x->guard = G_LT;
		break;
	case G_LT:
		guard_open(x, c);
		break;
	case G_TAG:
		guard_tag(x, c);
		break;
	case G_DQUOTE:
	case G_SQUOTE:
		if (c == (x->guard == G_DQUOTE ? '"' : '\''))
			x->guard = G_TAG;
		break;
	case G_END_TAG:
		if (c == '>')
			x->guard = G_TEXT;
		break;
	case G_BANG: /* a comment, CDATA, or a declaration: those are not for us */
		if (c == '-' || c == '[')
			x->guard = c == '-' ? G_DASH : G_CDATA;
		else
			x->st = GH_INVALID;
		break;
	case G_DASH:
		x->guard = G_COMMENT;
		if (c != '-')
			x->st = GH_INVALID;
		break;
	case G_COMMENT:
		guard_closing(x, c, '-');
		break;
	case G_CDATA:
		guard_closing(x, c, ']');
		break;
	case G_PI:
		guard_closing(x, c, '?');
		break;
	}
	x->piece[x->piece_len++] = c;
	if (x->piece_len == PIECE_BYTES)
		push(x);
}

/* ---- decoder ---- */

static void put_code_point(struct dav_xml *x, unsigned c)
{
	if (c < 0x80) {
		guard(x, (char)c);
		return;
	}
	if (c < 0x800) {
		guard(x, (char)(0xC0 | c >> 6));
	} else {
		if (c < 0x10000) {
			guard(x, (char)(0xE0 | c >> 12));
		} else {
			guard(x, (char)(0xF0 | c >> 18));
			guard(x, (char)(0x80 | (c >> 12 & 0x3F)));
		}
		guard(x, (char)(0x80 | (c >> 6 & 0x3F)));
	}
	guard(x, (char)(0x80 | (c & 0x3F)));
}

static void put_unit(struct dav_xml *x, unsigned u)
{
	bool low = u >= 0xDC00 && u < 0xE000;

	if ((x->high != 0) != low) { /* half a pair */
		x->st = GH_INVALID;
	} else if (low) {
		put_code_point(x, 0x10000 + ((x->high - 0xD800) << 10) + (u - 0xDC00));
		x->high = 0;
	} else if (u >= 0xD800 && u < 0xDC00) {
		x->high = u;
	} else if (u != 0xFEFF) {
		put_code_point(x, u);
	}
}

static void decode(struct dav_xml *x, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len && x->st == GH_OK; i++) {
		if (x->enc == ENC_UTF8) {
			guard(x, (char)p[i]);
		} else if (x->low == 0) {
			x->low = p[i] | 256;
		} else {
			unsigned first = x->low & 255;

			x->low = 0;
			put_unit(x, x->enc == ENC_UTF16LE ? first | (unsigned)p[i] << 8 : first << 8 | p[i]);
		}
	}
}

/* Appendix F of XML 1.0, as far as it goes here. Returns how many bytes of head are a mark. */
static unsigned detect(struct dav_xml *x)
{
	static const unsigned char zero[4];
	const unsigned char *h = x->head;
	unsigned n = x->head_len;

	x->enc = ENC_UTF8;
	if (n >= 3 && !memcmp(h, "\xEF\xBB\xBF", 3))
		return 3;
	if (n < 2)
		return 0;
	if ((h[0] == 0xFE && h[1] == 0xFF) || (h[0] == 0 && h[1] != 0))
		x->enc = ENC_UTF16BE;
	else if ((h[0] == 0xFF && h[1] == 0xFE) || (h[0] != 0 && h[1] == 0))
		x->enc = ENC_UTF16LE;
	if (n == 4 && (!memcmp(h + 2, zero, 2) || !memcmp(h, zero, 2))) /* UTF-32 */
		x->st = GH_INVALID;
	return 0;
}

static void head_done(struct dav_xml *x)
{
	unsigned mark = detect(x);

	decode(x, x->head + mark, x->head_len - mark);
}

/* ---- public ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

struct dav_xml *dav_xml_new(size_t cap_bytes)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_doctype,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = on_text,
		.ignorableWhitespace = on_text,
		.cdataBlock = on_text,
		.serror = on_error,
	};
	struct dav_xml *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	pthread_once(&once, xmlInitParser);
	x->cap = cap_bytes;
	gh_buf_init(&x->text, cap_bytes * 3 / 2 + 64); /* UTF-16 grows by half at most */
	x->arena = gh_arena_new(cap_bytes * 12 + ((size_t)512 << 10));
	x->ctxt = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (!x->arena || !x->ctxt) {
		dav_xml_free(&x);
		return NULL;
	}
	xmlCtxtUseOptions(x->ctxt, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
	return x;
}

void dav_xml_free(struct dav_xml **px)
{
	struct dav_xml *x = *px;

	if (!x)
		return;
	*px = NULL;
	if (x->ctxt) {
		if (x->ctxt->myDoc)
			xmlFreeDoc(x->ctxt->myDoc);
		xmlFreeParserCtxt(x->ctxt);
	}
	gh_arena_free(&x->arena);
	gh_buf_fini(&x->text);
	free(x);
}

enum gh_status dav_xml_feed(struct dav_xml *x, const void *data, size_t len)
{
	const unsigned char *p = data;

	if (x->st != GH_OK)
		return x->st;
	if (len > x->cap - x->received) {
		x->st = GH_TOOLARGE;
		return x->st;
	}
	x->received += len;
	while (x->enc == ENC_UNKNOWN && len > 0) {
		x->head[x->head_len++] = *p++;
		len--;
		if (x->head_len == sizeof(x->head))
			head_done(x);
	}
	if (x->enc != ENC_UNKNOWN)
		decode(x, p, len);
	return x->st;
}

enum gh_status dav_xml_finish(struct dav_xml *x, struct dav_el **ret_root)
{
	if (x->st == GH_OK && x->received == 0) {
		*ret_root = NULL;
		return GH_OK;
	}
	if (x->st == GH_OK && x->enc == ENC_UNKNOWN)
		head_done(x);
	push(x);
	if (x->st == GH_OK && !x->finished) {
		x->finished = true;
		xmlParseChunk(x->ctxt, NULL, 0, 1);
		if (x->st == GH_OK && (!x->ctxt->wellFormed || !x->root || x->open || x->low || x->high))
			x->st = GH_INVALID;
	}
	if (x->st == GH_OK)
		*ret_root = x->root;
	return x->st;
}

bool dav_is(const struct dav_el *e, const char *name)
{
	return e->name && !strcmp(e->name, name) && !strcmp(e->ns, "DAV:");
}

struct dav_el *dav_child(const struct dav_el *e, const char *name)
{
	for (struct dav_el *c = e->first; c; c = c->next) {
		if (dav_is(c, name))
			return c;
	}
	return NULL;
}
