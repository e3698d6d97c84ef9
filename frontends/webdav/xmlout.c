/* Element content back into text, for dead properties and lock owners: called by proppatch.c and lock.c. The text is
 * put into other documents later, so it declares every prefix that it uses; those documents have no default namespace.
 * Pure.
 */
#include "frontends/webdav/xml.h"

#include <string.h>

#define BINDS_MAX (DAV_XML_DEPTH_MAX * (DAV_XML_ATTRS_MAX * 2 + 1))

struct scope { /* what the text written so far has declared, innermost last */
	unsigned count;
	struct dav_bind bind[BINDS_MAX];
};

static const char *scope_find(const struct scope *s, const char *prefix)
{
	for (unsigned i = s->count; i > 0; i--) {
		if (!strcmp(s->bind[i - 1].prefix, prefix))
			return s->bind[i - 1].uri;
	}
	return prefix[0] ? NULL : "";
}

/* Character references keep what a parser would otherwise normalise away (XML 1.0 sections 2.11, 3.3.3). */
static void escape(struct gh_buf *b, const char *s, size_t len, bool attribute)
{
	size_t start = 0;

	for (size_t i = 0; i < len; i++) {
		const char *with = NULL;

		switch (s[i]) {
		case '&':
			with = "&amp;";
			break;
		case '<':
			with = "&lt;";
			break;
		case '>':
			with = "&gt;";
			break;
		case '\r':
			with = "&#13;";
			break;
		case '"':
			with = attribute ? "&quot;" : NULL;
			break;
		case '\t':
			with = attribute ? "&#9;" : NULL;
			break;
		case '\n':
			with = attribute ? "&#10;" : NULL;
			break;
		}
		if (with) {
			gh_buf_add(b, s + start, i - start);
			gh_buf_str(b, with);
			start = i + 1;
		}
	}
	gh_buf_add(b, s + start, len - start);
}

static void declare(struct gh_buf *b, struct scope *s, const char *prefix, const char *uri)
{
	const char *now = scope_find(s, prefix);

	if ((now && !strcmp(now, uri)) || !strcmp(prefix, "xml"))
		return;
	if (s->count == BINDS_MAX) {
		b->failed = true;
		return;
	}
	s->bind[s->count++] = (struct dav_bind){ prefix, uri };
	gh_buf_str(b, prefix[0] ? " xmlns:" : " xmlns");
	gh_buf_str(b, prefix);
	gh_buf_str(b, "=\"");
	escape(b, uri, strlen(uri), true);
	gh_buf_char(b, '"');
}

static void qname(struct gh_buf *b, const char *prefix, const char *name)
{
	if (prefix[0]) {
		gh_buf_str(b, prefix);
		gh_buf_char(b, ':');
	}
	gh_buf_str(b, name);
}

static void content(struct gh_buf *b, struct scope *s, const struct dav_el *e);

/* At most DAV_XML_DEPTH_MAX deep. */
static void element(struct gh_buf *b, struct scope *s, const struct dav_el *e)
{
	unsigned outer = s->count;

	gh_buf_char(b, '<');
	qname(b, e->prefix, e->name);
	for (unsigned i = 0; i < e->bind_count; i++)
		declare(b, s, e->binds[i].prefix, e->binds[i].uri);
	declare(b, s, e->prefix, e->ns);
	for (unsigned i = 0; i < e->attr_count; i++) {
		if (e->attrs[i].prefix[0])
			declare(b, s, e->attrs[i].prefix, e->attrs[i].ns);
	}
	for (unsigned i = 0; i < e->attr_count; i++) {
		gh_buf_char(b, ' ');
		qname(b, e->attrs[i].prefix, e->attrs[i].name);
		gh_buf_str(b, "=\"");
		escape(b, e->attrs[i].value, strlen(e->attrs[i].value), true);
		gh_buf_char(b, '"');
	}
	if (e->first) {
		gh_buf_char(b, '>');
		content(b, s, e);
		gh_buf_str(b, "</");
		qname(b, e->prefix, e->name);
		gh_buf_char(b, '>');
	} else {
		gh_buf_str(b, "/>");
	}
	s->count = outer;
}

static void content(struct gh_buf *b, struct scope *s, const struct dav_el *e)
{
	for (const struct dav_el *c = e->first; c && !b->failed; c = c->next) {
		if (c->name)
			element(b, s, c);
		else
			escape(b, c->text, c->text_len, false);
	}
}

void dav_xml_inner(struct gh_buf *b, const struct dav_el *e)
{
	struct scope s;

	s.count = 0;
	content(b, &s, e);
}

char *dav_text(struct gh_arena *a, const struct dav_el *e)
{
	size_t len = 0;
	char *out;

	for (const struct dav_el *c = e->first; c; c = c->next)
		len += c->name ? 0 : c->text_len;
	out = gh_alloc(a, len + 1);
	if (!out)
		return NULL;
	len = 0;
	for (const struct dav_el *c = e->first; c; c = c->next) {
		if (!c->name) {
			memcpy(out + len, c->text, c->text_len);
			len += c->text_len;
		}
	}
	return out;
}
