/* See nets.h. */
#include "core/run/nets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool is_same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return !memcmp(a, b, whole) && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* Is everything behind the prefix zero? Else somebody has written an address and meant something else. */
static bool is_prefix(const struct gh_net *n)
{
	struct gh_net up = *n;

	for (unsigned bit = n->bits; bit < 128; bit++)
		up.addr[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
	return !memcmp(up.addr, n->addr, 16);
}

static bool bits_parse(const char *s, unsigned most, unsigned *ret)
{
	unsigned v = 0;

	if (!*s || strlen(s) > 3)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	*ret = v;
	return v <= most;
}

static bool net_parse(char *entry, struct gh_net *ret)
{
	char *slash = strchr(entry, '/');
	unsigned bits;

	if (slash)
		*slash++ = '\0';
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, entry, ret->addr + 12) == 1) {
		memcpy(ret->addr, mapped, sizeof(mapped));
		bits = 32;
		if (slash && !bits_parse(slash, 32, &bits))
			return false;
		ret->bits = 96 + bits;
	} else if (inet_pton(AF_INET6, entry, ret->addr) == 1) {
		ret->bits = 128;
		if (slash && !bits_parse(slash, 128, &ret->bits))
			return false;
	} else {
		return false;
	}
	return is_prefix(ret);
}

enum gh_status gh_nets_parse(const char *text, struct gh_nets *ret, char *ret_bad, size_t bad_len)
{
	struct gh_nets nets = { 0 };

	while (*(text += strspn(text, " \t"))) {
		size_t len = strcspn(text, ","), used = len;
		char entry[INET6_ADDRSTRLEN + 8];

		while (used && (text[used - 1] == ' ' || text[used - 1] == '\t'))
			used--;
		snprintf(entry, sizeof(entry), "%.*s", (int)used, text);
		if (nets.count == NETS_MAX) {
			snprintf(ret_bad, bad_len, "%s", entry);
			return GH_LIMIT;
		}
		if (used >= sizeof(entry) || !net_parse(entry, &nets.net[nets.count])) {
			snprintf(ret_bad, bad_len, "%.*s", (int)(used < 64 ? used : 64), text);
			return GH_INVALID;
		}
		nets.count++;
		text += len;
		if (*text)
			text++;
	}
	*ret = nets;
	return GH_OK;
}

bool gh_nets_have(const struct gh_nets *nets, const struct sockaddr *sa)
{
	unsigned char addr[16];

	if (sa->sa_family == AF_INET) {
		memcpy(addr, mapped, sizeof(mapped));
		memcpy(addr + 12, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(addr, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
	} else {
		return false;
	}
	for (unsigned i = 0; i < nets->count; i++)
		if (is_same_prefix(nets->net[i].addr, addr, nets->net[i].bits))
			return true;
	return false;
}
