/* See proxy.h. Sections are those of HAProxy's doc/proxy-protocol.txt. */
#include "core/run/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* ---- version 1: a line of text (section 2.1) ---- */

static const char v1_mark[] = "PROXY ";
#define V1_MARK_LEN (sizeof(v1_mark) - 1)

/* The next word of a line in which exactly one space stands between two words. Cuts it off. NULL: none, or an empty one. */
static char *word_next(char **line)
{
	char *word = *line, *end;

	if (!word || !*word || *word == ' ')
		return NULL;
	end = strchr(word, ' ');
	*line = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return word;
}

/* Decimal, no sign, no leading zero, up to 65535. */
static bool port_of(const char *s, in_port_t *ret)
{
	unsigned v = 0;

	if (!s || !*s || strlen(s) > 5 || (s[0] == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	*ret = htons((in_port_t)v);
	return v <= 65535;
}

static bool v1_address(int family, const char *host, const char *port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in4 = { .sin_family = AF_INET };

	memset(ret, 0, sizeof(*ret));
	if (!host)
		return false;
	if (family == AF_INET) {
		if (inet_pton(AF_INET, host, &in4.sin_addr) != 1 || !port_of(port, &in4.sin_port))
			return false;
		memcpy(ret, &in4, sizeof(in4));
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1 || !port_of(port, &in6.sin6_port))
		return false;
	memcpy(ret, &in6, sizeof(in6));
	return true;
}

/* line: what stands between "PROXY " and CR LF, ended by NUL. */
static bool v1_line(char *line, struct proxy_header *h)
{
	const char *family = word_next(&line), *from, *to, *from_port, *to_port;
	bool six;

	if (!family)
		return false;
	if (!strcmp(family, "UNKNOWN"))
		return true; /* whatever follows is to be ignored */
	six = !strcmp(family, "TCP6");
	if (!six && strcmp(family, "TCP4"))
		return false;
	from = word_next(&line);
	to = word_next(&line);
	from_port = word_next(&line);
	to_port = word_next(&line);
	h->addressed = true;
	h->addr_len = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	return !line && v1_address(six ? AF_INET6 : AF_INET, from, from_port, &h->from) &&
	       v1_address(six ? AF_INET6 : AF_INET, to, to_port, &h->to);
}

static enum proxy_verdict v1_parse(const char *bytes, size_t len, struct proxy_header *ret)
{
	size_t seen = len < PROXY_V1_MAX ? len : PROXY_V1_MAX;
	const char *cr = memchr(bytes, '\r', seen);
	struct proxy_header h = { 0 };
	char line[PROXY_V1_MAX];
	size_t text;

	if (memchr(bytes, '\n', cr ? (size_t)(cr - bytes) : seen) || memchr(bytes, '\0', cr ? (size_t)(cr - bytes) : seen))
		return PROXY_BAD;
	if (!cr || cr + 1 == bytes + seen)
		return seen < PROXY_V1_MAX ? PROXY_MORE : PROXY_BAD;
	if (cr[1] != '\n')
		return PROXY_BAD;
	text = (size_t)(cr - bytes) - V1_MARK_LEN;
	memcpy(line, bytes + V1_MARK_LEN, text);
	line[text] = '\0';
	if (!v1_line(line, &h))
		return PROXY_BAD;
	h.len = (size_t)(cr - bytes) + 2;
	*ret = h;
	return PROXY_HEADER;
}

/* ---- version 2: binary (section 2.2) ---- */

static const char v2_mark[] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_MARK_LEN (sizeof(v2_mark) - 1)

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 }; /* version and command */
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 }; /* family and transport */
enum { V2_TCP4_LEN = 12, V2_TCP6_LEN = 36, V2_UNIX_LEN = 216 };

static void v2_tcp4(const unsigned char *body, struct proxy_header *h)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };

	memcpy(&from.sin_addr, body, 4);
	memcpy(&to.sin_addr, body + 4, 4);
	memcpy(&from.sin_port, body + 8, 2);
	memcpy(&to.sin_port, body + 10, 2);
	memcpy(&h->from, &from, sizeof(from));
	memcpy(&h->to, &to, sizeof(to));
	h->addr_len = sizeof(from);
	h->addressed = true;
}

static void v2_tcp6(const unsigned char *body, struct proxy_header *h)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 }, to = { .sin6_family = AF_INET6 };

	memcpy(&from.sin6_addr, body, 16);
	memcpy(&to.sin6_addr, body + 16, 16);
	memcpy(&from.sin6_port, body + 32, 2);
	memcpy(&to.sin6_port, body + 34, 2);
	memcpy(&h->from, &from, sizeof(from));
	memcpy(&h->to, &to, sizeof(to));
	h->addr_len = sizeof(from);
	h->addressed = true;
}

/* Is that a family with that many bytes of addresses at least? What follows them are TLVs, which say nothing we ask. */
static bool v2_family(unsigned family, size_t body_len)
{
	switch (family) {
	case V2_UNSPEC:
		return true;
	case V2_TCP4:
		return body_len >= V2_TCP4_LEN;
	case V2_TCP6:
		return body_len >= V2_TCP6_LEN;
	case V2_UNIX:
		return body_len >= V2_UNIX_LEN;
	}
	return false; /* among them datagrams: no connection of ours began as one */
}

static enum proxy_verdict v2_parse(const unsigned char *bytes, size_t len, struct proxy_header *ret)
{
	struct proxy_header h = { 0 };
	size_t body_len;

	/* What is wrong is told as soon as it is there, so that nobody has to wait for what would not help. */
	if (len > V2_MARK_LEN && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
		return PROXY_BAD;
	if (len < PROXY_V2_HEAD)
		return PROXY_MORE;
	body_len = (size_t)bytes[14] << 8 | bytes[15];
	if (body_len > PROXY_V2_BODY_MAX)
		return PROXY_BAD;
	/* LOCAL: "the receiver must ... ignore the family" (section 2.2) */
	if (bytes[12] == V2_PROXY && !v2_family(bytes[13], body_len))
		return PROXY_BAD;
	if (len < PROXY_V2_HEAD + body_len)
		return PROXY_MORE;
	if (bytes[12] == V2_PROXY && bytes[13] == V2_TCP4)
		v2_tcp4(bytes + PROXY_V2_HEAD, &h);
	if (bytes[12] == V2_PROXY && bytes[13] == V2_TCP6)
		v2_tcp6(bytes + PROXY_V2_HEAD, &h);
	h.len = PROXY_V2_HEAD + body_len;
	*ret = h;
	return PROXY_HEADER;
}

enum proxy_verdict proxy_parse(const void *bytes, size_t len, struct proxy_header *ret)
{
	size_t v1 = len < V1_MARK_LEN ? len : V1_MARK_LEN, v2 = len < V2_MARK_LEN ? len : V2_MARK_LEN;

	if (!len)
		return PROXY_MORE;
	if (!memcmp(bytes, v1_mark, v1))
		return v1 < V1_MARK_LEN ? PROXY_MORE : v1_parse(bytes, len, ret);
	if (!memcmp(bytes, v2_mark, v2))
		return v2 < V2_MARK_LEN ? PROXY_MORE : v2_parse(bytes, len, ret);
	return PROXY_BAD;
}
