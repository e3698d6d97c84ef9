/* `gatehouse backup FOLDER` and `gatehouse restore [FOLDER]`; the procedure is gatehouse-backup(7).
 *
 * Metadata first, content after it: content is immutable and on disk before a row names it, so all that the saved rows name is
 * there to be copied, until the collector's grace is over: that bounds the time of the copy. A restored database is another
 * log: cursors of feeds, which may be ahead of it, must not go on in it.
 *
 *   FOLDER/meta.db, FOLDER/blobs/    as in a data directory
 *   FOLDER/backup.json               is there when all of it is on disk
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "frontends/main/cli.h"
#include "frontends/main/config.h"
#include "frontends/main/copytree.h"
#include "frontends/main/datadir.h"
#include "frontends/main/house.h"

static enum gh_status say(char *err, enum gh_status st, const char *what, const char *path)
{
	snprintf(err, CONFIG_ERR_MAX, "%.300s: %s", path, what);
	return st;
}

static enum gh_status configure(struct cli *c, struct config **ret, char *err)
{
	enum gh_status st = gh_log_open(NULL, GH_LOG_ERROR);

	umask(0077);
	if (!st)
		st = config_load(c->config, ret, err);
	if (!st && c->dir)
		st = config_override(*ret, "data", c->dir, "-D", err);
	return st;
}

static char *blobs_of(const struct config *cfg, const struct datadir *dir)
{
	const char *configured = config_text(cfg, "blobs.path");

	return *configured ? strdup(configured) : datadir_join(dir, "blobs");
}

/* ---- backup ---- */

static enum gh_status folder_sync(const char *path, char *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool synced = fd >= 0 && !fsync(fd);
	enum gh_status st = synced ? GH_OK : say(err, GH_IO, strerror(errno), path);

	if (fd >= 0)
		close(fd);
	return st;
}

static enum gh_status save_both(const struct config *cfg, const struct datadir *from, const struct datadir *to,
				struct copytree_count *count, char *err)
{
	char *file = datadir_join(from, "meta.db"), *saved = datadir_join(to, "meta.db");
	char *blobs = blobs_of(cfg, from), *copy = datadir_join(to, "blobs");
	struct stat sb;
	enum gh_status st = file && saved && blobs && copy ? GH_OK : GH_NOMEM;

	if (st == GH_OK) {
		struct meta_config mc = house_meta_config(cfg, file, true);

		st = meta_save(&mc, saved, err);
	}
	if (st == GH_OK && !geteuid() && !stat(file, &sb) && chown(saved, sb.st_uid, sb.st_gid))
		st = say(err, GH_IO, strerror(errno), saved);
	if (st == GH_OK)
		st = copytree(blobs, copy, count, err);
	free(file);
	free(saved);
	free(blobs);
	free(copy);
	return st;
}

static enum gh_status backup(const struct config *cfg, const char *folder, json_t *result, char *err)
{
	const uint64_t grace_ns = (uint64_t)config_number(cfg, "collector.grace") * GH_MS_NS, begin = gh_mono_ns();
	const struct datadir from = { .path = (char *)config_text(cfg, "data") }, to = { .path = (char *)folder };
	struct copytree_count count = { 0 };
	const int64_t at_us = gh_real_us();
	enum gh_status st;
	char *text;

	if (mkdir(folder, 0700) && errno != EEXIST)
		return say(err, GH_IO, strerror(errno), folder);
	if (rmdir(folder) || mkdir(folder, 0700)) /* only an empty one goes */
		return say(err, GH_EXISTS, "is not an empty folder", folder);
	st = save_both(cfg, &from, &to, &count, err);
	if (st)
		return st;
	if (gh_mono_ns() - begin > grace_ns)
		return say(err, GH_DEADLINE, "copying took longer than collector.grace, so content may be missing; make that longer and"
			   " begin again", folder);
	(void)json_object_set_new(result, "at_us", json_integer(at_us));
	(void)json_object_set_new(result, "files", json_integer((json_int_t)count.files));
	(void)json_object_set_new(result, "bytes", json_integer((json_int_t)count.bytes));
	text = json_dumps(result, JSON_COMPACT);
	st = text ? datadir_publish(&to, "backup.json", text, err) : GH_NOMEM;
	free(text);
	return st ? st : folder_sync(folder, err);
}

int cli_backup(struct cli *c)
{
	const char *folder = json_string_value(json_object_get(c->args, "folder"));
	json_t *result = json_object();
	struct config *cfg = NULL;
	char err[CONFIG_ERR_MAX] = "out of memory";
	enum gh_status st = result ? configure(c, &cfg, err) : GH_NOMEM;

	if (!st)
		st = backup(cfg, folder, result, err);
	if (!st)
		cli_print_result(c, result);
	config_free(&cfg);
	json_decref(result);
	return st ? cli_fail(c, gh_status_name(st), err) : CLI_DONE;
}

