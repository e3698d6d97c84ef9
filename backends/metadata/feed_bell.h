/* Who waits for commits is woken here: rung by the committer for our own, by a driver for those of other processes. Any thread.
 * The numbers only rise, so nobody who has seen one can sleep over the next. And a driver says here when a database that could
 * not be reached answers again, and what other processes say. */
#ifndef GH_BACKENDS_METADATA_FEED_BELL_H
#define GH_BACKENDS_METADATA_FEED_BELL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct feed_bell {
	pthread_mutex_t lock;
	pthread_cond_t rung;
	uint64_t own, others;
	unsigned waiting;
	bool end;
	void (*back)(void *arg); /* NULL: nobody wants to know */
	void *back_arg;
	void (*word)(void *arg, const char *word); /* likewise */
	void *word_arg;
};

void feed_bell_init(struct feed_bell *b);
void feed_bell_fini(struct feed_bell *b);
void feed_bell_ring(struct feed_bell *b, bool own);
void feed_bell_end(struct feed_bell *b);
/* back is called under the lock, so that nobody is called any more once another (or NULL) was set. */
void feed_bell_on_back(struct feed_bell *b, void (*back)(void *arg), void *arg);
void feed_bell_back(struct feed_bell *b);
/* The same for what another process says (meta_say). */
void feed_bell_on_word(struct feed_bell *b, void (*fn)(void *arg, const char *word), void *arg);
void feed_bell_word(struct feed_bell *b, const char *word);
void feed_bell_wait(struct feed_bell *b, bool others_only, uint64_t *seen, uint32_t timeout_ms);

#endif
