/* X(SYMBOL, "key", TYPE (BOOL NUMBER), fallback, min, max, "what it guards")
 *
 * Feature flags: each guards code of ours that can be done without, or done more carefully, so that it can be turned off
 * for one tenant, one door or all, or rolled out to a share of tenants, without a release. Set by the switchboard's
 * rules (`gatehouse flag`), asked by vfs_flag and core_flag. A flag goes when its code is no longer in doubt.
 */
X(FASTPATH, "core.fastpath", BOOL, 1, 0, 1, "answer on the loop what memory holds; off: every operation goes through a worker")
X(COMPACT, "content.compact", BOOL, 1, 0, 1, "rewrite files that appends have left in many parts; off: they stay as they are")
X(SENDFILE, "content.sendfile", BOOL, 1, 0, 1, "send large files from the page cache; off: every byte passes through our checksums")
X(EARLY_ANSWER, "http.early-answer", BOOL, 1, 0, 1, "refuse an upload before its body is invited; off: read a little of it first")
X(LIST_PAGE, "list.page", NUMBER, 1000, 10, 1000, "entries of a folder read from the store at a time")
