/* The data directory: who owns it, and what a running gateway leaves in it for others to find.
 *
 *   DIR/run/lock             locked while it is served (or checked); holds the pid
 *   DIR/run/addresses.json   where its listeners are, once it is ready
 *   DIR/run/gateway-token    its run, as a shared database knows it
 *   DIR/admin.sock           frontends/admin
 *   DIR/meta.db              metadata (SQLite)
 *   DIR/blobs/               content, unless blobs.path says otherwise
 *   DIR/gateway-name         a name of its own, unless gateway.name says otherwise
 */
#ifndef GH_FRONTENDS_MAIN_DATADIR_H
#define GH_FRONTENDS_MAIN_DATADIR_H

#include <stdint.h>
#include <sys/types.h>

#include "core/base/status.h"

#define DATADIR_ERR_MAX 512

struct datadir {
	char *path; /* absolute */
	int lock_fd;
};

/* Makes what is missing (unless only_existing), takes the lock. uid, gid: whom new folders belong to, -1 = the caller.
 * GH_BUSY: somebody serves it, err names the pid. GH_NOTFOUND, GH_IO, GH_NOMEM. err: DATADIR_ERR_MAX. */
GH_MUST_CHECK enum gh_status datadir_open(const char *path, bool only_existing, uid_t uid, gid_t gid, struct datadir *ret,
					  char *err);
void datadir_close(struct datadir *d); /* removes addresses.json, gives the lock back */
/* DIR/name; the caller frees. NULL: out of memory. */
char *datadir_join(const struct datadir *d, const char *name);
/* Writes text under a temporary name and renames it, so that a reader sees all of it or nothing. */
GH_MUST_CHECK enum gh_status datadir_publish(const struct datadir *d, const char *name, const char *text, char *err);
/* The gateway's name: configured, or kept, or made up now. ret: 64 bytes. */
GH_MUST_CHECK enum gh_status datadir_gateway_name(const struct datadir *d, const char *configured, char *ret, char *err);

/* Which run of a gateway was the last with this folder, as its database knows it; 0: none that is known. */
uint64_t datadir_token(const struct datadir *d);
GH_MUST_CHECK enum gh_status datadir_token_keep(const struct datadir *d, uint64_t token, char *err);

#endif
