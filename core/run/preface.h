/* Reads the PROXY header off a connection that a balancer made, on its loop and without waiting, and not a byte more: what
 * follows is the door's. Called by the doorstep and by FTP for data connections. Everything on the loop's thread.
 */
#ifndef GH_CORE_RUN_PREFACE_H
#define GH_CORE_RUN_PREFACE_H

#include "core/run/loop.h"
#include "core/run/proxy.h"

/* The header is the first thing a balancer sends. Long enough for a lost segment to come again. */
#define PREFACE_MS 5000

/* GH_OK: h is the header. GH_INVALID: what came is none. GH_GONE: the connection ended before. GH_DEADLINE. The preface is
 * over in every case and may be freed in the callback; the socket is the caller's. */
struct preface;
typedef void preface_fn(struct preface *p, enum gh_status st, const struct proxy_header *h);

struct preface { /* the caller's, and stays put until it is over */
	struct gh_io io;
	struct gh_timer timer;
	preface_fn *fn;
	size_t have;
	char bytes[PROXY_HEADER_MAX];
};

/* fn comes exactly once, later, unless preface_stop comes first. */
GH_MUST_CHECK enum gh_status preface_start(struct preface *p, struct gh_loop *l, int fd, preface_fn *fn);
void preface_stop(struct preface *p); /* does not close the socket; twice */

#endif
