/* The blob backend contract: immutable bytes under opaque ids. A backend sees ids and bytes, never paths, users,
 * protocols or SQL.
 *
 * Life of a blob:   put, or stage_begin -> stage_write* -> stage_commit   => durable, named by a locator
 *                   read any number of times, by anyone who holds the locator
 *                   remove                                             => gone, its space comes back
 * Nothing is visible before commit; abort cannot fail. The metadata row that names (id, locator) is the only index:
 * a backend keeps none, and what no row names is an orphan that iterate() shows to the collector.
 *
 * Durability: put and stage_commit return GH_OK only when bytes and, where there is one, the folder entry are synced. A
 * failed sync is never repeated on the same file (the kernel forgets the pages): the pack is sealed, everybody who
 * waited in that group gets GH_IO or GH_NOSPACE.
 *
 * Threads: every function may be called from any worker concurrently; functions marked LOOP never block and may be
 * called from an event loop as well. A stage or reader is used by one thread at a time. Callers own all buffers.
 * Errors: GH_IO, GH_NOSPACE, GH_DAMAGED (checksum, wrong record, short file), GH_NOTFOUND (no such locator), GH_NOMEM,
 * GH_AGAIN (LOOP functions only: would block; ask a worker).
 * Retries are the caller's business. Adding a backend: fill this struct, one line in backends/blob/registry.c, run
 * the conformance suite tests/unit/blob/check_conformance.c over it.
 */
#ifndef GH_CORE_BLOB_H
#define GH_CORE_BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/status.h"

#define BLOB_ABI 1
#define BLOB_MARK_BYTES 40
#define BLOB_LOCATOR_MAX 64
#define BLOB_BLOCK 65536u /* checksum unit: one CRC-32C per block of this size */

/* Where a blob lies; opaque outside its backend; stored in the blob row. */
struct blob_loc {
	uint8_t len;
	uint8_t bytes[BLOB_LOCATOR_MAX];
};

struct blob_backend; /* instance, defined by the plugin */
struct blob_stage;   /* an upload in the making */
struct blob_reader;  /* an open blob */

enum {
	BLOB_CAP_FD = 1,      /* reader_fd gives a descriptor for sendfile */
	BLOB_CAP_ITERATE = 2, /* iterate sees every stored object, referenced or not */
	BLOB_CAP_VERIFY = 4,  /* verify checks every byte */
};

struct blob_object {
	uint64_t tenant, id;
	uint64_t size;
	struct blob_loc loc;
	int64_t made_us; /* when it became durable, as near as the backend knows */
};
/* A put that is written and not synced yet. The caller's memory; settled exactly once, or again with the same result. */
struct blob_ticket {
	void *at; /* the backend's; NULL: nothing is outstanding */
	uint64_t number;
	enum gh_status failed; /* what settling it gave, when that was not GH_OK */
};
/* Return false to stop. */
typedef bool blob_object_fn(void *arg, const struct blob_object *o);

struct blob_space {
	uint64_t total_bytes, free_bytes;
};

struct blob_config {
	const char *path; /* kind local: the folder */
	uint64_t pack_size_bytes; /* 0 = default 64 MiB */
	uint64_t pack_max_blob_bytes; /* larger ones become files; 0 = default 128 KiB */
	bool read_only; /* fsck on a directory nobody serves: touches nothing */
};

struct blob_ops {
	unsigned abi; /* BLOB_ABI */
	size_t size;  /* sizeof(struct blob_ops) */
	const char *name; /* "local" */
	unsigned caps;

	/* Everything that can fail in front of the operator fails here; err (256 bytes) says what, where and what to
	 * do. Seals what an earlier run left open, throws away staging that can't be resumed. */
	enum gh_status (*open)(const struct blob_config *cfg, struct blob_backend **ret_be, char *err);
	void (*close)(struct blob_backend **be); /* seals the open pack */

