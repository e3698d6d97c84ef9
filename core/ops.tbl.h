/* X(SYMBOL, "name", CLASS, path rights, parent rights, dest rights, dest-parent rights, services, mutates, fast)
 *
 * Rights are needed by effect (policy/acl_trie.h): "path" when the path exists; "parent" when the operation creates the
 * path; "dest" when something at the destination is replaced (for file onto file: WRITE alone); "destparent" when
 * something new appears there. Tree operations (REMOVE, MOVE, COPY) need the path rights on everything below, all or
 * nothing. 0 = none. fast: may complete on the loop when memory holds everything.
 * services: M metadata, B blobs; bits 1 << enum service (core/breakers.h).
 */
#define M 1
#define B 2
X(LOGIN,        "login",        VFS_C_LOGIN,  0, 0, 0, 0, M, false, true)
X(STAT,         "stat",         VFS_C_LOOKUP, 0, 0, 0, 0, M, false, true)
X(LIST,         "list",         VFS_C_LIST,   ACL_LIST, 0, 0, 0, M, false, true)
X(READ,         "read",         VFS_C_READ,   ACL_READ, 0, 0, 0, M | B, false, true)
X(WRITE_BEGIN,  "write-begin",  VFS_C_WRITE,  ACL_WRITE, ACL_CREATE, 0, 0, M, false, true)
X(WRITE_COMMIT, "write",        VFS_C_WRITE,  ACL_WRITE, ACL_CREATE, 0, 0, M | B, true, false)
X(MKDIR,        "mkdir",        VFS_C_CHANGE, 0, ACL_CREATE, 0, 0, M, true, false)
X(REMOVE,       "remove",       VFS_C_CHANGE, ACL_DELETE, 0, 0, 0, M, true, false)
X(MOVE,         "move",         VFS_C_CHANGE, ACL_DELETE, 0, ACL_DELETE, ACL_CREATE, M, true, false)
X(COPY,         "copy",         VFS_C_BULK,   ACL_READ, 0, ACL_DELETE, ACL_CREATE, M, true, false)
X(SET_TIMES,    "set-times",    VFS_C_CHANGE, ACL_WRITE, 0, 0, 0, M, true, false)
X(SET_PROPS,    "set-props",    VFS_C_CHANGE, ACL_WRITE, 0, 0, 0, M, true, false)
X(LOCK,         "lock",         VFS_C_CHANGE, ACL_WRITE, ACL_CREATE, 0, 0, M, true, false)
X(REFRESH,      "refresh",      VFS_C_CHANGE, ACL_WRITE, 0, 0, 0, M, true, false)
X(UNLOCK,       "unlock",       VFS_C_CHANGE, 0, 0, 0, 0, M, true, false)
X(QUOTA,        "quota",        VFS_C_LOOKUP, 0, 0, 0, 0, M, false, true)
X(EVENTS,       "events",       VFS_C_WATCH,  0, 0, 0, 0, M, false, true)
#undef M
#undef B
