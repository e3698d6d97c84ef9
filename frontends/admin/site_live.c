/* GET /admin/v1/live: the event stream (server-sent events) of core/live.h, a sample a second and every change.
 *
 * The sampler's thread puts events into the stream's buffer and wakes the loop; the loop hands them to the connection.
 * A reader that is so slow that the buffer would pass its bound is dropped, as is one whose session or token has ended:
 * that is looked at with every event. `lock` covers the buffer and the two flags, held for a copy.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "frontends/admin/site.h"

enum { PENDING_MAX = 256 << 10, CHUNK = 64 << 10 };

struct site_stream {
	struct gh_task wake;
	struct admin_listener *l;
	struct http_ex *ex; /* NULL once the exchange is gone; the loop's */
	struct live_subscriber *subscriber;
	pthread_mutex_t lock;
	struct gh_buf pending;
	bool posted; /* wake is on its way */
	bool overrun;
};

/* ---- the sampler's side ---- */

static void event_add(struct site_stream *s, const char *name, const char *json, size_t len)
{
	gh_buf_printf(&s->pending, "event: %s\ndata: ", name);
	gh_buf_add(&s->pending, json, len);
	gh_buf_str(&s->pending, "\n\n");
	s->overrun |= s->pending.failed;
}

static void event_told(void *arg, const char *name, const char *json, size_t len)
{
	struct site_stream *s = arg;
	bool post;

	pthread_mutex_lock(&s->lock);
	event_add(s, name, json, len);
	post = !s->posted;
	s->posted = true;
	pthread_mutex_unlock(&s->lock);
	if (post)
		gh_loop_post(s->l->loop, &s->wake);
}

/* ---- the loop's side ---- */

static void stream_free(struct site_stream *s)
{
	gh_buf_fini(&s->pending);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void woken(struct gh_task *t)
{
	struct site_stream *s = (struct site_stream *)((char *)t - offsetof(struct site_stream, wake));

	pthread_mutex_lock(&s->lock);
	s->posted = false;
	pthread_mutex_unlock(&s->lock);
	if (s->ex)
		http_ready(s->ex);
	else
		stream_free(s);
}

/* Watching is no use of a session: one that nobody uses ends though its window is open. */
static bool may_go_on(struct http_ex *ex)
{
	const char *authorization = http_header(ex, "Authorization"), *cookie;
	struct site_who who;

	if (authorization)
		return site_authenticate(ex, &who) == GH_OK;
	cookie = site_cookie(ex);
	return cookie && site_session_find(site_of(ex)->sessions, ex->core, cookie, gh_mono_ns(), false, &who);
}

static enum gh_status stream_fill(struct http_ex *ex, struct gh_buf *out)
{
	const struct site_call *call = ex->state;
	struct site_stream *s = call->stream;
	enum gh_status st = GH_OK;
	size_t n;

	if (atomic_load(&s->l->stopping) || !may_go_on(ex))
		return GH_END;
	pthread_mutex_lock(&s->lock);
	n = s->pending.len < CHUNK ? s->pending.len : CHUNK;
	if (s->overrun) {
		st = GH_END;
	} else if (!n) {
		st = GH_WAIT;
	} else {
		gh_buf_add(out, s->pending.data, n);
		memmove(s->pending.data, s->pending.data + n, s->pending.len - n);
		s->pending.len -= n;
	}
	pthread_mutex_unlock(&s->lock);
	if (st == GH_END)
		gh_log(GH_LOG_INFO, "admin.stream_dropped", "peer=%s why=slow", ex->peer);
	return st;
}

/* What there is to see at once: the connection is there, and the last second. */
static void begin_events(struct site_stream *s)
{
	struct live_sample now;
	json_t *o = live_now(s->l->cfg.core, &now) ? live_json(&now, LIVE_TENANTS) : NULL;
	char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	gh_buf_str(&s->pending, "retry: 2000\n\n");
	if (text)
		event_add(s, "sample", text, strlen(text));
	free(text);
	json_decref(o);
}

void site_live(struct http_ex *ex, struct site_call *call)
{
	struct admin_listener *l = site_of(ex);
	struct site_stream *s = l->streams < SITE_STREAMS_MAX ? calloc(1, sizeof(*s)) : NULL;

	if (!s) {
		site_refuse(ex, GH_BUSY, "as many are watching as may", 5);
		return;
	}
	s->wake.fn = woken;
	s->l = l;
	s->ex = ex;
	pthread_mutex_init(&s->lock, NULL);
	gh_buf_init(&s->pending, PENDING_MAX);
	begin_events(s);
	if (live_subscribe(ex->core, event_told, s, &s->subscriber) != GH_OK) {
		stream_free(s);
		site_refuse(ex, GH_NOMEM, NULL, 0);
		return;
	}
	l->streams++;
	gh_metric_add(GH_M_ADMIN_STREAMS, 0, 1);
	call->stream = s;
	http_reply_header(ex, "Content-Type", "text/event-stream");
	http_reply_header(ex, "Cache-Control", "no-store");
	http_reply_header(ex, "X-Content-Type-Options", "nosniff");
	http_reply_header(ex, "X-Accel-Buffering", "no"); /* nginx in front must not collect it */
	http_reply_stream(ex, 200, stream_fill);
}

void site_live_gone(struct site_call *call)
{
	struct site_stream *s = call->stream;
	bool posted;

	if (!s)
		return;
	call->stream = NULL;
	s->l->streams--;
	gh_metric_add(GH_M_ADMIN_STREAMS, 0, -1);
	live_unsubscribe(s->l->cfg.core, &s->subscriber); /* event_told runs no more */
	s->ex = NULL;
	pthread_mutex_lock(&s->lock);
	posted = s->posted;
	pthread_mutex_unlock(&s->lock);
	if (!posted)
		stream_free(s);
}
