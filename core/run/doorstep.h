/* The doorstep: accepts for every door, on every loop (SO_REUSEPORT, one listen socket per loop), counts connections
 * per address (IPv4 address, IPv6 /64) and in total, keeps a reserve of descriptors so that accept never spins, then
 * gives the socket to its door. Before a byte is read only limits and exhaustion close. (TLS comes in between accept and
 * hand-over; this is its place.)
 *
 * A connection from a trusted network is a balancer's: it has to begin with a PROXY header (proxy.h), which is read here,
 * without blocking and with a deadline. It is counted in the total meanwhile, and under nobody's address; then under the
 * client's, which is the peer that the door gets. From any other network the header is never looked for.
 *
 * The per-address count is one table for the process, striped by address; a door returns its ticket when its
 * connection ends, from any thread.
 */
#ifndef GH_CORE_RUN_DOORSTEP_H
#define GH_CORE_RUN_DOORSTEP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/run/loop.h"
#include "core/run/nets.h"

struct gh_peer { /* the client, also where a balancer connected for it */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char text[INET6_ADDRSTRLEN]; /* v4-mapped v6 shown as v4 */
	uint16_t port;
	bool proxied;                   /* a balancer said so; then */
	struct sockaddr_storage reached; /* where the client connected to: the balancer's address, not ours */
};

struct gh_ticket; /* one counted connection */
void gh_ticket_return(struct gh_ticket **t); /* leaves NULL; accepts NULL inside */

/* Takes the socket (non-blocking, close-on-exec, TCP_NODELAY) and the ticket, whatever happens. On loop l's thread. */
typedef void gh_accept_fn(void *door, struct gh_loop *l, int fd, const struct gh_peer *peer, struct gh_ticket *ticket);

struct gh_doorstep_limits {
	unsigned per_address; /* default 2048 */
	unsigned total;       /* default from RLIMIT_NOFILE less a reserve */
	unsigned reserve_fds; /* default 64: kept free for databases, blobs, logs */
	/* Above the total nobody is closed, they wait in the kernel's queue in the order they came: for a door that makes
	 * room by itself, and where the last to come may be the one that matters. With one loop. */
	bool full_waits;
	const struct gh_nets *trusted; /* from there balancers connect; copied; NULL = none */
};

struct gh_doorstep;
GH_MUST_CHECK enum gh_status gh_doorstep_new(struct gh_loop **loops, unsigned loop_count,
					     const struct gh_doorstep_limits *limits, struct gh_doorstep **ret);
/* addr "127.0.0.1:8080", "[::1]:8080", ":8080" (all, dual stack), port 0 = free one. door_label: enum vfs_proto value
 * for metrics. ret_addr (at least 64 bytes) gets the address with its real port. On failure err (size err_len) says
 * what and why. Before the loops start, or from any loop's thread is not supported. */
GH_MUST_CHECK enum gh_status gh_doorstep_listen(struct gh_doorstep *d, const char *addr, unsigned door_label,
						gh_accept_fn *fn, void *door, char *ret_addr, char *err,
						unsigned err_len);
/* Stop accepting, and close what has not told its PROXY header yet; posts to the loops; returns when all have done it. */
void gh_doorstep_shut(struct gh_doorstep *d);
unsigned gh_doorstep_open(const struct gh_doorstep *d); /* connections that hold a ticket */
void gh_doorstep_free(struct gh_doorstep **d);
/* Parses "ADDR:PORT" as above into ss; GH_INVALID. */
GH_MUST_CHECK enum gh_status gh_addr_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len);
void gh_peer_init(struct gh_peer *p, const struct sockaddr *sa, socklen_t len);

#endif
