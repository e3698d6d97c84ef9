/* The cache contract over a wire: names and envelopes, and the few threads that talk to the servers.
 *
 * Who asks does not talk: it hands a job to one of THREADS threads and waits for the budget, so that nothing the other side
 * does, not even an answer that comes a byte at a time or a name server that is silent, holds a worker for longer. A thread that
 * is held like that is missing until the other side lets go; with all of them held there is no cache, and the breaker says so.
 *
 * A job is NEW in the queue, TAKEN by a thread, DONE. It has two owners, the queue or thread and who waits; `left` says that
 * nobody waits any more, and a NEW one is then dropped unasked. Puts have one owner. `lock` covers all of that. Talking, MACs
 * and copies are done without it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/cache/envelope.h"
#include "backends/cache/wire.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

#define THREADS 4u
#define QUEUE_MAX 256u
#define QUEUE_BYTES_MAX (8u << 20)
#define END_MS 1000u
#define NAME_BYTES (4 + 2 * ENVELOPE_ID_BYTES + 1)

enum { PUT_STORED, PUT_FAILED, PUT_DROPPED, PUT_LARGE }; /* order of the metric's values */

struct job {
	struct job *next;
	enum { JOB_NEW, JOB_TAKEN, JOB_DONE } state;
	bool left, is_put;
	pthread_cond_t over;
	char name[NAME_BYTES];
	struct envelope want; /* get: kind, gen, id */
	uint32_t life_s;
	unsigned char *sealed; /* put: to be sent; get: what came */
	size_t sealed_len;
	enum gh_status status;
	enum cache_refusal refusal;
};

struct talker {
	pthread_t thread;
	bool runs, ended;
	struct cache *cache;
	struct wire *wire[CACHE_KINDS];
};

struct cache {
	const struct wire_ops *wire;
	struct envelope_keys keys;
	uint32_t budget_ms;
	char *text[CACHE_KINDS];
	unsigned set_of[CACHE_KINDS]; /* kinds on the same servers share connections */
	struct server_set set[CACHE_KINDS];
	pthread_mutex_t lock;
	pthread_cond_t work, end;
	struct job *first, *last;
	unsigned queued;
	size_t queued_bytes;
	bool stop;
	struct talker talker[THREADS];
};

const char *cache_kind_name(enum cache_kind k)
{
	static const char *const names[CACHE_KINDS] = { [CACHE_SESSIONS] = "sessions", [CACHE_RIGHTS] = "rights",
						       [CACHE_TREE] = "tree" };

	return names[k];
}

/* ---- jobs ---- */

static struct job *job_new(struct cache *c, const struct cache_key *k)
{
	struct job *j = calloc(1, sizeof(*j));
	pthread_condattr_t attr;

	if (!j)
		return NULL;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->over, &attr);
	pthread_condattr_destroy(&attr);
	j->want.kind = k->kind;
	j->want.gen = k->gen;
	envelope_id(&c->keys, k, j->want.id);
	memcpy(j->name, "ghc:", 4);
	gh_hex(j->name + 4, j->want.id, ENVELOPE_ID_BYTES);
	return j;
}

static void job_free(struct job *j)
{
	pthread_cond_destroy(&j->over);
	free(j->sealed);
	free(j);
}

/* false: there is no room, or no end. */
static bool job_queue(struct cache *c, struct job *j)
{
	bool room;

	pthread_mutex_lock(&c->lock);
	room = !c->stop && c->queued < QUEUE_MAX && c->queued_bytes + j->sealed_len <= QUEUE_BYTES_MAX;
	if (room) {
		*(c->first ? &c->last->next : &c->first) = j;
		c->last = j;
		c->queued++;
		c->queued_bytes += j->sealed_len;
		pthread_cond_signal(&c->work);
	}
	pthread_mutex_unlock(&c->lock);
	return room;
}

/* Locked. */
static struct job *job_take(struct cache *c)
{
	struct job *j = c->first;

	c->first = j->next;
	c->queued--;
	c->queued_bytes -= j->sealed_len;
	j->state = JOB_TAKEN;
	return j;
}

/* ---- talking ---- */

static struct wire *wire_of(struct talker *t, enum cache_kind kind)
{
	struct cache *c = t->cache;
	const unsigned i = c->set_of[kind];

	if (!t->wire[i] && c->wire->open(&c->set[i], c->budget_ms, &t->wire[i]) != GH_OK)
		return NULL;
	return t->wire[i];
}

