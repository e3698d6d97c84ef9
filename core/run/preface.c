/* See preface.h. Bytes are looked at before they are taken (MSG_PEEK): as long as the header has not ended all of them are
 * its own and are taken, so that a half one does not keep the loop busy; of the last look only what belongs to it is. */
#include "core/run/preface.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void over(struct preface *p, enum gh_status st, const struct proxy_header *h)
{
	preface_stop(p);
	p->fn(p, st, h);
}

/* Takes n bytes that were seen to be there. */
static bool take(struct preface *p, size_t n)
{
	ssize_t got = recv(p->io.fd, p->bytes + p->have, n, MSG_DONTWAIT);

	p->have += got > 0 ? (size_t)got : 0;
	return got == (ssize_t)n;
}

static void on_ready(struct gh_io *io, unsigned ready, void *arg)
{
	struct preface *p = arg;
	struct proxy_header h;
	ssize_t n = recv(io->fd, p->bytes + p->have, sizeof(p->bytes) - p->have, MSG_PEEK | MSG_DONTWAIT);

	(void)ready;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		over(p, GH_GONE, NULL);
		return;
	}
	switch (proxy_parse(p->bytes, p->have + (size_t)n, &h)) {
	case PROXY_MORE:
		if (!take(p, (size_t)n))
			over(p, GH_GONE, NULL);
		return;
	case PROXY_HEADER:
		over(p, take(p, h.len - p->have) ? GH_OK : GH_GONE, &h);
		return;
	case PROXY_BAD:
		over(p, GH_INVALID, NULL);
		return;
	}
}

static void on_timeout(struct gh_timer *t, void *arg)
{
	(void)t;
	over(arg, GH_DEADLINE, NULL);
}

enum gh_status preface_start(struct preface *p, struct gh_loop *l, int fd, preface_fn *fn)
{
	enum gh_status st;

	memset(p, 0, sizeof(*p));
	p->fn = fn;
	gh_timer_init(&p->timer, on_timeout, p);
	st = gh_io_init(&p->io, l, fd, on_ready, p);
	if (st == GH_OK)
		st = gh_io_want(&p->io, GH_IO_READ);
	if (st != GH_OK) {
		preface_stop(p);
		return st;
	}
	gh_timer_set(&p->timer, l, PREFACE_MS);
	return GH_OK;
}

void preface_stop(struct preface *p)
{
	gh_timer_cancel(&p->timer);
	gh_io_fini(&p->io);
}
