/* The header of the PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt), by which a balancer tells whom it
 * connects for. Parsing only; pure, any thread. Who is believed: struct gh_nets. Who reads: preface.h.
 */
#ifndef GH_CORE_RUN_PROXY_H
#define GH_CORE_RUN_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Version 1: at most 107 bytes with its CR LF (section 2.1). Version 2: 16 bytes and what they announce, of which we take
 * 2,048: addresses need 216 at most, and what balancers add about TLS or their cloud is far below the rest. */
#define PROXY_V1_MAX 107
#define PROXY_V2_HEAD 16
#define PROXY_V2_BODY_MAX 2048
#define PROXY_HEADER_MAX (PROXY_V2_HEAD + PROXY_V2_BODY_MAX)

enum proxy_verdict {
	PROXY_MORE,   /* so far it is the beginning of a header; all bytes that are there belong to it */
	PROXY_HEADER, /* whole */
	PROXY_BAD,    /* can become none */
};

struct proxy_header {
	size_t len; /* bytes of the header; what follows is the client's */
	/* Does it say who the client is? Not for LOCAL (the balancer itself, a health check), UNKNOWN, and what no socket of ours
	 * could have been (UNIX): then the connection's own addresses hold. */
	bool addressed;
	struct sockaddr_storage from, to; /* the client; where it connected to */
	socklen_t addr_len;               /* of each */
};

/* What the first len bytes of a connection are. ret is written for PROXY_HEADER only. */
enum proxy_verdict proxy_parse(const void *bytes, size_t len, struct proxy_header *ret);

#endif
