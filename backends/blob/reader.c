/* Reading blobs: from packs and from files alike, block by block, each checked. Called by the local backend's table; a
 * reader by one thread at a time, on a loop (may_block false: only what is in memory) or on a worker.
 *
 * A blob of a pack is proved by its record's header, which is read together with the first block in one preadv2 (or
 * alone, when reading begins further on). A file is proved by its footer when it is opened; its checksum table is read
 * TABLE_PART entries at a time. A read that does not cover a block in whole reads the block into the reader's own
 * buffer, which stays for the next part of it.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/blob/beneath.h"
#include "backends/blob/local.h"
#include "core/base/hash.h"

enum { TABLE_PART = 1024, VERIFY_BYTES = 1024 * 1024, MSG_BYTES = 256, WHAT_BYTES = 152, PLACE_BYTES = 96 };
#define NO_BLOCK UINT64_MAX

struct blob_reader {
	struct blob_backend *be;
	uint64_t tenant, id;
	struct place at;
	struct pack_fd *pack; /* NULL: a file of its own, fd is ours */
	int fd;
	bool proved;          /* header or footer seen: it is this blob */
	uint64_t data_at;     /* where byte 0 is */
	uint32_t pack_crc[RECORD_BLOCKS_MAX];
	uint32_t *table;      /* TABLE_PART entries from table_first, or NULL */
	uint64_t table_first;
	uint8_t *block;       /* a block that is read in parts, or NULL */
	uint64_t block_no;    /* which; NO_BLOCK: none */
};

/* ---- opening ---- */

static enum gh_status open_file(struct blob_reader *r, bool may_block)
{
	const int flags = O_RDONLY | O_NONBLOCK; /* O_NONBLOCK: should somebody have put a fifo here */
	char path[LOCAL_NAME_MAX];
	struct footer f;
	enum gh_status st;

	file_path(path, r->tenant, r->id);
	r->fd = may_block ? beneath_open(r->be->files, path, flags, 0) :
			    beneath_open_cached(r->be->files, path, flags);
	if (r->fd < 0) {
		if (!may_block && errno != EMFILE && errno != ENFILE)
			return GH_AGAIN; /* the worker will tell what it is */
		return errno == ELOOP || errno == ENOTDIR ? GH_DAMAGED : gh_status_of_errno(errno);
	}
	st = file_footer(r->fd, may_block, &f);
	if (st != GH_OK)
		return st;
	if (f.tenant != r->tenant || f.id != r->id || f.size != r->at.size || f.foot_crc != r->at.head_crc)
		return GH_DAMAGED;
	r->proved = true;
	return GH_OK;
}

enum gh_status reader_open(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
			   uint64_t size, bool may_block, struct blob_reader **ret_reader)
{
	struct blob_reader *r;
	struct place at;
	enum gh_status st;

	if (!place_decode(loc, &at))
		return GH_NOTFOUND;
	if (at.size != size)
		return GH_DAMAGED;
	r = calloc(1, sizeof(*r));
	if (!r)
		return GH_NOMEM;
	*r = (struct blob_reader){ .be = be, .tenant = tenant, .id = id, .at = at, .fd = -1, .block_no = NO_BLOCK };
	if (at.kind == PLACE_PACK) {
		st = pack_fds_get(be, at.pack, may_block, &r->pack);
		if (st == GH_OK) {
			r->fd = r->pack->fd;
			r->data_at = at.offset + record_head_bytes((uint32_t)size);
		}
	} else {
		st = open_file(r, may_block);
	}
	if (st != GH_OK) {
		reader_close(&r);
		return st;
	}
	*ret_reader = r;
	return GH_OK;
}

void reader_close(struct blob_reader **rp)
{
	struct blob_reader *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	if (r->pack)
		pack_fds_unref(&r->be->fds, &r->pack);
	else if (r->fd >= 0)
		close(r->fd);
	free(r->table);
	free(r->block);
	free(r);
}

/* ---- checking ---- */

static bool is_zero(const uint8_t *p, size_t len)
{
	while (len--) {
		if (*p++)
			return false;
	}
	return true;
}

static enum gh_status prove_record(struct blob_reader *r, const uint8_t *head)
{
	const size_t len = record_head_bytes((uint32_t)r->at.size);
	struct record rec;

	if (is_zero(head, len))
		return GH_NOTFOUND; /* taken out */
	if (!record_decode(head, len, r->at.pack, r->at.offset, &rec) || rec.tenant != r->tenant || rec.id != r->id ||
	    rec.len != r->at.size || rec.head_crc != r->at.head_crc)
		return GH_DAMAGED;
	memcpy(r->pack_crc, rec.crc, sizeof(r->pack_crc));
	r->proved = true;
	return GH_OK;
}

