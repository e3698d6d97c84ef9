/* Descriptors of a loop. Called by every door; on the loop's thread.
 *
 * Reading and writing are libevent events. Hang-ups are not: libevent has EV_CLOSED for them, but reports an error on
 * the socket (a reset) as readable and writable only, so that one who waits for EV_CLOSED alone is never called while
 * epoll keeps waking the loop. They are in an epoll of the loop's own, one descriptor to libevent.
 *
 * What belongs to a gh_io is freed after the pass in which it ended: other events of that pass may still lie in a
 * batch of this file or of libevent.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/run/loop_impl.h"

enum { HANGUP_BATCH = 64 };

struct io_impl {
	struct gh_io *io; /* NULL once it ended */
	struct event *event;
	struct io_impl *next_dead;
};

static void io_ready(evutil_socket_t fd, short what, void *arg)
{
	struct io_impl *impl = arg;
	struct gh_io *io = impl->io;
	unsigned ready = (what & EV_READ ? GH_IO_READ : 0) | (what & EV_WRITE ? GH_IO_WRITE : 0);

	(void)fd;
	if (!io)
		return;
	loop_awake(io->loop);
	ready &= io->want;
	if (ready)
		io->fn(io, ready, io->arg);
}

static void hangups_ready(evutil_socket_t fd, short what, void *arg)
{
	struct epoll_event batch[HANGUP_BATCH];
	struct gh_loop *l = arg;
	int n = epoll_wait(fd, batch, HANGUP_BATCH, 0);

	(void)what;
	loop_awake(l);
	for (int i = 0; i < n; i++) {
		struct io_impl *impl = batch[i].data.ptr;
		struct gh_io *io = impl->io;

		/* An earlier one of the batch may have ended it, or lost interest for it. */
		if (io && io->want & GH_IO_HANGUP)
			io->fn(io, GH_IO_HANGUP, io->arg);
	}
}

enum gh_status loop_hangup_init(struct gh_loop *l)
{
	l->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->hangup_fd < 0)
		return GH_IO;
	l->hangup_event = event_new(l->base, l->hangup_fd, EV_READ | EV_PERSIST, hangups_ready, l);
	if (!l->hangup_event)
		return GH_NOMEM;
	return event_add(l->hangup_event, NULL) == 0 ? GH_OK : GH_IO;
}

void loop_hangup_fini(struct gh_loop *l)
{
	if (l->hangup_event)
		event_free(l->hangup_event);
	if (l->hangup_fd >= 0)
		close(l->hangup_fd);
}

void loop_dead_free(struct gh_loop *l)
{
	struct io_impl *impl;

	while ((impl = l->dead)) {
		l->dead = impl->next_dead;
		event_free(impl->event);
		free(impl);
	}
}

enum gh_status gh_io_init(struct gh_io *io, struct gh_loop *l, int fd, gh_io_fn *fn, void *arg)
{
	struct io_impl *impl = calloc(1, sizeof(*impl));

	*io = (struct gh_io){ .loop = l, .fd = fd, .fn = fn, .arg = arg };
	if (!impl)
		return GH_NOMEM;
	impl->event = event_new(l->base, fd, EV_READ | EV_PERSIST, io_ready, impl);
	if (!impl->event) {
		free(impl);
		return GH_NOMEM;
	}
	impl->io = io;
	io->impl = impl;
	l->ios++;
	return GH_OK;
}

static bool hangup_want(struct gh_io *io, bool on)
{
	struct epoll_event ev = { .events = EPOLLRDHUP, .data.ptr = io->impl };

	if (on)
		return epoll_ctl(io->loop->hangup_fd, EPOLL_CTL_ADD, io->fd, &ev) == 0;
	/* It may have been closed already, against the rules; then it is out of the epoll too. */
	epoll_ctl(io->loop->hangup_fd, EPOLL_CTL_DEL, io->fd, &ev);
	return true;
}

static bool ready_want(struct gh_io *io, unsigned want)
{
	struct io_impl *impl = io->impl;
	short events = EV_PERSIST;

	event_del(impl->event);
	if (!(want & (GH_IO_READ | GH_IO_WRITE)))
		return true;
	if (want & GH_IO_READ)
		events |= EV_READ;
	if (want & GH_IO_WRITE)
		events |= EV_WRITE;
	return event_assign(impl->event, io->loop->base, io->fd, events, io_ready, impl) == 0 &&
	       event_add(impl->event, NULL) == 0;
}

enum gh_status gh_io_want(struct gh_io *io, unsigned want)
{
	const unsigned ready = GH_IO_READ | GH_IO_WRITE;
	unsigned change = io->want ^ want;

	if ((change & GH_IO_HANGUP && !hangup_want(io, want & GH_IO_HANGUP)) ||
	    (change & ready && !ready_want(io, want))) {
		/* Half a wish is worse than none. */
		ready_want(io, 0);
		hangup_want(io, false);
		io->want = 0;
		return GH_IO;
	}
	io->want = want;
	return GH_OK;
}

void gh_io_fini(struct gh_io *io)
{
	struct io_impl *impl = io->impl;
	struct gh_loop *l = io->loop;

	if (!impl)
		return;
	event_del(impl->event);
	if (io->want & GH_IO_HANGUP)
		hangup_want(io, false);
	impl->io = NULL;
	impl->next_dead = l->dead;
	l->dead = impl;
	l->ios--;
	io->impl = NULL;
	io->want = 0;
}
