/* A list of networks, as an administrator writes it: addresses and prefixes with commas, "10.0.0.7, 10.1.0.0/16,
 * 2001:db8::/32". Pure; any thread. An IPv4 address inside IPv6 (::ffff:a.b.c.d) is that IPv4 address.
 */
#ifndef GH_CORE_RUN_NETS_H
#define GH_CORE_RUN_NETS_H

#include <sys/socket.h>

#include "core/base/status.h"

#define NETS_MAX 64

struct gh_net {
	unsigned char addr[16]; /* IPv4 in its mapped form */
	unsigned bits;          /* of those 128 */
};
struct gh_nets {
	unsigned count;
	struct gh_net net[NETS_MAX];
};

/* GH_INVALID: *ret_bad (size bad_len) gets the entry that is none, or has bits behind its prefix; GH_LIMIT: more than
 * NETS_MAX. An empty text is an empty list. */
GH_MUST_CHECK enum gh_status gh_nets_parse(const char *text, struct gh_nets *ret, char *ret_bad, size_t bad_len);
bool gh_nets_have(const struct gh_nets *nets, const struct sockaddr *sa);

#endif