static void do_put(struct cache *c, struct wire *w, struct job *j)
{
	j->status = c->wire->set(w, j->name, j->sealed, j->sealed_len, j->life_s);
	gh_metric_add(GH_M_CACHE_PUTS, j->status == GH_OK ? PUT_STORED : PUT_FAILED, 1);
}

static void do_get(struct cache *c, struct wire *w, struct job *j)
{
	void *came = NULL;

	j->status = c->wire->get(w, j->name, &came, &j->sealed_len);
	j->sealed = came;
	if (j->status != GH_OK)
		return;
	if (!envelope_open(&c->keys, j->sealed, j->sealed_len, (uint64_t)(gh_real_us() / GH_S_US), &j->want, &j->refusal)) {
		j->status = GH_STALE;
		/* an answer to something else, perhaps: then those that follow are, too */
		if (j->refusal == CACHE_DAMAGED || j->refusal == CACHE_OTHER_KEY)
			c->wire->reset(w);
	}
}

static void job_do(struct talker *t, struct job *j)
{
	struct wire *w = wire_of(t, j->want.kind);

	if (!w)
		j->status = GH_NOMEM;
	else if (j->is_put)
		do_put(t->cache, w, j);
	else
		do_get(t->cache, w, j);
}

static void *talk(void *arg)
{
	struct talker *t = arg;
	struct cache *c = t->cache;

	pthread_setname_np(pthread_self(), "cache");
	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct job *j;

		while (!c->first && !c->stop)
			pthread_cond_wait(&c->work, &c->lock);
		if (c->stop)
			break;
		j = job_take(c);
		if (!j->left) {
			pthread_mutex_unlock(&c->lock);
			job_do(t, j);
			pthread_mutex_lock(&c->lock);
		}
		j->state = JOB_DONE;
		if (j->left || j->is_put)
			job_free(j);
		else
			pthread_cond_signal(&j->over);
	}
	t->ended = true;
	pthread_cond_signal(&c->end);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- the contract ---- */

static struct timespec at(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / GH_S_NS), .tv_nsec = (long)(ns % GH_S_NS) };
}

static bool is_kept(const struct cache *c, enum cache_kind kind)
{
	return c->set[c->set_of[kind]].count > 0;
}

/* false: not within the budget; the job is the thread's now, and may be gone already. */
static bool job_await(struct cache *c, struct job *j)
{
	const struct timespec until = at(gh_mono_ns() + c->budget_ms * GH_MS_NS);
	bool done;

	pthread_mutex_lock(&c->lock);
	while (j->state != JOB_DONE && !pthread_cond_timedwait(&j->over, &c->lock, &until))
		;
	done = j->state == JOB_DONE;
	j->left = !done;
	pthread_mutex_unlock(&c->lock);
	return done;
}

static enum gh_status get(struct cache *c, const struct cache_key *k, struct gh_arena *a, struct cache_answer *ret)
{
	struct job *j;
	enum gh_status st;

	*ret = (struct cache_answer){ .len = 0 };
	if (!is_kept(c, k->kind))
		return GH_NOTFOUND;
	j = job_new(c, k);
	if (!j)
		return GH_NOMEM;
	if (!job_queue(c, j)) {
		job_free(j);
		return GH_IO;
	}
	if (!job_await(c, j))
		return GH_IO;
	st = j->status;
	ret->refusal = j->refusal;
	if (st == GH_OK) {
		ret->len = j->want.len;
		ret->value = gh_memdup(a, j->want.value, j->want.len);
		st = ret->value ? GH_OK : GH_NOMEM;
	}
	job_free(j);
	return st;
}

static void put(struct cache *c, const struct cache_key *k, const void *value, size_t len, uint32_t life_s)
{
	struct job *j;

	if (!is_kept(c, k->kind))
		return;
	j = len <= CACHE_VALUE_MAX ? job_new(c, k) : NULL;
	if (!j) {
		gh_metric_add(GH_M_CACHE_PUTS, len <= CACHE_VALUE_MAX ? PUT_DROPPED : PUT_LARGE, 1);
		return;
	}
	j->is_put = true;
	j->life_s = life_s;
	j->want.end_s = (uint64_t)(gh_real_us() / GH_S_US) + life_s;
	j->want.value = value;
	j->want.len = len;
	j->sealed_len = len + ENVELOPE_EXTRA_BYTES;
	j->sealed = malloc(j->sealed_len);
	if (j->sealed)
		envelope_seal(&c->keys, &j->want, j->sealed);
	if (!j->sealed || !job_queue(c, j)) {
		gh_metric_add(GH_M_CACHE_PUTS, PUT_DROPPED, 1);
		job_free(j);
	}
}

