/* Compares the schemas of all databases with this program's, and names every difference. Nothing is changed. Called for
 * administrators; any worker. */
#include "backends/metadata/migrations.h"
#include "backends/metadata/route.h"
#include "backends/metadata/tables.h"

#include <stdio.h>
#include <string.h>

struct check {
	struct shard_store *s;
	struct meta_call *call;
	const char *shard;
	meta_finding_fn *fn;
	void *arg;
};

static void say(const struct check *k, const char *what, const char *name)
{
	char text[DB_ERR_MAX];

	snprintf(text, sizeof(text), "shard %s: %s %s", k->shard, what, name);
	k->fn(k->arg, true, text);
}

/* Migrations that are there, by their place in the list; others are named at once. */
static enum gh_status migrations_read(const struct check *k, bool *there)
{
	struct query q;
	enum gh_status st = query_open(&q, k->s, k->call);

	if (st == GH_OK)
		st = query_prepare(&q, meta_tables[TABLE_schema_version].page);
	if (st == GH_OK) {
		db_bind_u64(q.stmt, 1, 0);
		db_bind_u64(q.stmt, 2, 10000);
	}
	while (st == GH_OK && (st = k->s->drv->step(q.stmt)) == GH_OK) {
		const char *name = row_str(k->call->arena, q.stmt, 1, NULL);
		bool known = false;

		for (unsigned i = 0; i < migration_count; i++)
			if (migrations[i].version == db_u64(q.stmt, 0))
				known = there[i] = true;
		if (!known)
			say(k, "has a migration that this program does not know:", name ? name : "?");
	}
	query_close(&q);
	return st == GH_END ? GH_OK : st;
}

/* Do all its columns answer? */
static enum gh_status table_check(const struct check *k, const struct meta_table *t)
{
	bool there = false;
	struct query q;
	enum gh_status st = query_open(&q, k->s, k->call);

	if (st == GH_OK)
		st = k->s->drv->has_table(q.conn, t->name, &there);
	query_close(&q);
	if (st != GH_OK)
		return st;
	if (!there) {
		say(k, "misses table", t->name);
		return GH_OK;
	}
	st = query_open(&q, k->s, k->call);
	if (st != GH_OK)
		return st;
	st = query_prepare(&q, t->page);
	for (unsigned i = 0; st == GH_OK && i < t->keys; i++)
		k->s->drv->bind(q.stmt, i + 1, &(struct db_value){ .type = t->kinds[i] == 'b' ? DB_BLOB : DB_I64, .p = "" });
	if (st == GH_OK) {
		db_bind_u64(q.stmt, t->keys + 1, 0);
		st = k->s->drv->step(q.stmt);
	}
	query_close(&q);
	if (st != GH_OK && st != GH_END)
		say(k, "has other columns than these in table", t->name);
	return GH_OK;
}

static enum gh_status store_check(const struct check *k)
{
	bool there[256] = { 0 };
	enum gh_status st = migration_count <= 256 ? migrations_read(k, there) : GH_BUG;

	for (unsigned i = 0; st == GH_OK && i < migration_count; i++)
		if (!there[i])
			say(k, "misses migration", migrations[i].name);
	for (unsigned i = 0; st == GH_OK && i < TABLE_COUNT; i++)
		st = table_check(k, &meta_tables[i]);
	return st;
}

enum gh_status meta_schema_check(struct meta_store *m, struct meta_call *c, bool all, meta_finding_fn *fn, void *arg)
{
	const unsigned count = all ? atomic_load(&m->seat_count) : 1;

	for (unsigned i = 0; i < count; i++) {
		struct seat *s = m->seat[i];
		const struct check k = { seat_store(s), c, s->name, fn, arg };
		char text[DB_ERR_MAX];
		enum gh_status st = k.s ? store_check(&k) : GH_OK;

		pthread_rwlock_rdlock(&m->lock);
		snprintf(text, sizeof(text), "%s", *s->trouble ? s->trouble : s->name);
		pthread_rwlock_unlock(&m->lock);
		if (!k.s)
			fn(arg, true, text);
		else if (st != GH_OK)
			say(&k, "can't be asked:", gh_status_text(st));
	}
	return GH_OK;
}
