/* Files and folders below a folder that is already open, never through a symbolic link (see beneath.c). */
#ifndef GH_BACKENDS_BLOB_BENEATH_H
#define GH_BACKENDS_BLOB_BENEATH_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/base/status.h"

/* Like openat(2), returns the descriptor or -1 with errno; O_CLOEXEC, O_NOFOLLOW and O_NOCTTY are implied. path: at
 * most a few relative names, no "..". A symbolic link anywhere in it gives ELOOP (or ENOTDIR). */
int beneath_open(int folder, const char *path, int flags, mode_t mode);
/* The same for reading, EAGAIN unless the answer is in memory: for event loops. */
int beneath_open_cached(int folder, const char *path, int flags);
/* Opens the folder `name` below, making it when it is missing; *ret_made tells. -1 with errno. */
int beneath_folder(int folder, const char *name, bool *ret_made);
/* A stream of its own over an open folder: closedir leaves the descriptor alone. NULL with errno. */
DIR *beneath_list(int folder);

/* All of iov (which is used up) at offset. GH_AGAIN: !may_block and not all in memory. GH_DAMAGED: the file ends
 * before. */
GH_MUST_CHECK enum gh_status read_whole(int fd, struct iovec *iov, int count, off_t offset, bool may_block);
GH_MUST_CHECK enum gh_status write_whole(int fd, struct iovec *iov, int count, off_t offset);

#endif
