/* An HTTP/1.1 answer, as much as a generator has to know: its status, where it ends, whether the connection goes on. */
#include "tests/bench/day.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *header(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at ? at + strlen(name) : NULL;
}

static void head_came(struct day_answer *a, bool bodyless)
{
	const char *v;

	a->status = strncmp(a->line, "HTTP/1.1 ", 9) ? 0 : (unsigned)atoi(a->line + 9);
	a->closes = header(a->line, "\r\nconnection: close") != NULL;
	a->len = 0;
	if (a->status < 100) {
		a->at = DAY_BROKEN;
	} else if (a->status < 200) {
		a->at = DAY_HEAD; /* 100 Continue: the answer is still to come */
	} else if (bodyless || a->status == 204 || a->status == 304) {
		a->at = DAY_WHOLE;
	} else if (header(a->line, "\r\ntransfer-encoding: chunked")) {
		a->at = DAY_SIZE;
	} else {
		v = header(a->line, "\r\ncontent-length:");
		a->left = v ? strtoull(v, NULL, 10) : 0;
		a->at = !v ? DAY_BROKEN : a->left ? DAY_BODY : DAY_WHOLE;
	}
}

static void line_came(struct day_answer *a)
{
	a->len = 0;
	switch (a->at) {
	case DAY_SIZE:
		a->left = strtoull(a->line, NULL, 16);
		a->at = a->left ? DAY_CHUNK : DAY_TRAILER;
		break;
	case DAY_CHUNK_END:
		a->at = DAY_SIZE;
		break;
	default:
		a->at = a->line[0] == '\r' ? DAY_WHOLE : DAY_TRAILER;
	}
}

/* Up to the end of what is collected: the whole head, or one line. */
static size_t take_text(struct day_answer *a, bool bodyless, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len);
	const size_t n = newline ? (size_t)(newline + 1 - data) : len;

	if (a->len + n >= sizeof(a->line)) {
		a->at = DAY_BROKEN;
		return n;
	}
	memcpy(a->line + a->len, data, n);
	a->len += (unsigned)n;
	a->line[a->len] = '\0';
	if (!newline)
		return n;
	if (a->at != DAY_HEAD)
		line_came(a);
	else if (a->len >= 4 && !memcmp(a->line + a->len - 4, "\r\n\r\n", 4))
		head_came(a, bodyless);
	return n;
}

static size_t take_body(struct day_answer *a, size_t len)
{
	const size_t n = len < a->left ? len : (size_t)a->left;

	a->left -= n;
	a->body_bytes += n;
	if (!a->left)
		a->at = a->at == DAY_BODY ? DAY_WHOLE : DAY_CHUNK_END;
	return n;
}

void day_answer_take(struct day_answer *a, bool bodyless, const char *data, size_t len)
{
	while (len && a->at != DAY_BROKEN) {
		size_t n = len;

		if (a->at == DAY_WHOLE)
			a->at = DAY_BROKEN;
		else if (a->at == DAY_BODY || a->at == DAY_CHUNK)
			n = take_body(a, len);
		else
			n = take_text(a, bodyless, data, len);
		data += n;
		len -= n;
	}
}
