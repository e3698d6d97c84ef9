/* The growing buffer. Called by everybody who makes text or XML or JSON; single-owner, any thread. */
#include "core/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 256 };

void gh_buf_init(struct gh_buf *b, size_t max_bytes)
{
	*b = (struct gh_buf){ .max = max_bytes < SIZE_MAX / 2 ? max_bytes : SIZE_MAX / 2 }; /* sums of two cannot wrap */
}

void gh_buf_fini(struct gh_buf *b)
{
	free(b->data);
	gh_buf_init(b, b->max);
}

void gh_buf_clear(struct gh_buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

/* cap counts the NUL, max does not. */
static bool buf_grow(struct gh_buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	char *data;

	if (len > b->max - b->len)
		return false;
	while (cap - b->len <= len) {
		if (cap > b->max / 2) {
			cap = b->max + 1;
			break;
		}
		cap *= 2;
	}
	data = realloc(b->data, cap);
	if (!data)
		return false;
	b->data = data;
	b->cap = cap;
	return true;
}

char *gh_buf_room(struct gh_buf *b, size_t len)
{
	if (b->failed)
		return NULL;
	if (len > b->max - b->len || (b->cap - b->len <= len && !buf_grow(b, len))) {
		b->failed = true;
		return NULL;
	}
	return b->data + b->len;
}

void gh_buf_add(struct gh_buf *b, const void *p, size_t len)
{
	char *to = gh_buf_room(b, len);

	if (!to)
		return;
	if (len)
		memcpy(to, p, len);
	to[len] = '\0';
	b->len += len;
}

void gh_buf_str(struct gh_buf *b, const char *s)
{
	gh_buf_add(b, s, strlen(s));
}

void gh_buf_char(struct gh_buf *b, char c)
{
	gh_buf_add(b, &c, 1);
}

void gh_buf_u64(struct gh_buf *b, unsigned long long v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";
	char text[24], *end = text + sizeof(text), *p = end;

	for (; v >= 100; v /= 100) {
		p -= 2;
		memcpy(p, pairs + v % 100 * 2, 2);
	}
	*--p = (char)('0' + v % 10);
	if (v >= 10)
		*--p = (char)('0' + v / 10);
	gh_buf_add(b, p, (size_t)(end - p));
}

void gh_buf_printf(struct gh_buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	GH_ASSERT(len >= 0);
	to = gh_buf_room(b, (size_t)len);
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

/* NULL = the byte stands for itself. A bare CR would be read back as LF (XML 1.0 section 2.11), so it is escaped. */
static const char *xml_escape(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '\r':
		return "&#13;";
	default:
		return NULL;
	}
}

void gh_buf_xml(struct gh_buf *b, const char *s, size_t len)
{
	const char *end = s + len, *run = s, *escape;

	for (; s < end; s++) {
		escape = xml_escape(*s);
		if (!escape)
			continue;
		gh_buf_add(b, run, (size_t)(s - run));
		gh_buf_str(b, escape);
		run = s + 1;
	}
	gh_buf_add(b, run, (size_t)(end - run));
}

static bool href_plain(unsigned char c)
{
	/* One bit a character, 0x20..0x7f: RFC 3986 section 2.3's unreserved, and / ! * ' ( ) , : @ $ + ; = */
	static const unsigned plain[3] = {
		0x2FFFFF92, /* ! $ ' ( ) * + , - . / 0-9 : ; = */
		0x87FFFFFF, /* @ A-Z _ */
		0x47FFFFFE, /* a-z ~ */
	};

	return c >= 0x20 && c < 0x80 && plain[c / 32 - 1] >> c % 32 & 1;
}

void gh_buf_href(struct gh_buf *b, const char *s, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	const char *end = s + len, *run = s;

	for (; s < end; s++) {
		unsigned char c = (unsigned char)*s;
		char code[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (href_plain(c))
			continue;
		gh_buf_add(b, run, (size_t)(s - run));
		gh_buf_add(b, code, sizeof(code));
		run = s + 1;
	}
	gh_buf_add(b, run, (size_t)(end - run));
}

/* The two-character escapes of RFC 8259 section 7; 0 where there is none. */
static char json_short(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	default:
		return 0;
	}
}

void gh_buf_json(struct gh_buf *b, const char *s, size_t len)
{
	const char *end = s + len, *run = s;

	for (; s < end; s++) {
		unsigned char c = (unsigned char)*s;
		char code[2] = { '\\', json_short(c) };

		if (c >= 0x20 && !code[1])
			continue;
		gh_buf_add(b, run, (size_t)(s - run));
		if (code[1])
			gh_buf_add(b, code, sizeof(code));
		else
			gh_buf_printf(b, "\\u%04x", c);
		run = s + 1;
	}
	gh_buf_add(b, run, (size_t)(end - run));
}
