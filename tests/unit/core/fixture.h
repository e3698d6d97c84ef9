/* A whole core for a test: SQLite and local blobs (behind the failing
 * backend, which lets everything through until told otherwise) in a temporary folder, one loop. Requests are made and waited for from
 * the test's thread; they run on the loop like a door's. */
#ifndef GH_TESTS_CORE_FIXTURE_H
#define GH_TESTS_CORE_FIXTURE_H

#include "core/control_house.h"

struct house_fixture {
	char dir[200];
	struct meta_store *meta;
	struct blob_backend *blobs;
	struct gh_core *core;
	struct gh_loop *loop;
	unsigned queue_max;        /* set before fixture_open: jobs that may wait; 0 = default */
	unsigned queue_wait_ms;    /* likewise: longest wait in the queue; 0 = default */
	struct vfs_session *admin; /* owner of `default` */
	struct tenant *tenant;
};

void fixture_open(struct house_fixture *f);
void fixture_close(struct house_fixture *f);
/* A user of `default` without any right; id in *ret_id. */
struct vfs_session *fixture_user(struct house_fixture *f, const char *name, uint64_t *ret_id);
void fixture_grant(struct house_fixture *f, const char *path, uint64_t user, unsigned allow, unsigned deny);

/* Runs fn(arg) on the loop and waits. */
void fixture_on_loop(struct house_fixture *f, void (*fn)(void *arg), void *arg);

/* A request with its path (and destination) set. */
struct vfs_req *fixture_req(struct house_fixture *f, enum vfs_op op, struct vfs_session *s, const char *path,
			    const char *dest);
/* Submits and waits; status. */
enum gh_status fixture_run(struct house_fixture *f, struct vfs_req *r);
void fixture_free(struct house_fixture *f, struct vfs_req **r);
/* fixture_req, run, free. */
enum gh_status fixture_do(struct house_fixture *f, enum vfs_op op, struct vfs_session *s, const char *path,
			  const char *dest, unsigned flags);
enum gh_status fixture_put(struct house_fixture *f, struct vfs_session *s, const char *path, const void *data, size_t len,
			   unsigned flags, uint64_t offset);
/* Until so many calls of the blob store hang; until nothing of the house is under way. Abort after 5 s. */
void fixture_wait_hanging(struct house_fixture *f, unsigned n);
void fixture_wait_quiet(struct house_fixture *f);
/* Content of a file, malloc'ed, NUL added; NULL when it cannot be read (*ret_st says why). */
char *fixture_get(struct house_fixture *f, struct vfs_session *s, const char *path, size_t *ret_len,
		  enum gh_status *ret_st);

#endif
