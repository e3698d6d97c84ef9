/* The data connection: PASV, EPSV, PORT, EPRT, and how it comes about. Called by the command table and by transfer.c.
 *
 *   NONE -> LISTEN (PASV) -> READY (the peer connected before the transfer command) or OPEN (while one waited)
 *   NONE -> DIAL (PORT) -> DIALLING -> OPEN
 *   any -> NONE by ftp_data_close; one data connection serves one transfer (RFC 959, mode S)
 *
 * Only the control connection's peer may be at the other end, in both directions (RFC 2577): what another connects to a
 * listener is shut at once and the listener stays; what another is named in PORT is refused. Where a balancer connects, it
 * has to say for whom (core/run/preface.h), one at a time; whom it names is compared. */
#include "frontends/ftp/ftp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "core/run/preface.h"
#include "frontends/ftp/parse.h"

#define BACKLOG 8
#define PORT_MIN 1024 /* RFC 2577 section 3: nobody's mail server */

bool ftp_data_set(const struct ftp_session *s)
{
	return s->data.state != FTP_D_NONE;
}

/* A connection on the listener that has yet to say for whom it is. */
struct ftp_guest {
	struct preface preface; /* first: its callback gets no more */
	struct ftp_session *session;
	int fd;
};

/* Its socket is the caller's. */
static int guest_drop(struct ftp_data *d)
{
	int fd = d->guest->fd;

	preface_stop(&d->guest->preface);
	free(d->guest);
	d->guest = NULL;
	return fd;
}

void ftp_data_close(struct ftp_session *s, bool reset)
{
	struct ftp_data *d = &s->data;

	gh_timer_cancel(&d->timer);
	if (d->guest)
		close(guest_drop(d));
	if (d->fd >= 0) {
		gh_io_fini(&d->io);
		if (reset && d->state == FTP_D_OPEN) {
			struct linger now = { .l_onoff = 1, .l_linger = 0 };

			(void)setsockopt(d->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		}
		close(d->fd);
	}
	d->fd = -1;
	d->state = FTP_D_NONE;
	d->wanted = false;
}

void ftp_data_fini(struct ftp_session *s)
{
	ftp_data_close(s, true);
}

static void timer_start(struct ftp_session *s, gh_timer_fn *fn)
{
	gh_timer_cancel(&s->data.timer);
	gh_timer_init(&s->data.timer, fn, s);
	gh_timer_set(&s->data.timer, s->loop, s->door->data_ms);
}

/* ---- passive ---- */

static void on_timeout(struct gh_timer *t, void *arg)
{
	struct ftp_session *s = arg;

	if (s->data.wanted)
		ftp_transfer_unconnected(s, "Nobody connected in time.");
	else
		ftp_data_close(s, false); /* PASV without a transfer: ports are few */
	ftp_settle(s);
}

static void opened(struct ftp_session *s)
{
	gh_timer_cancel(&s->data.timer);
	if (!s->data.wanted) {
		s->data.state = FTP_D_READY;
		return;
	}
	s->data.wanted = false;
	s->data.state = FTP_D_OPEN;
	ftp_transfer_connected(s);
}

static void on_data(struct gh_io *io, unsigned ready, void *arg);

/* Puts the connection in the listener's place. */
static void take_connection(struct ftp_session *s, int fd)
{
	struct ftp_data *d = &s->data;

	gh_io_fini(&d->io);
	close(d->fd);
	d->fd = fd;
	if (gh_io_init(&d->io, s->loop, fd, on_data, s) == GH_OK) {
		opened(s);
		return;
	}
	close(fd);
	d->fd = -1;
	d->state = FTP_D_NONE;
	if (d->wanted)
		ftp_transfer_unconnected(s, "The data connection could not be opened.");
}

/* The listener cannot be watched any more. */
static void listener_lost(struct ftp_session *s, const char *why)
{
	bool wanted = s->data.wanted;

	ftp_data_close(s, false);
	if (wanted)
		ftp_transfer_unconnected(s, why);
}

static void guest_told(struct preface *p, enum gh_status st, const struct proxy_header *h)
{
	struct ftp_session *s = ((struct ftp_guest *)p)->session;
	int fd = guest_drop(&s->data);

	if (st == GH_OK && h->addressed && ftp_same_host(&h->from, &s->peer.addr)) {
		take_connection(s, fd);
	} else {
		close(fd);
		if (gh_io_want(&s->data.io, GH_IO_READ) != GH_OK)
			listener_lost(s, "The data connection could not be opened.");
	}
	ftp_settle(s);
}

/* Nobody else is let in while one is asked: the listener's time bounds that too. */
static void guest_ask(struct ftp_session *s, int fd)
{
	struct ftp_guest *g = calloc(1, sizeof(*g));

	if (!g || preface_start(&g->preface, s->loop, fd, guest_told) != GH_OK) {
		free(g);
		close(fd);
		return;
	}
	g->session = s;
	g->fd = fd;
	s->data.guest = g;
	if (gh_io_want(&s->data.io, 0) != GH_OK)
		listener_lost(s, "The data connection could not be opened.");
}

static void accept_one(struct ftp_session *s)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd = accept4(s->data.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
			return; /* nobody there any more */
		/* Without a descriptor the listener would be ready for ever. */
		listener_lost(s, "Too many open connections.");
		return;
	}
	if (gh_nets_have(&s->door->trusted, (const struct sockaddr *)&from)) {
		guest_ask(s, fd);
		return;
	}
	if (!ftp_same_host(&from, &s->peer.addr)) {
		close(fd);
		return;
	}
	take_connection(s, fd);
}

