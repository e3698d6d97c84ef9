/* A growing byte buffer that states its maximum when it is made. Failure is sticky: append freely,
 * look at ->failed once. data is always NUL-terminated at data[len] once anything was appended. */
#ifndef GH_CORE_BASE_BUF_H
#define GH_CORE_BASE_BUF_H

#include <stddef.h>

#include "core/base/status.h"

struct gh_buf {
	char *data;
	size_t len, cap, max;
	bool failed; /* would have passed max, or out of memory: nothing more is appended */
};

void gh_buf_init(struct gh_buf *b, size_t max_bytes);
void gh_buf_fini(struct gh_buf *b);  /* frees, leaves an empty buffer of the same max */
void gh_buf_clear(struct gh_buf *b); /* len = 0, failed = false, keeps the memory */
void gh_buf_add(struct gh_buf *b, const void *p, size_t len);
void gh_buf_str(struct gh_buf *b, const char *s);
void gh_buf_char(struct gh_buf *b, char c);
void gh_buf_u64(struct gh_buf *b, unsigned long long v); /* decimal; fast: listings are made of these */
void gh_buf_printf(struct gh_buf *b, const char *fmt, ...) GH_PRINTF(2, 3);
/* Escapes & < > " ' for XML text and attributes and for HTML. */
void gh_buf_xml(struct gh_buf *b, const char *s, size_t len);
/* Percent-encodes for an href path: upper-case hex; leaves unreserved characters, "/" and !*'(),:@$+;=~ readable
 * (gvfs and Nautilus compare spellings). */
void gh_buf_href(struct gh_buf *b, const char *s, size_t len);
/* JSON string body without the quotes. Input is valid UTF-8. */
void gh_buf_json(struct gh_buf *b, const char *s, size_t len);
/* Make room for len more bytes and return where they go (caller adds to ->len); NULL when failed. */
char *gh_buf_room(struct gh_buf *b, size_t len);

#endif
