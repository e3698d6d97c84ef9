/* Inside the pages: what their files share. */
#ifndef GH_FRONTENDS_WEB_WEB_H
#define GH_FRONTENDS_WEB_WEB_H

#include "frontends/http/exchange.h"

/* Everything up to and including <main>, and what closes it. title is text, not HTML. nonce: for the style element. */
void web_page_head(struct gh_buf *out, const char *title, const char *nonce);
void web_page_foot(struct gh_buf *out);
/* Headers of every page; fills nonce. */
#define WEB_NONCE_LEN 33
void web_page_headers(struct http_ex *ex, char nonce[WEB_NONCE_LEN]);
/* Percent-encoded path of a place, safe in a double-quoted attribute, never one that another service would take. */
void web_href(struct gh_buf *out, const char *path, size_t len);
/* GET of a folder: owns req (of which only the node is looked at). */
void web_listing(struct http_ex *ex, struct vfs_req *req);

#endif
