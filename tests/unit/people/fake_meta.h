/* The few calls of core/meta.h that the people room makes, over an array. One tenant's people; counts what is read. */
#ifndef GH_TESTS_PEOPLE_FAKE_META_H
#define GH_TESTS_PEOPLE_FAKE_META_H

#include <stdatomic.h>

#include "core/meta.h"

enum { FAKE_MAX = 8 };

struct meta_store {
	uint64_t tenant;
	unsigned user_count, token_count;
	struct meta_user users[FAKE_MAX];
	struct meta_token tokens[FAKE_MAX];
	enum gh_status fails; /* GH_OK = works */
	atomic_uint user_reads, token_reads;
	void (*between)(struct meta_store *m); /* runs once, after a user was read */
};

#endif