static void look(struct cache *c, cache_look_fn *fn, void *arg)
{
	for (unsigned i = 0; i < CACHE_KINDS; i++) {
		char kinds[64] = "";

		for (unsigned k = i; k < CACHE_KINDS; k++)
			if (c->set_of[k] == i)
				snprintf(kinds + strlen(kinds), sizeof(kinds) - strlen(kinds), "%s%s", *kinds ? ", " : "",
					 cache_kind_name((enum cache_kind)k));
		for (unsigned s = 0; *kinds && s < c->set[i].count; s++) {
			char err[128] = "";

			if (c->wire->ping(&c->set[i].server[s], c->budget_ms, err) == GH_OK)
				err[0] = '\0';
			fn(arg, c->set[i].server[s].text, kinds, err);
		}
	}
}

/* ---- life ---- */

/* Whoever is held by the other side now is not waited for. */
static bool all_end(struct cache *c)
{
	const struct timespec until = at(gh_mono_ns() + END_MS * GH_MS_NS);
	bool all = false;
	int err = 0;

	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->work);
	while (!all && !err) {
		all = true;
		for (unsigned i = 0; i < THREADS; i++)
			all &= !c->talker[i].runs || c->talker[i].ended;
		if (!all)
			err = pthread_cond_timedwait(&c->end, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
	return all;
}

static void close_cache(struct cache **cp)
{
	struct cache *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	if (!all_end(c)) {
		gh_log(GH_LOG_WARN, "cache-close", "hint=\"a server of the cache holds a thread; it is left behind\"");
		return; /* what the thread uses stays */
	}
	for (unsigned i = 0; i < THREADS; i++) {
		if (c->talker[i].runs)
			pthread_join(c->talker[i].thread, NULL);
		for (unsigned k = 0; k < CACHE_KINDS; k++)
			if (c->talker[i].wire[k])
				c->wire->close(&c->talker[i].wire[k]);
	}
	while (c->first)
		job_free(job_take(c));
	for (unsigned i = 0; i < CACHE_KINDS; i++) {
		servers_fini(&c->set[i]);
		free(c->text[i]);
	}
	pthread_cond_destroy(&c->work);
	pthread_cond_destroy(&c->end);
	pthread_mutex_destroy(&c->lock);
	explicit_bzero(&c->keys, sizeof(c->keys));
	free(c);
}

static enum gh_status sets_make(struct cache *c, const struct cache_config *cfg, char *err)
{
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < CACHE_KINDS; i++) {
		c->text[i] = strdup(cfg->servers[i] ? cfg->servers[i] : "");
		if (!c->text[i])
			return GH_NOMEM;
		for (c->set_of[i] = 0; strcmp(c->text[c->set_of[i]], c->text[i]) != 0; c->set_of[i]++)
			;
		if (c->set_of[i] == i)
			st = servers_parse(c->text[i], &c->set[i], err);
	}
	return st;
}

static struct cache *cache_new(const struct wire_ops *wire, const struct cache_config *cfg)
{
	struct cache *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	c->wire = wire;
	c->budget_ms = cfg->budget_ms;
	envelope_keys(cfg->secret, &c->keys);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->work, &attr);
	pthread_cond_init(&c->end, &attr);
	pthread_condattr_destroy(&attr);
	return c;
}

static const struct cache_ops ops = {
	.abi = CACHE_ABI,
	.size = sizeof(struct cache_ops),
	.name = "memcached",
	.get = get,
	.put = put,
	.look = look,
	.close = close_cache,
};

enum gh_status cache_open_on(const struct wire_ops *wire, const struct cache_config *cfg, const struct cache_ops **ret_ops,
			     struct cache **ret, char *err)
{
	struct cache *c = cache_new(wire, cfg);
	enum gh_status st;

	snprintf(err, 256, "out of memory");
	if (!c)
		return GH_NOMEM;
	st = sets_make(c, cfg, err);
	for (unsigned i = 0; st == GH_OK && i < THREADS; i++) {
		c->talker[i].cache = c;
		c->talker[i].runs = !pthread_create(&c->talker[i].thread, NULL, talk, &c->talker[i]);
		st = c->talker[i].runs ? GH_OK : GH_NOMEM;
	}
	if (st != GH_OK) {
		close_cache(&c);
		return st;
	}
	*ret_ops = &ops;
	*ret = c;
	return GH_OK;
}