static enum gh_status prove(struct blob_reader *r, bool may_block)
{
	uint8_t head[RECORD_HEAD_MAX];
	struct iovec iov = { head, record_head_bytes((uint32_t)r->at.size) };
	enum gh_status st;

	if (r->proved)
		return GH_OK;
	st = read_whole(r->fd, &iov, 1, (off_t)r->at.offset, may_block);
	return st == GH_OK ? prove_record(r, head) : st;
}

/* The checksum of one block of a file. */
static enum gh_status table_entry(struct blob_reader *r, uint64_t block, bool may_block, uint32_t *ret)
{
	const uint64_t first = block / TABLE_PART * TABLE_PART, blocks = blob_blocks(r->at.size);
	struct iovec iov;
	enum gh_status st;

	if (!r->table) {
		r->table = malloc(TABLE_PART * sizeof(*r->table));
		if (!r->table)
			return GH_NOMEM;
		r->table_first = NO_BLOCK;
	}
	if (r->table_first != first) {
		const uint64_t n = blocks - first < TABLE_PART ? blocks - first : TABLE_PART;

		r->table_first = NO_BLOCK;
		iov = (struct iovec){ r->table, n * sizeof(*r->table) };
		st = read_whole(r->fd, &iov, 1, (off_t)(r->at.size + first * sizeof(*r->table)), may_block);
		if (st != GH_OK)
			return st;
		r->table_first = first;
	}
	*ret = le32toh(r->table[block - first]);
	return GH_OK;
}

static enum gh_status check(struct blob_reader *r, uint64_t block, const uint8_t *data, size_t len, bool may_block)
{
	size_t bad;

	if (r->pack)
		return blocks_intact(data, len, r->pack_crc + block, &bad) ? GH_OK : GH_DAMAGED;
	for (; len; block++) {
		const size_t n = len < BLOB_BLOCK ? len : BLOB_BLOCK;
		uint32_t crc;
		enum gh_status st = table_entry(r, block, may_block, &crc);

		if (st != GH_OK)
			return st;
		if (!blocks_intact(data, n, &crc, &bad))
			return GH_DAMAGED;
		data += n;
		len -= n;
	}
	return GH_OK;
}

/* len bytes from the beginning of a block, a run of whole blocks, read and checked. */
static enum gh_status read_blocks(struct blob_reader *r, uint64_t block, uint8_t *to, size_t len, bool may_block)
{
	uint8_t head[RECORD_HEAD_MAX];
	struct iovec iov[2] = { { head, 0 }, { to, len } };
	const bool with_head = !r->proved && block == 0;
	off_t from = (off_t)(r->data_at + block * BLOB_BLOCK);
	enum gh_status st = with_head ? GH_OK : prove(r, may_block);

	if (st != GH_OK)
		return st;
	if (with_head) {
		iov[0].iov_len = record_head_bytes((uint32_t)r->at.size);
		from = (off_t)r->at.offset;
	}
	st = read_whole(r->fd, iov, 2, from, may_block);
	if (st == GH_OK && with_head)
		st = prove_record(r, head);
	return st == GH_OK ? check(r, block, to, len, may_block) : st;
}

/* Part of a block, by way of the reader's own buffer. */
static enum gh_status read_part(struct blob_reader *r, uint64_t offset, uint8_t *to, size_t len, bool may_block)
{
	const uint64_t block = offset / BLOB_BLOCK, left = r->at.size - block * BLOB_BLOCK;
	const size_t block_len = left < BLOB_BLOCK ? (size_t)left : BLOB_BLOCK;
	enum gh_status st;

	if (r->block_no != block) {
		if (!r->block)
			r->block = malloc(r->at.size < BLOB_BLOCK ? (size_t)r->at.size : BLOB_BLOCK);
		if (!r->block)
			return GH_NOMEM;
		r->block_no = NO_BLOCK;
		st = read_blocks(r, block, r->block, block_len, may_block);
		if (st != GH_OK)
			return st;
		r->block_no = block;
	}
	memcpy(to, r->block + offset % BLOB_BLOCK, len);
	return GH_OK;
}

enum gh_status reader_read(struct blob_reader *r, uint64_t offset, void *buf, size_t len, bool may_block, size_t *ret_n)
{
	uint8_t *to = buf;
	size_t done = 0;

