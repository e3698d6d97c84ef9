/* `gatehouse migrate --to KIND`: takes the metadata of a data directory that nobody serves from the embedded database to a
 * PostgreSQL server, or back, and checks afterwards that all content has its rows there. Content stays where it is, and so
 * does the old database.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/fsck.h"
#include "frontends/main/cli.h"
#include "frontends/main/config.h"
#include "frontends/main/datadir.h"
#include "frontends/main/house.h"

#define STATEMENT_MS (24 * 3600 * 1000) /* all of it is one transaction */

static void tell_table(void *arg, const struct meta_carried *t)
{
	char sum[20];

	snprintf(sum, sizeof(sum), "%016llx", (unsigned long long)t->sum);
	(void)json_array_append_new(arg, json_pack("{s:s, s:I, s:s}", "table", t->table, "rows", (json_int_t)t->rows, "sum", sum));
}

static enum gh_status side(struct config *cfg, const char *kind, const char *path, bool read_only, struct meta_config *ret,
			   char *err)
{
	enum gh_status st = config_override(cfg, "metadata", kind, "--to", err);

	if (st)
		return st;
	*ret = house_meta_config(cfg, path, read_only);
	ret->statement_ms = STATEMENT_MS;
	if (!house_meta_is_embedded(cfg) && !*config_text(cfg, "postgresql.conninfo")) {
		snprintf(err, CONFIG_ERR_MAX, "which PostgreSQL database? Give -c FILE with postgresql.conninfo");
		return GH_INVALID;
	}
	return GH_OK;
}

/* A file that root makes here is for whom the others belong to. */
static void give_to_owner(const struct datadir *dir)
{
	static const char *const names[] = { "meta.db", "meta.db-wal", "meta.db-shm" };
	struct stat sb;

	for (unsigned i = 0; i < 3 && !geteuid() && !stat(dir->path, &sb); i++) {
		char *path = datadir_join(dir, names[i]);

		if (path && chown(path, sb.st_uid, sb.st_gid) && i == 0)
			fprintf(stderr, "gatehouse: %s cannot be given to the owner of its folder\n", path);
		free(path);
	}
}

/* cfg says by now that the metadata is where it was taken. */
static enum gh_status check(const struct config *cfg, const struct datadir *dir, json_t *result, char *err)
{
	const json_t *loss;
	json_t *report = NULL;
	struct house house;
	enum gh_status st = house_open(cfg, dir, true, &house, err);

	if (st)
		return st;
	st = fsck_run(house.meta, house.blob_ops, house.blobs, false, &report);
	house_close(&house);
	if (st) {
		snprintf(err, CONFIG_ERR_MAX, "everything was taken over, but cannot be checked: %s", gh_status_text(st));
		return st;
	}
	loss = json_object_get(report, "loss");
	if (json_integer_value(loss)) {
		snprintf(err, CONFIG_ERR_MAX, "everything was taken over, but the check found loss or damage, which was there"
			 " before if it is in the old database too: run gatehouse fsck on both");
		st = GH_DAMAGED;
	}
	(void)json_object_set_new(result, "check", json_string(st ? "loss or damage" : "nothing lost or damaged"));
	json_decref(report);
	return st;
}

static enum gh_status run(struct config *cfg, const struct datadir *dir, const char *to, json_t *result, char *err)
{
	bool embedded = !strcmp(to, "sqlite");
	char *path = datadir_join(dir, "meta.db");
	struct meta_config from_cfg, to_cfg;
	enum gh_status st = path ? GH_OK : GH_NOMEM;

	umask(0077);
	if (st == GH_OK && !embedded && access(path, F_OK)) {
		snprintf(err, CONFIG_ERR_MAX, "there is no %.300s to take metadata from", path);
		st = GH_NOTFOUND;
	}
	if (st == GH_OK)
		st = side(cfg, embedded ? "postgresql" : "sqlite", path, true, &from_cfg, err);
	if (st == GH_OK)
		st = side(cfg, to, path, false, &to_cfg, err);
	if (st == GH_OK)
		st = meta_carry(&from_cfg, &to_cfg, tell_table, json_object_get(result, "tables"), err);
	free(path);
	if (embedded && st == GH_OK)
		give_to_owner(dir);
	return st == GH_OK ? check(cfg, dir, result, err) : st;
}

int cli_migrate(struct cli *c)
{
	const char *to = json_string_value(json_object_get(c->args, "to"));
	char err[CONFIG_ERR_MAX] = "out of memory", next[64];
	struct config *cfg = NULL;
	struct datadir dir = { .lock_fd = -1 };
	json_t *result;
	enum gh_status st;

	if (!to || (strcmp(to, "postgresql") && strcmp(to, "sqlite")))
		return cli_usage("migrate needs --to postgresql or --to sqlite");
	snprintf(next, sizeof(next), "say \"metadata: %s\" in the configuration", to);
	result = json_pack("{s:s, s:[], s:s}", "to", to, "tables", "next", next);
	st = result ? gh_log_open(NULL, GH_LOG_ERROR) : GH_NOMEM; /* that the schema is made is nothing to tell */
	if (!st)
		st = config_load(c->config, &cfg, err);
	if (!st && c->dir)
		st = config_override(cfg, "data", c->dir, "-D", err);
	if (!st)
		st = datadir_open(config_text(cfg, "data"), true, (uid_t)-1, (gid_t)-1, &dir, err);
	if (!st) {
		st = run(cfg, &dir, to, result, err);
		datadir_close(&dir);
	}
	if (!st)
		cli_print_result(c, result);
	config_free(&cfg);
	json_decref(result);
	return st ? cli_fail(c, gh_status_name(st), err) : CLI_DONE;
}
