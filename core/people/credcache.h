/* The verified-credential cache: spares those who send their password with every request the 66 ms of Argon2.
 *
 * Key: SipHash-128, keyed with random bytes of this process, over tenant, user key and password; nothing that was typed
 * is kept. Value: who that is, and until when. A fixed number of slots, set-associative; a lock per stripe of sets,
 * held for a handful of compares and copies, so loops may call get.
 *
 * A change of a user (password, tokens, disabled) drops its entries. A login that began before the drop and ends after
 * it must not put the old password back: it takes a ticket before it reads the user, and put refuses when anything was
 * dropped since.
 */
#ifndef GH_CORE_PEOPLE_CREDCACHE_H
#define GH_CORE_PEOPLE_CREDCACHE_H

#include <stdint.h>

#include "core/base/status.h"

struct credcache;

struct cred {
	uint64_t user, gen;
	uint64_t token;      /* app password that opened it; 0 = the user's own */
	uint64_t print;      /* of the hash that it was checked against, and the end of its time: people_proof */
	int64_t expires_us;
	unsigned scope;      /* bit per enum vfs_proto; 0 = all */
	uint64_t expires_ns; /* monotonic */
};

/* slots: 0 = 65,536. */
GH_MUST_CHECK enum gh_status credcache_new(unsigned slots, struct credcache **ret);
void credcache_free(struct credcache **c); /* wipes; leaves NULL; accepts NULL inside */

uint64_t credcache_ticket(struct credcache *c);
void credcache_put(struct credcache *c, uint64_t ticket, uint64_t tenant, const char *user_key, const char *password,
		   const struct cred *cred, uint64_t now_ns);
/* Loop: true and *ret when it is there and alive. */
bool credcache_get(struct credcache *c, uint64_t tenant, const char *user_key, const char *password, uint64_t now_ns,
		   struct cred *ret);
void credcache_drop_user(struct credcache *c, uint64_t tenant, uint64_t user);
void credcache_drop_tenant(struct credcache *c, uint64_t tenant);
void credcache_drop_all(struct credcache *c);

#endif
