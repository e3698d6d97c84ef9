/* Addresses as text, both ways. Called by the doorstep and by configuration; pure, any thread. No names: looking one up
 * would block. */
#include <arpa/inet.h>
#include <string.h>

#include "core/run/doorstep.h"

/* A decimal port, nothing around it. */
static bool port_parse(const char *s, uint16_t *ret_port)
{
	unsigned v = 0;

	if (!*s || strlen(s) > 5)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	*ret_port = (uint16_t)v;
	return v <= 65535;
}

enum gh_status gh_addr_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	char host[INET6_ADDRSTRLEN] = "";
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	uint16_t port;

	if (!colon || !port_parse(colon + 1, &port) || len - (brackets ? 2 : 0) >= sizeof(host))
		return GH_INVALID;
	memcpy(host, text + brackets, len - (brackets ? 2 : 0));
	memset(ret, 0, sizeof(*ret));
	if (!len || brackets) {
		if (len && inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
			return GH_INVALID;
		in6.sin6_port = htons(port);
		memcpy(ret, &in6, sizeof(in6));
		*ret_len = sizeof(in6);
		return GH_OK;
	}
	if (inet_pton(AF_INET, host, &in4.sin_addr) != 1)
		return GH_INVALID;
	in4.sin_port = htons(port);
	memcpy(ret, &in4, sizeof(in4));
	*ret_len = sizeof(in4);
	return GH_OK;
}

void gh_peer_init(struct gh_peer *p, const struct sockaddr *sa, socklen_t len)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)sa;

	memset(p, 0, sizeof(*p));
	p->addr_len = len < sizeof(p->addr) ? len : sizeof(p->addr);
	memcpy(&p->addr, sa, p->addr_len);
	if (sa->sa_family == AF_INET) {
		inet_ntop(AF_INET, &in4->sin_addr, p->text, sizeof(p->text));
		p->port = ntohs(in4->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], p->text, sizeof(p->text));
		else
			inet_ntop(AF_INET6, &in6->sin6_addr, p->text, sizeof(p->text));
		p->port = ntohs(in6->sin6_port);
	}
}
