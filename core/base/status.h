/* The one error enum of the house. Results come back in ret_* parameters, written only on GH_OK
 * unless a function says otherwise. Errno is translated once, where it happened. */
#ifndef GH_CORE_BASE_STATUS_H
#define GH_CORE_BASE_STATUS_H

#include <stdbool.h>

enum gh_status {
#define X(name, class, text) GH_##name,
#include "core/base/status.tbl.h"
#undef X
	GH_STATUS_COUNT
};

enum gh_status_class { GH_CLASS_FLOW, GH_CLASS_CALLER, GH_CLASS_TENANT, GH_CLASS_DEPENDENCY, GH_CLASS_INTERNAL };

#define GH_MUST_CHECK __attribute__((warn_unused_result))
#define GH_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Lower-case symbol ("notfound") for logs, JSON and metrics labels. Static storage. */
const char *gh_status_name(enum gh_status st);
/* Sentence for people. Static storage. */
const char *gh_status_text(enum gh_status st);
enum gh_status_class gh_status_class(enum gh_status st);
/* Storage errno -> status: ENOSPC, EDQUOT -> NOSPACE; ENOMEM -> NOMEM; ENOENT -> NOTFOUND; all else -> IO. */
enum gh_status gh_status_of_errno(int err);

/* Our own bugs, never input: prints the place and aborts. Stays on in release builds. */
#define GH_ASSERT(cond) ((cond) ? (void)0 : gh_assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void gh_assert_failed(const char *what, const char *file, int line);

#endif
