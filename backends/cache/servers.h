/* Lists of servers as they are configured, and which of them rest: one that did not answer is left alone for a second, by all
 * threads, so that what is slow or gone costs one wait a second and not one for each call. Parsing is pure; the rest are
 * atomics; any thread. */
#ifndef GH_BACKENDS_CACHE_SERVERS_H
#define GH_BACKENDS_CACHE_SERVERS_H

#include <stdatomic.h>

#include "core/cache.h"

#define SERVER_NAME_MAX 255
#define SERVER_REST_MS 1000u

struct server {
	char host[SERVER_NAME_MAX + 1]; /* or the path of a socket */
	uint16_t port;                  /* 0: a socket */
	char text[SERVER_NAME_MAX + 16];/* as people know it */
	_Atomic uint64_t rests_until_ns;
};

struct server_set {
	unsigned count;
	struct server *server;
};

/* err (256 bytes). GH_INVALID, GH_NOMEM. "" is a set of none. */
GH_MUST_CHECK enum gh_status servers_parse(const char *text, struct server_set *ret, char *err);
void servers_fini(struct server_set *s);
/* Its index; count: none of that name. port 0: a socket. */
unsigned servers_find(const struct server_set *s, const char *host, uint16_t port);
/* May it be asked? GH_OK. GH_TRIPPED: it rests, others do not. GH_IO: they all do. */
GH_MUST_CHECK enum gh_status servers_ask(const struct server_set *s, unsigned i, uint64_t now_ns);
void servers_tell(struct server_set *s, unsigned i, bool answered, uint64_t now_ns);

#endif
