/* The doorstep: listen sockets, accepting, and what is done when descriptors run out. Called by main; accepts on the
 * loops' threads.
 *
 * A step is one listen socket on one loop, touched on that loop's thread only. Doors and steps are lists that main's
 * thread alone changes. When the process has no descriptor left, accept fails and the socket stays readable: the step
 * gives up the descriptor that it keeps in reserve, takes the connection with it, closes it, takes the reserve back and
 * looks away for a while, so that neither the client waits for nothing nor the loop spins.
 *
 * A balancer's connection is an arrival of its step until its header is there; shutting the step ends its arrivals.
 */
#include "core/run/doorstep.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/run/loop_impl.h"
#include "core/run/preface.h"
#include "core/run/tickets.h"

enum {
	ACCEPTS_A_PASS = 64, /* then others get their turn; the socket stays readable */
	PAUSE_MS = 100,
	FULL_PAUSE_MS = 10,
	BACKLOG = 4096, /* the kernel cuts it to net.core.somaxconn */
	DEFAULT_PER_ADDRESS = 2048,
	DEFAULT_RESERVE = 64,
};

/* Label values of GH_M_DOORSTEP_REFUSED. */
enum { REFUSED_ADDRESS, REFUSED_TOTAL, REFUSED_DESCRIPTORS, REFUSED_HEADER };

struct door {
	struct door *next;
	struct gh_doorstep *doorstep;
	gh_accept_fn *fn;
	void *door;
	unsigned label;
};

struct step {
	struct step *next;
	struct door *door;
	struct gh_loop *loop;
	int fd, reserve_fd;
	struct gh_io io;
	struct gh_timer pause;
	struct arrival *arrivals;
};

struct arrival {
	struct preface preface; /* first: its callback gets no more */
	struct arrival *next, **link;
	struct step *step;
	int fd;
	struct gh_peer balancer;
	struct gh_ticket *ticket;
};

struct gh_doorstep {
	struct gh_loop **loops;
	unsigned loop_count;
	unsigned fd_ceiling; /* a descriptor from here on is one of the reserve */
	bool full_waits;
	struct gh_nets trusted;
	struct tickets *tickets;
	struct door *doors;
	struct step *steps;
};

/* ---- doing something on a loop and waiting for it ---- */

struct errand {
	struct gh_task task;
	enum gh_status (*fn)(struct step *s);
	struct step *step;
	enum gh_status st;
	bool done;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

static void errand_run(struct gh_task *t)
{
	struct errand *e = (struct errand *)t;
	enum gh_status st = e->fn(e->step);

	pthread_mutex_lock(&e->lock);
	e->st = st;
	e->done = true;
	pthread_cond_signal(&e->cond);
	pthread_mutex_unlock(&e->lock);
}

static enum gh_status on_loop(struct step *s, enum gh_status (*fn)(struct step *s))
{
	struct errand e = { .task.fn = errand_run, .fn = fn, .step = s };

