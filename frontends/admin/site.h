/* Inside the admin listener: an HTTP door of its own (frontends/http/door.h) on a loop of its own, with two services.
 * Nothing outside this room includes it.
 *
 *   listener.c  life                           site_api.c     /admin/v1: who asks, what for, the answer
 *   site_job.c  work on this room's threads    site_sign.c    signing in and out
 *   site_page.c probes, metrics, the console   site_live.c    /admin/v1/live, the event stream
 *   site_guard.c hosts, origins, tokens        site_session.c who is signed in
 *   openapi.c   the API described
 *
 * Threads: the loop owns exchanges, sessions and streams. What blocks (a control operation, a password) is a job on a
 * pool of this room, which comes home to the loop; a client that leaves meanwhile changes nothing for the job.
 */
#ifndef GH_FRONTENDS_ADMIN_SITE_H
#define GH_FRONTENDS_ADMIN_SITE_H

#include <jansson.h>
#include <stdatomic.h>

#include "core/live.h"
#include "core/operators.h"
#include "core/run/pool.h"
#include "frontends/admin/admin.h"
#include "frontends/http/exchange.h"

#define SITE_COOKIE "gatehouse-admin"
enum { SITE_SECRET_HEX = 65, SITE_STREAMS_MAX = 32 };

struct site_sessions;

struct admin_listener {
	struct admin_listener_config cfg;
	struct gh_loop *loop;
	struct fe_env env;
	struct fe_door *door;
	struct gh_doorstep *doorstep;
	struct gh_pool *calls, *logins;
	struct site_sessions *sessions;
	struct gh_buf openapi; /* made when it is first asked for; the loop's */
	unsigned streams;
	atomic_uint jobs; /* that have not come home */
	atomic_bool draining, stopping;
	bool running; /* the loop has a thread */
};

/* ---- who asks ---- */

struct site_who {
	struct operator_who who;
	char csrf[SITE_SECRET_HEX]; /* "": a token, which needs none */
};

/* One exchange of the API; ex->state, in its arena. */
struct site_call {
	const struct control_op *op;  /* or */
	const struct site_door *door; /* sign-in and the like */
	struct site_who who;
	struct gh_buf body;
	struct site_job *job;
	struct site_stream *stream;
};

/* What is no control operation. */
struct site_door {
	const char *name;
	enum http_method method;
	bool open_to_all;
	size_t body_max;
	void (*run)(struct http_ex *ex, struct site_call *call); /* the body is there */
};

struct admin_listener *site_of(const struct http_ex *ex);
extern const struct http_service site_api, site_pages;

/* ---- site_answer in site_api.c ---- */
/* RFC 9457. reason: a status word, or one of the API's own ("code"). */
void site_problem(struct http_ex *ex, int code, const char *reason, const char *detail, unsigned retry_after_s);
void site_refuse(struct http_ex *ex, enum gh_status st, const char *detail, unsigned retry_after_s);
void site_json(struct http_ex *ex, json_t *o); /* takes it; NULL: out of memory */
void site_json_text(struct http_ex *ex, struct gh_buf *text);

/* ---- site_guard.c ---- */
/* Is this host name ours? An address, localhost, or one that is configured: a name of somebody else's that was made to
 * lead here (DNS rebinding) is not. */
bool site_host_ok(const struct http_ex *ex);
/* A browser says where a request comes from: only from the console itself. */
bool site_origin_ok(const struct http_ex *ex);
bool site_origin_https(const struct http_ex *ex);
bool site_is_json(const struct http_ex *ex); /* what no form can send */
/* The session's cookie, or a token. GH_UNAUTH. GH_DENIED: a cookie's POST without the session's X-CSRF-Token. */
GH_MUST_CHECK enum gh_status site_authenticate(struct http_ex *ex, struct site_who *ret);
const char *site_cookie(struct http_ex *ex); /* NULL: none */

/* ---- site_session.c: the loop's ---- */
GH_MUST_CHECK enum gh_status site_sessions_new(uint64_t idle_ms, uint64_t life_ms, struct site_sessions **ret);
void site_sessions_free(struct site_sessions **s);
/* A new one, under a new secret. cookie and csrf: SITE_SECRET_HEX. now_ns: gh_mono_ns. */
void site_session_make(struct site_sessions *s, const struct operator_who *who, uint64_t now_ns, char *cookie,
		       char *csrf);
/* Who has this cookie? false: nobody, or no longer. touch: it is used; else only looked at. */
bool site_session_find(struct site_sessions *s, struct gh_core *core, const char *cookie, uint64_t now_ns, bool touch,
		       struct site_who *ret);
void site_session_drop(struct site_sessions *s, const char *cookie);
/* Its operator changes itself (password, one-time codes): that ends every session of it but this one, which must still
 * be there to see the answer. changing before the call, renew after it; in between it is what it was. */
void site_session_changing(struct site_sessions *s, const char *cookie);
void site_session_renew(struct site_sessions *s, struct gh_core *core, const char *cookie);

/* ---- site_job.c ---- */
struct site_job {
	struct gh_job job;
	struct gh_task home;
	struct admin_listener *l;
	struct http_ex *ex; /* NULL once the exchange is gone; the loop's */
	struct site_call *call;
	void (*work)(struct site_job *j);   /* on the pool */
	void (*finish)(struct site_job *j); /* on the loop, if there is somebody to answer */
	void (*free)(struct site_job *j);
};
/* Takes j. Refuses the exchange where the pool is full. */
void site_job_start(struct http_ex *ex, struct site_call *call, struct gh_pool *pool, struct site_job *j);

/* ---- site_sign.c, site_live.c, openapi.c ---- */
void site_sign_in(struct http_ex *ex, struct site_call *call);
void site_sign_out(struct http_ex *ex, struct site_call *call);
void site_session(struct http_ex *ex, struct site_call *call);
void site_live(struct http_ex *ex, struct site_call *call);
void site_live_gone(struct site_call *call);
/* OpenAPI 3.1, from the table of control operations. GH_NOMEM. */
GH_MUST_CHECK enum gh_status site_openapi(struct gh_buf *out);

#endif
