/* Brings a database to the schema of this program: every migration that is not in it yet, each in a transaction of its
 * own with the row that says it was done, so that a kill in between is taken up at the next start. Called by meta_open
 * alone, before anyone else uses the database; the writer's lock keeps other processes out.
 */
#include "backends/metadata/migrations.h"
#include "backends/metadata/store.h"

#include "core/base/buf.h"
#include "core/base/log.h"

#include <stdio.h>
#include <string.h>

static const char *const schema_sql = "CREATE TABLE schema_version (version {bigint} NOT NULL, name {text} NOT NULL,"
				      " applied_us {bigint} NOT NULL, PRIMARY KEY (version)) {keyed}";

/* 0: a new database. */
static enum gh_status schema_version(struct db_conn *c, const char *label, int64_t *ret, char *err)
{
	bool ours = false, any = false;
	struct db_stmt *s;
	enum gh_status st = c->drv->has_table(c, "schema_version", &ours);

	*ret = 0;
	if (st == GH_OK && !ours)
		st = c->drv->has_table(c, NULL, &any);
	if (st == GH_OK && any) {
		snprintf(err, DB_ERR_MAX, "metadata database %s is the database of another program; nothing was changed",
			 label);
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
			 label, gh_status_text(st));
	return st;
}

/* Puts the database's own words in the place of those in braces. */
static bool translate(const struct db_word *words, const char *sql, struct gh_buf *out)
{
	while (*sql) {
		const struct db_word *w = words;

		while (w->word && strncmp(sql, w->word, strlen(w->word)))
			w++;
		if (w->word) {
			gh_buf_str(out, w->here);
			sql += strlen(w->word);
		} else {
			gh_buf_char(out, *sql++);
		}
	}
	return !out->failed;
}

static enum gh_status schema_exec(struct db_conn *c, const char *sql, char *err)
{
	struct gh_buf text;
	enum gh_status st;

	gh_buf_init(&text, 1 << 20);
	st = translate(c->drv->words, sql, &text) ? c->drv->exec(c, text.data, err) : GH_NOMEM;
	gh_buf_fini(&text);
	return st;
}

/* A table that a migration has made is missing: somebody else's hand, or half a restore. Better now than in the middle of
 * a request. */
static enum gh_status schema_whole(struct db_conn *c, const char *label, char *err)
{
	static const char word[] = "CREATE TABLE ";
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < migration_count; i++) {
		const char *at = migrations[i].sql;

		while (st == GH_OK && (at = strstr(at, word))) {
			char name[64];
			bool there = false;

			at += sizeof(word) - 1;
			snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, " ("), at);
			st = c->drv->has_table(c, name, &there);
			if (st != GH_OK)
				snprintf(err, DB_ERR_MAX, "cannot read the schema of metadata database %s: %s", label,
					 gh_status_text(st));
			if (st == GH_OK && !there) {
				snprintf(err, DB_ERR_MAX, "metadata database %s says it has migration %s, but table %s is"
					 " missing; nothing was changed; restore it from a backup", label, migrations[i].name,
					 name);
				st = GH_DAMAGED;
			}
		}
	}
	return st;
}

static enum gh_status apply(struct db_conn *c, const struct migration *mig, char *err)
{
	const struct db_value name = { .type = DB_TEXT, .len = (uint32_t)strlen(mig->name), .p = mig->name };
	struct db_stmt *s;
	enum gh_status st = schema_exec(c, mig->sql, err);

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
static enum gh_status step_up(struct db_conn *c, const char *label, bool *ret_more, char *err)
{
	const struct migration *next = NULL;
	int64_t have;
	enum gh_status st = c->drv->begin(c);

	*ret_more = false;
	if (st != GH_OK) {
		snprintf(err, DB_ERR_MAX, "cannot lock metadata database %s: %s", label, gh_status_text(st));
		return st;
	}
	if (c->drv->lock_schema)
		st = c->drv->lock_schema(c, err);
	if (st == GH_OK)
		st = schema_version(c, label, &have, err);
	for (unsigned i = 0; st == GH_OK && !next && i < migration_count; i++)
		if (migrations[i].version > have)
			next = &migrations[i];
	if (st == GH_OK && next && have == 0)
		st = schema_exec(c, schema_sql, err);
	if (st == GH_OK && next)
		st = apply(c, next, err);
	if (st == GH_OK)
		st = c->drv->commit(c);
	if (st != GH_OK) {
		if (!err[0])
			snprintf(err, DB_ERR_MAX, "metadata database %s: migration %s failed: %s", label,
				 next ? next->name : "-", gh_status_text(st));
		c->drv->rollback(c);
		return st;
	}
	*ret_more = next != NULL;
	if (next)
		gh_log(GH_LOG_INFO, "meta.migrated", "migration=%s", next->name);
	return GH_OK;
}

enum gh_status migrate(struct db_conn *c, bool read_only, const char *label, char *err)
{
	unsigned newest = migrations[migration_count - 1].version;
	int64_t have;
	bool more = true;
	enum gh_status st;

	err[0] = '\0';
	st = schema_version(c, label, &have, err);
	if (st != GH_OK)
		return st;
	if (have > (int64_t)newest) {
		snprintf(err, DB_ERR_MAX, "metadata database %s has schema %lld, this program knows %u: it was made by a"
			 " newer gatehouse; start that one", label, (long long)have, newest);
		return GH_UNSUPPORTED;
	}
	if (read_only && have < (int64_t)newest) {
		snprintf(err, DB_ERR_MAX, "metadata database %s has schema %lld, this program needs %u: start the server"
			 " once to migrate it", label, (long long)have, newest);
		return GH_UNSUPPORTED;
	}
	while (st == GH_OK && more && have < (int64_t)newest)
		st = step_up(c, label, &more, err);
	return st == GH_OK ? schema_whole(c, label, err) : st;
}
