/* What the files of the WebDAV door share. The door decodes HTTP methods into core requests and renders what comes back
 * (RFC 4918); it decides nothing itself. Everything runs on the loop of its exchange (frontends/http/exchange.h).
 *
 *   service.c      method table, bodies, begin/end         xml.c         request bodies into a small tree
 *   propfind.c     207 listings, streamed                  xmlout.c      property values back into text
 *   liveprops.c    the live properties, one entry of a 207 ifheader.c    If -> struct vfs_cond
 *   proppatch.c    dead properties                         destination.c URIs of ours -> path below /dav
 *   copymove.c lock.c simple.c                             error.c       refusals, DAV:error bodies
 */
#ifndef GH_FRONTENDS_WEBDAV_DAV_H
#define GH_FRONTENDS_WEBDAV_DAV_H

#include "frontends/http/exchange.h"
#include "frontends/webdav/xml.h"

#define DAV_PREFIX "/dav"
#define DAV_XML_HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
#define DAV_XML_TYPE "application/xml; charset=utf-8"
#define DAV_IF_MAX 8192       /* bytes of an If header; more is 431 */
#define DAV_OWNER_MAX 4096    /* bytes of a lock's owner element */
#define DAV_PATCH_MAX 500     /* changes in one PROPPATCH */
#define DAV_VALUES_MAX 524288 /* bytes of all property values in one PROPPATCH; the core limits each */
#define DAV_NAMED_MAX 256     /* properties asked for by name */

/* Appends a string literal. */
#define DAV_LIT(buf, lit) gh_buf_add((buf), (lit), sizeof(lit) - 1)

/* ---- one exchange ---- */

struct dav_listing;
struct dav_state {                   /* ex->state, in the exchange's arena */
	struct dav_xml *xml;         /* body so far, for methods that take one */
	struct dav_listing *listing; /* PROPFIND */
};

enum dav_depth { DAV_DEPTH_ABSENT, DAV_DEPTH_0, DAV_DEPTH_1, DAV_DEPTH_INFINITY, DAV_DEPTH_BAD };
/* noroot: the "1,noroot" of old web folders. */
enum dav_depth dav_depth(const char *header, bool *ret_noroot);

/* method handlers, called when the body is there (service.c) */
void dav_propfind(struct http_ex *ex);
void dav_propfind_gone(struct http_ex *ex);
void dav_proppatch(struct http_ex *ex);
void dav_copymove(struct http_ex *ex);
void dav_lock(struct http_ex *ex);
void dav_unlock(struct http_ex *ex);
void dav_get(struct http_ex *ex); /* and HEAD */
void dav_mkcol(struct http_ex *ex);
void dav_delete(struct http_ex *ex);
void dav_options(struct http_ex *ex);
void dav_put_done(struct http_ex *ex, struct vfs_req *req); /* for http_put_begin */
/* Is it a request for "/", above the tree? Windows probes every ancestor before it maps a drive. */
bool dav_is_ancestor(const struct http_ex *ex);
void dav_ancestor(struct http_ex *ex); /* PROPFIND there */
/* The root element of the body; NULL for none. false: refused already. */
bool dav_body(struct http_ex *ex, struct dav_el **ret_root);

/* error.c */
void dav_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req);
/* A refusal that has no core status. precondition: element of DAV:error, or NULL; text for people. */
void dav_error(struct http_ex *ex, int code, const char *precondition, const char *text);
/* Takes the memory of b; 500 when it failed. req, for the access log, may be NULL. */
void dav_reply_xml(struct http_ex *ex, int code, struct gh_buf *b, struct vfs_req *req);
void dav_reply_empty(struct http_ex *ex, int code, struct vfs_req *req);
void dav_folder_page(struct http_ex *ex, struct vfs_req *req); /* GET and HEAD of a collection; consumes req */
void dav_status_line(struct gh_buf *b, int code);              /* "HTTP/1.1 404 Not Found" */
int dav_code(const struct http_ex *ex, enum gh_status st);

/* ---- URIs of ours (destination.c) ---- */

