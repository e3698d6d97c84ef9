/* What the tests of the local backend share: where things lie in its folder, and touching them behind its back. */
#ifndef GH_TESTS_UNIT_BLOB_LOCAL_TEST_H
#define GH_TESTS_UNIT_BLOB_LOCAL_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "backends/blob/local.h"
#include "tests/unit/blob/blob_test.h"

static const struct blob_ops *const local = &blob_ops_local;
static struct blob_backend *be;
static char dir[128];

static inline void local_open_with(struct blob_config cfg)
{
	char err[256] = "";

	cfg.path = dir;
	ck_assert_msg(local->open(&cfg, &be, err) == GH_OK, "%s", err);
}

static inline void local_reopen(void)
{
	local->close(&be);
	local_open_with((struct blob_config){ 0 });
}

static inline void setup(void)
{
	scratch_make(dir);
	local_open_with((struct blob_config){ 0 });
}

static inline void teardown(void)
{
	local->close(&be);
	tree_remove(dir);
}

/* The file that holds the blob, and where in it the blob's bytes of any kind begin and end. */
static inline void blob_file(uint64_t tenant, uint64_t id, const struct blob_loc *loc, char out[256], off_t *ret_from,
			     off_t *ret_to)
{
	char name[LOCAL_NAME_MAX];
	struct place at;
	struct stat sb;

	ck_assert(place_decode(loc, &at));
	if (at.kind == PLACE_FILE) {
		file_path(name, tenant, id);
		snprintf(out, 256, "%s/files/%s", dir, name);
		*ret_from = 0;
		*ret_to = stat(out, &sb) == 0 ? sb.st_size : 0;
		return;
	}
	pack_name(name, at.pack, true);
	snprintf(out, 256, "%s/packs/%s", dir, name);
	if (access(out, F_OK) < 0) {
		pack_name(name, at.pack, false);
		snprintf(out, 256, "%s/packs/%s", dir, name);
	}
	*ret_from = (off_t)at.offset;
	*ret_to = *ret_from + (off_t)record_head_bytes((uint32_t)at.size) + (off_t)at.size;
}

static inline void flip(const char *path, off_t at, uint8_t mask)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= mask;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static inline unsigned count_files(const char *below, const char *ending)
{
	char path[192];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", dir, below);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		const size_t len = strlen(e->d_name), end = strlen(ending);

		n += e->d_name[0] != '.' && len >= end && strcmp(e->d_name + len - end, ending) == 0;
	}
	closedir(d);
	return n;
}

static inline bool count_object(void *arg, const struct blob_object *o)
{
	(void)o;
	++*(unsigned *)arg;
	return true;
}

static inline unsigned count_objects(void)
{
	unsigned n = 0;

	ck_ok(local->iterate(be, count_object, &n));
	return n;
}

#endif
