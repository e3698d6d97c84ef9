/* One HTTP request and its answer, as the services behind the HTTP door (WebDAV, REST, pages) see it. libmicrohttpd
 * stays behind this header.
 *
 * Order for one exchange, all on its connection's loop:
 *   request guard (guard.h) -> route to a service by path -> login, unless service->open_to_all(ex)
 *   service->begin(ex)      headers are there, no body byte was read (and no 100 Continue sent) yet
 *   service->body(ex, ..)   any number of times, never while a request is held
 *   service->end(ex)        the whole declared body has arrived (also without a body); not after an answer
 *   service->gone(ex)       exactly once, last: answered and sent, or cut; free ex->state
 * A service answers exactly once, from begin, end, body or from a completion. If it returns from end() without an
 * answer and without holding, that is a bug: 500.
 *
 * http_submit runs a core request: `then` is called at once when it is DONE, or later when it was PENDING; in between
 * the exchange is held (suspended, no body is delivered). Never touch the request after `then` freed it.
 */
#ifndef GH_FRONTENDS_HTTP_EXCHANGE_H
#define GH_FRONTENDS_HTTP_EXCHANGE_H

#include "core/base/buf.h"
#include "core/fe_api.h"
#include "core/vfs.h"

enum http_method {
	HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH,
	HTTP_PROPFIND, HTTP_PROPPATCH, HTTP_MKCOL, HTTP_COPY, HTTP_MOVE, HTTP_LOCK, HTTP_UNLOCK, HTTP_REPORT,
	HTTP_METHOD_COUNT
};
const char *http_method_name(enum http_method m);

struct http_ex;

struct http_service {
	const char *name;
	enum vfs_proto proto;
	const char *prefix;        /* "/dav": matches "/dav" and "/dav/..."; "/" matches what is left */
	unsigned methods;          /* bits 1 << enum http_method that it answers; others get 405 with Allow */
	unsigned root_methods;     /* those it answers at "/" itself too (target "/", path ""): Windows asks every
				    * ancestor of a drive. OPTIONS that no service answers gets 200 with Allow */
	bool (*open_to_all)(const struct http_ex *ex); /* true: begin comes without a login (OPTIONS); NULL = never */
	void (*begin)(struct http_ex *ex);
	/* OK, WAIT (http_ready was given to who will call it), or an error: the exchange is refused with it */
	enum gh_status (*body)(struct http_ex *ex, const void *data, size_t len);
	void (*end)(struct http_ex *ex);
	void (*gone)(struct http_ex *ex);
	/* A stream of an exchange that watches is to end, why says for what reason: true where it says so itself, and then
	 * ends; NULL: it is cut. */
	bool (*last_words)(struct http_ex *ex, const struct vfs_req *why);
	/* Renders a refusal in the service's own words (DAV:error body, problem+json, page) with http_reply. req may be
	 * NULL (refused before there was one: login, guard). Exhaustive over enum gh_status. */
	void (*refuse)(struct http_ex *ex, enum gh_status st, const struct vfs_req *req);
};

struct http_ex {
	const struct http_service *service;
	struct gh_core *core;
	struct gh_loop *loop;
	const struct fe_env *env;
	enum http_method method;
	bool http10;
	struct vfs_session *session; /* NULL only where open_to_all */
	struct gh_arena *arena;      /* the exchange's: parsed headers, small answers; 256 KiB */
	const char *path;            /* target as sent, after the service's prefix ("" or "/..."), no query */
	size_t path_len;
	const char *target;          /* path as sent including the prefix */
	const char *query;           /* after "?", or NULL */
	const char *host;            /* from Host or the absolute-form target */
	const char *peer;            /* address text */
	uint64_t peer_prefix;        /* vfs_peer_prefix */
	const char *request_id;      /* also sent as X-Request-Id */
	bool has_body;               /* Content-Length > 0 or chunked */
	uint64_t body_declared;      /* UINT64_MAX = chunked, no length */
	uint64_t body_received;
	bool answered, held;
	bool watches;                /* set by the service: it waits for what may happen. Rules about that class reach it, and
				      * whatever empties the house ends it at once */
	void *state;                 /* the service's */
};

/* Header by exact name, case-insensitive; NULL if absent. Valid for the exchange. */
const char *http_header(const struct http_ex *ex, const char *name);

/* A parameter of the query, percent-decoded ("+" is a space) into the exchange's arena; "" when it has no value; NULL
 * if absent or not text (NUL, malformed percent). */
const char *http_query(struct http_ex *ex, const char *name);

/* A request of this exchange's session with path canonicalised from ex->path, its id the exchange's; or why not. */
GH_MUST_CHECK enum gh_status http_req(struct http_ex *ex, enum vfs_op op, struct vfs_req **ret_req);
typedef void http_then_fn(struct http_ex *ex, struct vfs_req *req);
/* Consumes req: `then` owns it (vfs_req_free). If the client vanishes while it is PENDING, req is detached and `then`
 * does not come. */