/* ---- restore ---- */

/* From now on it is another log than the one that was saved. */
static enum gh_status renew(const struct meta_config *mc, char *err)
{
	struct meta_call call = { .op = "restore", .arena = gh_arena_new(1 << 20) };
	struct meta_store *m = NULL;
	enum gh_status st = call.arena ? meta_open(mc, &m, err) : GH_NOMEM;

	if (st == GH_OK && (st = meta_feed_renew(m, &call, 0)))
		snprintf(err, CONFIG_ERR_MAX, "the event log cannot be begun anew: %s", gh_status_text(st));
	if (m)
		meta_close(&m);
	gh_arena_free(&call.arena);
	return st;
}

static enum gh_status is_backup(const struct datadir *from, char *err)
{
	char *mark = datadir_join(from, "backup.json");
	enum gh_status st = mark && !access(mark, F_OK) ? GH_OK :
			    say(err, GH_NOTFOUND, "is no whole backup: it has no backup.json", from->path);

	free(mark);
	return st;
}

/* meta.db comes last: before it is there nothing can be served. */
static enum gh_status bring_back(const struct config *cfg, const struct datadir *from, const struct datadir *dir, char *err)
{
	char *saved = datadir_join(from, "meta.db"), *copy = datadir_join(from, "blobs");
	char *blobs = blobs_of(cfg, dir), *fresh = datadir_join(dir, "restore"), *made = datadir_join(dir, "restore/meta.db");
	char *file = datadir_join(dir, "meta.db");
	struct copytree_count count = { 0 };
	enum gh_status st = saved && copy && blobs && fresh && made && file ? is_backup(from, err) : GH_NOMEM;

	if (st == GH_OK && (!access(file, F_OK) || !access(blobs, F_OK)))
		st = say(err, GH_EXISTS, "holds metadata or content already; restore into an empty folder", dir->path);
	if (st == GH_OK)
		st = copytree(copy, blobs, &count, err);
	if (st == GH_OK && mkdir(fresh, 0700))
		st = say(err, GH_IO, strerror(errno), fresh);
	if (st == GH_OK)
		st = copyfile(saved, made, err);
	if (st == GH_OK) {
		struct meta_config mc = house_meta_config(cfg, made, false);

		st = renew(&mc, err);
	}
	if (st == GH_OK && rename(made, file))
		st = say(err, GH_IO, strerror(errno), file);
	if (st == GH_OK && rmdir(fresh))
		st = say(err, GH_IO, strerror(errno), fresh);
	if (st == GH_OK)
		st = folder_sync(dir->path, err);
	free(saved);
	free(copy);
	free(blobs);
	free(fresh);
	free(made);
	free(file);
	return st;
}

static enum gh_status restore(const struct config *cfg, const char *folder, char *err)
{
	const struct datadir from = { .path = (char *)folder };
	struct datadir dir;
	enum gh_status st;

	if (folder && !house_meta_is_embedded(cfg))
		return say(err, GH_UNSUPPORTED, "holds an embedded database, and metadata is postgresql", folder);
	st = datadir_open(config_text(cfg, "data"), false, (uid_t)-1, (gid_t)-1, &dir, err);
	if (st)
		return st;
	if (folder) {
		st = bring_back(cfg, &from, &dir, err);
	} else {
		char *file = datadir_join(&dir, "meta.db");
		struct meta_config mc = house_meta_config(cfg, file, false);

		st = !file ? GH_NOMEM : mc.path && access(file, F_OK) ? say(err, GH_NOTFOUND, strerror(errno), file) : renew(&mc, err);
		free(file);
	}
	datadir_close(&dir);
	return st;
}

int cli_restore(struct cli *c)
{
	const char *folder = json_string_value(json_object_get(c->args, "folder"));
	char err[CONFIG_ERR_MAX] = "out of memory";
	struct config *cfg = NULL;
	json_t *result;
	enum gh_status st = configure(c, &cfg, err);

	if (!st)
		st = restore(cfg, folder, err);
	result = json_pack("{s:s, s:s}", "restored", st || !cfg ? "" : config_text(cfg, "data"), "next",
			   "gatehouse fsck, then serve it");
	if (!st && result)
		cli_print_result(c, result);
	json_decref(result);
	config_free(&cfg);
	return st ? cli_fail(c, gh_status_name(st), err) : CLI_DONE;
}
