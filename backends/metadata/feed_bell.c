/* See feed_bell.h. */
#include "backends/metadata/feed_bell.h"

#include "core/base/clock.h"

#include <errno.h>
#include <time.h>

void feed_bell_init(struct feed_bell *b)
{
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->rung, NULL);
}

void feed_bell_fini(struct feed_bell *b)
{
	pthread_cond_destroy(&b->rung);
	pthread_mutex_destroy(&b->lock);
}

void feed_bell_ring(struct feed_bell *b, bool own)
{
	pthread_mutex_lock(&b->lock);
	if (own)
		b->own++;
	else
		b->others++;
	if (b->waiting)
		pthread_cond_broadcast(&b->rung);
	pthread_mutex_unlock(&b->lock);
}

void feed_bell_on_back(struct feed_bell *b, void (*back)(void *arg), void *arg)
{
	pthread_mutex_lock(&b->lock);
	b->back = back;
	b->back_arg = arg;
	pthread_mutex_unlock(&b->lock);
}

void feed_bell_back(struct feed_bell *b)
{
	pthread_mutex_lock(&b->lock);
	if (b->back)
		b->back(b->back_arg);
	pthread_mutex_unlock(&b->lock);
}

void feed_bell_on_word(struct feed_bell *b, void (*fn)(void *arg, const char *word), void *arg)
{
	pthread_mutex_lock(&b->lock);
	b->word = fn;
	b->word_arg = arg;
	pthread_mutex_unlock(&b->lock);
}

void feed_bell_word(struct feed_bell *b, const char *word)
{
	pthread_mutex_lock(&b->lock);
	if (b->word)
		b->word(b->word_arg, word);
	pthread_mutex_unlock(&b->lock);
}

void feed_bell_end(struct feed_bell *b)
{
	pthread_mutex_lock(&b->lock);
	b->end = true;
	pthread_cond_broadcast(&b->rung);
	pthread_mutex_unlock(&b->lock);
}

static uint64_t count(const struct feed_bell *b, bool others_only)
{
	return 1 + b->others + (others_only ? 0 : b->own); /* 0: seen none, not even that there are none */
}

void feed_bell_wait(struct feed_bell *b, bool others_only, uint64_t *seen, uint32_t timeout_ms)
{
	const uint64_t until_ns = gh_mono_ns() + timeout_ms * GH_MS_NS;
	const struct timespec until = { (time_t)(until_ns / GH_S_NS), (long)(until_ns % GH_S_NS) };
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	b->waiting++;
	while (!b->end && count(b, others_only) == *seen && rc != ETIMEDOUT)
		rc = pthread_cond_clockwait(&b->rung, &b->lock, CLOCK_MONOTONIC, &until);
	b->waiting--;
	*seen = count(b, others_only);
	pthread_mutex_unlock(&b->lock);
}
