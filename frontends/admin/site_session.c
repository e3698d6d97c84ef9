/* Who is signed in to the console. In memory: a restart signs everybody out. Of a session's secret only a keyed hash is
 * kept, so that no look-up can be timed and no memory dump signs anybody in. On the listener's loop.
 *
 * A session ends when it was not used for a while, at the latest after its life, when it is signed out, and when its
 * operator is changed or removed (operator_still). At most SESSIONS_MAX: the one that was unused longest gives way.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "frontends/admin/site.h"

enum { SESSIONS_MAX = 256, SECRET_BYTES = 32 };

struct session {
	uint64_t hash[2];          /* of the cookie */
	uint64_t made_ns, used_ns; /* made 0: free */
	bool changing;
	struct site_who who;
};

struct site_sessions {
	struct gh_sipkey key;
	uint64_t idle_ns, life_ns;
	struct session of[SESSIONS_MAX];
};

enum gh_status site_sessions_new(uint64_t idle_ms, uint64_t life_ms, struct site_sessions **ret)
{
	struct site_sessions *s = calloc(1, sizeof(*s));

	if (!s)
		return GH_NOMEM;
	gh_random(&s->key, sizeof(s->key));
	s->idle_ns = idle_ms * GH_MS_NS;
	s->life_ns = life_ms * GH_MS_NS;
	*ret = s;
	return GH_OK;
}

void site_sessions_free(struct site_sessions **s)
{
	if (*s)
		explicit_bzero(*s, sizeof(**s));
	free(*s);
	*s = NULL;
}

static void secret_make(char *hex)
{
	unsigned char bytes[SECRET_BYTES];

	gh_random(bytes, sizeof(bytes));
	gh_hex(hex, bytes, sizeof(bytes));
	explicit_bzero(bytes, sizeof(bytes));
}

static bool is_over(const struct site_sessions *s, const struct session *k, uint64_t now)
{
	return now - k->used_ns > s->idle_ns || now - k->made_ns > s->life_ns;
}

static struct session *lookup(struct site_sessions *s, const char *cookie)
{
	uint64_t hash[2];

	gh_siphash128(&s->key, cookie, strlen(cookie), hash);
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct session *k = &s->of[i];

		if (k->made_ns && k->hash[0] == hash[0] && k->hash[1] == hash[1])
			return k;
	}
	return NULL;
}

static void forget(struct session *k)
{
	explicit_bzero(k, sizeof(*k));
}

static struct session *place(struct site_sessions *s, uint64_t now)
{
	struct session *oldest = &s->of[0];

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct session *k = &s->of[i];

		if (!k->made_ns || is_over(s, k, now))
			return k;
		if (k->used_ns < oldest->used_ns)
			oldest = k;
	}
	return oldest;
}

void site_session_make(struct site_sessions *s, const struct operator_who *who, uint64_t now_ns, char *cookie,
		       char *csrf)
{
	struct session *k = place(s, now_ns);

	secret_make(cookie);
	secret_make(csrf);
	*k = (struct session){ .made_ns = now_ns, .used_ns = now_ns, .who.who = *who };
	gh_siphash128(&s->key, cookie, strlen(cookie), k->hash);
	memcpy(k->who.csrf, csrf, SITE_SECRET_HEX);
}

bool site_session_find(struct site_sessions *s, struct gh_core *core, const char *cookie, uint64_t now_ns, bool touch,
		       struct site_who *ret)
{
	struct session *k = lookup(s, cookie);

	if (!k)
		return false;
	if (is_over(s, k, now_ns) || (!k->changing && !operator_still(core, k->who.who.id, k->who.who.gen))) {
		forget(k);
		return false;
	}
	if (touch)
		k->used_ns = now_ns;
	*ret = k->who;
	return true;
}

void site_session_drop(struct site_sessions *s, const char *cookie)
{
	struct session *k = lookup(s, cookie);

	if (k)
		forget(k);
}

void site_session_changing(struct site_sessions *s, const char *cookie)
{
	struct session *k = lookup(s, cookie);

	if (k)
		k->changing = true;
}

void site_session_renew(struct site_sessions *s, struct gh_core *core, const char *cookie)
{
	struct session *k = lookup(s, cookie);
	struct operator_who now;

	if (!k)
		return;
	k->changing = false;
	if (operator_renewed(core, k->who.who.id, k->who.who.gen, &now))
		k->who.who = now;
}