	if (gh_loop_here(s->loop) || !loop_running(s->loop))
		return fn(s);
	pthread_mutex_init(&e.lock, NULL);
	pthread_cond_init(&e.cond, NULL);
	gh_loop_post(s->loop, &e.task);
	pthread_mutex_lock(&e.lock);
	while (!e.done)
		pthread_cond_wait(&e.cond, &e.lock);
	pthread_mutex_unlock(&e.lock);
	pthread_cond_destroy(&e.cond);
	pthread_mutex_destroy(&e.lock);
	return e.st;
}

/* ---- accepting ---- */

static int reserve_open(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void step_pause(struct step *s, unsigned ms)
{
	/* Wanting nothing cannot fail. */
	if (gh_io_want(&s->io, 0) == GH_OK)
		gh_timer_set(&s->pause, s->loop, ms);
}

static void step_resume(struct gh_timer *t, void *arg)
{
	struct step *s = arg;

	if (s->reserve_fd < 0)
		s->reserve_fd = reserve_open();
	if (gh_io_want(&s->io, GH_IO_READ) != GH_OK)
		gh_timer_set(t, s->loop, PAUSE_MS);
}

/* Out of descriptors: answer one waiting client by closing, and look away. */
static void step_shed(struct step *s, int err)
{
	int fd;

	gh_metric_add(GH_M_DOORSTEP_REFUSED, REFUSED_DESCRIPTORS, 1);
	if (s->reserve_fd >= 0) {
		close(s->reserve_fd);
		fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		s->reserve_fd = reserve_open();
	}
	gh_log(GH_LOG_WARN, "accept_exhausted", "error=\"%s\" pause_ms=%d", strerrordesc_np(err), PAUSE_MS);
	step_pause(s, PAUSE_MS);
}

static void refused(enum ticket_refusal refusal)
{
	static const unsigned label_of[] = {
		[TICKET_ADDRESS_LIMIT] = REFUSED_ADDRESS,
		[TICKET_TOTAL_LIMIT] = REFUSED_TOTAL,
		[TICKET_NO_MEMORY] = REFUSED_DESCRIPTORS,
	};

	gh_metric_add(GH_M_DOORSTEP_REFUSED, label_of[refusal], 1);
}

static void hand_over(struct step *s, int fd, const struct gh_peer *peer, struct gh_ticket *ticket)
{
	gh_metric_add(GH_M_ACCEPTED, s->door->label, 1);
	s->door->fn(s->door->door, s->loop, fd, peer, ticket);
}

/* ---- balancers ---- */

static void arrival_free(struct arrival *a)
{
	preface_stop(&a->preface);
	if (a->next)
		a->next->link = a->link;
	*a->link = a->next;
	if (a->fd >= 0)
		close(a->fd);
	gh_ticket_return(&a->ticket);
	free(a);
}

static void header_failed(const struct arrival *a, enum gh_status st)
{
	if (st == GH_GONE && !a->preface.have)
		return; /* without a word: how many balancers ask whether somebody listens */
	gh_metric_add(GH_M_DOORSTEP_REFUSED, REFUSED_HEADER, 1);
	gh_log(GH_LOG_WARN, "proxy_header", "peer=%s why=%s", a->balancer.text,
	       st == GH_INVALID ? "malformed" : st == GH_DEADLINE ? "late" : "gone");
}

/* Now the client is known. false: it has too many already. */
static bool arrival_name(struct arrival *a, const struct proxy_header *h, struct gh_peer *ret)
{
	enum ticket_refusal refusal;

	*ret = a->balancer;
	if (!h->addressed)
		return true;
	gh_peer_init(ret, (const struct sockaddr *)&h->from, h->addr_len);
	ret->proxied = true;
	ret->reached = h->to;
	refusal = ticket_name(a->ticket, (const struct sockaddr *)&h->from);
	if (refusal != TICKET_GIVEN)
		refused(refusal);
	return refusal == TICKET_GIVEN;
}

static void arrived(struct preface *p, enum gh_status st, const struct proxy_header *h)
{
	struct arrival *a = (struct arrival *)p;
	struct step *s = a->step;
	struct gh_ticket *ticket;
	struct gh_peer peer;
	int fd = -1;

	if (st != GH_OK)
		header_failed(a, st);
	else if (arrival_name(a, h, &peer))
		fd = a->fd;
	if (fd < 0) {
		arrival_free(a);
		return;
	}
	ticket = a->ticket;
	a->fd = -1;
	a->ticket = NULL;
	arrival_free(a);
	hand_over(s, fd, &peer, ticket);
}

/* Takes the socket and the ticket. */
static void arrival_begin(struct step *s, int fd, const struct gh_peer *balancer, struct gh_ticket *ticket)
{
	struct arrival *a = malloc(sizeof(*a));

	if (!a || preface_start(&a->preface, s->loop, fd, arrived) != GH_OK) {
		refused(TICKET_NO_MEMORY);
		free(a);
		close(fd);
		gh_ticket_return(&ticket);
		return;
	}
	a->next = s->arrivals;
	a->link = &s->arrivals;
	if (a->next)
		a->next->link = &a->next;
	s->arrivals = a;
	a->step = s;
	a->fd = fd;
	a->balancer = *balancer;
	a->ticket = ticket;
}

static void step_admit(struct step *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct gh_doorstep *d = s->door->doorstep;
	bool balancer = gh_nets_have(&d->trusted, sa);
	enum ticket_refusal refusal;
	struct gh_ticket *ticket;
	struct gh_peer peer;
	int one = 1;

	if ((unsigned)fd >= d->fd_ceiling) {
		refused(TICKET_NO_MEMORY);
		close(fd);
		return;
	}
	refusal = tickets_take(d->tickets, balancer ? NULL : sa, s->door->label, &ticket);
	if (refusal != TICKET_GIVEN) {
		refused(refusal);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails only for a socket that is dead already */
	gh_peer_init(&peer, sa, len);
	if (balancer)
		arrival_begin(s, fd, &peer, ticket);
	else
		hand_over(s, fd, &peer, ticket);
}

/* True: look for another one. accept reports errors that the connection had while it waited (accept(2)). */
static bool accept_failed(struct step *s, int err)
{
	switch (err) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		step_shed(s, err);
		return false;
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		return true;
	default:
		gh_log(GH_LOG_ERROR, "accept_failed", "error=\"%s\"", strerrordesc_np(err));
		step_pause(s, PAUSE_MS);
		return false;
	}
}

static void step_ready(struct gh_io *io, unsigned ready, void *arg)
{
	struct step *s = arg;
	const struct gh_doorstep *d = s->door->doorstep;

	(void)io;
	(void)ready;
	for (int i = 0; i < ACCEPTS_A_PASS; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd;

		if (d->full_waits && tickets_full(d->tickets)) {
			step_pause(s, FULL_PAUSE_MS);
			return;
		}
		fd = accept4(s->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			step_admit(s, fd, (struct sockaddr *)&ss, len);
		else if (!accept_failed(s, errno))
			return;
	}
}

/* ---- opening and shutting ---- */

static enum gh_status step_begin(struct step *s)
{
	enum gh_status st = gh_io_init(&s->io, s->loop, s->fd, step_ready, s);

	gh_timer_init(&s->pause, step_resume, s);
	return st == GH_OK ? gh_io_want(&s->io, GH_IO_READ) : st;
}

static enum gh_status step_end(struct step *s)
{
	gh_timer_cancel(&s->pause);
	gh_io_fini(&s->io);
	while (s->arrivals)
		arrival_free(s->arrivals);
	if (s->fd >= 0)
		close(s->fd);
	if (s->reserve_fd >= 0)
		close(s->reserve_fd);
	s->fd = s->reserve_fd = -1;
	return GH_OK;
}

/* A socket bound to ss. shared: SO_REUSEPORT, with the others of ours. -1 and errno. */
static int socket_bound(const struct sockaddr_storage *ss, socklen_t len, bool shared)
{
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, zero = 0, err;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ss->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if ((!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0) &&
	    bind(fd, (const struct sockaddr *)ss, len) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

/* SO_REUSEPORT would let a second gateway of the same user share the port without a word, each getting half of the
 * connections. A socket without it cannot be bound where anybody listens. */
static bool port_free(const struct sockaddr_storage *ss, socklen_t len)
{
	int fd = socket_bound(ss, len, false);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* A host without IPv6 has only the one kind of "all addresses". */
static void without_ipv6(struct sockaddr_storage *ss, socklen_t *len)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = in6->sin6_port };
	int fd;

	if (ss->ss_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
		return;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		close(fd);
		return;
	}
	memcpy(ss, &in4, sizeof(in4));
	*len = sizeof(in4);
}

static void addr_text(const struct sockaddr_storage *ss, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in4 = (const struct sockaddr_in *)ss;

		inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(in4->sin_port));
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	}
}

/* One step per loop, bound and listening but not yet watched. The first one may find the port. */
static enum gh_status steps_make(struct door *door, struct sockaddr_storage *ss, socklen_t *len,
				 struct step **ret_steps)
{
	struct gh_doorstep *d = door->doorstep;

	for (unsigned i = 0; i < d->loop_count; i++) {
		struct step *s = calloc(1, sizeof(*s));

		if (!s)
			return GH_NOMEM;
		*s = (struct step){ .next = *ret_steps, .door = door, .loop = d->loops[i], .fd = -1, .reserve_fd = -1 };
		*ret_steps = s;
		s->fd = socket_bound(ss, *len, true);
		if (s->fd < 0 || listen(s->fd, BACKLOG) != 0 || getsockname(s->fd, (struct sockaddr *)ss, len) != 0)
			return GH_IO;
		s->reserve_fd = reserve_open();
		if (s->reserve_fd < 0)
			return GH_IO;
	}
	return GH_OK;
}

static enum gh_status steps_watch(struct step *s)
{
	enum gh_status st = GH_OK;

	for (; s && st == GH_OK; s = s->next)
		st = on_loop(s, step_begin);
	return st;
}

static void steps_free(struct step **steps)
{
	struct step *s;

	while ((s = *steps)) {
		*steps = s->next;
		on_loop(s, step_end);
		free(s);
	}
}

static enum gh_status door_open(struct door *door, struct sockaddr_storage *ss, socklen_t *len)
{
	struct step *steps = NULL, **last = &steps;
	enum gh_status st = steps_make(door, ss, len, &steps);
	int err = errno;

	if (st == GH_OK)
		st = steps_watch(steps);
	if (st != GH_OK) {
		steps_free(&steps);
		errno = err;
		return st;
	}
	while (*last)
		last = &(*last)->next;
	*last = door->doorstep->steps;
	door->doorstep->steps = steps;
	return GH_OK;
}

enum gh_status gh_doorstep_listen(struct gh_doorstep *d, const char *addr, unsigned door_label, gh_accept_fn *fn,
				  void *door_arg, char *ret_addr, char *err, unsigned err_len)
{
	struct sockaddr_storage ss;
	struct door *door;
	enum gh_status st;
	socklen_t len;

	if (gh_addr_parse(addr, &ss, &len) != GH_OK) {
		snprintf(err, err_len, "'%s' is not ADDRESS:PORT, [ADDRESS]:PORT or :PORT", addr);
		return GH_INVALID;
	}
	door = calloc(1, sizeof(*door));
	if (!door) {
		snprintf(err, err_len, "out of memory");
		return GH_NOMEM;
	}
	*door = (struct door){ .doorstep = d, .fn = fn, .door = door_arg, .label = door_label };
	without_ipv6(&ss, &len);
	st = port_free(&ss, len) ? door_open(door, &ss, &len) : GH_IO;
	if (st != GH_OK) {
		snprintf(err, err_len, "cannot listen on %s: %s", addr, strerror(errno));
		free(door);
		return st;
	}
	door->next = d->doors;
	d->doors = door;
	addr_text(&ss, ret_addr, 64);
	return GH_OK;
}

void gh_doorstep_shut(struct gh_doorstep *d)
{
	steps_free(&d->steps);
}

unsigned gh_doorstep_open(const struct gh_doorstep *d)
{
	return tickets_out(d->tickets);
}

/* ---- life ---- */

enum gh_status gh_doorstep_new(struct gh_loop **loops, unsigned loop_count, const struct gh_doorstep_limits *limits,
			       struct gh_doorstep **ret)
{
	struct gh_doorstep_limits lim = limits ? *limits : (struct gh_doorstep_limits){ 0 };
	struct gh_doorstep *d = calloc(1, sizeof(*d));
	struct rlimit rl = { .rlim_cur = 1024 };
	unsigned descriptors;

	if (!d)
		return GH_NOMEM;
	getrlimit(RLIMIT_NOFILE, &rl);
	descriptors = rl.rlim_cur < INT32_MAX ? (unsigned)rl.rlim_cur : INT32_MAX;
	if (!lim.reserve_fds)
		lim.reserve_fds = DEFAULT_RESERVE;
	if (lim.reserve_fds > descriptors / 4) /* a process that may have few still has to serve somebody */
		lim.reserve_fds = descriptors / 4;
	d->fd_ceiling = descriptors - lim.reserve_fds;
	d->full_waits = lim.full_waits;
	if (lim.trusted)
		d->trusted = *lim.trusted;
	d->tickets = tickets_new(lim.per_address ? lim.per_address : DEFAULT_PER_ADDRESS,
				 lim.total ? lim.total : d->fd_ceiling);
	d->loops = malloc(loop_count * sizeof(struct gh_loop *));
	if (!d->tickets || !d->loops) {
		gh_doorstep_free(&d);
		return GH_NOMEM;
	}
	memcpy(d->loops, loops, loop_count * sizeof(struct gh_loop *));
	d->loop_count = loop_count;
	*ret = d;
	return GH_OK;
}

void gh_doorstep_free(struct gh_doorstep **doorstep)
{
	struct gh_doorstep *d = *doorstep;
	struct door *door;

	if (!d)
		return;
	gh_doorstep_shut(d);
	while ((door = d->doors)) {
		d->doors = door->next;
		free(door);
	}
	tickets_unref(d->tickets);
	free(d->loops);
	free(d);
	*doorstep = NULL;
}
