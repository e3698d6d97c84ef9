/* Closing after a refused body: the client may still be sending, and a socket closed with unread bytes in it sends a
 * reset that can overtake the answer. So when libmicrohttpd closes its descriptor, a duplicate is kept for a second and
 * what arrives is thrown away, until the client closes. On the connection's loop.
 */
#include "frontends/http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGER_MS = 1000, LINGER_BYTES = 4 << 20, LINGERS_MAX = 64, CHUNK = 32 << 10 };

struct http_linger {
	struct http_shard *shard;
	struct http_linger *next, *prev;
	struct gh_io io;
	struct gh_timer timer;
	struct gh_ticket *ticket;
	size_t left;
	int fd;
};

static void linger_end(struct http_linger *g)
{
	struct http_shard *s = g->shard;

	gh_timer_cancel(&g->timer);
	gh_io_fini(&g->io);
	close(g->fd);
	gh_ticket_return(&g->ticket);
	*(g->prev ? &g->prev->next : &s->lingers) = g->next;
	if (g->next)
		g->next->prev = g->prev;
	s->linger_count--;
	free(g);
}

static void linger_due(struct gh_timer *t, void *arg)
{
	linger_end(arg);
}

static void linger_read(struct gh_io *io, unsigned ready, void *arg)
{
	struct http_linger *g = arg;
	char away[CHUNK];
	ssize_t n = recv(g->fd, away, sizeof(away), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (size_t)n >= g->left) {
		linger_end(g);
		return;
	}
	g->left -= (size_t)n;
}

void http_linger(struct http_conn *c)
{
	struct http_shard *s = c->shard;
	struct http_linger *g = s->linger_count < LINGERS_MAX && !s->quiescing ? calloc(1, sizeof(*g)) : NULL;

	if (!g)
		return;
	g->fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	if (g->fd < 0 || gh_io_init(&g->io, s->loop, g->fd, linger_read, g) != GH_OK) {
		if (g->fd >= 0)
			close(g->fd);
		free(g);
		return;
	}
	g->shard = s;
	g->left = LINGER_BYTES;
	g->ticket = c->ticket;
	c->ticket = NULL;
	g->next = s->lingers;
	if (s->lingers)
		s->lingers->prev = g;
	s->lingers = g;
	s->linger_count++;
	gh_timer_init(&g->timer, linger_due, g);
	gh_timer_set(&g->timer, s->loop, LINGER_MS);
	if (gh_io_want(&g->io, GH_IO_READ) != GH_OK)
		linger_end(g);
}

void http_linger_all_stop(struct http_shard *s)
{
	while (s->lingers)
		linger_end(s->lingers);
}
