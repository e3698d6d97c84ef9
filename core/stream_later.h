/* What events of other gateways ask for that takes calls of the store: tenants' rows, settings, sessions of users that changed.
 * Noted while a page of events is gone through, done after it. Inside the stream; one owner at a time. */
#ifndef GH_CORE_STREAM_LATER_H
#define GH_CORE_STREAM_LATER_H

#include "core/house.h"

#define STREAM_LATER_MAX 256 /* more: all of them */

struct stream_user {
	uint64_t tenant, user; /* user 0: all */
};

struct stream_later {
	bool everything;
	unsigned tenant_count, user_count;
	uint64_t tenants[STREAM_LATER_MAX];
	struct stream_user users[STREAM_LATER_MAX];
	bool switches, shares, limits, operators;
};

void stream_later_tenant(struct stream_later *l, uint64_t tenant);
void stream_later_user(struct stream_later *l, uint64_t tenant, uint64_t user);
void stream_later_settings(struct stream_later *l, const char *kind, size_t len); /* kind NULL: all */
void stream_later_all(struct stream_later *l);
/* Blocks. What could not be done stays. */
GH_MUST_CHECK enum gh_status stream_later_do(struct gh_core *c, struct stream_later *l);

#endif
