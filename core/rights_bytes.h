/* What decides a tenant's rights as bytes, for a cache: what core/tenant.h builds its snapshot of, without names. Pure.
 *
 * unpack takes nothing for granted: whatever it is given it reads within it, and says GH_DAMAGED to what pack cannot have made.
 */
#ifndef GH_CORE_RIGHTS_BYTES_H
#define GH_CORE_RIGHTS_BYTES_H

#include "core/base/buf.h"
#include "core/meta.h"

/* out->failed: larger than its maximum. */
void rights_pack(const struct meta_rights *m, struct gh_buf *out);
/* *ret and all of it in a; it points into data too. names are "". GH_DAMAGED, GH_NOMEM. */
GH_MUST_CHECK enum gh_status rights_unpack(struct gh_arena *a, const void *data, size_t len, struct meta_rights **ret);

#endif
