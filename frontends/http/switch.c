/* What the switchboard says to connections that are open, and what an administrator sees of them. Called by the core's
 * register on the connection's loop, outside libmicrohttpd's callbacks.
 *
 *   off        what waits is answered 503; an upload under way too, in the middle of its body; an answer that is being
 *              sent is cut, so that nobody takes a part for the whole
 *   drain      what runs is finished, with Connection: close; who waits for events is told at once
 *   read-only  an upload under way is answered (503, or 403 where it lasts); everything else is left alone
 *
 * A connection that idles is left open: its next request hears the right words, which a closed socket does not have.
 * What an administrator ends by name is cut even then.
 *
 * A change that a worker has begun may still come about after its 503: the core lets it end without a commit where that
 * is possible, and nobody was told that it was made.
 */
#include "frontends/http/http.h"

#include <string.h>

bool http_shut(struct http_call *k)
{
	struct http_ex *ex = &k->ex;
	struct vfs_req *why = vfs_req_shut(ex->core, ex->loop, ex->service->proto, false, ex->host);

	if (!why)
		return false;
	memcpy(why->id, k->id, sizeof(why->id));
	why->peer = gh_strdup(why->arena, ex->peer);
	http_refuse(ex, why->status, why);
	vfs_req_free(&why);
	return true;
}

/* ---- what runs ---- */

static bool is_uploading(const struct http_call *k)
{
	return k->put && k->stage == CALL_BODY && !k->ended && !k->ex.answered;
}

/* Class of the operation that runs; false: nothing that a rule would have to reach. */
static bool class_of(const struct http_call *k, enum vfs_class *ret)
{
	if (k->stage == CALL_NONE || k->stage == CALL_LINE)
		return false;
	if (k->ex.answered && k->answer.kind == ANSWER_BYTES)
		return false; /* all of it is with the library, or will be as soon as it takes it */
	if (k->pending)
		*ret = vfs_ops[k->pending->op].class;
	else if (k->ex.watches)
		*ret = VFS_C_WATCH;
	else if (is_uploading(k))
		*ret = VFS_C_WRITE;
	else if (k->answer.kind == ANSWER_STREAM)
		*ret = VFS_C_LIST;
	else
		*ret = VFS_C_READ;
	return true;
}

/* For the access log: the same line as the request would have had. */
static void describe(const struct http_call *k, struct vfs_req *why)
{
	const struct http_ex *ex = &k->ex;

	why->op = k->pending ? k->pending->op : ex->watches ? VFS_EVENTS : is_uploading(k) ? VFS_WRITE_COMMIT : VFS_READ;
	memcpy(why->id, k->id, sizeof(why->id));
	why->peer = gh_strdup(why->arena, ex->peer);
	if (ex->session && vfs_req_path(why, ex->path, ex->path_len, GH_PATH_PERCENT) != GH_OK)
		why->path = NULL;
}

static void refuse(struct http_call *k, const struct vfs_verdict *v)
{
	struct http_ex *ex = &k->ex;
	struct vfs_req *why;

	if ((ex->answered || k->stage == CALL_REPLY) && !ex->watches) {
		http_call_abandon(k);
		return;
	}
	why = vfs_req_refused(ex->core, ex->loop, ex->service->proto, ex->session, v);
	if (!why) {
		http_call_abandon(k);
		return;
	}
	describe(k, why);
	if (ex->watches)
		http_call_stop_watching(k, why);
	else
		http_call_refuse(k, why);
	vfs_req_free(&why);
}

static void told(struct vfs_live *l, const struct vfs_verdict *session)
{
	struct http_conn *c = (struct http_conn *)((char *)l - offsetof(struct http_conn, reg));
	struct http_call *k = &c->call;
	struct vfs_verdict v = *session;
	enum vfs_class class;

	if (c->cut || k->dead)
		return;
	c->drained = session->status == GH_DRAINING && k->stage != CALL_NONE;
	if (!class_of(k, &class)) {
		if (session->by_name)
			http_conn_cut(c);
		return;
	}
	if (!session->by_name)
		v = vfs_live_stand(k->ex.core, l, class);
	if (v.status == GH_OK || (v.drains && !k->ex.watches)) /* who waits for what may happen has nothing to finish */
		return;
	/* A change that the core has already is finished: read-only is for what is still to come. */
	if ((v.status == GH_READONLY || v.status == GH_FROZEN) && !is_uploading(k))
		return;
	refuse(k, &v);
}

/* ---- being looked at ---- */

static const char *path_of(const struct http_call *k, struct gh_arena *a)
{
	const struct http_ex *ex = &k->ex;
	struct gh_path *p;

	if (!ex->session || !ex->path ||
	    gh_path_parse(a, ex->path, ex->path_len, GH_PATH_PERCENT, vfs_session_rule(ex->session), &p) != GH_OK)
		return NULL;
	return p->text;
}

static void look(struct vfs_live *l, struct vfs_live_look *ret)
{
	const struct http_conn *c = (struct http_conn *)((char *)l - offsetof(struct http_conn, reg));
	const struct http_call *k = &c->call;
	enum vfs_class class;

	ret->doing = "idle";
	ret->bytes_in = http_received_bytes(c);
	ret->bytes_out = http_acked_bytes(c);
	if (c->cut || k->dead || !class_of(k, &class))
		return;
	ret->doing = k->pending ? vfs_ops[k->pending->op].name : vfs_class_name(class);
	ret->path = path_of(k, ret->arena);
	if (is_uploading(k)) {
		ret->up = true;
		ret->moved = k->ex.body_received;
		ret->size = k->ex.body_declared;
	} else if (k->stage == CALL_REPLY) {
		ret->down = true;
		ret->size = k->answer.kind == ANSWER_CONTENT ? k->answer.length : UINT64_MAX;
		ret->moved = k->answer.kind == ANSWER_CONTENT ? k->answer.length - k->uncounted : 0;
	}
}

const struct vfs_live_ops http_live_ops = { .told = told, .look = look };
