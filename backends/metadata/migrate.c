/* Brings a database to the schema of this program: every migration that is not in it yet, each in a transaction of its
 * own with the row that says it was done, so that a kill in between is taken up at the next start. Called by meta_open
 * alone, before anyone else uses the database; the writer's lock keeps other processes out.
 */
#include "backends/metadata/migrations.h"
#include "backends/metadata/store.h"

#include "core/base/log.h"

#include <stdio.h>
#include <string.h>

static const char *const schema_sql = "CREATE TABLE schema_version (version {bigint} NOT NULL, name {text} NOT NULL,"
				      " applied_us {bigint} NOT NULL, PRIMARY KEY (version)) {keyed}";

/* 0: a new database. */
static enum gh_status schema_version(struct db_conn *c, const char *path, int64_t *ret, char *err)
{
	bool ours = false, any = false;
	struct db_stmt *s;
	enum gh_status st = c->drv->has_table(c, "schema_version", &ours);

	*ret = 0;
	if (st == GH_OK && !ours)
		st = c->drv->has_table(c, NULL, &any);
	if (st == GH_OK && any) {
		snprintf(err, DB_ERR_MAX, "metadata database %s is the database of another program; nothing was changed",
			 path);
		return GH_DAMAGED;
	}
	if (st == GH_OK && ours) {
		st = c->drv->prepare(c, SQL_SCHEMA_VERSION, &s);
		if (st == GH_OK) {
			st = c->drv->step(s);
			*ret = st == GH_OK ? db_i64(s, 0) : 0;
			c->drv->reset(s);
		}
	}
	if (st != GH_OK)
		snprintf(err, DB_ERR_MAX, "cannot read the schema of metadata database %s: %s; restore it from a backup",
			 path, gh_status_text(st));
	return st;
}

static enum gh_status apply(struct db_conn *c, const struct migration *mig, char *err)
{
	const struct db_value name = { .type = DB_TEXT, .len = (uint32_t)strlen(mig->name), .p = mig->name };
	struct db_stmt *s;
	enum gh_status st = c->drv->exec(c, mig->sql, err);

	if (st == GH_OK)
		st = c->drv->prepare(c, SQL_SCHEMA_ADD, &s);
	if (st != GH_OK)
		return st;
	db_bind_u64(s, 1, mig->version);
	c->drv->bind(s, 2, &name);
	db_bind_i64(s, 3, c->drv->now_us(c));
	return db_run(s);
}

/* Another process may have been here between our look and the lock: looks again under it. */
static enum gh_status step_up(struct db_conn *c, const char *path, bool *ret_more, char *err)
{
	const struct migration *next = NULL;
	int64_t have;
	enum gh_status st = c->drv->begin(c);

	*ret_more = false;
	if (st != GH_OK) {
		snprintf(err, DB_ERR_MAX, "cannot lock metadata database %s: %s", path, gh_status_text(st));
		return st;
	}
	st = schema_version(c, path, &have, err);
	for (unsigned i = 0; st == GH_OK && !next && i < migration_count; i++)
		if (migrations[i].version > have)
			next = &migrations[i];
	if (st == GH_OK && next && have == 0)
		st = c->drv->exec(c, schema_sql, err);
	if (st == GH_OK && next)
		st = apply(c, next, err);
	if (st == GH_OK)
		st = c->drv->commit(c);
	if (st != GH_OK) {
		if (!err[0])
			snprintf(err, DB_ERR_MAX, "metadata database %s: migration %s failed: %s", path,
				 next ? next->name : "-", gh_status_text(st));
		c->drv->rollback(c);
		return st;
	}
	*ret_more = next != NULL;
	if (next)
		gh_log(GH_LOG_INFO, "meta.migrated", "migration=%s", next->name);
	return GH_OK;
}

enum gh_status migrate(struct db_conn *c, bool read_only, const char *path, char *err)
{
	unsigned newest = migrations[migration_count - 1].version;
	int64_t have;
	bool more = true;
	enum gh_status st;

	err[0] = '\0';
	st = schema_version(c, path, &have, err);
	if (st != GH_OK)
		return st;
	if (have > (int64_t)newest) {
		snprintf(err, DB_ERR_MAX, "metadata database %s has schema %lld, this program knows %u: it was made by a"
			 " newer gatehouse; start that one", path, (long long)have, newest);
		return GH_UNSUPPORTED;
	}
	if (read_only && have < (int64_t)newest) {
		snprintf(err, DB_ERR_MAX, "metadata database %s has schema %lld, this program needs %u: start the server"
			 " once to migrate it", path, (long long)have, newest);
		return GH_UNSUPPORTED;
	}
	while (st == GH_OK && more && have < (int64_t)newest)
		st = step_up(c, path, &more, err);
	return st;
}
