/* Inside the REST door: what its files share. */
#ifndef GH_FRONTENDS_REST_REST_H
#define GH_FRONTENDS_REST_REST_H

#include "frontends/http/exchange.h"

/* One node as a JSON object. */
void rest_node(struct gh_buf *out, const struct vfs_node *n);
/* Adds the member "quota" to the object of a folder. */
void rest_quota(struct gh_buf *out, const struct vfs_req *quota);
/* application/problem+json (RFC 9457) with the house's own members. */
void rest_problem(struct http_ex *ex, enum gh_status st, const struct vfs_req *req);
/* GET /api/v1/list/PATH */
void rest_list(struct http_ex *ex);
void rest_list_gone(struct http_ex *ex);
/* Headers of every JSON answer. */
void rest_json_headers(struct http_ex *ex, const char *type);

#endif
