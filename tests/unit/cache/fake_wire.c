/* See fake_wire.h. */
#include "tests/unit/cache/fake_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/hash.h"

struct fake_wire fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER };

struct wire {
	int nothing;
};

void fake_reset(void)
{
	pthread_mutex_lock(&fake.lock);
	for (unsigned i = 0; i < fake.count; i++)
		free(fake.entry[i].value);
	fake.count = fake.gets = fake.sets = fake.resets = fake.open = 0;
	fake.lie = FAKE_HONEST;
	pthread_mutex_unlock(&fake.lock);
}

void fake_lie(enum fake_lie lie)
{
	pthread_mutex_lock(&fake.lock);
	fake.lie = lie;
	pthread_cond_broadcast(&fake.go);
	pthread_mutex_unlock(&fake.lock);
}

static struct fake_entry *find(const char *name, bool equal)
{
	for (unsigned i = 0; i < fake.count; i++)
		if (!strcmp(fake.entry[i].name, name) == equal)
			return &fake.entry[i];
	return NULL;
}

static enum gh_status fake_open(struct server_set *set, uint32_t budget_ms, struct wire **ret)
{
	(void)set;
	(void)budget_ms;
	*ret = calloc(1, sizeof(**ret));
	pthread_mutex_lock(&fake.lock);
	fake.open++;
	pthread_mutex_unlock(&fake.lock);
	return *ret ? GH_OK : GH_NOMEM;
}

static void fake_close(struct wire **w)
{
	free(*w);
	*w = NULL;
}

static enum gh_status give(const void *value, size_t len, void **ret, size_t *ret_len)
{
	*ret = len ? malloc(len) : NULL;
	*ret_len = len;
	if (len)
		memcpy(*ret, value, len);
	return GH_OK;
}

/* Locked. */
static enum gh_status answer(const char *name, void **ret, size_t *ret_len)
{
	const struct fake_entry *e = find(name, fake.lie != FAKE_OTHER_KEY);
	unsigned char noise[200];

	switch (fake.lie) {
	case FAKE_FAILS:
		return GH_IO;
	case FAKE_RANDOM:
		gh_random(noise, sizeof(noise));
		return give(noise, sizeof(noise), ret, ret_len);
	case FAKE_EMPTY:
		return give("", 0, ret, ret_len);
	case FAKE_TRUNCATED:
		return e ? give(e->value, e->len - 1, ret, ret_len) : GH_NOTFOUND;
	case FAKE_HONEST:
	case FAKE_OTHER_KEY:
	case FAKE_HANGS:
	case FAKE_TARDY:
		break;
	}
	return e ? give(e->value, e->len, ret, ret_len) : GH_NOTFOUND;
}

static enum gh_status fake_get(struct wire *w, const char *name, void **ret, size_t *ret_len)
{
	enum gh_status st;
	bool tardy;

	(void)w;
	pthread_mutex_lock(&fake.lock);
	fake.gets++;
	tardy = fake.lie == FAKE_TARDY;
	pthread_mutex_unlock(&fake.lock);
	if (tardy)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	pthread_mutex_lock(&fake.lock);
	while (fake.lie == FAKE_HANGS)
		pthread_cond_wait(&fake.go, &fake.lock);
	st = answer(name, ret, ret_len);
	pthread_mutex_unlock(&fake.lock);
	return st;
}

static enum gh_status fake_set(struct wire *w, const char *name, const void *value, size_t len, uint32_t life_s)
{
	struct fake_entry *e;
	void *copy;
	size_t n;

	(void)w;
	pthread_mutex_lock(&fake.lock);
	e = find(name, true);
	if (!e) {
		e = &fake.entry[fake.count++];
		GH_ASSERT(fake.count <= sizeof(fake.entry) / sizeof(fake.entry[0]));
		snprintf(e->name, sizeof(e->name), "%s", name);
	}
	free(e->value);
	GH_ASSERT(give(value, len, &copy, &n) == GH_OK);
	e->value = copy;
	e->len = n;
	e->life_s = life_s;
	fake.sets++;
	pthread_mutex_unlock(&fake.lock);
	return GH_OK;
}

static void fake_quit(struct wire *w)
{
	(void)w;
	pthread_mutex_lock(&fake.lock);
	fake.resets++;
	pthread_mutex_unlock(&fake.lock);
}

static enum gh_status fake_ping(const struct server *s, uint32_t budget_ms, char *err)
{
	(void)budget_ms;
	snprintf(err, 128, "it is a fake");
	return strcmp(s->host, "dead") ? GH_OK : GH_IO;
}

const struct wire_ops wire_fake = { .name = "fake", .open = fake_open, .get = fake_get, .set = fake_set, .reset = fake_quit,
				    .close = fake_close, .ping = fake_ping };
