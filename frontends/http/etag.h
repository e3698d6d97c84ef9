/* Entity tags as clients send them (RFC 9110 section 8.8.3), shared by conditions and If-Range. Pure. */
#ifndef GH_FRONTENDS_HTTP_ETAG_H
#define GH_FRONTENDS_HTTP_ETAG_H

#include <stdbool.h>
#include <stdint.h>

struct http_etag {
	bool weak;
	uint64_t version; /* 0: foreign or malformed, matches nothing */
};

/* Takes the next tag of a list; returns where to go on, NULL at the end (*ret is not written then). */
const char *http_etag_next(const char *p, struct http_etag *ret);

#endif
