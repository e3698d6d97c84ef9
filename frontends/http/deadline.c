/* Deadlines of a connection, and the watch for a client that leaves while it is suspended. One wheel timer a
 * connection, looked at every two seconds at the latest, so that a request costs no timer work at all: what changes is
 * noted in the connection, and the next look decides. On the connection's loop.
 *
 *   header   10 s from accept, or from the first byte of a further request (seen at the next look), to the last header
 *   idle     http.idle_timeout between requests
 *   body     1 KiB/s after half of http.body_timeout (15 s), looked at over 5 s
 *   sending  the same, by what the peer has acknowledged: nobody calls us while libmicrohttpd sends from a descriptor
 *   total    http.total_timeout
 * While the core has the request, its own deadline holds.
 */
#include "frontends/http/http.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"

enum { LOOK_MS = 2000, SENDING_LOOK_MS = 500, SENDING_BYTES = 1 << 20, RATE_WINDOW_MS = 5000, RATE_MIN_BYTES_S = 1024, WATCH_AFTER_MS = 50 };
enum deadline { DL_HEADER, DL_BODY, DL_TOTAL, DL_SUSPENDED, DL_IDLE }; /* label order of GH_M_DEADLINES */

struct progress {
	uint64_t acked, received, received_ago_ms;
	bool closing; /* the peer has said that it sends no more */
};

static struct progress progress_of(const struct http_conn *c)
{
	struct tcp_info ti = { 0 };
	socklen_t len = sizeof(ti);
	struct progress p = { .received_ago_ms = UINT64_MAX };

	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &ti, &len))
		return p; /* not TCP: a test's socket pair */
	p.acked = ti.tcpi_bytes_acked;
	p.received = ti.tcpi_bytes_received;
	p.received_ago_ms = ti.tcpi_last_data_recv;
	p.closing = ti.tcpi_state == 8; /* TCP_CLOSE_WAIT */
	return p;
}

uint64_t http_received_bytes(const struct http_conn *c)
{
	return progress_of(c).received;
}

/* ---- what is sent ---- */

static void count_sent(struct http_call *k, uint64_t bytes)
{
	vfs_count_sent(k->ex.core, k->ex.session, k->ex.service->proto, bytes);
}

/* Nobody calls us while a large answer goes out of a descriptor, so it is looked at more often than others are. */
void http_sending_begin(struct http_call *k, uint64_t bytes)
{
	if (bytes < SENDING_BYTES) {
		count_sent(k, bytes);
		return;
	}
	k->uncounted = bytes;
	k->acked = progress_of(k->conn).acked;
	gh_timer_set(&k->conn->timer, k->conn->shard->loop, SENDING_LOOK_MS);
}

static void sending_look(struct http_call *k)
{
	uint64_t acked = progress_of(k->conn).acked, n = acked - k->acked;

	n = n < k->uncounted ? n : k->uncounted; /* headers are among them */
	k->acked = acked;
	k->uncounted -= n;
	count_sent(k, n);
}

void http_sending_end(struct http_call *k, bool whole)
{
	if (!k->uncounted)
		return;
	if (whole)
		count_sent(k, k->uncounted);
	else
		sending_look(k);
	k->uncounted = 0;
}

/* ---- looking ---- */

uint64_t http_acked_bytes(const struct http_conn *c)
{
	return progress_of(c).acked;
}

/* ms left of limit_ms since `since`; 0 = over. */
static uint64_t left_ms(uint64_t now_ns, uint64_t since_ns, uint64_t limit_ms)
{
	uint64_t gone_ms = now_ns > since_ns ? (now_ns - since_ns) / GH_MS_NS : 0;

	return gone_ms >= limit_ms ? 0 : limit_ms - gone_ms;
}

static uint64_t look_header(struct http_conn *c, uint64_t now)
{
	uint64_t limit = c->shard->door->set.header_ms;

	if (c->header_due_ns)
		return c->header_due_ns > now ? (c->header_due_ns - now) / GH_MS_NS + 1 : 0;
	return left_ms(now, c->phase_ns, limit);
}

static uint64_t look_idle(struct http_conn *c, uint64_t now, enum deadline *what)
{
	const struct http_settings *set = &c->shard->door->set;
	uint64_t idle_ms = left_ms(now, c->phase_ns, set->idle_ms);

	if (!c->header_due_ns && idle_ms) {
		uint64_t gone_ms = (now - c->phase_ns) / GH_MS_NS;

		/* Bytes since the last answer and no request line yet: somebody has begun to speak. */
		if (progress_of(c).received_ago_ms < gone_ms)
			c->header_due_ns = now + set->header_ms * GH_MS_NS;
	}
	if (c->header_due_ns) {
		*what = DL_HEADER;
		return look_header(c, now);
	}
	return idle_ms;
}

