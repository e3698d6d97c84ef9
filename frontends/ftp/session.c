/* The control connection: reads lines, runs one command at a time, sends replies, keeps the deadlines, and ends the
 * session. Called by the door (accept, drain, quiesce) and by everything of the room that got a callback: each callback
 * ends with ftp_settle. Loop thread only. */
#include "frontends/ftp/ftp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/metrics.h"
#include "frontends/ftp/parse.h"

#define FLUSH_MS 5000   /* a farewell must be taken within this */
#define LINGER_MS 1000  /* and then we wait so long for the client's end */
#define LINGER_DRAIN_MS 300 /* when the server ends, which takes at most a second while nothing runs */
#define TRY_LATER "Not now, please try again later."
#define DEADLINE_IDLE 4 /* label of GH_M_DEADLINES */

static void on_control(struct gh_io *io, unsigned ready, void *arg);
static void on_deadline(struct gh_timer *t, void *arg);

/* ---- birth and death ---- */

/* A refusal before there is a session: one line into an empty socket buffer. */
static void turn_away(int fd, struct gh_ticket *ticket, const char *why)
{
	char text[1100];
	int n = snprintf(text, sizeof(text), "421 %.1000s\r\n", why);

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		shutdown(fd, SHUT_WR);
	close(fd);
	gh_ticket_return(&ticket);
}

/* Shut by a rule, for whoever it may be? Then that is the greeting. */
static bool turned_away_by_rule(struct ftp_hall *h, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	struct vfs_req *req = vfs_req_shut(h->door->core, h->loop, VFS_FTP, false, "");

	if (!req)
		return false;
	req->peer = gh_strdup(req->arena, peer->text);
	turn_away(fd, ticket, ftp_shut_text(req));
	vfs_req_log(req, "connect", 421, 0);
	vfs_req_free(&req);
	return true;
}

