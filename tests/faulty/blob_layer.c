/* The backend that main opens is the failing one (backends/blob/fault.h) around the real one, and it asks faults.h. The
 * linker sends every blob_backend_find of the program here (--wrap). */
#include <string.h>

#include "backends/blob/fault.h"
#include "tests/faulty/faults.h"

const struct blob_ops *__real_blob_backend_find(const char *kind);
const struct blob_ops *__wrap_blob_backend_find(const char *kind);

static const char *const op_names[BLOB_FAULT_OPS] = {
	[BLOB_FAULT_PUT] = "put", [BLOB_FAULT_SETTLE] = "settle",
	[BLOB_FAULT_STAGE_BEGIN] = "stage_begin", [BLOB_FAULT_STAGE_WRITE] = "stage_write",
	[BLOB_FAULT_STAGE_FLUSH] = "stage_flush", [BLOB_FAULT_STAGE_COMMIT] = "stage_commit",
	[BLOB_FAULT_READER_OPEN] = "reader_open", [BLOB_FAULT_READER_READ] = "reader_read",
	[BLOB_FAULT_REMOVE] = "remove", [BLOB_FAULT_ITERATE] = "iterate", [BLOB_FAULT_VERIFY] = "verify",
	[BLOB_FAULT_SPACE] = "space",
};

static enum gh_status ask(enum blob_fault_op op, uint64_t tenant, bool may_block)
{
	bool again;

	if (faults_ask("blobs", op_names[op], tenant, may_block, &again))
		return GH_IO;
	/* Appending to a page cache is no call that could be put off to a worker. */
	return again && (op == BLOB_FAULT_READER_OPEN || op == BLOB_FAULT_READER_READ) ? GH_AGAIN : GH_OK;
}

/* First main asks, for the backend of the gateway; then the failing one, for what it is to wrap. */
const struct blob_ops *__wrap_blob_backend_find(const char *kind)
{
	static bool wrapped;

	if (wrapped)
		return __real_blob_backend_find(kind);
	wrapped = true;
	blob_fault_ask(ask);
	return &blob_ops_fault;
}
