/* See parse.h. Everything here reads bytes that a stranger sent: digits are counted, nothing is copied without a bound.
 */
#include "frontends/ftp/parse.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* 1 to max_digits digits, at most max; moves *p behind them. */
static bool number_at(const char **p, unsigned max_digits, unsigned max, unsigned *ret)
{
	unsigned v = 0, n = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (++n > max_digits)
			return false;
		v = v * 10 + (unsigned)(**p - '0');
	}
	*ret = v;
	return n && v <= max;
}

enum gh_status ftp_parse_port(const char *arg, struct sockaddr_storage *ret)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ret;
	unsigned v[6];

	for (unsigned i = 0; i < 6; i++) {
		if (i && *arg++ != ',')
			return GH_INVALID;
		if (!number_at(&arg, 3, 255, &v[i]))
			return GH_INVALID;
	}
	if (*arg)
		return GH_INVALID;
	memset(ret, 0, sizeof(*ret));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl((uint32_t)v[0] << 24 | v[1] << 16 | v[2] << 8 | v[3]);
	sin->sin_port = htons((uint16_t)(v[4] << 8 | v[5]));
	return GH_OK;
}

enum gh_status ftp_parse_eprt(const char *arg, struct sockaddr_storage *ret)
{
	char delim = arg[0], host[INET6_ADDRSTRLEN];
	const char *p = arg + 1, *end;
	unsigned family, port;

	/* RFC 2428: the delimiter is one of ASCII 33 to 126; one that an address can hold would be ambiguous. */
	if (delim < 33 || delim > 126 || (delim >= '0' && delim <= '9') || delim == ':' || delim == '.' ||
	    !number_at(&p, 5, 65535, &family) || *p++ != delim)
		return GH_INVALID;
	end = strchr(p, delim);
	if (!end || (size_t)(end - p) >= sizeof(host))
		return GH_INVALID;
	memcpy(host, p, (size_t)(end - p));
	host[end - p] = '\0';
	p = end + 1;
	if (!number_at(&p, 5, 65535, &port) || p[0] != delim || p[1])
		return GH_INVALID;
	memset(ret, 0, sizeof(*ret));
	if (family == 1) {
		struct sockaddr_in *sin = (struct sockaddr_in *)ret;

		sin->sin_family = AF_INET;
		sin->sin_port = htons((uint16_t)port);
		return inet_pton(AF_INET, host, &sin->sin_addr) == 1 ? GH_OK : GH_INVALID;
	}
	if (family == 2) {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;

		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons((uint16_t)port);
		/* A mapped address is a way around the comparison with the peer, never something a client needs. */
		return inet_pton(AF_INET6, host, &sin6->sin6_addr) == 1 && !IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)
			       ? GH_OK
			       : GH_INVALID;
	}
	return GH_UNSUPPORTED;
}

enum ftp_epsv ftp_parse_epsv(const char *arg)
{
	unsigned family;

	if (!*arg)
		return FTP_EPSV_ANY;
	if (!strcasecmp(arg, "ALL"))
		return FTP_EPSV_ALL;
	if (!number_at(&arg, 5, 65535, &family) || *arg)
		return FTP_EPSV_BAD;
	return family == 1 ? FTP_EPSV_4 : family == 2 ? FTP_EPSV_6 : FTP_EPSV_OTHER;
}

enum ftp_type ftp_parse_type(const char *arg)
{
	if (!strcasecmp(arg, "A") || !strcasecmp(arg, "A N"))
		return FTP_TYPE_ASCII;
	/* "I N" is no TYPE of the RFC, but some devices send it, and it can mean only one thing. */
	if (!strcasecmp(arg, "I") || !strcasecmp(arg, "I N") || !strcasecmp(arg, "L 8") || !strcasecmp(arg, "L8"))
		return FTP_TYPE_BINARY;
	return FTP_TYPE_OTHER;
}

enum gh_status ftp_parse_u64(const char *arg, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*arg)
		return GH_INVALID;
	for (; *arg; arg++) {
		if (*arg < '0' || *arg > '9' || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*arg - '0'), &v))
			return GH_INVALID;
	}
	/* Sizes and offsets are files' (off_t). */
	if (v > INT64_MAX)
		return GH_INVALID;
	*ret = v;
	return GH_OK;
}

enum gh_status ftp_parse_ports(const char *text, unsigned *ret_first, unsigned *ret_last)
{
	unsigned first = 0, last;

	if (*text && !number_at(&text, 5, 65535, &first))
		return GH_INVALID;
	last = first;
	if (*text == '-') {
		text++;
		if (!number_at(&text, 5, 65535, &last) || !first)
			return GH_INVALID;
	}
	if (*text || last < first)
		return GH_INVALID;
	*ret_first = first;
	*ret_last = last;
	return GH_OK;
}

bool ftp_host_valid(const char *arg)
{
	size_t len = strlen(arg);
	char literal[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (arg[0] == '[') {
		if (len < 3 || arg[len - 1] != ']' || len - 2 >= sizeof(literal))
			return false;
		memcpy(literal, arg + 1, len - 2);
		literal[len - 2] = '\0';
		return inet_pton(AF_INET6, literal, &in6) == 1;
	}
	return len && len <= 253 && arg[0] != '.' && arg[0] != '-' &&
	       strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == len;
}

void ftp_unmap(struct sockaddr_storage *sa)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in *sin = (struct sockaddr_in *)sa;

	if (sa->ss_family != AF_INET6)
		return;
	memcpy(&sin6, sa, sizeof(sin6));
	if (!IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr))
		return;
	memset(sa, 0, sizeof(*sa));
	sin->sin_family = AF_INET;
	sin->sin_port = sin6.sin6_port;
	memcpy(&sin->sin_addr, &sin6.sin6_addr.s6_addr[12], 4);
}

bool ftp_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct sockaddr_storage x = *a, y = *b;

	ftp_unmap(&x);
	ftp_unmap(&y);
	if (x.ss_family != y.ss_family)
		return false;
	if (x.ss_family == AF_INET)
		return ((struct sockaddr_in *)&x)->sin_addr.s_addr == ((struct sockaddr_in *)&y)->sin_addr.s_addr;
	if (x.ss_family == AF_INET6)
		return !memcmp(&((struct sockaddr_in6 *)&x)->sin6_addr, &((struct sockaddr_in6 *)&y)->sin6_addr, 16);
	return false;
}

unsigned ftp_port_of(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)sa)->sin_port);
	if (sa->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)sa)->sin6_port);
	return 0;
}

void ftp_set_port(struct sockaddr_storage *sa, unsigned port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons((uint16_t)port);
	else if (sa->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sa)->sin6_port = htons((uint16_t)port);
}

socklen_t ftp_addr_len(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}
