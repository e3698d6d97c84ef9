/* A core in memory behind vfs.h, on one loop, that answers when and how a test tells it to: at once, after a delay,
 * with a refusal, with windows that are not there yet. The tests of the HTTP door and of the services behind it link it
 * in place of the core. */
#ifndef GH_TESTS_UNIT_HTTP_FAKE_VFS_H
#define GH_TESTS_UNIT_HTTP_FAKE_VFS_H

#include <stdatomic.h>

#include "core/vfs.h"

struct fake_file;

struct gh_core {
	/* what the test wants; set while no request runs */
	unsigned delay_ms[VFS_OP_COUNT];   /* 0: DONE on the spot */
	enum gh_status fail[VFS_OP_COUNT]; /* GH_OK: do it */
	unsigned fail_after[VFS_OP_COUNT]; /* so many go well, then IO; 0 = never */
	const char *message;               /* the administrator's words with every refusal */
	unsigned push_wait_every;          /* every so many pushes say WAIT first; 0 = never */
	enum gh_status push_fail;
	bool content_by_fd;
	unsigned pull_wait_ms;             /* a pull waits that long before each window */
	uint64_t damage_at;                /* pulls beyond it are DAMAGED; 0 = never */
	unsigned feed_count;               /* events that have happened: /e0, /e1 ...; a cursor is how many were told */
	unsigned feed_wakes_ms;            /* who waits for one gets one after that; 0 = never */
	unsigned page;                     /* nodes in a page of a listing; 0 = as asked */
	/* what happened; read from any thread */
	atomic_uint submitted[VFS_OP_COUNT];
	atomic_uint detached, aborted, reqs, contents, uploads, sessions, watches;
	/* the store; loop thread */
	struct fake_file *files;
	uint64_t next_version;
	unsigned pushes;
};

struct gh_core *fake_new(void); /* a root, one user ann with the password secret, owner of all */
void fake_free(struct gh_core *c);
/* Before the loop runs, or while nothing else does. data NULL: a folder. Returns its version. */
uint64_t fake_put(struct gh_core *c, const char *path, const void *data, size_t len, int64_t mtime_us);
/* The bytes at path; NULL when there is no such file. */
const char *fake_get(struct gh_core *c, const char *path, size_t *ret_len);

#endif
