/* The inside of the local blob backend: one folder on a local (or shared POSIX) file system.
 *
 *     DIR/format                              "gatehouse blobs 1\n"
 *     DIR/packs/NUMBER.open, NUMBER.pack      small blobs; being written, sealed (NUMBER: 16 hex digits)
 *     DIR/files/XXXX/YY/ID-TENANT             large ones; XXXX and YY from the id's time, so that what is written
 *                                             together shares a folder and few folders need to be made and synced
 *     DIR/installation                        whose it is (core/installation.h), where several gateways share a database
 *     DIR/staging/                            uploads on file systems without O_TMPFILE; empty elsewhere
 *
 * Who owns what on a folder that several gateways share: a .open pack and a staging file are flock()ed by the process
 * that writes them. What can be locked belongs to a dead run: the pack is sealed, the staging file removed.
 *
 * Parts: local.c (open, close, the operations table), pack.c (writing packs), pack_fds.c (open descriptors of packs),
 * pack_scan.c (walking a pack), stage.c (uploads), file.c (files), reader.c (reading and verifying both),
 * record.c (formats), beneath.c (opening without following links). Only local.c is called from outside.
 */
#ifndef GH_BACKENDS_BLOB_LOCAL_H
#define GH_BACKENDS_BLOB_LOCAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/blob/record.h"
#include "core/blob.h"

enum { PACK_FDS_BUCKETS = 512, FOLDERS_KNOWN = 64, LOCAL_NAME_MAX = 64 };

/* ---- descriptors of packs (pack_fds.c) ---- */
struct pack_fd {
	uint64_t pack;
	int fd;
	unsigned refs;               /* readers, the writer */
	bool cached;                 /* in table and list; else closed by the last unref */
	atomic_bool sealed;          /* nobody writes to it any more (false: not known) */
	struct pack_fd *hash_next;
	struct pack_fd *newer, *older;
};

struct pack_fds {
	pthread_mutex_t lock; /* never held across a system call that can wait */
	struct pack_fd *bucket[PACK_FDS_BUCKETS];
	struct pack_fd *newest, *oldest;
	unsigned count, max;
};

/* ---- the pack being written (pack.c) ---- */
struct pack;

struct pack_writer {
	pthread_mutex_t lock;
	pthread_cond_t made; /* `making` became false */
	struct pack *open;   /* where records go now; NULL before the first, after an error */
	bool making;         /* one thread makes the next pack, the others wait for it */
	uint64_t last;       /* number of the newest pack made here */
};

/* ---- the instance ---- */
struct blob_backend {
	int root, packs, files, staging;
	bool read_only;
	bool tmpfile; /* O_TMPFILE and linkat by /proc work here */
	uint64_t pack_size, put_max;
	struct pack_writer writer;
	struct pack_fds fds;
	atomic_ullong folders_durable[FOLDERS_KNOWN]; /* folder keys + 1 whose chain of parents is known to be synced */
	struct crc_shift block_shift;
	/* Tests put failing ones here before the first operation. 0 or -1 with errno. */
	int (*sync_data)(int fd);   /* fdatasync */
	int (*sync_folder)(int fd); /* fsync */
};

void pack_fds_init(struct pack_fds *f, unsigned max);
void pack_fds_fini(struct pack_fds *f);
/* A reference to the descriptor of a pack, opened when may_block, else GH_AGAIN unless it is open already. */
GH_MUST_CHECK enum gh_status pack_fds_get(struct blob_backend *be, uint64_t pack, bool may_block, struct pack_fd **ret);
/* Takes over fd, which the caller has just made or opened; closes it when out of memory. */
GH_MUST_CHECK enum gh_status pack_fds_add(struct pack_fds *f, uint64_t pack, int fd, bool sealed, struct pack_fd **ret);
void pack_fds_unref(struct pack_fds *f, struct pack_fd **p);
void pack_fds_forget(struct pack_fds *f, uint64_t pack); /* its file is gone */
/* "NUMBER.pack" or "NUMBER.open"; and back: false for any other name. */
void pack_name(char out[LOCAL_NAME_MAX], uint64_t pack, bool sealed);
bool pack_name_parse(const char *name, uint64_t *ret_pack, bool *ret_sealed);
/* Opens by number, whatever its state. -1 with errno. */
int pack_open(struct blob_backend *be, uint64_t pack, bool *ret_sealed);

void pack_writer_init(struct pack_writer *w);
void pack_writer_fini(struct blob_backend *be); /* nobody puts any more: seals the open pack */
/* ticket NULL: returns when it is durable. */
enum gh_status pack_put(struct blob_backend *be, uint64_t tenant, uint64_t id, const void *data, size_t len,
			struct blob_loc *ret_loc, struct blob_ticket *ticket);
enum gh_status pack_settle(struct blob_backend *be, struct blob_ticket *ticket);
enum gh_status pack_remove(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct place *at);
/* Seals packs whose writer is dead. */
enum gh_status packs_seal_stale(struct blob_backend *be);

/* Walks every record; *ret_going false: fn said stop. Also gives back blocks of sealed packs that hold only zeros, and
 * unlinks those in which nothing is left. */
enum gh_status packs_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg, bool *ret_going);
enum gh_status files_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg, bool *ret_going);

enum gh_status stage_begin(struct blob_backend *be, uint64_t tenant, uint64_t id, uint64_t expect_bytes,
			   struct blob_stage **ret_stage);
enum gh_status stage_write(struct blob_stage *st, const void *data, size_t len);
enum gh_status stage_flush(struct blob_stage *st);
enum gh_status stage_commit(struct blob_stage **st, struct blob_loc *ret_loc, uint32_t *ret_crc);
void stage_abort(struct blob_stage **st);
/* Does O_TMPFILE with linkat work in the staging folder? Sets be->tmpfile. -1 with errno when nothing can be made
 * there at all. */
int stage_probe(struct blob_backend *be);
void stage_sweep(struct blob_backend *be);
enum gh_status file_remove(struct blob_backend *be, uint64_t tenant, uint64_t id);
/* Where an id's file is below files/: "XXXX/YY" and "ID-TENANT", and both with a "/" between. */
enum { FOLDER_NAME_MAX = 8, FILE_NAME_MAX = 40 };
uint64_t file_folder_key(uint64_t id); /* the same for ids that share a folder */
void file_folders(char upper[FOLDER_NAME_MAX], char lower[FOLDER_NAME_MAX], uint64_t id);
void file_name(char out[FILE_NAME_MAX], uint64_t tenant, uint64_t id);
void file_path(char out[LOCAL_NAME_MAX], uint64_t tenant, uint64_t id);
/* Reads and checks the footer of an open file. GH_DAMAGED, GH_AGAIN, GH_IO. */
GH_MUST_CHECK enum gh_status file_footer(int fd, bool may_block, struct footer *ret);

enum gh_status reader_open(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
			   uint64_t size, bool may_block, struct blob_reader **ret_reader);
enum gh_status reader_read(struct blob_reader *r, uint64_t offset, void *buf, size_t len, bool may_block,
			   size_t *ret_n);
enum gh_status reader_fd(struct blob_reader *r, int *ret_fd, off_t *ret_base);
void reader_close(struct blob_reader **r);
enum gh_status reader_verify(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
			     uint64_t size, char *msg);

extern const struct blob_ops blob_ops_local;

#endif
