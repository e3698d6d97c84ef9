/* The exchange as a state machine over libmicrohttpd's callbacks (stages and holding: http.h). Everything runs on the
 * connection's loop.
 *
 * After a resume the handler is called without bytes, which is not the end of the body: what a call means follows from
 * our stage alone.
 */
#include "frontends/http/http.h"

#include <string.h>

#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

#define ARENA_BYTES (256u << 10)
#define DEAD_BODY_MS 1000

/* ---- beginning and end ---- */

static void id_format(char *out, uint64_t id)
{
	for (int i = 15; i >= 0; i--, id >>= 4)
		out[i] = "0123456789abcdef"[id & 15];
	out[16] = '\0';
}

void *http_call_line(void *shard, const char *uri, struct MHD_Connection *mhd)
{
	struct http_conn *c = http_conn_of(mhd);
	struct http_call *k = c ? &c->call : NULL;
	struct gh_arena *a;

	if (!k)
		return NULL;
	if (c->served && !c->header_due_ns)
		http_deadline_phase(c);
	a = k->ex.arena ? k->ex.arena : gh_arena_new(ARENA_BYTES);
	memset(k, 0, sizeof(*k));
	k->conn = c;
	k->ex.arena = a;
	k->stage = CALL_LINE;
	if (!a) {
		k->dead = true;
		return k;
	}
	k->started_ns = gh_loop_now_ns(c->shard->loop);
	id_format(k->id, gh_id_new());
	k->ex.request_id = k->id;
	/* libmicrohttpd cuts the line in place once this returns. */
	k->target_raw_len = strlen(uri);
	k->target_raw = gh_strndup(a, uri, k->target_raw_len);
	k->dead = !k->target_raw;
	return k;
}

/* A request line came, but no headers that libmicrohttpd could read: it answered by itself, or the client left. */
static void tell_unread(const struct http_call *k)
{
	char peer[80], target[200];

	gh_log(GH_LOG_INFO, "http_unread", "request=%s peer=%s target=%s", k->id,
	       gh_log_quote(peer, sizeof(peer), k->conn->peer.text),
	       gh_log_quote(target, sizeof(target), k->target_raw));
}

