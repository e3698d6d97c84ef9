/* Walking packs record by record, through holes and past damage. Called by iterate of the local backend, one walk a
 * call, any thread, while others put, read and remove.
 *
 * Where a record could begin there is: an intact header (reported, skipped by its length), zeros (taken out, or never
 * written; holes are jumped over), or something else. That is a record torn by a crash (nobody was told of it), or
 * damage: the walk goes on at the next RECORD_ALIGN until a header proves itself again, and the pack is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/blob/beneath.h"
#include "backends/blob/local.h"
#include "core/base/log.h"

enum { WINDOW_BYTES = 256 * 1024 };

struct scan {
	int fd;
	uint64_t pack;
	uint64_t pos, end;
	uint8_t *window;
	uint64_t window_at;
	size_t window_len;
	bool reclaim;           /* sealed: blocks of zeros may become holes */
	uint64_t live, strange; /* records; places that hold neither record nor zeros */
	uint64_t strange_at;    /* the first of these */
};

static bool all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* Makes the window begin at the next data at or after pos. False: there is none. */
static bool next_data(struct scan *s)
{
	const off_t data = lseek(s->fd, (off_t)s->pos, SEEK_DATA);

	if (data < 0 && errno == ENXIO)
		return false;
	if (data > (off_t)s->pos) /* where holes are not known it fails, or is pos: read the zeros then */
		s->pos = (uint64_t)data / RECORD_ALIGN * RECORD_ALIGN;
	return s->pos < s->end;
}

static enum gh_status fill(struct scan *s)
{
	ssize_t n;

	do
		n = pread(s->fd, s->window, WINDOW_BYTES, (off_t)s->pos);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return gh_status_of_errno(errno);
	s->window_at = s->pos;
	s->window_len = (size_t)n;
	if (n < WINDOW_BYTES) /* it ends here now: sealed, perhaps, since we looked */
		s->end = s->pos + (uint64_t)n;
	return GH_OK;
}

/* How many bytes of whole blocks at pos are zeros, within the window; made a hole, so that they are not read again. */
static uint64_t reclaim_zeros(struct scan *s)
{
	const uint8_t *at = s->window + (s->pos - s->window_at), *end = s->window + s->window_len;
	uint64_t len = 0;

	if (!s->reclaim || s->pos % BLOCK_BYTES)
		return 0;
	while ((size_t)(end - at) >= BLOCK_BYTES && all_zero(at, BLOCK_BYTES)) {
		at += BLOCK_BYTES;
		len += BLOCK_BYTES;
	}
	if (len && fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)s->pos, (off_t)len) < 0)
		s->reclaim = false; /* not here, then */
	return len;
}

static bool report(struct scan *s, const struct record *r, blob_object_fn *fn, void *arg)
{
	const struct place at = { PLACE_PACK, s->pack, s->pos, r->len, r->head_crc };
	struct blob_object o = { .tenant = r->tenant, .id = r->id, .size = r->len, .made_us = r->made_us };

	place_encode(&at, &o.loc);
	return fn(arg, &o);
}

static enum gh_status scan(struct scan *s, blob_object_fn *fn, void *arg, bool *ret_going)
{
	struct record r;

	s->pos = PACK_START;
	while (s->pos < s->end) {
		const uint64_t in = s->pos - s->window_at;

		if (s->pos < s->window_at || in >= s->window_len ||
		    (s->window_len - in < RECORD_HEAD_MAX && s->window_at + s->window_len < s->end)) {
			enum gh_status st;

			if (!next_data(s))
				return GH_OK;
			st = fill(s);
			if (st != GH_OK)
				return st;
			continue;
		}
		if (record_decode(s->window + in, s->window_len - in, s->pack, s->pos, &r)) {
			s->live++;
			if (!report(s, &r, fn, arg)) {
				*ret_going = false;
				return GH_OK;
			}
			s->pos += record_span(r.len);
			continue;
		}
		if (all_zero(s->window + in, s->window_len - in < RECORD_ALIGN ? s->window_len - in : RECORD_ALIGN)) {
			const uint64_t empty = reclaim_zeros(s);

			s->pos += empty ? empty : RECORD_ALIGN;
			continue;
		}
		if (s->strange++ == 0)
			s->strange_at = s->pos;
		s->pos += RECORD_ALIGN;
	}
	return GH_OK;
}

/* A sealed pack in which nothing is left is of no use to anyone: no locator can lead into it. */
static void drop_empty(struct blob_backend *be, uint64_t pack)
{
	char name[LOCAL_NAME_MAX];

	pack_name(name, pack, true);
	if (unlinkat(be->packs, name, 0) < 0) {
		gh_log(GH_LOG_WARN, "pack-drop", "pack=%s error=\"%s\"", name, strerror(errno));
		return;
	}
	pack_fds_forget(&be->fds, pack);
}

static enum gh_status pack_iterate(struct blob_backend *be, uint64_t pack, uint8_t *window, blob_object_fn *fn,
				   void *arg, bool *ret_going)
{
	struct scan s = { .pack = pack, .window = window };
	bool sealed = false;
	struct stat sb;
	enum gh_status st;

	s.fd = pack_open(be, pack, &sealed);
	if (s.fd < 0)
		return errno == ENOENT ? GH_OK : gh_status_of_errno(errno);
	if (fstat(s.fd, &sb) < 0) {
		st = gh_status_of_errno(errno);
		close(s.fd);
		return st;
	}
	s.end = (uint64_t)sb.st_size;
	s.reclaim = sealed && !be->read_only;
	st = scan(&s, fn, arg, ret_going);
	close(s.fd);
	if (st != GH_OK)
		gh_log(GH_LOG_ERROR, "pack-read", "pack=%016" PRIx64 " offset=%" PRIu64 " status=%s", pack, s.pos,
		       gh_status_name(st));
	/* In the open pack it may be a record of which half is written at this moment. */
	if (s.strange && sealed)
		gh_log(GH_LOG_WARN, "pack-damage", "pack=%016" PRIx64 " offset=%" PRIu64 " places=%" PRIu64
		       " hint=\"torn by a crash, or damaged\"", pack, s.strange_at, s.strange);
	if (st == GH_OK && *ret_going && sealed && !s.live && !s.strange && !be->read_only)
		drop_empty(be, pack);
	return st;
}

/* A pack that cannot be read does not hide the others; the first error is told in the end. */
enum gh_status packs_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg, bool *ret_going)
{
	uint8_t *window = malloc(WINDOW_BYTES);
	DIR *d = window ? beneath_list(be->packs) : NULL;
	enum gh_status st = GH_OK, one;
	struct dirent *e;
	uint64_t pack;
	bool sealed;

	if (!d) {
		st = window ? gh_status_of_errno(errno) : GH_NOMEM;
		free(window);
		return st;
	}
	while (*ret_going && (e = readdir(d))) {
		if (!pack_name_parse(e->d_name, &pack, &sealed))
			continue;
		one = pack_iterate(be, pack, window, fn, arg, ret_going);
		if (st == GH_OK)
			st = one;
	}
	closedir(d);
	free(window);
	return st;
}
