/* Copies a folder with all that is in it. Main thread, blocks. */
#ifndef GH_FRONTENDS_MAIN_COPYTREE_H
#define GH_FRONTENDS_MAIN_COPYTREE_H

#include <stdint.h>

#include "core/base/status.h"

struct copytree_count {
	uint64_t files, bytes;
};

/* to is made; it may not be there (GH_EXISTS). Modes stay, owners too where the caller is root. What vanishes from `from`
 * meanwhile is left out, what grows is copied as far as it was when its turn came. Everything is on disk in the end. err (512
 * bytes): which file, and what. *count is added to. */
GH_MUST_CHECK enum gh_status copytree(const char *from, const char *to, struct copytree_count *count, char *err);

/* One file, alike. */
GH_MUST_CHECK enum gh_status copyfile(const char *from, const char *to, char *err);

#endif