/* Has bytes moved on at the least rate? Looked at in windows, after the grace. */
static uint64_t look_rate(struct http_conn *c, uint64_t now, uint64_t bytes)
{
	uint64_t window_ms = (now - c->mark_ns) / GH_MS_NS, grace_ms = c->shard->door->set.body_ms / 2;
	uint64_t whole_ms = grace_ms < RATE_WINDOW_MS ? grace_ms : RATE_WINDOW_MS;
	uint64_t left = left_ms(now, c->phase_ns, grace_ms);

	if (c->mark_bytes == UINT64_MAX || left) {
		c->mark_ns = now;
		c->mark_bytes = bytes;
		return left + 1;
	}
	if (window_ms < whole_ms)
		return whole_ms - window_ms;
	if (bytes - c->mark_bytes < window_ms * RATE_MIN_BYTES_S / 1000)
		return 0;
	c->mark_ns = now;
	c->mark_bytes = bytes;
	return LOOK_MS;
}

static uint64_t look_body(struct http_conn *c, uint64_t now)
{
	const struct http_call *k = &c->call;
	uint64_t bytes = k->ex.body_received + k->drained_bytes;

	/* libmicrohttpd may have missed the end of a body that came short. */
	if (bytes == c->mark_bytes && progress_of(c).closing)
		return 0;
	return look_rate(c, now, bytes);
}

/* ms until the next look; 0: over, and *what says which deadline. */
static uint64_t look(struct http_conn *c, uint64_t now, enum deadline *what)
{
	const struct http_call *k = &c->call;
	uint64_t total_ms = c->shard->door->set.total_ms;

	if (k->stage != CALL_NONE && total_ms && !left_ms(now, k->started_ns, total_ms)) {
		*what = DL_TOTAL;
		return 0;
	}
	if (k->dead) {
		/* Answered in the middle of its body, and silent since. */
		*what = DL_BODY;
		return 0;
	}
	if (k->suspended) {
		/* The core's deadline resumes it. */
		*what = DL_SUSPENDED;
		return LOOK_MS;
	}
	switch (k->stage) {
	case CALL_NONE:
		*what = c->served ? DL_IDLE : DL_HEADER;
		return c->served ? look_idle(c, now, what) : look_header(c, now);
	case CALL_LINE:
		*what = DL_HEADER;
		return look_header(c, now);
	case CALL_HEADERS:
	case CALL_BODY:
		*what = DL_BODY;
		return look_body(c, now);
	case CALL_REPLY:
		*what = DL_TOTAL;
		return look_rate(c, now, progress_of(c).acked);
	}
	return LOOK_MS;
}

static void look_due(struct gh_timer *t, void *arg)
{
	struct http_conn *c = arg;
	uint64_t next_ms, most_ms;
	enum deadline what = DL_IDLE;

	if (c->call.uncounted)
		sending_look(&c->call);
	next_ms = most_ms = c->call.uncounted ? SENDING_LOOK_MS : LOOK_MS;
	if (!c->cut) {
		next_ms = look(c, gh_loop_now_ns(c->shard->loop), &what);
		if (!next_ms) {
			gh_metric_add(GH_M_DEADLINES, what, 1);
			if (c->call.suspended)
				http_call_expel(&c->call, GH_DEADLINE);
			else
				http_conn_cut(c);
		}
	}
	gh_timer_set(t, c->shard->loop, next_ms && next_ms < most_ms ? next_ms : most_ms);
}

/* ---- the watch ---- */

static void peer_left(struct gh_io *io, unsigned ready, void *arg)
{
	struct http_conn *c = arg;

	http_call_abandon(&c->call);
}

/* Most holds are over before this: they never pay for a registration. */
static void watch_due(struct gh_timer *t, void *arg)
{
	struct http_conn *c = arg;

	if (c->watching || gh_io_init(&c->watch, c->shard->loop, c->fd, peer_left, c) != GH_OK)
		return;
	c->watching = true;
	if (gh_io_want(&c->watch, GH_IO_HANGUP) != GH_OK)
		http_watch_stop(c);
}

void http_watch_start(struct http_conn *c)
{
	gh_timer_set(&c->watch_timer, c->shard->loop, WATCH_AFTER_MS);
}

void http_watch_stop(struct http_conn *c)
{
	gh_timer_cancel(&c->watch_timer);
	if (!c->watching)
		return;
	c->watching = false;
	gh_io_fini(&c->watch);
}

/* ---- life ---- */

void http_deadline_phase(struct http_conn *c)
{
	c->phase_ns = c->mark_ns = gh_loop_now_ns(c->shard->loop);
	c->mark_bytes = UINT64_MAX; /* nothing looked at yet */
}

void http_deadline_start(struct http_conn *c)
{
	uint64_t header_ms = c->shard->door->set.header_ms;

	gh_timer_init(&c->timer, look_due, c);
	gh_timer_init(&c->watch_timer, watch_due, c);
	http_deadline_phase(c);
	gh_timer_set(&c->timer, c->shard->loop, header_ms < LOOK_MS ? header_ms : LOOK_MS);
}

void http_deadline_stop(struct http_conn *c)
{
	gh_timer_cancel(&c->timer);
	http_watch_stop(c);
}
