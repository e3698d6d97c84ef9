/* A setting of the house's own, written before there is a house (core/installation.c, core/cache_secret.c). */
#ifndef GH_CORE_SETTING_PUT_H
#define GH_CORE_SETTING_PUT_H

#include "core/meta.h"

/* s->rev is what was read, 0: it is new. GH_STALE: another gateway was first, read again. what: the event's. s->doc may be
 * NULL, as a printing that failed leaves it: GH_NOMEM. Blocks. */
GH_MUST_CHECK enum gh_status setting_put(struct meta_store *m, struct meta_call *call, const char *what,
					 const struct meta_setting *s);

#endif