static void socket_prepare(struct ftp_session *s)
{
	socklen_t len = sizeof(s->local);
	int one = 1;

	if (getsockname(s->fd, (struct sockaddr *)&s->local, &len))
		memset(&s->local, 0, sizeof(s->local));
	/* The urgent byte of a Telnet Synch stays in its place among the others (RFC 854). */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

void ftp_session_open(struct ftp_hall *h, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	struct ftp_session *s;

	if (turned_away_by_rule(h, fd, peer, ticket))
		return;
	if (atomic_load(&h->door->draining) || !(s = calloc(1, sizeof(*s)))) {
		turn_away(fd, ticket, TRY_LATER);
		return;
	}
	s->hall = h;
	s->door = h->door;
	s->loop = h->loop;
	s->fd = fd;
	s->peer = *peer;
	s->ticket = ticket;
	s->facts = FTP_FACT_ALL;
	s->data.fd = s->t.file_fd = -1;
	ftp_reader_init(&s->reader, ftp_line_cap);
	gh_buf_init(&s->out, FTP_OUT_MAX);
	gh_buf_init(&s->t.page, FTP_OUT_MAX);
	gh_timer_init(&s->timer, on_deadline, s);
	gh_timer_init(&s->delay, NULL, s);
	gh_timer_init(&s->data.timer, NULL, s);
	socket_prepare(s);
	if (!ftp_keep(&s->cwd, "/", 1) || gh_io_init(&s->io, s->loop, fd, on_control, s) != GH_OK) {
		free(s->cwd);
		free(s);
		turn_away(fd, ticket, TRY_LATER);
		return;
	}
	s->next = h->first;
	s->link = &h->first;
	if (h->first)
		h->first->link = &s->next;
	h->first = s;
	atomic_fetch_add(&h->door->live, 1);
	s->reg = (struct vfs_live){ .ops = &ftp_live_ops, .proto = VFS_FTP, .peer = s->peer.text };
	vfs_live_enter(h->door->core, h->loop, &s->reg);
	gh_timer_set(&s->timer, s->loop, s->door->login_ms);
	ftp_say(s, 220, "Gatehouse FTP ready.");
	ftp_settle(s);
}

static void reap(struct gh_task *t)
{
	struct ftp_session *s = (struct ftp_session *)((char *)t - offsetof(struct ftp_session, reap));

	s->hall->dying--;
	atomic_fetch_sub(&s->door->live, 1);
	free(s);
}

void ftp_cut(struct ftp_session *s)
{
	if (s->dead)
		return;
	s->dead = true;
	vfs_live_leave(&s->reg);
	vfs_req_free(&s->req);
	ftp_transfer_drop(s, 426, true);
	ftp_data_fini(s);
	gh_timer_cancel(&s->timer);
	gh_timer_cancel(&s->delay);
	gh_io_fini(&s->io);
	close(s->fd);
	vfs_session_unref(&s->who);
	gh_ticket_return(&s->ticket);
	ftp_reader_wipe(&s->reader);
	ftp_reader_fini(&s->reader);
	gh_buf_fini(&s->out);
	gh_buf_fini(&s->t.page);
	free(s->host);
	free(s->user);
	free(s->cwd);
	free(s->rename_from);
	free(s->later);
	free(s->shut);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	s->hall->dying++;
	s->reap.fn = reap;
	gh_loop_post(s->loop, &s->reap);
}

/* Did the client close its side? Asked where it decides about bytes: an upload is only whole when somebody is still
 * there to be told so. poll sees the end even behind bytes that were not read yet. */
bool ftp_control_gone(const struct ftp_session *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* ---- sending ---- */

static bool out_flush(struct ftp_session *s)
{
	if (s->out.failed) /* a reply is lost: the client would wait for it, or take the next one for it */
		return false;
	while (s->out_sent < s->out.len) {
		ssize_t n = send(s->fd, s->out.data + s->out_sent, s->out.len - s->out_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		s->out_sent += (size_t)n;
	}
	if (s->out.cap > 4 * 1024) /* a long answer must not stay with an idle session */
		gh_buf_fini(&s->out);
	else
		gh_buf_clear(&s->out);
	s->out_sent = 0;
	return true;
}

static size_t out_waiting(const struct ftp_session *s)
{
	return s->out.len - s->out_sent;
}

/* ---- commands in their order ---- */

static bool transferring(const struct ftp_session *s)
{
	return s->t.stage != FTP_T_NONE;
}

static bool may_read_on(const struct ftp_session *s)
{
	return !s->leaving && !s->quit && s->parked == FTP_PARKED_NONE && (!s->busy || transferring(s)) &&
	       out_waiting(s) <= FTP_OUT_PAUSE;
}

static void parked_run(struct ftp_session *s)
{
	enum ftp_parked p = s->parked;

	s->parked = FTP_PARKED_NONE;
	if (p == FTP_PARKED_LINE)
		ftp_dispatch(s);
	else
		ftp_overlong(s);
}

static bool can_parse(const struct ftp_session *s)
{
	return may_read_on(s) && s->raw_pos < s->raw_len;
}

static bool can_run_parked(const struct ftp_session *s)
{
	return s->parked != FTP_PARKED_NONE && !s->busy && !s->leaving && !s->quit && out_waiting(s) <= FTP_OUT_PAUSE;
}

/* Nothing runs: is it time to go? */
static void farewell(struct ftp_session *s)
{
	if (s->busy || s->leaving)
		return;
	if (s->quit)
		ftp_bye(s, 221, "Goodbye.");
	else if (s->shut)
		ftp_bye(s, 421, "%s", s->shut);
	else if (atomic_load_explicit(&s->door->draining, memory_order_relaxed))
		ftp_bye(s, 421, "The server is stopping; please come back later.");
}

/* One step; false: nothing more can be done now. */
static bool pump_once(struct ftp_session *s)
{
	size_t used;
	enum ftp_fed fed;

	farewell(s);
	if (can_run_parked(s)) {
		parked_run(s);
		return true;
	}
	if (!can_parse(s))
		return false;
	fed = ftp_reader_feed(&s->reader, s->raw + s->raw_pos, s->raw_len - s->raw_pos, &used, &s->out);
	s->raw_pos += (unsigned)used;
	if (fed == FTP_FED_MORE)
		return false;
	s->parked = fed == FTP_FED_LINE ? FTP_PARKED_LINE : FTP_PARKED_OVERLONG;
	if (s->busy && fed == FTP_FED_LINE && ftp_line_is_live(s))
		parked_run(s);
	return true;
}

static void watch(struct ftp_session *s)
{
	unsigned want = 0;

	if (may_read_on(s) || s->lingering)
		want |= GH_IO_READ;
	else if (transferring(s)) /* anything else ends by itself, and its answer is still due */
		want |= GH_IO_HANGUP;
	if (out_waiting(s))
		want |= GH_IO_WRITE;
	if (gh_io_want(&s->io, want) != GH_OK)
		ftp_cut(s);
}

/* The farewell was sent. Closing with unread input would make the kernel send a reset, and the client might lose the
 * farewell with it: so our end first, then wait a moment for the client's. */
static void linger(struct ftp_session *s)
{
	if (s->lingering || out_waiting(s))
		return;
	s->lingering = true;
	shutdown(s->fd, SHUT_WR);
	gh_timer_set(&s->timer, s->loop, atomic_load(&s->door->draining) ? LINGER_DRAIN_MS : LINGER_MS);
}

/* Runs what can run and sends what can be sent; false: the session is dead. */
static bool pump(struct ftp_session *s)
{
	for (;;) {
		while (!s->dead && pump_once(s))
			;
		if (!s->dead && !out_flush(s))
			ftp_cut(s);
		if (s->dead)
			return false;
		if (s->drained && !out_waiting(s)) {
			void (*drained)(struct ftp_session *) = s->drained;

			s->drained = NULL;
			drained(s);
			continue;
		}
		/* Sending may have made room for the next command. */
		if (!can_parse(s) && !can_run_parked(s))
			return true;
	}
}

void ftp_settle(struct ftp_session *s)
{
	if (s->dead || s->pumping)
		return;
	s->pumping = true;
	if (!pump(s))
		return;
	s->pumping = false;
	if (s->leaving) {
		if (!s->parting)
			gh_timer_set(&s->timer, s->loop, FLUSH_MS);
		s->parting = true;
		linger(s);
	} else if (s->ended && s->who) {
		gh_timer_set(&s->timer, s->loop, s->door->idle_ms);
	}
	s->ended = false;
	watch(s);
}

/* ---- callbacks ---- */

/* Bytes behind a farewell are thrown away, a bounded number of them; the deadline does the rest. */
static void discard(struct ftp_session *s)
{
	char sink[4096];
	ssize_t n = recv(s->fd, sink, sizeof(sink), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		ftp_cut(s);
}

static void read_more(struct ftp_session *s)
{
	ssize_t n;

	if (s->raw_pos < s->raw_len)
		return;
	n = recv(s->fd, s->raw, sizeof(s->raw), 0);
	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			ftp_cut(s);
		return;
	}
	if (n == 0) {
		/* Gone; with a transfer or anything else under way nobody waits for the answer any more. */
		ftp_cut(s);
		return;
	}
	s->raw_pos = 0;
	s->raw_len = (unsigned)n;
}

static void on_control(struct gh_io *io, unsigned ready, void *arg)
{
	struct ftp_session *s = arg;

	if (s->dead)
		return;
	if (s->lingering) {
		discard(s);
		return;
	}
	if (ready & GH_IO_READ && may_read_on(s))
		read_more(s);
	else if (ready & GH_IO_HANGUP && !(ready & GH_IO_WRITE))
		ftp_cut(s);
	ftp_settle(s);
}

static void on_deadline(struct gh_timer *t, void *arg)
{
	struct ftp_session *s = arg;

	if (s->leaving) {
		ftp_cut(s);
		return;
	}
	if (s->busy) { /* what runs has deadlines of its own */
		gh_timer_set(&s->timer, s->loop, s->who ? s->door->idle_ms : s->door->login_ms);
		return;
	}
	gh_metric_add(GH_M_DEADLINES, DEADLINE_IDLE, 1);
	ftp_bye(s, 421, "%s", s->who ? "Idle for too long." : "Too long without a login.");
	ftp_settle(s);
}

void ftp_session_drain(struct ftp_session *s)
{
	ftp_settle(s);
}

/* ---- requests ---- */

static void completed(struct vfs_req *req, void *door)
{
	struct ftp_session *s = door;
	ftp_then_fn *then = s->then;

	s->req = NULL;
	s->then = NULL;
	if (!then(s, req)) {
		vfs_req_log(req, s->verb, s->code, 0);
		vfs_req_free(&req);
	}
}

static void completed_later(struct vfs_req *req, void *door)
{
	struct ftp_session *s = door;

	completed(req, s);
	ftp_settle(s);
}

void ftp_submit(struct ftp_session *s, struct vfs_req *req, ftp_then_fn *fn)
{
	GH_ASSERT(!s->req);
	s->req = req;
	s->then = fn;
	if (vfs_submit(req, completed_later, s) == VFS_DONE)
		completed(req, s);
}

struct vfs_req *ftp_req(struct ftp_session *s, enum vfs_op op)
{
	struct vfs_req *req = vfs_req_new(s->door->core, s->loop, op, VFS_FTP, s->who);

	if (!req) {
		ftp_end_status(s, GH_NOMEM, NULL);
		return NULL;
	}
	req->peer = s->peer.text;
	req->length = UINT64_MAX;
	req->declared = UINT64_MAX;
	req->mtime_us = INT64_MIN;
	return req;
}
