/* Who is that? Name and secret to a user, for every door alike.
 *
 *   people_cached   on a loop: memory only
 *   people_login    on a worker of the login pool: defender, store, Argon2, cache
 *
 * An unknown tenant, an unknown user, a disabled one and a wrong password sound the same and cost the same. Only wrong
 * secrets are counted against anyone; missing ones are just refused.
 *
 * Threads: any. struct people holds the credential cache (locks of its own) and the defender behind one mutex, which is
 * held for a table look-up and never across anything that waits.
 */
#ifndef GH_CORE_PEOPLE_LOGIN_H
#define GH_CORE_PEOPLE_LOGIN_H

#include "core/meta.h"
#include "core/vfs.h"

struct people;

struct people_config {
	uint32_t credential_ttl_s;  /* 0 = 300 */
	unsigned cache_slots;       /* 0 = 65,536 */
	unsigned triple_per_minute; /* policy/defender.h; 0 = its defaults */
	unsigned prefix_per_minute;
};

#define PEOPLE_SECRET_BYTES 32

/* "That secret is right", as it may be told to other gateways by a cache that need not be trusted. The id stands for tenant, user,
 * app password, the stored hash and the secret that was tried, under a key that lies in no cache (HMAC-SHA-256): nothing can be
 * found by trying without it, and it is true for ever. With another password, which has another salt, or no such user, there is
 * another id, or none. */
struct people_fact {
	unsigned char id[32];
	uint64_t gen; /* of the user */
};

struct people_ask {
	uint64_t tenant;      /* 0: there is no such tenant; costs and sounds like a wrong password */
	const char *user_key; /* login_name's key */
	const char *password; /* NULL or "": none was sent */
	enum vfs_proto proto;
	uint64_t prefix; /* vfs_peer_prefix */
	uint64_t now_ns; /* monotonic */
	int64_t now_us;  /* the clock on the wall, for the expiry of app passwords */
	/* Around each call of the store; NULL: it is asked at once. What enter refuses is the answer. */
	enum gh_status (*enter)(void *arg);
	enum gh_status (*leave)(void *arg, enum gh_status st);
	/* Where people_share was called. known: true: some gateway has verified that; false: it is verified here, and learned
	 * follows, once, with the outcome. Both or none. */
	bool (*known)(void *arg, const struct people_fact *f);
	void (*learned)(void *arg, bool right);
	void *arg;
};

/* What is kept of the secret that was right, so that it can be asked later whether it still is. */
struct people_proof {
	uint64_t token; /* the app password used, else 0 */
	uint64_t print; /* of the stored hash: another one when the secret is */
	int64_t expires_us; /* of the app password, on the clock on the wall; 0: never */
};

struct people_answer {
	uint64_t user, gen;
	struct people_proof proof;
	const char *user_name;     /* as shown; in the call's arena; people_login only */
	unsigned retry_after_s;    /* with GH_THROTTLED */
	bool shared;               /* another gateway has verified it; people_login only */
};

/* meta is borrowed. GH_NOMEM. */
GH_MUST_CHECK enum gh_status people_new(struct meta_store *meta, const struct people_config *cfg, struct people **ret);
void people_free(struct people **p);
/* For meta_on_word, with struct people: what other gateways tell of guesses. */
void people_heard(void *p, const char *word);
/* From now on what was verified is told as facts, under that key (PEOPLE_SECRET_BYTES). At the start. */
void people_share(struct people *p, const unsigned char *secret);

/* Blocks. GH_OK: ret is filled in. GH_UNAUTH. GH_THROTTLED: ret->retry_after_s. GH_NOMEM and the store's errors. */
GH_MUST_CHECK enum gh_status people_login(struct people *p, struct meta_call *c, const struct people_ask *ask,
					  struct people_answer *ret);
/* Loop. true: this secret was verified a short while ago, nothing about its user has changed since, and it is good for
 * this door. false says nothing: ask a worker. */
bool people_cached(struct people *p, uint64_t tenant, const char *user_key, const char *password, enum vfs_proto proto,
		   uint64_t now_ns, struct people_answer *ret);
/* Blocks. Would the secret of that proof still let this user in? GH_OK and the generation that was seen; GH_UNAUTH: the
 * user is removed or disabled, or the secret is another one, revoked or expired; the store's errors. */
GH_MUST_CHECK enum gh_status people_still(struct people *p, struct meta_call *c, const struct people_ask *ask,
					  uint64_t user, const struct people_proof *proof, uint64_t *ret_gen);
/* The proof of a password by its stored hash. Any thread. */
struct people_proof people_password_proof(const char *hash);

/* After a commit that changed a user (password, tokens, disabled, removed) or a whole tenant. Any thread; scans the
 * cache, so not for loops in a hurry. */
void people_drop_user(struct people *p, uint64_t tenant, uint64_t user);
void people_drop_tenant(struct people *p, uint64_t tenant);
void people_drop_all(struct people *p); /* one scan, however many tenants there are */
/* Administrator: forgives a user's failed logins (user_key NULL: everybody's in the tenant). How many were forgotten.
 */
unsigned people_forgive(struct people *p, uint64_t tenant, const char *user_key);

#endif
