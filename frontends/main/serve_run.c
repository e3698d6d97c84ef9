/* What a running house does on the main thread: waits for signals, reloads, drains. See serve.h. */
#include "frontends/main/serve.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rcu.h"

#define QUIESCE_MAX_MS 5000
#define POLL_MS 5

/* ---- reload ---- */

static void change_tell(void *arg, const char *key)
{
	(void)arg;
	gh_log(GH_LOG_WARN, "config.needs_restart", "key=%s", key);
}

static enum gh_log_level level_of(const struct config *c)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (int i = 0; i < 4; i++) {
		if (!strcmp(names[i], config_text(c, "log.level")))
			return (enum gh_log_level)i;
	}
	return GH_LOG_INFO;
}

/* A file that is wrong changes nothing. */
static void reload(struct serve *s)
{
	const struct config *old = s->reloaded ? s->reloaded : s->config;
	struct config *fresh = serve_config(s->cli);
	const char *path;

	if (!fresh) {
		gh_log(GH_LOG_ERROR, "config.refused", "kept=old");
		return;
	}
	path = config_text(fresh, "log.path");
	if (gh_log_open(strcmp(path, "-") ? path : NULL, level_of(fresh)))
		gh_log(GH_LOG_ERROR, "log.refused", "kept=old");
	gh_core_reopen_logs(s->house.core);
	s->drain_ms = (uint64_t)config_number(fresh, "drain");
	config_changes(old, fresh, change_tell, NULL);
	config_free(&s->reloaded);
	s->reloaded = fresh;
	gh_log(GH_LOG_INFO, "config.reloaded", "file=%s", s->cli->config ? s->cli->config : "-");
}

/* ---- loops standing still ---- */

struct park {
	struct gh_task task;
	pthread_mutex_t *lock;
	pthread_cond_t *change;
	unsigned *parked;
	bool *go;
};

static void park_stand(struct gh_task *t)
{
	struct park *p = (struct park *)t;

	/* Whoever waits for readers must not wait for a loop that stands here. */
	gh_rcu_offline();
	pthread_mutex_lock(p->lock);
	++*p->parked;
	pthread_cond_broadcast(p->change);
	while (!*p->go)
		pthread_cond_wait(p->change, p->lock);
	--*p->parked;
	pthread_cond_broadcast(p->change);
	pthread_mutex_unlock(p->lock);
	gh_rcu_online();
}

void serve_with_loops_parked(struct serve *s, void (*fn)(struct serve *s))
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t change = PTHREAD_COND_INITIALIZER;
	struct park *parks = calloc(s->loop_count, sizeof(*parks));
	unsigned parked = 0;
	bool go = false;

	GH_ASSERT(parks || !s->loop_count);
	for (unsigned i = 0; i < s->loop_count; i++) {
		parks[i] = (struct park){ { .fn = park_stand }, &lock, &change, &parked, &go };
		gh_loop_post(s->loops[i], &parks[i].task);
	}
	pthread_mutex_lock(&lock);
	while (parked < s->loop_count)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
	fn(s);
	pthread_mutex_lock(&lock);
	go = true;
	pthread_cond_broadcast(&change);
	while (parked)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
	free(parks);
	pthread_cond_destroy(&change);
	pthread_mutex_destroy(&lock);
}

/* ---- drain ---- */

struct quiesce {
	struct gh_task task;
	struct serve *s;
	struct gh_loop *loop;
	bool quiet;
	sem_t done;
};

static void quiesce_run(struct gh_task *t)
{
	struct quiesce *q = (struct quiesce *)t;

	q->quiet = true;
	for (unsigned i = 0; i < q->s->door_count; i++)
		q->quiet &= q->s->doors[i].row->ops->quiesce(q->s->doors[i].door, q->loop);
	sem_post(&q->done);
}

/* One pass of quiesce on every loop; true when no door wants another. */
static bool quiesce_all(struct serve *s)
{
	bool quiet = true;

	for (unsigned i = 0; i < s->loop_count; i++) {
		struct quiesce q = { .task.fn = quiesce_run, .s = s, .loop = s->loops[i] };

		sem_init(&q.done, 0, 0);
		gh_loop_post(s->loops[i], &q.task);
		while (sem_wait(&q.done) && errno == EINTR)
			;
		sem_destroy(&q.done);
		quiet &= q.quiet;
	}
	return quiet;
}

static unsigned doors_drain(struct serve *s)
{
	unsigned all = 0;

	for (unsigned i = 0; i < s->door_count; i++) {
		unsigned live = 0;

		s->doors[i].row->ops->drain(s->doors[i].door, &live);
		all += live;
	}
	return all;
}

/* Waits a little; true when a second SIGTERM or SIGINT wants it to end at once. */
static bool hurried(struct serve *s, unsigned ms)
{
	struct timespec t = { .tv_nsec = (long)ms * 1000000 };
	int sig = sigtimedwait(&s->signals, NULL, &t);

	return sig == SIGTERM || sig == SIGINT;
}

void serve_drain(struct serve *s)
{
	uint64_t end = gh_mono_ns() + s->drain_ms * GH_MS_NS;
	unsigned live;

	gh_log(GH_LOG_INFO, "serve.draining", "limit_ms=%llu", (unsigned long long)s->drain_ms);
	admin_listener_drain(s->admin_listener);
	gh_doorstep_shut(s->doorstep);
	while ((live = doors_drain(s)) && gh_mono_ns() < end) {
		if (hurried(s, POLL_MS))
			break;
	}
	if (live)
		gh_log(GH_LOG_WARN, "serve.cut", "connections=%u", live);
	end = gh_mono_ns() + QUIESCE_MAX_MS * GH_MS_NS;
	while (!quiesce_all(s) && gh_mono_ns() < end)
		(void)hurried(s, POLL_MS);
}

void serve_run(struct serve *s)
{
	for (;;) {
		int sig = sigwaitinfo(&s->signals, NULL);

		if (sig == SIGHUP)
			reload(s);
		else if (sig == SIGTERM || sig == SIGINT)
			return;
	}
}
