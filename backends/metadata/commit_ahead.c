/* The stage before the commit queue: what the rows of a batch name is made durable first.
 *
 * One thread takes all that wait, asks each for its `before` (the first sync of a pack carries the content of all that
 * was written until then, so the others are through at once), and puts them into the queue together. So the content of
 * the next group is synced while the group before it commits, and neither waits for the other; alone, one follows the
 * other. A disk for content that hangs holds up only who brings content.
 *
 * An item is here, or in the queue, or its owner was told.
 */
#include "backends/metadata/store.h"

#include "core/base/rcu.h"

#include <sched.h>

struct chain {
	struct commit_item *items, **end;
};

static void chain_add(struct chain *c, struct commit_item *it)
{
	it->next = NULL;
	*c->end = it;
	c->end = &it->next;
}

static void ask_all(struct shard_store *m, struct commit_item *items)
{
	struct chain durable = { .end = &durable.items }, failed = { .end = &failed.items };
	struct commit_item *next;

	for (struct commit_item *it = items; it; it = next) {
		next = it->next;
		it->status = it->before(it->before_arg);
		chain_add(it->status == GH_OK ? &durable : &failed, it);
	}
	if (durable.items)
		commit_put(m, durable.items);
	commit_tell(failed.items);
}

/* NULL: closed, and nothing waits. Locked. */
static struct commit_item *take_all(struct commit_ahead *a)
{
	struct commit_item *items;

	while (!a->head && !a->closed) {
		a->idle = true;
		pthread_cond_broadcast(&a->quiet);
		pthread_cond_wait(&a->filled, &a->lock);
	}
	a->idle = false;
	items = a->head;
	a->head = NULL;
	a->tail = &a->head;
	return items;
}

static void *ahead_main(void *arg)
{
	struct shard_store *m = arg;
	struct commit_ahead *a = &m->ahead;
	struct commit_item *items;
	int policy = SCHED_OTHER;

	pthread_setname_np(pthread_self(), "commit-ahead");
	commit_keep_pace(m, &policy);
	gh_rcu_register(); /* who is told reads what is protected so */
	gh_rcu_offline();
	pthread_mutex_lock(&a->lock);
	while ((items = take_all(a))) {
		pthread_mutex_unlock(&a->lock);
		commit_keep_pace(m, &policy);
		ask_all(m, items);
		pthread_mutex_lock(&a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	gh_rcu_unregister();
	return NULL;
}

void commit_ahead_put(struct shard_store *m, struct commit_item *it)
{
	struct commit_ahead *a = &m->ahead;
	bool idle;

	it->next = NULL;
	pthread_mutex_lock(&a->lock);
	GH_ASSERT(!a->closed);
	*a->tail = it;
	a->tail = &it->next;
	idle = a->idle;
	a->idle = false;
	pthread_mutex_unlock(&a->lock);
	if (idle)
		pthread_cond_signal(&a->filled);
}

void commit_ahead_quiet(struct shard_store *m)
{
	struct commit_ahead *a = &m->ahead;

	pthread_mutex_lock(&a->lock);
	while (a->head || !a->idle)
		pthread_cond_wait(&a->quiet, &a->lock);
	pthread_mutex_unlock(&a->lock);
}

enum gh_status commit_ahead_open(struct shard_store *m)
{
	struct commit_ahead *a = &m->ahead;

	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->filled, NULL);
	pthread_cond_init(&a->quiet, NULL);
	a->tail = &a->head;
	a->runs = pthread_create(&a->thread, NULL, ahead_main, m) == 0;
	return a->runs ? GH_OK : GH_NOMEM;
}

void commit_ahead_close(struct shard_store *m)
{
	struct commit_ahead *a = &m->ahead;

	if (!a->runs)
		return;
	pthread_mutex_lock(&a->lock);
	a->closed = true;
	pthread_cond_signal(&a->filled);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	GH_ASSERT(!a->head);
	pthread_cond_destroy(&a->filled);
	pthread_cond_destroy(&a->quiet);
	pthread_mutex_destroy(&a->lock);
}