	/* Small blobs, whole: waits for a group sync. At most put_max() bytes. */
	enum gh_status (*put)(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
			      struct blob_loc *ret_loc);
	size_t (*put_max)(struct blob_backend *be);
	/* Like put, but returns once the bytes are written; durable when settle has said GH_OK, and to be settled in every
	 * case. Who commits for many settles for many: the first sync carries all that was written before it. Both NULL
	 * where put is all there is. */
	enum gh_status (*put_ahead)(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
				    struct blob_loc *ret_loc, struct blob_ticket *ret_ticket);
	enum gh_status (*settle)(struct blob_backend *be, struct blob_ticket *t);

	/* Large ones. expect_bytes: what the client declared, 0 unknown (a hint for preallocation; ENOSPC shows here
	 * where it can). */
	enum gh_status (*stage_begin)(struct blob_backend *be, uint64_t tenant, uint64_t id, uint64_t expect_bytes,
				      struct blob_stage **ret_stage);
	/* LOOP: appends to the page cache. All of len or an error. */
	enum gh_status (*stage_write)(struct blob_stage *st, const void *data, size_t len);
	/* Worker: pushes what was written so far to the disk (no durability promise), so that commit has little left. */
	enum gh_status (*stage_flush)(struct blob_stage *st);
	/* Worker: sync, name it, sync the folder. Consumes the stage in every case. *ret_crc: CRC-32C of the whole. */
	enum gh_status (*stage_commit)(struct blob_stage **st, struct blob_loc *ret_loc, uint32_t *ret_crc);
	void (*stage_abort)(struct blob_stage **st); /* LOOP; accepts NULL inside */

	/* LOOP with GH_AGAIN: open descriptors of packs are kept; a file may need open(2). may_block false: answer
	 * GH_AGAIN rather than touch the disk. */
	enum gh_status (*reader_open)(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				      uint64_t size, bool may_block, struct blob_reader **ret_reader);
	/* Up to len bytes from offset; *ret_n is short only at the blob's end. Every block that passes is checked
	 * against its checksum when it is read in whole (partial blocks are read in whole to be checked).
	 * may_block false: preadv2(RWF_NOWAIT), GH_AGAIN when not in memory. */
	enum gh_status (*reader_read)(struct blob_reader *r, uint64_t offset, void *buf, size_t len, bool may_block,
				      size_t *ret_n);
	/* CAP_FD: the descriptor (stays the reader's: dup it to keep it) and where byte 0 of the blob is in it. */
	enum gh_status (*reader_fd)(struct blob_reader *r, int *ret_fd, off_t *ret_base);
	void (*reader_close)(struct blob_reader **r); /* LOOP */

	/* Gone is GH_OK. Paced by the caller. Readers opened before go on undisturbed (file), or the caller waits out
	 * the longest read (pack: grace of the collector). */
	enum gh_status (*remove)(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				 uint64_t size);
	enum gh_status (*iterate)(struct blob_backend *be, blob_object_fn *fn, void *arg);
	/* Reads all of it. GH_OK, GH_DAMAGED, GH_NOTFOUND, GH_IO; msg (256 bytes) says what is wrong. */
	enum gh_status (*verify)(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
				 uint64_t size, char *msg);
	enum gh_status (*space)(struct blob_backend *be, struct blob_space *ret);
	/* Whose the store is (core/installation.h): ret, "" where it has no mark. want: it is marked so, durably, where it has
	 * none; NULL: only read. Blocks. NULL where it is nobody else's anyway. */
	enum gh_status (*mark)(struct blob_backend *be, const char *want, char ret[BLOB_MARK_BYTES]);
};

/* One call from tests and fsck: staging and orphans that wait for the collector. */
struct blob_leftovers {
	uint64_t staging, staging_bytes;
};

/* backends/blob/registry.c: NULL for an unknown kind ("local", "memory"; "fault" wraps memory, tests only). */
const struct blob_ops *blob_backend_find(const char *kind);

#endif
