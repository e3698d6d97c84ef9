/* The arguments of FTP that are not paths: addresses, times, types, port ranges. Pure; parse.c. */
#ifndef GH_FRONTENDS_FTP_PARSE_H
#define GH_FRONTENDS_FTP_PARSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/base/status.h"

/* "h1,h2,h3,h4,p1,p2" (RFC 959 section 5.3.2). GH_OK or GH_INVALID. */
GH_MUST_CHECK enum gh_status ftp_parse_port(const char *arg, struct sockaddr_storage *ret);
/* "|1|132.235.1.2|6275|", "|2|1080::8:800:200C:417A|5282|" (RFC 2428 section 2). GH_OK, GH_INVALID, GH_UNSUPPORTED for
 * another protocol number. */
GH_MUST_CHECK enum gh_status ftp_parse_eprt(const char *arg, struct sockaddr_storage *ret);

enum ftp_epsv { FTP_EPSV_ANY, FTP_EPSV_4, FTP_EPSV_6, FTP_EPSV_ALL, FTP_EPSV_OTHER, FTP_EPSV_BAD };
enum ftp_epsv ftp_parse_epsv(const char *arg);

enum ftp_type { FTP_TYPE_ASCII, FTP_TYPE_BINARY, FTP_TYPE_OTHER };
/* "A", "A N", "I", "L 8", in either case; everything else is OTHER. */
enum ftp_type ftp_parse_type(const char *arg);

/* Decimal digits and nothing else; no sign, no spaces. */
GH_MUST_CHECK enum gh_status ftp_parse_u64(const char *arg, uint64_t *ret);
/* "2200-2299", "2200", "0" or "" (any port): first and last, 0 and 0 for any. */
GH_MUST_CHECK enum gh_status ftp_parse_ports(const char *text, unsigned *ret_first, unsigned *ret_last);
/* A host name, or an IP literal, the IPv6 one in brackets (RFC 7151 section 3.1)? */
bool ftp_host_valid(const char *arg);

/* Same address (not port)? An IPv4 address inside IPv6 is that IPv4 address. */
bool ftp_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
/* Turns ::ffff:a.b.c.d into a.b.c.d. */
void ftp_unmap(struct sockaddr_storage *sa);
unsigned ftp_port_of(const struct sockaddr_storage *sa);
void ftp_set_port(struct sockaddr_storage *sa, unsigned port);
socklen_t ftp_addr_len(const struct sockaddr_storage *sa);

#endif
