/* Request bodies: hostile XML into a small tree, fed as it arrives. libxml2 lives behind this header (xml.c).
 *
 * Refused as soon as it is seen: any DOCTYPE, more than 32 levels, 4,096 elements, 32 attributes on one element, what
 * is not well-formed (GH_INVALID); more bytes than the cap (GH_TOOLARGE). Entities other than the five of XML itself do
 * not exist; nothing is ever fetched or opened. UTF-8 and UTF-16 with or without a byte order mark; an encoding
 * declaration is ignored. One thread at a time; different documents on different threads.
 */
#ifndef GH_FRONTENDS_WEBDAV_XML_H
#define GH_FRONTENDS_WEBDAV_XML_H

#include "core/base/arena.h"
#include "core/base/buf.h"

#define DAV_XML_DEPTH_MAX 32
#define DAV_XML_ELEMENTS_MAX 4096
#define DAV_XML_ATTRS_MAX 32 /* namespace declarations count */

struct dav_attr {
	const char *ns, *prefix, *name; /* "" = none */
	const char *value;
};
struct dav_bind {                 /* xmlns:prefix="uri" */
	const char *prefix, *uri; /* "" = none */
};

/* An element, or text where name is NULL. Everything lives as long as the document. */
struct dav_el {
	struct dav_el *parent, *first, *last, *next;
	const char *ns, *prefix, *name;
	const char *lang; /* xml:lang in scope, or NULL */
	unsigned attr_count, bind_count;
	struct dav_attr *attrs;
	struct dav_bind *binds;
	const char *text;
	size_t text_len;
};

struct dav_xml;
/* cap_bytes: the longest body. NULL when out of memory. */
struct dav_xml *dav_xml_new(size_t cap_bytes);
void dav_xml_free(struct dav_xml **x); /* leaves NULL; accepts NULL inside */
/* Errors are sticky. */
GH_MUST_CHECK enum gh_status dav_xml_feed(struct dav_xml *x, const void *data, size_t len);
/* The end of the body; again gives the same. *ret_root NULL when nothing at all was fed. */
GH_MUST_CHECK enum gh_status dav_xml_finish(struct dav_xml *x, struct dav_el **ret_root);

/* Is it the element DAV:name? */
bool dav_is(const struct dav_el *e, const char *name);
/* First child DAV:name, or NULL. */
struct dav_el *dav_child(const struct dav_el *e, const char *name);
/* All text directly inside e, in arena a (xmlout.c). */
char *dav_text(struct gh_arena *a, const struct dav_el *e);
/* The content of e as XML that stands by itself: every prefix in it is declared in it, prefixes are kept, markup
 * characters escaped so that parsing it gives the same tree (xmlout.c). */
void dav_xml_inner(struct gh_buf *b, const struct dav_el *e);

#endif
