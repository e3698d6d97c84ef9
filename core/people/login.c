/* Logging in. See login.h for what it promises.
 *
 * The defender is asked before anything is read and told after the secret was tried, each time under its mutex; between
 * the two any number of tries may run, at most as many as the login pool has threads, so by so many a limit can be
 * overshot. What it is told here, it is told at every gateway (guess.h); where that is lost, each counts by itself.
 */
#include "core/people/login.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/people/credcache.h"
#include "core/people/guess.h"
#include "core/people/password.h"
#include "policy/defender.h"

struct people {
	struct meta_store *meta;
	uint64_t ttl_ns;
	struct credcache *cache;
	bool shares;
	unsigned char secret[PEOPLE_SECRET_BYTES]; /* of facts */
	pthread_mutex_t defender_lock;
	struct defender *defender;
};

enum gh_status people_new(struct meta_store *meta, const struct people_config *cfg, struct people **ret)
{
	struct defender_config guard = {
		.triple_per_minute = cfg->triple_per_minute,
		.prefix_per_minute = cfg->prefix_per_minute,
	};
	struct people *p = calloc(1, sizeof(*p));

	if (!p)
		return GH_NOMEM;
	gh_random(&guard.key0, sizeof(guard.key0));
	gh_random(&guard.key1, sizeof(guard.key1));
	p->meta = meta;
	p->ttl_ns = (cfg->credential_ttl_s ? cfg->credential_ttl_s : 300) * GH_S_NS;
	pthread_mutex_init(&p->defender_lock, NULL);
	p->defender = defender_new(&guard);
	if (!p->defender || credcache_new(cfg->cache_slots, &p->cache) != GH_OK) {
		people_free(&p);
		return GH_NOMEM;
	}
	*ret = p;
	return GH_OK;
}

void people_free(struct people **pp)
{
	struct people *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	explicit_bzero(p->secret, sizeof(p->secret));
	credcache_free(&p->cache);
	defender_free(&p->defender);
	pthread_mutex_destroy(&p->defender_lock);
	free(p);
}

static unsigned ask_defender(struct people *p, const struct people_ask *ask)
{
	unsigned wait_s;

	pthread_mutex_lock(&p->defender_lock);
	wait_s = defender_ask(p->defender, ask->now_ns / GH_S_NS, ask->tenant, ask->user_key, ask->prefix);
	pthread_mutex_unlock(&p->defender_lock);
	return wait_s;
}

/* false: nothing has come of it. */
static bool count_guess(struct people *p, const struct guess *g, uint64_t now_s, unsigned *ret_forgotten)
{
	bool counts = true;

	pthread_mutex_lock(&p->defender_lock);
	switch (g->what) {
	case GUESS_WRONG:
		defender_failed(p->defender, now_s, g->tenant, g->user, g->prefix);
		break;
	case GUESS_RIGHT:
		counts = defender_succeeded(p->defender, now_s, g->tenant, g->user, g->prefix);
		break;
	case GUESS_PARDON:
		*ret_forgotten = defender_clear(p->defender, g->tenant, g->all ? NULL : g->user, 0);
		break;
	}
	pthread_mutex_unlock(&p->defender_lock);
	return counts;
}

static void tell_others(struct people *p, const struct guess *g)
{
	char word[META_WORD_MAX + 1];

	if (guess_write(word, g))
		meta_say(p->meta, word);
}

static void tell_defender(struct people *p, const struct people_ask *ask, bool right)
{
	struct guess g = { .what = right ? GUESS_RIGHT : GUESS_WRONG, .tenant = ask->tenant, .prefix = ask->prefix };

	snprintf(g.user, sizeof(g.user), "%s", ask->user_key);
	if (count_guess(p, &g, ask->now_ns / GH_S_NS, NULL))
		tell_others(p, &g);
}

void people_heard(void *arg, const char *word)
{
	struct people *p = arg;
	struct guess g;
	unsigned forgotten;

	if (guess_read(word, &g))
		(void)count_guess(p, &g, gh_mono_ns() / GH_S_NS, &forgotten);
}

static enum gh_status enter(const struct people_ask *ask)
{
	return ask->enter ? ask->enter(ask->arg) : GH_OK;
}

static enum gh_status leave(const struct people_ask *ask, enum gh_status st)
{
	return ask->leave ? ask->leave(ask->arg, st) : st;
}

/* The user of that key. GH_OK with *ret NULL: there is none. */
static enum gh_status load_user(struct people *p, struct meta_call *c, const struct people_ask *ask,
				struct meta_user **ret)
{
	enum gh_status st;

	*ret = NULL;
	if (!ask->tenant)
		return GH_OK;
	st = enter(ask);
	if (st != GH_OK)
		return st;
	st = leave(ask, meta_user_by_name(p->meta, c, ask->tenant, ask->user_key, ret));
	if (st != GH_NOTFOUND)
		return st;
	*ret = NULL;
	return GH_OK;
}

