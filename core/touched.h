/* What an event says caches have to forget (meta_event.touched, core/meta.h), word by word. Pure. */
#ifndef GH_CORE_TOUCHED_H
#define GH_CORE_TOUCHED_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct touched {
	char kind; /* 's' 't' 'r' 'l' 'u' 'T' 'k' '-'; '?': everything of the tenant */
	uint64_t id; /* s: the folder; u: the user; k: the setting; t: the generation, 0 where it is not told */
	const char *text; /* s: the key; k: the kind. Not terminated */
	size_t len;
};

/* The next word of *at, which is moved behind it. false: no more. An empty text is one word '?'; so is what is not understood,
 * and it is the last. *at: NULL at the end. */
bool touched_next(const char **at, struct touched *ret);

#endif
