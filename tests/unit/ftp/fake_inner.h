/* What fake_vfs.c and fake_ops.c share. */
#ifndef GH_TESTS_UNIT_FTP_FAKE_INNER_H
#define GH_TESTS_UNIT_FTP_FAKE_INNER_H

#include <pthread.h>

#include "tests/unit/ftp/fake_vfs.h"

#define NODES 4096
#define HELD 16

struct node {
	char *path;
	bool folder;
	char *data;
	size_t len;
	uint64_t id, version;
	int64_t mtime_us;
};

struct vfs_session {
	unsigned refs;
	char user[64];
};

struct vfs_work {
	struct vfs_req req; /* first: the one is the other */
	vfs_done_fn *done;
	void *door;
	bool held, detached;
};

struct vfs_content {
	char *data;
	size_t len;
	unsigned pulls;
};

struct vfs_upload {
	char path[256];
	unsigned flags;
	uint64_t offset;
	bool none_match;
	char *data;
	size_t len;
	unsigned pushes;
	struct vfs_session *session;
};

extern struct fake {
	pthread_mutex_t lock;
	struct node nodes[NODES];
	unsigned node_count;
	uint64_t next_id;
	enum gh_status status[VFS_OP_COUNT];
	const char *message;
	bool hold[VFS_OP_COUNT], hold_streams;
	unsigned wait_every;
	size_t push_fails_after;
	enum gh_status push_status;
	bool give_fd, inline_too;
	size_t missing;
	struct vfs_work *held[HELD];
	unsigned held_count;
	void (*ready)(void *);
	void *ready_arg;
	unsigned live, lists;
	char log_verb[16];
	int log_code;
	uint64_t log_bytes;
} fake;

#define LOCKED                                                                                                         \
	for (bool once_ = (pthread_mutex_lock(&fake.lock), true); once_;                                               \
	     once_ = (pthread_mutex_unlock(&fake.lock), false))

/* Carries the operation out; under the lock. */
enum gh_status fake_run(struct vfs_work *w);
void fake_upload_free(struct vfs_upload *u); /* under the lock */

#endif