/* The user's app password of that id. GH_OK with *ret NULL: none. Asked for nobody as well, so that it costs alike. */
static enum gh_status load_token(struct people *p, struct meta_call *c, const struct people_ask *ask,
				 const struct meta_user *u, uint64_t id, const struct meta_token **ret)
{
	struct meta_token *tokens = NULL;
	unsigned count = 0;
	enum gh_status st;

	*ret = NULL;
	if (!ask->tenant)
		return GH_OK;
	st = enter(ask);
	if (st != GH_OK)
		return st;
	st = leave(ask, meta_tokens(p->meta, c, ask->tenant, u ? u->id : 0, &tokens, &count));
	if (st == GH_NOTFOUND)
		return GH_OK;
	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		if (u && tokens[i].id == id && tokens[i].user == u->id)
			*ret = &tokens[i];
	}
	return st;
}

static bool token_serves(const struct meta_token *t, const struct people_ask *ask)
{
	if (t->expires_us && t->expires_us <= ask->now_us)
		return false;
	return !t->scope || t->scope & 1u << ask->proto;
}

/* ---- what other gateways have verified ---- */

void people_share(struct people *p, const unsigned char *secret)
{
	memcpy(p->secret, secret, sizeof(p->secret));
	p->shares = true;
}

/* Each part with its length, so that no two facts run together alike. false: too long for anything that can be right. */
static bool fact_of(const struct people *p, const struct people_ask *ask, const struct meta_user *u, uint64_t token,
		    const char *hash, struct people_fact *ret)
{
	const size_t hash_len = strnlen(hash, PW_HASH_MAX), password_len = strnlen(ask->password, PW_MAX + 1);
	const uint64_t head[] = { ask->tenant, u ? u->id : 0, token, hash_len, password_len };
	unsigned char text[sizeof(head) + PW_HASH_MAX + PW_MAX];
	unsigned len = sizeof(ret->id);

	if (hash_len == PW_HASH_MAX || password_len > PW_MAX)
		return false;
	memcpy(text, head, sizeof(head));
	memcpy(text + sizeof(head), hash, hash_len);
	memcpy(text + sizeof(head) + hash_len, ask->password, password_len);
	GH_ASSERT(HMAC(EVP_sha256(), p->secret, sizeof(p->secret), text, sizeof(head) + hash_len + password_len, ret->id, &len) &&
		  len == sizeof(ret->id));
	explicit_bzero(text, sizeof(text));
	ret->gen = u ? u->gen : 0;
	return true;
}

/* pw_verify, unless it is known. Asked for nobody as well, so that it costs alike. */
static enum gh_status is_right(struct people *p, const struct people_ask *ask, const struct meta_user *u, uint64_t token,
			       const char *hash, bool *ret_shared)
{
	struct people_fact fact;
	enum gh_status st;

	if (!p->shares || !ask->known || !fact_of(p, ask, u, token, hash ? hash : "", &fact))
		return pw_verify(hash, ask->password);
	*ret_shared = ask->known(ask->arg, &fact);
	if (*ret_shared)
		return GH_OK;
	st = pw_verify(hash, ask->password);
	ask->learned(ask->arg, st == GH_OK);
	return st;
}

/* GH_OK: the secret is this user's and may be used here. *ret_wrong: the secret itself was wrong (expired, out of scope
 * or a disabled user's are refused without being counted). One Argon2 in every case, but for what is known to be right. */
static enum gh_status verify(struct people *p, struct meta_call *c, const struct people_ask *ask,
			     const struct meta_user *u, const struct meta_token **ret_token, bool *ret_wrong,
			     bool *ret_shared)
{
	const struct meta_token *token = NULL;
	uint64_t token_id;
	bool is_token = pw_token_parse(ask->password, &token_id);
	const char *hash;
	enum gh_status st;

	*ret_wrong = false;
	if (is_token) {
		st = load_token(p, c, ask, u, token_id, &token);
		if (st != GH_OK)
			return st;
		hash = token ? token->hash : NULL;
	} else {
		hash = u ? u->password_hash : NULL;
	}
	st = is_right(p, ask, u, token ? token->id : 0, hash, ret_shared);
	*ret_wrong = st == GH_UNAUTH;
	if (st == GH_DAMAGED) {
		gh_log(GH_LOG_ERROR, "login.hash_damaged", "tenant=%ju user=%ju", (uintmax_t)ask->tenant,
		       (uintmax_t)u->id);
		return GH_UNAUTH;
	}
	if (st != GH_OK)
		return st;
	if (u->disabled || (token && !token_serves(token, ask)))
		return GH_UNAUTH;
	*ret_token = token;
	return GH_OK;
}

