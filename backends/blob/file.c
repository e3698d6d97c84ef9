/* Large blobs as files of their own: their names, their footers, walking and removing them. Called by the other parts
 * of the local backend; any thread. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/blob/beneath.h"
#include "backends/blob/local.h"
#include "core/base/log.h"

/* ---- names ---- */

/* Ids are times of ms precision above bit 21: a folder YY takes 2^18 ms (4.4 minutes), XXXX 18.6 hours. */
uint64_t file_folder_key(uint64_t id)
{
	return (id & INT64_MAX) >> 39;
}

void file_folders(char upper[FOLDER_NAME_MAX], char lower[FOLDER_NAME_MAX], uint64_t id)
{
	snprintf(upper, FOLDER_NAME_MAX, "%04x", (unsigned)(file_folder_key(id) >> 8 & 0xffff));
	snprintf(lower, FOLDER_NAME_MAX, "%02x", (unsigned)(file_folder_key(id) & 0xff));
}

void file_name(char out[FILE_NAME_MAX], uint64_t tenant, uint64_t id)
{
	snprintf(out, FILE_NAME_MAX, "%016" PRIx64 "-%" PRIx64, id, tenant);
}

void file_path(char out[LOCAL_NAME_MAX], uint64_t tenant, uint64_t id)
{
	char upper[FOLDER_NAME_MAX], lower[FOLDER_NAME_MAX], name[FILE_NAME_MAX];

	file_folders(upper, lower, id);
	file_name(name, tenant, id);
	snprintf(out, LOCAL_NAME_MAX, "%s/%s/%s", upper, lower, name);
}

/* ---- files ---- */

enum gh_status file_footer(int fd, bool may_block, struct footer *ret)
{
	uint8_t foot[FOOTER_BYTES];
	struct iovec iov = { foot, sizeof(foot) };
	struct stat sb;
	enum gh_status st;

	if (fstat(fd, &sb) < 0)
		return gh_status_of_errno(errno);
	if (!S_ISREG(sb.st_mode) || sb.st_size < FOOTER_BYTES)
		return GH_DAMAGED;
	st = read_whole(fd, &iov, 1, sb.st_size - FOOTER_BYTES, may_block);
	if (st != GH_OK)
		return st;
	if (!footer_decode(foot, ret) || ret->size > (uint64_t)sb.st_size ||
	    ret->size + 4 * blob_blocks(ret->size) + FOOTER_BYTES != (uint64_t)sb.st_size)
		return GH_DAMAGED;
	return GH_OK;
}

enum gh_status file_remove(struct blob_backend *be, uint64_t tenant, uint64_t id)
{
	char upper[FOLDER_NAME_MAX], lower[FOLDER_NAME_MAX], folder[24], name[FILE_NAME_MAX];
	enum gh_status st = GH_OK;
	int fd;

	file_folders(upper, lower, id);
	snprintf(folder, sizeof(folder), "%s/%s", upper, lower);
	fd = beneath_open(be->files, folder, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == ENOENT ? GH_OK : GH_IO;
	file_name(name, tenant, id);
	if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
		st = gh_status_of_errno(errno);
	close(fd);
	return st;
}

static bool file_report(int folder, const char *name, blob_object_fn *fn, void *arg)
{
	struct footer f;
	char own[FILE_NAME_MAX] = "";
	struct blob_object o;
	enum gh_status st;
	int fd = beneath_open(folder, name, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0 && errno == ENOENT)
		return true; /* removed meanwhile */
	st = fd < 0 ? GH_DAMAGED : file_footer(fd, true, &f);
	if (fd >= 0)
		close(fd);
	if (st == GH_OK)
		file_name(own, f.tenant, f.id);
	if (strcmp(own, name)) {
		char quoted[128];

		gh_log(GH_LOG_WARN, "file-damage", "file=%s hint=\"not a whole blob of that name\"",
		       gh_log_quote(quoted, sizeof(quoted), name));
		return true;
	}
	o = (struct blob_object){ .tenant = f.tenant, .id = f.id, .size = f.size, .made_us = f.made_us };
	place_encode(&(struct place){ .kind = PLACE_FILE, .size = f.size, .head_crc = f.foot_crc }, &o.loc);
	return fn(arg, &o);
}

/* depth: how many levels of folders are still above the files. */
static enum gh_status folder_iterate(int folder, int depth, blob_object_fn *fn, void *arg, bool *ret_going)
{
	DIR *d = beneath_list(folder);
	enum gh_status st = GH_OK, one;
	struct dirent *e;
	int fd;

	if (!d)
		return gh_status_of_errno(errno);
	while (*ret_going && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (depth == 0) {
			*ret_going = file_report(folder, e->d_name, fn, arg);
			continue;
		}
		fd = beneath_open(folder, e->d_name, O_RDONLY | O_DIRECTORY, 0);
		if (fd < 0)
			continue; /* nothing of ours */
		one = folder_iterate(fd, depth - 1, fn, arg, ret_going);
		if (st == GH_OK)
			st = one;
		close(fd);
	}
	closedir(d);
	return st;
}

enum gh_status files_iterate(struct blob_backend *be, blob_object_fn *fn, void *arg, bool *ret_going)
{
	return *ret_going ? folder_iterate(be->files, 2, fn, arg, ret_going) : GH_OK;
}
