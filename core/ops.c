/* The operation table and the functions behind it. A new operation is a row in ops.tbl.h and a function. */
#include "core/house.h"

_Static_assert(SERVICE_METADATA == 0 && SERVICE_BLOBS == 1, "the bits in ops.tbl.h");

const struct vfs_op_row vfs_ops[VFS_OP_COUNT] = {
#define X(sym, name, class, path, parent, dest, destparent, services, mutates, fast) \
	[VFS_##sym] = { name, class, path, parent, dest, destparent, services, mutates, fast },
#include "core/ops.tbl.h"
#undef X
};

op_fn *op_function(enum vfs_op op)
{
	switch (op) {
	case VFS_LOGIN: return op_login;
	case VFS_STAT: return op_stat;
	case VFS_LIST: return op_list;
	case VFS_READ: return op_read;
	case VFS_WRITE_BEGIN: return op_write_begin;
	case VFS_WRITE_COMMIT: return op_write_commit;
	case VFS_MKDIR: return op_mkdir;
	case VFS_REMOVE: return op_remove;
	case VFS_MOVE: return op_move;
	case VFS_COPY: return op_copy;
	case VFS_SET_TIMES: return op_set_times;
	case VFS_SET_PROPS: return op_set_props;
	case VFS_LOCK: return op_lock;
	case VFS_REFRESH: return op_refresh;
	case VFS_UNLOCK: return op_unlock;
	case VFS_QUOTA: return op_quota;
	case VFS_EVENTS: return op_events;
	case VFS_OP_COUNT: break;
	}
	GH_ASSERT(!"an operation without a function");
	return NULL;
}

const char *vfs_proto_name(enum vfs_proto p)
{
	switch (p) {
	case VFS_INTERNAL: return "internal";
	case VFS_WEBDAV: return "webdav";
	case VFS_FTP: return "ftp";
	case VFS_REST: return "rest";
	case VFS_WEB: return "web";
	case VFS_ADMIN: return "admin";
	case VFS_PROTO_COUNT: break;
	}
	return "?";
}