void http_submit(struct http_ex *ex, struct vfs_req *req, http_then_fn *then);
/* Holds an exchange that is not answered yet, without a request of its own. http_let_go ends that, on the loop, from outside
 * the service's callbacks: fn answers, submits or holds again. If the client vanishes, or it is refused meanwhile, the
 * exchange is gone without it. */
void http_hold(struct http_ex *ex);
void http_let_go(struct http_ex *ex, void (*fn)(struct http_ex *ex));
/* For vfs_upload_push and vfs_content_pull: ready function and argument that wake this exchange. */
typedef void http_ready_fn(void *ex);
extern http_ready_fn http_ready;

/* ---- answering ---- */
void http_reply_header(struct http_ex *ex, const char *name, const char *value); /* before the reply; copied */
void http_reply(struct http_ex *ex, int code, const void *body, size_t len);      /* copied; len 0 = no body */
void http_reply_buf(struct http_ex *ex, int code, struct gh_buf *body);           /* takes the memory */
void http_reply_static(struct http_ex *ex, int code, const char *body);           /* static storage */
/* Content bytes [offset, offset+length); sendfile or windows; consumes *c. HEAD sends none. */
void http_reply_content(struct http_ex *ex, int code, struct vfs_content **c, uint64_t offset, uint64_t length);
/* Inline bytes that live in req's arena: keeps req until sent. */
void http_reply_inline(struct http_ex *ex, int code, struct vfs_req *req, const void *data, size_t len);
/* Streams of unknown length (chunked; to HTTP/1.0: until close). fill appends to out (max 64 KiB a call): OK with more
 * bytes, END, WAIT (after http_ready it is called again), an error cuts the connection. */
typedef enum gh_status http_fill_fn(struct http_ex *ex, struct gh_buf *out);
void http_reply_stream(struct http_ex *ex, int code, http_fill_fn *fill);
/* A core request within a stream's fill: holds the stream, `then` fires, then fill is called again. */
void http_submit_in_stream(struct http_ex *ex, struct vfs_req *req, http_then_fn *then);
/* The same for what a stream will need soon: the stream goes on meanwhile, and its fill says GH_WAIT if it needs that before
 * `then` has come. One at a time, and nothing else is submitted before. */
void http_submit_ahead(struct http_ex *ex, struct vfs_req *req, http_then_fn *then);
/* service->refuse, with Retry-After and the access log filled in. */
void http_refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req);

/* ---- shared decoding (cond.c, range.c, date.c) ---- */
/* If-Match, If-None-Match, If-(Un)Modified-Since into the exchange's arena; NULL cond when there are none. RFC 9110
 * section 13: malformed dates are ignored, malformed entity tags match nothing. */
struct vfs_cond *http_cond(struct http_ex *ex, struct gh_arena *a);
/* RFC 9110 section 14.2 and If-Range: 200 whole (also for bad syntax or several ranges we decline), 206, 416. */
int http_range(const struct http_ex *ex, uint64_t size, uint64_t version, int64_t mtime_us, uint64_t *ret_offset,
	       uint64_t *ret_length);
/* At most so many bytes of content will be sent, before anything is known about it; UINT64_MAX: all of it. */
uint64_t http_range_bound(const struct http_ex *ex);
#define HTTP_DATE_LEN 32
void http_date_format(char *out, int64_t time_us);          /* IMF-fixdate */
void http_rfc3339_format(char *out, int64_t time_us); /* 2026-01-02T03:04:05.678Z */
bool http_date_parse(const char *text, int64_t *ret_us);    /* IMF-fixdate, RFC 850, asctime */
/* GET and HEAD of a file, for every service alike: conditions, ranges, headers. disposition: "inline", "attachment" or
 * NULL for none; content is served with nosniff and, for active types, a sandboxing CSP. */
void http_serve_file(struct http_ex *ex, const char *disposition);
/* The same, where a folder at that place is not a refusal: on_folder owns req (its node is the folder's). */
void http_serve(struct http_ex *ex, const char *disposition, http_then_fn *on_folder);
/* PUT of a file, for every service alike: call from begin, body and end. extra_cond adds the service's own conditions
 * (WebDAV's If), already in the arena of `a`, or NULL. `done` renders success; failures go through refuse. */
typedef struct vfs_cond *http_cond_fn(struct http_ex *ex, struct vfs_req *req, enum gh_status *ret_st);
void http_put_begin(struct http_ex *ex, http_cond_fn *cond, http_then_fn *done);
enum gh_status http_put_body(struct http_ex *ex, const void *data, size_t len);
void http_put_end(struct http_ex *ex);
void http_put_gone(struct http_ex *ex);
/* HTTP status of a core status (the exhaustive switch; services add their bodies). */
int http_code_of(enum gh_status st);
/* "Not Found"; static. */
const char *http_reason_of(int code);

extern const struct http_service http_service_dav, http_service_rest, http_service_web;
/* All of them, NULL at the end. Defined by the composition root (frontends/main), or by a test. */
extern const struct http_service *const http_services[];

#endif
