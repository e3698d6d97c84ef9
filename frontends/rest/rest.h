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
/* What a route keeps in ex->state begins with it. */
struct rest_state {
	void (*gone)(struct http_ex *ex);
};
/* GET /api/v1/list/PATH */
void rest_list(struct http_ex *ex);
/* GET /api/v1/events */
void rest_events(struct http_ex *ex);
bool rest_events_last_words(struct http_ex *ex, const struct vfs_req *why);
/* The members of a problem, without the braces' end and what is the exchange's. */
void rest_problem_json(struct gh_buf *out, enum gh_status st, int code, const struct vfs_req *req);
/* Headers of every JSON answer. */
void rest_json_headers(struct http_ex *ex, const char *type);

#endif
