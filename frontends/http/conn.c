/* Connections: taken from the doorstep, lent to libmicrohttpd, bounded while they idle. Everything here runs on the
 * connection's loop.
 *
 * libmicrohttpd owns the socket from MHD_add_connection on, even when that fails. It may tell us of the connection
 * inside that call or in its next run, so a connection waits in `arriving` until it is named.
 *
 * The idle list holds every connection that nothing is done for, oldest first: silent, before the end of its headers, or
 * with the rest of a refused body still to come. Each keeps its pool, so their number is bound by http.idle_memory, and
 * the one that is in the list longest goes first. Whoever drips bytes is no better off than who is silent.
 */
#include "frontends/http/http.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"

struct http_conn *http_conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void conn_free(struct http_conn *c)
{
	gh_ticket_return(&c->ticket);
	gh_arena_free(&c->call.ex.arena);
	atomic_fetch_sub(&c->shard->door->live, 1);
	free(c);
}

/* ---- the idle list ---- */

void http_conn_busy(struct http_conn *c)
{
	struct http_shard *s = c->shard;

	if (!c->idle)
		return;
	c->idle = false;
	*(c->idle_prev ? &c->idle_prev->idle_next : &s->idle_oldest) = c->idle_next;
	*(c->idle_next ? &c->idle_next->idle_prev : &s->idle_newest) = c->idle_prev;
	s->idle_count--;
}

void http_conn_idle(struct http_conn *c)
{
	struct http_shard *s = c->shard;
	const struct http_settings *set = &s->door->set;

	http_conn_busy(c);
	if (c->cut)
		return;
	c->idle = true;
	c->idle_next = NULL;
	c->idle_prev = s->idle_newest;
	*(s->idle_newest ? &s->idle_newest->idle_next : &s->idle_oldest) = c;
	s->idle_newest = c;
	s->idle_count++;
	while (s->idle_count > 1 && s->idle_count * (uint64_t)set->pool_bytes > set->idle_bytes_per_loop)
		http_conn_cut(s->idle_oldest);
}

void http_conn_cut(struct http_conn *c)
{
	http_conn_busy(c);
	if (c->cut)
		return;
	c->cut = true;
	shutdown(c->fd, SHUT_RDWR);
}

/* ---- arriving and leaving ---- */

static void arriving_remove(struct http_conn *c)
{
	struct http_conn **at = &c->shard->arriving;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	c->next = NULL;
}

static bool is_arriving(const struct http_shard *s, const struct http_conn *c)
{
	const struct http_conn *a = s->arriving;

	while (a && a != c)
		a = a->next;
	return a != NULL;
}

void http_conn_forget_failed(struct http_shard *s)
{
	struct http_conn *c;

	/* Everything handed over before a run has been named by its end; the rest was closed without a word. */
	while ((c = s->arriving)) {
		arriving_remove(c);
		conn_free(c);
	}
}

void http_conn_accept(void *door, struct gh_loop *l, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	struct http_door *d = door;
	struct http_shard *s = &d->shards[gh_loop_index(l)];
	struct http_conn *c = atomic_load(&d->draining) || !s->daemon ? NULL : calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		gh_ticket_return(&ticket);
		return;
	}
	c->shard = s;
	c->fd = fd;
	c->peer = *peer;
	c->peer_prefix = vfs_peer_prefix((const struct sockaddr *)&peer->addr);
	c->ticket = ticket;
	c->call.conn = c;
	atomic_fetch_add(&d->live, 1);
	c->next = s->arriving;
	s->arriving = c;
	if (MHD_add_connection(s->daemon, fd, (const struct sockaddr *)&peer->addr, peer->addr_len) != MHD_YES &&
	    is_arriving(s, c)) {
		arriving_remove(c);
		conn_free(c);
		return;
	}
	gh_engine_poke(&s->engine);
}

static void conn_started(struct http_shard *s, struct MHD_Connection *mhd, void **socket_context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_conn *c = s->arriving;

	while (c && info && c->fd != info->connect_fd)
		c = c->next;
	*socket_context = c;
	if (!c)
		return;
	arriving_remove(c);
	c->mhd = mhd;
	c->prev = NULL;
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	c->reg = (struct vfs_live){ .ops = &http_live_ops, .stateless = true, .peer = c->peer.text };
	if (!s->door->administrators) /* no rule reaches the console */
		vfs_live_enter(s->door->env->core, s->loop, &c->reg);
	http_conn_idle(c);
	http_deadline_start(c);
}

/* What never became a request leaves this one line. */
static void tell_garbage(const struct http_conn *c)
{
	uint64_t bytes = c->served ? 0 : http_received_bytes(c); /* its end counts as one */
	char peer[80];

	if (bytes > 1)
		gh_log(GH_LOG_INFO, "http_garbage", "peer=%s bytes=%llu",
		       gh_log_quote(peer, sizeof(peer), c->peer.text), (unsigned long long)bytes);
}

static void conn_closed(struct http_conn *c)
{
	struct http_shard *s = c->shard;

	tell_garbage(c);
	vfs_live_leave(&c->reg);
	http_deadline_stop(c);
	http_conn_busy(c);
	*(c->prev ? &c->prev->next : &s->conns) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (c->linger)
		http_linger(c);
	conn_free(c);
}

void http_conn_notify(void *shard, struct MHD_Connection *mhd, void **socket_context,
		      enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		conn_started(shard, mhd, socket_context);
	} else if (*socket_context) {
		conn_closed(*socket_context);
		*socket_context = NULL;
	}
}