enum dav_where { DAV_INSIDE, DAV_OUTSIDE /* not below /dav */, DAV_FOREIGN /* another authority */, DAV_MALFORMED };
/* Whose URIs are ours: the host that the request came to, and those of the session's tenant (session may be NULL). */
struct dav_here {
	const char *host;
	struct gh_core *core;
	const struct vfs_session *session;
};
struct dav_here dav_here(const struct http_ex *ex);
/* uri: absolute URI or absolute path, as in Destination and If tags. On DAV_INSIDE *ret_path is the rest after the
 * prefix, still percent-encoded, within uri. Scheme, port and userinfo are not compared: a proxy in front may speak
 * https on another port. */
enum dav_where dav_uri(const struct dav_here *here, const char *uri, size_t len, const char **ret_path,
		       size_t *ret_len);

/* ---- conditions (ifheader.c) ---- */

/* Adds the lists and tokens of an If header to cond; all in arena a. GH_INVALID when it is malformed. */
GH_MUST_CHECK enum gh_status dav_if_parse(struct gh_arena *a, const char *text, const struct dav_here *here,
					  const struct gh_name_rule *rule, struct vfs_cond *cond);
/* All conditions of the exchange into req->cond. */
GH_MUST_CHECK enum gh_status dav_cond(struct http_ex *ex, struct vfs_req *req);
/* The same for http_put_begin. */
struct vfs_cond *dav_put_cond(struct http_ex *ex, struct vfs_req *req, enum gh_status *ret_st);
/* Makes a lock token count as submitted. */
void dav_cond_add_token(struct vfs_req *req, const char *token);
/* The token of a Lock-Token header: "<token>", or bare as old clients send it. NULL when it is neither. */
char *dav_token_parse(struct gh_arena *a, const char *text);
/* Seconds asked for by a Timeout header; 0 = infinite or not said. */
uint32_t dav_timeout_parse(const char *text);

/* ---- properties (liveprops.c) ---- */

enum dav_live {
	DAV_CREATIONDATE,
	DAV_DISPLAYNAME,
	DAV_GETCONTENTLENGTH,
	DAV_GETCONTENTTYPE,
	DAV_GETETAG,
	DAV_GETLASTMODIFIED,
	DAV_RESOURCETYPE,
	DAV_SUPPORTEDLOCK,
	DAV_LOCKDISCOVERY,
	DAV_QUOTA_USED,
	DAV_QUOTA_AVAILABLE,
	DAV_LIVE_COUNT
};
/* The property of that name, or -1. */
int dav_live_find(const char *ns, const char *name);

struct dav_named { /* a dead property asked for by name */
	const char *ns, *name;
	const char *empty; /* rendered without a value, for 404 and propname */
	size_t empty_len;
};
struct dav_ask {
	enum { DAV_ALLPROP, DAV_PROPNAME, DAV_PROP } kind;
	unsigned live; /* bits 1 << enum dav_live asked for by name (prop, include) */
	unsigned named_count;
	struct dav_named *named;
	bool quota_known;
	uint64_t quota_used, quota_available; /* UINT64_MAX: no value is better than 0 */
};
/* Reads a DAV:propfind element; NULL root = no body = allprop. Memory from a; names stay in the document. */
GH_MUST_CHECK enum gh_status dav_ask_parse(struct gh_arena *a, const struct dav_el *root, struct dav_ask *ret);
/* VFS_WITH_* that answering it needs. */
unsigned dav_ask_flags(const struct dav_ask *ask);
bool dav_ask_wants_quota(const struct dav_ask *ask);

/* One DAV:response. href: encoded, as it is to appear. path: canonical path text of the node; only looked at when it
 * has locks. */
void dav_entry(struct gh_buf *b, const struct dav_ask *ask, const char *href, size_t href_len, const char *path,
	       const struct vfs_node *n);
/* "<D:activelock>...": folder: the lock's root is one. */
void dav_activelock(struct gh_buf *b, const struct vfs_lock *l, bool folder, uint32_t seconds);
void dav_href(struct gh_buf *b, const char *path_text, bool folder); /* "/dav/a%20b/" */
/* "<P:name xmlns:P=...>value</P:name>"; value NULL: empty element. */
void dav_prop_element(struct gh_buf *b, const char *ns, const char *name, const char *lang, const char *value);
#define DAV_TIME_LEN 32
void dav_time_rfc3339(char *out, int64_t us);
void dav_time_http(char *out, int64_t us); /* IMF-fixdate; as http_date_format, without libc's locale machinery */

#endif