/* A listener; -1: why is in errno. */
static int listen_at(const struct sockaddr_storage *sa)
{
	int one = 1, fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), why;

	if (fd < 0)
		return -1;
	/* Ports of the range are used again while old connections linger in TIME-WAIT. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (const struct sockaddr *)sa, ftp_addr_len(sa)) && !listen(fd, BACKLOG))
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

/* Any free port of the range, from a random one on: the next port must not be guessable. Two loops may bind the same port;
 * only one of them listens, and the other's socket is of no use any more. -1 = none. */
static int listen_any(const struct ftp_session *s, struct sockaddr_storage *sa)
{
	unsigned first = s->door->passive_first, count = s->door->passive_last - first + 1;
	uint32_t start;

	gh_random(&start, sizeof(start));
	for (unsigned i = 0; i < count; i++) {
		ftp_set_port(sa, first ? first + (start % count + i) % count : 0);
		int fd = listen_at(sa);
		if (fd >= 0 || errno != EADDRINUSE)
			return fd;
	}
	return -1;
}

/* Listens on the address that the control connection has here. 0 = failed. */
static unsigned listen_start(struct ftp_session *s)
{
	struct sockaddr_storage sa = s->local;
	socklen_t len = sizeof(sa);
	unsigned port;
	int fd;

	ftp_data_close(s, false);
	fd = listen_any(s, &sa);
	if (fd < 0)
		return 0;
	port = getsockname(fd, (struct sockaddr *)&sa, &len) ? 0 : ftp_port_of(&sa);
	if (!port || gh_io_init(&s->data.io, s->loop, fd, on_data, s) != GH_OK) {
		close(fd);
		return 0;
	}
	s->data.fd = fd;
	s->data.state = FTP_D_LISTEN;
	if (gh_io_want(&s->data.io, GH_IO_READ) != GH_OK) {
		ftp_data_close(s, false);
		return 0;
	}
	timer_start(s, on_timeout);
	return port;
}

/* Where the client has reached us: through a balancer that is the balancer. */
static const struct sockaddr_storage *reached(const struct ftp_session *s)
{
	return s->peer.proxied ? &s->peer.reached : &s->local;
}

void ftp_cmd_pasv(struct ftp_session *s, char *arg, size_t len)
{
	struct sockaddr_storage shown = *reached(s);
	const unsigned char *a;
	unsigned port;

	if (s->epsv_all) {
		ftp_end(s, 503, "EPSV ALL was given.");
		return;
	}
	ftp_unmap(&shown);
	if (shown.ss_family != AF_INET) {
		ftp_end(s, 425, "PASV speaks only IPv4; use EPSV.");
		return;
	}
	if (s->door->passive_address.ss_family)
		shown = s->door->passive_address;
	port = listen_start(s);
	if (!port) {
		ftp_end(s, 425, "No passive port is free.");
		return;
	}
	a = (const unsigned char *)&((struct sockaddr_in *)&shown)->sin_addr;
	ftp_end(s, 227, "Entering Passive Mode (%u,%u,%u,%u,%u,%u).", a[0], a[1], a[2], a[3], port >> 8, port & 255);
}

void ftp_cmd_epsv(struct ftp_session *s, char *arg, size_t len)
{
	struct sockaddr_storage local = *reached(s);
	enum ftp_epsv what = ftp_parse_epsv(arg);
	unsigned port;

	ftp_unmap(&local);
	if (what == FTP_EPSV_BAD) {
		ftp_end(s, 501, "EPSV takes 1, 2 or ALL.");
		return;
	}
	if (what == FTP_EPSV_ALL) {
		s->epsv_all = true;
		ftp_end(s, 200, "From now on only EPSV.");
		return;
	}
	if (what == FTP_EPSV_OTHER || (what == FTP_EPSV_4 && local.ss_family != AF_INET) ||
	    (what == FTP_EPSV_6 && local.ss_family != AF_INET6)) {
		ftp_end(s, 522, "Network protocol not supported, use (%d).", local.ss_family == AF_INET ? 1 : 2);
		return;
	}
	port = listen_start(s);
	if (port)
		ftp_end(s, 229, "Entering Extended Passive Mode (|||%u|)", port);
	else
		ftp_end(s, 425, "No passive port is free.");
}