struct people_proof people_password_proof(const char *hash)
{
	static const struct gh_sipkey key; /* it tells apart, it hides nothing: the hash is salted */

	return (struct people_proof){ .print = gh_siphash(&key, hash, strlen(hash)) };
}

static struct people_proof proof_of(const struct meta_user *u, const struct meta_token *token)
{
	struct people_proof p = people_password_proof(token ? token->hash : u->password_hash);

	p.token = token ? token->id : 0;
	p.expires_us = token ? token->expires_us : 0;
	return p;
}

static void remember(struct people *p, uint64_t ticket, const struct people_ask *ask, const struct meta_user *u,
		     const struct meta_token *token)
{
	struct cred cred = { .user = u->id, .gen = u->gen, .expires_ns = ask->now_ns + p->ttl_ns };
	const struct people_proof proof = proof_of(u, token);

	cred.token = proof.token;
	cred.print = proof.print;
	cred.expires_us = proof.expires_us;
	if (token) {
		cred.scope = token->scope;
		if (token->expires_us) {
			uint64_t left_us = (uint64_t)(token->expires_us - ask->now_us);

			if (left_us < p->ttl_ns / 1000)
				cred.expires_ns = ask->now_ns + left_us * 1000;
		}
	}
	credcache_put(p->cache, ticket, ask->tenant, ask->user_key, ask->password, &cred, ask->now_ns);
}

enum gh_status people_login(struct people *p, struct meta_call *c, const struct people_ask *ask,
			    struct people_answer *ret)
{
	const struct meta_token *token = NULL;
	struct meta_user *u;
	uint64_t ticket;
	bool wrong;
	enum gh_status st;

	*ret = (struct people_answer){ .user = 0 };
	if (!ask->password || !*ask->password)
		return GH_UNAUTH;
	ret->retry_after_s = ask_defender(p, ask);
	if (ret->retry_after_s)
		return GH_THROTTLED;
	ticket = credcache_ticket(p->cache); /* before the user is read */
	st = load_user(p, c, ask, &u);
	if (st != GH_OK)
		return st;
	st = verify(p, c, ask, u, &token, &wrong, &ret->shared);
	if (wrong)
		tell_defender(p, ask, false);
	if (st != GH_OK)
		return st;
	tell_defender(p, ask, true);
	remember(p, ticket, ask, u, token);
	ret->user = u->id;
	ret->gen = u->gen;
	ret->proof = proof_of(u, token);
	ret->user_name = u->name;
	return GH_OK;
}

bool people_cached(struct people *p, uint64_t tenant, const char *user_key, const char *password, enum vfs_proto proto,
		   uint64_t now_ns, struct people_answer *ret)
{
	struct cred cred;

	if (!password || !*password || !credcache_get(p->cache, tenant, user_key, password, now_ns, &cred))
		return false;
	if (cred.scope && !(cred.scope & 1u << proto))
		return false;
	ret->user = cred.user;
	ret->gen = cred.gen;
	ret->proof = (struct people_proof){ cred.token, cred.print, cred.expires_us };
	return true;
}

enum gh_status people_still(struct people *p, struct meta_call *c, const struct people_ask *ask, uint64_t user,
			    const struct people_proof *proof, uint64_t *ret_gen)
{
	const struct meta_token *token = NULL;
	struct people_proof now;
	struct meta_user *u;
	enum gh_status st = load_user(p, c, ask, &u);

	if (st != GH_OK)
		return st;
	if (!u || u->id != user || u->disabled)
		return GH_UNAUTH;
	if (proof->token)
		st = load_token(p, c, ask, u, proof->token, &token);
	if (st != GH_OK)
		return st;
	if (proof->token && (!token || !token_serves(token, ask)))
		return GH_UNAUTH;
	now = proof_of(u, token);
	if (now.print != proof->print)
		return GH_UNAUTH;
	*ret_gen = u->gen;
	return GH_OK;
}

void people_drop_user(struct people *p, uint64_t tenant, uint64_t user)
{
	credcache_drop_user(p->cache, tenant, user);
}

void people_drop_tenant(struct people *p, uint64_t tenant)
{
	credcache_drop_tenant(p->cache, tenant);
}

void people_drop_all(struct people *p)
{
	credcache_drop_all(p->cache);
}

unsigned people_forgive(struct people *p, uint64_t tenant, const char *user_key)
{
	struct guess g = { .what = GUESS_PARDON, .tenant = tenant, .all = !user_key };
	unsigned forgotten = 0;

	snprintf(g.user, sizeof(g.user), "%s", user_key ? user_key : "");
	(void)count_guess(p, &g, 0, &forgotten);
	tell_others(p, &g);
	return forgotten;
}