	if (offset >= r->at.size)
		len = 0;
	else if (len > r->at.size - offset)
		len = (size_t)(r->at.size - offset);
	while (done < len) {
		const uint64_t at = offset + done;
		const size_t in_block = at % BLOB_BLOCK, left = len - done;
		size_t n;
		enum gh_status st;

		if (in_block == 0 && at + left == r->at.size)
			n = left; /* to the end: whole blocks, the last may be short */
		else if (in_block == 0)
			n = left - left % BLOB_BLOCK;
		else
			n = 0;
		if (n) {
			st = read_blocks(r, at / BLOB_BLOCK, to + done, n, may_block);
		} else {
			n = BLOB_BLOCK - in_block < left ? BLOB_BLOCK - in_block : left;
			st = read_part(r, at, to + done, n, may_block);
		}
		if (st != GH_OK)
			return st;
		done += n;
	}
	*ret_n = done;
	return GH_OK;
}

/* Does not block: where the record's header is not in memory, GH_AGAIN, and the bytes have to be read. */
enum gh_status reader_fd(struct blob_reader *r, int *ret_fd, off_t *ret_base)
{
	enum gh_status st = prove(r, false);

	if (st != GH_OK)
		return st;
	*ret_fd = r->fd;
	*ret_base = (off_t)r->data_at;
	return GH_OK;
}

/* ---- verifying ---- */

static enum gh_status verify_table(struct blob_reader *r, char *msg)
{
	uint64_t left = blob_blocks(r->at.size);
	off_t from = (off_t)r->at.size;
	uint32_t crc = 0, part[TABLE_PART];
	struct footer f;
	enum gh_status st = file_footer(r->fd, true, &f);

	while (st == GH_OK && left) {
		const uint64_t n = left < TABLE_PART ? left : TABLE_PART;
		struct iovec iov = { part, n * sizeof(*part) };

		st = read_whole(r->fd, &iov, 1, from, true);
		if (st == GH_OK)
			crc = gh_crc32c(crc, part, n * sizeof(*part));
		from += (off_t)(n * sizeof(*part));
		left -= n;
	}
	if (st == GH_OK && crc != f.table_crc)
		st = GH_DAMAGED;
	if (st != GH_OK)
		snprintf(msg, WHAT_BYTES, "its checksum table cannot be trusted (%s)", gh_status_name(st));
	return st;
}

static enum gh_status verify_data(struct blob_reader *r, char *msg)
{
	uint8_t *buf = malloc(VERIFY_BYTES);
	enum gh_status st = buf ? prove(r, true) : GH_NOMEM; /* an empty blob has no data to prove it by */
	uint64_t at = 0;
	size_t n;

	if (st != GH_OK)
		snprintf(msg, WHAT_BYTES, "its record is not there or not whole (%s)", gh_status_name(st));
	while (st == GH_OK && at < r->at.size) {
		st = reader_read(r, at, buf, VERIFY_BYTES, true, &n);
		if (st != GH_OK)
			snprintf(msg, WHAT_BYTES, "bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64 ": %s", at,
				 at + VERIFY_BYTES < r->at.size ? at + VERIFY_BYTES : r->at.size, r->at.size,
				 st == GH_DAMAGED ? "cut short, or a wrong checksum" : gh_status_text(st));
		else
			at += n;
	}
	free(buf);
	return st;
}

static void where(const struct place *at, uint64_t tenant, uint64_t id, char *out, size_t size)
{
	char path[LOCAL_NAME_MAX];

	if (at->kind == PLACE_PACK) {
		pack_name(path, at->pack, true);
		snprintf(out, size, "packs/%s at %" PRIu64, path, at->offset);
	} else {
		file_path(path, tenant, id);
		snprintf(out, size, "files/%s", path);
	}
}

enum gh_status reader_verify(struct blob_backend *be, uint64_t tenant, uint64_t id, const struct blob_loc *loc,
			     uint64_t size, char *msg)
{
	struct blob_reader *r = NULL;
	struct place at;
	char what[WHAT_BYTES], place[PLACE_BYTES];
	enum gh_status st = reader_open(be, tenant, id, loc, size, true, &r);

	if (st == GH_OK) {
		what[0] = '\0';
		if (!r->pack)
			st = verify_table(r, what);
		if (st == GH_OK)
			st = verify_data(r, what);
		reader_close(&r);
	} else {
		snprintf(what, sizeof(what), "cannot be opened, or is not this blob (%s)", gh_status_name(st));
	}
	if (st == GH_OK)
		return GH_OK;
	if (place_decode(loc, &at))
		where(&at, tenant, id, place, sizeof(place));
	else
		snprintf(place, sizeof(place), "a locator of an unknown form");
	snprintf(msg, MSG_BYTES, "%s: %s", place, what);
	return st;
}
