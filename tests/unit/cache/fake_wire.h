/* A cache in memory, for tests, that lies, fails and keeps one waiting when it is told to. One for the program. */
#ifndef GH_TESTS_UNIT_CACHE_FAKE_WIRE_H
#define GH_TESTS_UNIT_CACHE_FAKE_WIRE_H

#include <pthread.h>

#include "backends/cache/wire.h"

enum fake_lie { FAKE_HONEST, FAKE_OTHER_KEY, FAKE_TRUNCATED, FAKE_RANDOM, FAKE_EMPTY, FAKE_FAILS, FAKE_HANGS,
		FAKE_TARDY /* a millisecond, more or less */ };

struct fake_wire {
	pthread_mutex_t lock;
	pthread_cond_t go; /* HANGS: until lie is another one */
	enum fake_lie lie;
	unsigned gets, sets, resets, open;
	unsigned count;
	struct fake_entry {
		char name[64];
		unsigned char *value;
		size_t len;
		uint32_t life_s;
	} entry[64];
};
extern struct fake_wire fake;
extern const struct wire_ops wire_fake;

void fake_reset(void); /* empty and honest */
void fake_lie(enum fake_lie lie);

#endif