void http_call_completed(void *shard, struct MHD_Connection *mhd, void **call, enum MHD_RequestTerminationCode why)
{
	struct http_call *k = *call;
	struct http_conn *c;

	*call = NULL;
	if (!k || k->stage == CALL_NONE)
		return;
	c = k->conn;
	http_watch_stop(c);
	http_sending_end(k, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	if (k->stage == CALL_LINE)
		tell_unread(k);
	if (k->begun && k->ex.service->gone)
		k->ex.service->gone(&k->ex);
	vfs_req_free(&k->pending);
	http_put_fini(k);
	http_answer_fini(&k->answer);
	if (k->ex.session)
		vfs_session_over(k->ex.session);
	vfs_session_unref(&k->ex.session);
	if (k->ex.arena)
		gh_arena_reset(k->ex.arena);
	k->stage = CALL_NONE;
	k->suspended = k->ex.held = false;
	c->served++;
	c->header_due_ns = 0;
	http_deadline_phase(c);
	if (c->drained)
		http_conn_cut(c);
	http_conn_idle(c);
}

/* ---- holding ---- */

bool http_call_suspend(struct http_call *k)
{
	if (!k->ex.held || k->suspended)
		return k->suspended;
	k->suspended = true;
	MHD_suspend_connection(k->conn->mhd);
	http_watch_start(k->conn);
	return true;
}

void http_call_resume(struct http_call *k)
{
	if (!k->suspended)
		return;
	k->suspended = false;
	http_watch_stop(k->conn);
	http_deadline_phase(k->conn);
	MHD_resume_connection(k->conn->mhd);
	gh_engine_poke(&k->conn->shard->engine);
}

void http_call_abandon(struct http_call *k)
{
	vfs_req_free(&k->pending);
	k->dead = true;
	k->ex.held = false;
	http_conn_cut(k->conn);
	http_call_resume(k);
}

static void expel(struct http_call *k, enum gh_status st, struct vfs_req *why)
{
	bool can_answer = !k->ex.answered && (k->stage == CALL_HEADERS || (k->stage == CALL_BODY && k->ended));

	if (!can_answer) {
		http_call_abandon(k);
		return;
	}
	vfs_req_free(&k->pending);
	k->ex.held = false;
	k->answer.close = true;
	http_refuse(&k->ex, st, why);
	/* A service that asks the core even now would never be let go. */
	if (k->ex.held)
		http_call_abandon(k);
	else
		http_call_resume(k);
}

void http_call_expel(struct http_call *k, enum gh_status st)
{
	expel(k, st, NULL);
}

/* libmicrohttpd takes no answer in the middle of a body. What the client still sends is read and forgotten until it has
 * read the answer and closes; a silent one is cut. */
static void refuse_in_body(struct http_call *k, struct vfs_req *why)
{
	vfs_req_free(&k->pending);
	k->ex.held = false;
	http_put_fini(k);
	http_refuse(&k->ex, why->status, why);
	http_answer_raw(k); /* dead now */
	gh_timer_set(&k->conn->timer, k->conn->shard->loop, DEAD_BODY_MS);
	http_call_resume(k);
}

/* It waits, and in the middle of a stream there are still words for its end. */
static bool takes_leave(struct http_call *k, const struct vfs_req *why)
{
	struct http_ex *ex = &k->ex;

	if (!ex->watches || !ex->answered || k->pending || !ex->service->last_words || !ex->service->last_words(ex, why))
		return false;
	http_ready(ex);
	return true;
}

void http_call_stop_watching(struct http_call *k, struct vfs_req *why)
{
	if (takes_leave(k, why))
		return;
	if (k->ex.answered)
		http_call_abandon(k);
	else
		http_call_refuse(k, why);
}

void http_call_refuse(struct http_call *k, struct vfs_req *why)
{
	if (k->stage == CALL_BODY && !k->ended && !k->ex.answered)
		refuse_in_body(k, why);
	else
		expel(k, why->status, why);
}

void http_ready(void *ex)
{
	struct http_call *k = ex;

	if (!k->ex.held || k->pending)
		return;
	k->ex.held = false;
	http_call_resume(k);
}

void http_hold(struct http_ex *ex)
{
	GH_ASSERT(!ex->answered);
	ex->held = true;
}

void http_let_go(struct http_ex *ex, void (*fn)(struct http_ex *ex))
{
	struct http_call *k = http_call_of(ex);

	GH_ASSERT(!k->pending);
	if (!ex->held)
		return;
	ex->held = false;
	fn(ex);
	if (!ex->held)
		http_call_resume(k);
}

static void submitted_done(struct vfs_req *req, void *door)
{
	struct http_call *k = door;
	http_then_fn *then = k->pending_then;

	k->pending = NULL;
	k->ex.held = false;
	then(&k->ex, req);
	if (!k->ex.held)
		http_call_resume(k);
}

static bool submit(struct http_call *k, struct vfs_req *req, http_then_fn *then, bool hold)
{
	GH_ASSERT(!k->pending);
	if (k->dead || k->conn->shard->quiescing) {
		vfs_req_free(&req);
		if (!k->ex.answered)
			http_refuse(&k->ex, GH_STOPPING, NULL);
		else
			k->dead = true;
		return false;
	}
	if (vfs_submit(req, submitted_done, k) == VFS_DONE) {
		then(&k->ex, req);
		return true;
	}
	k->pending = req;
	k->pending_then = then;
	k->ex.held |= hold;
	return false;
}

void http_submit(struct http_ex *ex, struct vfs_req *req, http_then_fn *then)
{
	(void)submit(http_call_of(ex), req, then, true);
}

void http_submit_in_stream(struct http_ex *ex, struct vfs_req *req, http_then_fn *then)
{
	if (submit(http_call_of(ex), req, then, true))
		http_call_of(ex)->again = true;
}

void http_submit_ahead(struct http_ex *ex, struct vfs_req *req, http_then_fn *then)
{
	(void)submit(http_call_of(ex), req, then, false);
}

/* ---- the steps ---- */

static bool answers_early(const struct http_call *k)
{
	return vfs_flag(k->ex.core, VFS_FLAG_EARLY_ANSWER, k->ex.service->proto, k->ex.session);
}

/* Before the body. An answer that is here already goes out at once where the client waits for it or would send much,
 * and costs the connection; a small body is read and forgotten first, so that the client can go on. */
static enum MHD_Result headers_step(struct http_call *k)
{
	if (k->dead)
		return MHD_NO;
	if (k->ex.held) {
		http_call_suspend(k);
		return MHD_YES;
	}
	if (k->ex.answered && (k->answer.close || (k->ex.has_body && (k->expects_continue ||
								     k->ex.body_declared > HTTP_DRAIN_MAX) &&
						   answers_early(k)))) {
		k->conn->linger |= k->ex.has_body;
		return http_answer_queue(k);
	}
	k->stage = CALL_BODY;
	http_deadline_phase(k->conn);
	if (k->ex.answered && !k->ex.watches) /* a stream of what happens is not over soon */
		http_conn_idle(k->conn);
	return MHD_YES;
}

/* Nobody wants these bytes. libmicrohttpd takes no answer before the body has ended: a little is read and forgotten,
 * for more the answer goes onto the socket as it is. */
static enum MHD_Result drain_step(struct http_call *k, size_t *size)
{
	uint64_t left = k->ex.body_declared == UINT64_MAX ? 0 : k->ex.body_declared - k->ex.body_received;

	k->drained_bytes += *size;
	*size = 0;
	if (k->drained_bytes <= HTTP_DRAIN_MAX && left <= HTTP_DRAIN_MAX)
		return MHD_YES;
	http_answer_raw(k);
	return MHD_NO;
}

static enum MHD_Result body_step(struct http_call *k, const char *data, size_t *size)
{
	struct http_ex *ex = &k->ex;
	enum gh_status st;

	if (ex->answered)
		return drain_step(k, size);
	st = ex->service->body ? ex->service->body(ex, data, *size) : GH_INVALID;
	if (st == GH_WAIT) {
		ex->held = true;
		http_call_suspend(k);
		return k->dead ? MHD_NO : MHD_YES; /* nothing was taken: the same bytes come again */
	}
	if (st != GH_OK && !ex->answered)
		http_refuse(ex, st, NULL);
	if (ex->answered)
		return drain_step(k, size);
	ex->body_received += *size;
	*size = 0;
	http_call_suspend(k);
	return MHD_YES;
}

static enum MHD_Result end_step(struct http_call *k)
{
	struct http_ex *ex = &k->ex;

	if (!k->ended) {
		k->ended = true;
		if (!ex->answered)
			ex->service->end(ex);
	}
	if (k->dead)
		return MHD_NO;
	if (ex->held) {
		http_call_suspend(k);
		return MHD_YES;
	}
	if (!ex->answered) {
		gh_log(GH_LOG_ERROR, "http_no_answer", "request=%s service=%s", k->id, ex->service->name);
		http_refuse(ex, GH_BUG, NULL);
	}
	return http_answer_queue(k);
}

enum MHD_Result http_call_step(void *shard, struct MHD_Connection *mhd, const char *url, const char *method,
			       const char *version, const char *data, size_t *size, void **call)
{
	struct http_call *k = *call;

	if (!k || k->dead)
		return MHD_NO;
	switch (k->stage) {
	case CALL_LINE:
		k->stage = CALL_HEADERS;
		http_conn_busy(k->conn);
		k->conn->header_due_ns = 0;
		http_deadline_phase(k->conn);
		http_call_open(k, method, version);
		return headers_step(k);
	case CALL_HEADERS:
		return headers_step(k);
	case CALL_BODY:
		return *size ? body_step(k, data, size) : end_step(k);
	case CALL_NONE:
	case CALL_REPLY:
		break;
	}
	return MHD_NO;
}
