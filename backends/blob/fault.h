/* A blob backend that fails on command, for tests: kind "fault", in libghblobtest.a only (link $(LINK_BLOBTEST) first),
 * so that no configuration of a release can name it. It wraps "local" when the configuration has a path, else
 * "memory", and lets everything through until told otherwise.
 *
 *     const struct blob_ops *ops = &blob_ops_fault;
 *     ops->open(&cfg, &be, err);
 *     blob_fault_set(be, &(struct blob_fault){ BLOB_FAULT_PUT, BLOB_FAULT_FAIL, .nth = 3, .status = GH_IO });
 *
 * Any thread may set, clear and count while others use the backend.
 */
#ifndef GH_BACKENDS_BLOB_FAULT_H
#define GH_BACKENDS_BLOB_FAULT_H

#include "core/blob.h"

enum blob_fault_op {
	BLOB_FAULT_PUT, /* and put_ahead */
	BLOB_FAULT_SETTLE,
	BLOB_FAULT_STAGE_BEGIN,
	BLOB_FAULT_STAGE_WRITE,
	BLOB_FAULT_STAGE_FLUSH,
	BLOB_FAULT_STAGE_COMMIT,
	BLOB_FAULT_READER_OPEN,
	BLOB_FAULT_READER_READ,
	BLOB_FAULT_REMOVE,
	BLOB_FAULT_ITERATE,
	BLOB_FAULT_VERIFY,
	BLOB_FAULT_SPACE,
	BLOB_FAULT_OPS
};

enum blob_fault_how {
	BLOB_FAULT_NONE,
	BLOB_FAULT_FAIL, /* answers status, does nothing (commit takes the stage all the same) */
	BLOB_FAULT_LOSE, /* does it, then answers status: the answer was lost */
	BLOB_FAULT_SLOW, /* waits delay_ms, then does it */
	BLOB_FAULT_HANG, /* waits until blob_fault_clear, then does it */
};

struct blob_fault {
	enum blob_fault_op op;
	enum blob_fault_how how;
	unsigned nth;   /* the nth call of op from now, 1 = the next; 0 = every call until cleared */
	unsigned delay_ms;
	enum gh_status status;
};

extern const struct blob_ops blob_ops_fault;

/* One fault per op: a later one replaces it. be was opened by blob_ops_fault. */
void blob_fault_set(struct blob_backend *be, const struct blob_fault *f);
/* All ops are well again; who hangs goes on. */
void blob_fault_clear(struct blob_backend *be);
/* Calls of op since open; and how many wait in HANG at this moment. */
unsigned blob_fault_calls(struct blob_backend *be, enum blob_fault_op op);
unsigned blob_fault_hanging(struct blob_backend *be);
/* Somebody who is asked before every call, of every backend that is opened after this: GH_OK lets it go on, anything else
 * is its answer. It may wait, but where may_block is false (then GH_AGAIN sends the caller to a worker). tenant 0: the
 * call is nobody's in particular. */
typedef enum gh_status blob_fault_fn(enum blob_fault_op op, uint64_t tenant, bool may_block);
void blob_fault_ask(blob_fault_fn *fn);
/* What it wraps. */
const struct blob_ops *blob_fault_inner(struct blob_backend *be, struct blob_backend **ret_inner);

#endif
