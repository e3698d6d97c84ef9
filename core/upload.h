/* Content on its way in, whichever dialect brings it: one upload session per write, in memory while it is small, in the
 * backend's staging past that. Nothing of it is visible before the commit.
 *
 * States: gathering (memory) -> staging (backend) -> taken by a commit, or aborted.
 * References: the door's (or the committing operation's) and that of a running job. `busy` is the loop's: while a job
 * runs, pushes wait. `lock` orders the job against the commit, which may come while a flush still runs.
 */
#ifndef GH_CORE_UPLOAD_H
#define GH_CORE_UPLOAD_H

#include "core/house.h"

struct vfs_upload {
	atomic_uint refs;
	struct gh_core *core;
	struct gh_loop *loop;
	uint64_t tenant, blob;
	struct tenant *whose; /* whose bytes are counted */
	uint64_t user;
	enum vfs_proto proto;
	/* what the begin said; in `arena` */
	struct gh_arena *arena;
	struct gh_path *path;
	struct vfs_cond *cond;
	unsigned flags;
	uint64_t declared, offset;
	struct quota_slot counted; /* as a transfer */
	struct quota_hold hold;    /* room kept for it; while a job runs, the job's */
	uint64_t wants;            /* the job is to get room for so much in all; 0 = it is about staging */
	int64_t mtime_us;
	/* what came */
	uint64_t received;
	uint8_t *mem;
	size_t mem_len, mem_cap, mem_max;
	struct blob_stage *stage;
	uint64_t unflushed;
	/* job */
	bool busy;
	unsigned put_offs; /* in a row: the queue in front of the workers had no place */
	enum gh_status error; /* sticky: a stage that failed once is over */
	pthread_mutex_t lock;
	bool taken; /* under lock: the commit has it, or nobody wants it */
	struct share_job job;           /* on a worker */
	struct share_transfer transfer; /* on the loop */
	struct gh_task task;
	void (*ready)(void *arg);
	void *ready_arg;
};

struct vfs_upload *upload_new(struct vfs_work *w);
void upload_unref(struct vfs_upload **u); /* any thread */
/* Worker: stores the bytes; durable now, or when *ret_ticket is settled. len 0: nothing was sent. */
GH_MUST_CHECK enum gh_status upload_store(struct vfs_upload *u, struct meta_part *ret_part, uint32_t *ret_crc,
					  struct blob_ticket *ret_ticket);

#endif