/* ---- active ---- */

static bool may_dial(const struct ftp_session *s, const struct sockaddr_storage *to)
{
	if (!ftp_same_host(to, &s->peer.addr) || ftp_port_of(to) < PORT_MIN)
		return false;
	/* From this very machine: not our own door. */
	return !(ftp_same_host(to, &s->local) && ftp_port_of(to) == ftp_port_of(&s->local));
}

static void dial_set(struct ftp_session *s, const struct sockaddr_storage *to, const char *verb)
{
	if (s->epsv_all) {
		ftp_end(s, 503, "EPSV ALL was given.");
		return;
	}
	if (!may_dial(s, to)) {
		ftp_end(s, 501, "%s: only your own address, and a port from 1024 on.", verb);
		return;
	}
	ftp_data_close(s, false);
	s->data.state = FTP_D_DIAL;
	s->data.to = *to;
	ftp_end(s, 200, "%s is set.", verb);
}

void ftp_cmd_port(struct ftp_session *s, char *arg, size_t len)
{
	struct sockaddr_storage to;

	if (ftp_parse_port(arg, &to) != GH_OK)
		ftp_end(s, 501, "PORT takes h1,h2,h3,h4,p1,p2.");
	else
		dial_set(s, &to, "PORT");
}

void ftp_cmd_eprt(struct ftp_session *s, char *arg, size_t len)
{
	struct sockaddr_storage to;

	switch (ftp_parse_eprt(arg, &to)) {
	case GH_OK:
		dial_set(s, &to, "EPRT");
		return;
	case GH_UNSUPPORTED:
		ftp_end(s, 522, "Network protocol not supported, use (1,2).");
		return;
	default:
		ftp_end(s, 501, "EPRT takes |protocol|address|port|.");
		return;
	}
}

static void dialled(struct ftp_session *s)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(s->data.fd, SOL_SOCKET, SO_ERROR, &err, &len) || err)
		ftp_transfer_unconnected(s, "The data connection was refused.");
	else
		opened(s);
}

/* From the address the client knows us by; from any port of ours. */
static bool dial(struct ftp_session *s)
{
	struct ftp_data *d = &s->data;
	struct sockaddr_storage from = s->local;
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
	const struct sockaddr *to = (struct sockaddr *)&d->to;
	socklen_t to_len = ftp_addr_len(&d->to);
	int fd = socket(from.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (from.ss_family == AF_INET6 && d->to.ss_family == AF_INET) {
		/* A dual-stack control connection: IPv4 is spoken through its IPv6 socket. */
		mapped.sin6_port = ((struct sockaddr_in *)&d->to)->sin_port;
		mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
		memcpy(&mapped.sin6_addr.s6_addr[12], &((struct sockaddr_in *)&d->to)->sin_addr, 4);
		to = (struct sockaddr *)&mapped;
		to_len = sizeof(mapped);
	}
	ftp_set_port(&from, 0);
	if (bind(fd, (struct sockaddr *)&from, ftp_addr_len(&from)) ||
	    (connect(fd, to, to_len) && errno != EINPROGRESS) || gh_io_init(&d->io, s->loop, fd, on_data, s) != GH_OK) {
		close(fd);
		return false;
	}
	d->fd = fd;
	d->state = FTP_D_DIALLING;
	return gh_io_want(&d->io, GH_IO_WRITE) == GH_OK;
}

void ftp_data_open(struct ftp_session *s)
{
	struct ftp_data *d = &s->data;

	switch (d->state) {
	case FTP_D_READY:
		d->state = FTP_D_OPEN;
		ftp_transfer_connected(s);
		return;
	case FTP_D_LISTEN:
		d->wanted = true;
		timer_start(s, on_timeout);
		return;
	case FTP_D_DIAL:
		d->wanted = true;
		if (dial(s))
			timer_start(s, on_timeout);
		else
			ftp_transfer_unconnected(s, "The data connection could not be opened.");
		return;
	case FTP_D_NONE: /* the listener's time was up between the command and its answer */
		ftp_transfer_unconnected(s, "Use PASV or PORT first.");
		return;
	case FTP_D_DIALLING:
	case FTP_D_OPEN:
		GH_ASSERT(!"one data connection serves one transfer");
	}
}

static void on_data(struct gh_io *io, unsigned ready, void *arg)
{
	struct ftp_session *s = arg;

	switch (s->data.state) {
	case FTP_D_LISTEN:
		accept_one(s);
		break;
	case FTP_D_DIALLING:
		dialled(s);
		break;
	case FTP_D_OPEN:
		ftp_transfer_io(s, ready);
		break;
	case FTP_D_READY:
	case FTP_D_DIAL:
	case FTP_D_NONE:
		break;
	}
	ftp_settle(s);
}
