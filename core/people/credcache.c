/* The verified-credential cache. See credcache.h.
 *
 * State: sets of WAYS slots; a free slot has expires_ns 0. STRIPES mutexes: set s belongs to stripe s % STRIPES, which
 * covers every read and write of its slots. `drops` only rises.
 * Why no dropped credential comes back: drop raises `drops` first and then walks all stripes; put compares the ticket
 * under its stripe's lock. Either put sees the new count and does nothing, or the walk reaches its stripe afterwards.
 */
#include "core/people/credcache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/people/password.h"

enum { WAYS = 8, STRIPES = 256, KEY_MAX = 512 };

struct slot {
	uint64_t mac[2];
	uint64_t tenant;
	struct cred cred;
};

struct stripe {
	pthread_mutex_t lock;
} __attribute__((aligned(64)));

struct credcache {
	struct gh_sipkey key;
	unsigned sets;
	_Atomic uint64_t drops;
	struct slot *slots;
	struct stripe stripes[STRIPES];
};

enum gh_status credcache_new(unsigned slots, struct credcache **ret)
{
	struct credcache *c = aligned_alloc(64, sizeof(*c));

	if (!c)
		return GH_NOMEM;
	memset(c, 0, sizeof(*c));
	gh_random(&c->key, sizeof(c->key));
	c->sets = (slots ? slots : 65536) / WAYS;
	if (!c->sets)
		c->sets = 1;
	c->slots = calloc((size_t)c->sets * WAYS, sizeof(*c->slots));
	if (!c->slots) {
		free(c);
		return GH_NOMEM;
	}
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&c->stripes[i].lock, NULL);
	*ret = c;
	return GH_OK;
}

void credcache_free(struct credcache **cp)
{
	struct credcache *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&c->stripes[i].lock);
	explicit_bzero(c->slots, (size_t)c->sets * WAYS * sizeof(*c->slots));
	free(c->slots);
	explicit_bzero(&c->key, sizeof(c->key));
	free(c);
}

/* false: longer than anything that can have been verified. */
static bool mac_of(const struct credcache *c, uint64_t tenant, const char *user_key, const char *password,
		   uint64_t mac[2])
{
	char text[sizeof(tenant) + 2 * sizeof(uint32_t) + KEY_MAX + PW_MAX], *at = text;
	size_t user_len = strnlen(user_key, KEY_MAX + 1), password_len = strnlen(password, PW_MAX + 1);
	const uint32_t lengths[2] = { (uint32_t)user_len, (uint32_t)password_len };

	if (user_len > KEY_MAX || password_len > PW_MAX)
		return false;
	memcpy(at, &tenant, sizeof(tenant));
	at += sizeof(tenant);
	memcpy(at, lengths, sizeof(lengths)); /* so that no two pairs run together alike */
	at += sizeof(lengths);
	memcpy(at, user_key, user_len);
	at += user_len;
	memcpy(at, password, password_len);
	at += password_len;
	gh_siphash128(&c->key, text, (size_t)(at - text), mac);
	explicit_bzero(text, (size_t)(at - text));
	return true;
}

static struct slot *set_of(struct credcache *c, const uint64_t mac[2], pthread_mutex_t **ret_lock)
{
	unsigned set = (unsigned)(mac[0] % c->sets);

	*ret_lock = &c->stripes[set % STRIPES].lock;
	return &c->slots[(size_t)set * WAYS];
}

uint64_t credcache_ticket(struct credcache *c)
{
	return atomic_load(&c->drops);
}

static bool slot_is(const struct slot *s, const uint64_t mac[2])
{
	return s->cred.expires_ns && gh_ct_equal(s->mac, mac, sizeof(s->mac));
}

void credcache_put(struct credcache *c, uint64_t ticket, uint64_t tenant, const char *user_key, const char *password,
		   const struct cred *cred, uint64_t now_ns)
{
	uint64_t mac[2];
	pthread_mutex_t *lock;
	struct slot *set, *victim;

	if (cred->expires_ns <= now_ns || !mac_of(c, tenant, user_key, password, mac))
		return;
	victim = set = set_of(c, mac, &lock);
	pthread_mutex_lock(lock);
	if (ticket == atomic_load(&c->drops)) {
		/* Its own slot, else the one that expires first: a free one has expired long ago. */
		for (unsigned i = 0; i < WAYS; i++) {
			if (slot_is(&set[i], mac)) {
				victim = &set[i];
				break;
			}
			if (set[i].cred.expires_ns < victim->cred.expires_ns)
				victim = &set[i];
		}
		*victim = (struct slot){ .mac = { mac[0], mac[1] }, .tenant = tenant, .cred = *cred };
	}
	pthread_mutex_unlock(lock);
}

bool credcache_get(struct credcache *c, uint64_t tenant, const char *user_key, const char *password, uint64_t now_ns,
		   struct cred *ret)
{
	uint64_t mac[2];
	pthread_mutex_t *lock;
	struct slot *set;
	bool found = false;

	if (!mac_of(c, tenant, user_key, password, mac))
		return false;
	set = set_of(c, mac, &lock);
	pthread_mutex_lock(lock);
	for (unsigned i = 0; i < WAYS && !found; i++) {
		if (slot_is(&set[i], mac) && set[i].cred.expires_ns > now_ns) {
			*ret = set[i].cred;
			found = true;
		}
	}
	pthread_mutex_unlock(lock);
	return found;
}

/* NULL: of every tenant, of every user. */
static void drop(struct credcache *c, const uint64_t *tenant, const uint64_t *user)
{
	atomic_fetch_add(&c->drops, 1);
	for (unsigned stripe = 0; stripe < STRIPES; stripe++) {
		pthread_mutex_lock(&c->stripes[stripe].lock);
		for (unsigned set = stripe; set < c->sets; set += STRIPES) {
			for (unsigned i = 0; i < WAYS; i++) {
				struct slot *s = &c->slots[(size_t)set * WAYS + i];

				if ((!tenant || s->tenant == *tenant) && (!user || s->cred.user == *user))
					*s = (struct slot){ .tenant = 0 };
			}
		}
		pthread_mutex_unlock(&c->stripes[stripe].lock);
	}
}

void credcache_drop_user(struct credcache *c, uint64_t tenant, uint64_t user)
{
	drop(c, &tenant, &user);
}

void credcache_drop_tenant(struct credcache *c, uint64_t tenant)
{
	drop(c, &tenant, NULL);
}

void credcache_drop_all(struct credcache *c)
{
	drop(c, NULL, NULL);
}
