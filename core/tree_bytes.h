/* A node's row as bytes, for a cache: what is at a name, and the horizon that it was read with (core/tree_marks.h). The place
 * itself, parent and key, is the entry's name. Pure.
 *
 * unpack takes nothing for granted: whatever it is given it reads within it, and says GH_DAMAGED to what pack cannot have made.
 * A migration that changes rows of nodes in place raises the layout, so that none of before comes back.
 */
#ifndef GH_CORE_TREE_BYTES_H
#define GH_CORE_TREE_BYTES_H

#include "core/base/buf.h"
#include "core/meta.h"

#define TREE_BYTES_MAX 512u

/* out->failed: larger than its maximum. */
void tree_pack(const struct meta_node *n, uint64_t horizon, struct gh_buf *out);
/* ret's name points into data; parent, key and key_len are the caller's to fill in. GH_DAMAGED. */
GH_MUST_CHECK enum gh_status tree_unpack(const void *data, size_t len, struct meta_node *ret, uint64_t *ret_horizon);

#endif
