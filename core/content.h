/* Content being read: parts of blobs as one run of bytes. Made by op_read, used on a loop. */
#ifndef GH_CORE_CONTENT_H
#define GH_CORE_CONTENT_H

#include "core/house.h"

/* Parts are copied. Opens nothing yet. */
struct vfs_content *content_new(struct gh_core *c, struct gh_loop *l, struct tenant *t, uint64_t version, uint64_t size,
				const struct meta_part *parts, unsigned count);
/* It counts as one of its tenant's and user's transfers, and what is paid ahead for it and not sent goes back at its end.
 * slot is taken over. */
void content_counted(struct vfs_content *c, struct vfs_session *s, uint64_t user, struct quota_slot *slot);
/* No descriptor of it is given away: every byte passes through our memory and its checksums. */
void content_pull_only(struct vfs_content *c);
/* As vfs_content_pull for an operation: on a worker (may_block) it reads, on a loop it answers GH_AGAIN. */
GH_MUST_CHECK enum gh_status content_read(struct vfs_content *c, uint64_t offset, void *buf, size_t len, bool may_block,
					  size_t *ret_n);
/* Before an answer is promised: GH_OK, or GH_TRIPPED when the store rests and memory does not hold its first byte. */
GH_MUST_CHECK enum gh_status content_available(struct vfs_content *c, uint64_t offset, uint32_t *ret_retry_s);

#endif
