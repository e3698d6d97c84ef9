/* fsck of the metadata: the file itself, then for each tenant that tree, contents, references and sums agree. The
 * questions are SQL (sql_check.tbl.h); each row is a finding. One snapshot, so it also holds while the store is used.
 */
#include "backends/metadata/store.h"

#include <stdio.h>

#define FINDINGS_MAX 100 /* of one kind and tenant */
#define LABELS 4

static const struct question {
	enum sql_id sql;
	bool loss;
	const char *text;
	const char *labels[LABELS];
} questions[] = {
	{ SQL_CHECK_ROOTS_MISSING, true, "root or trash folder is missing", { "root", "trash" } },
	{ SQL_CHECK_ROOTS_EXTRA, true, "node without parent that is no root", { "node" } },
	{ SQL_CHECK_ORPHANS, true, "parent of node is missing or no folder", { "node", "parent" } },
	{ SQL_CHECK_CYCLES, true, "node can't be reached from the root", { "node", "parent" } },
	{ SQL_CHECK_VERSION_MISSING, true, "current version of file is missing", { "node", "version" } },
	{ SQL_CHECK_MIRROR, true, "file and its current version differ",
	  { "node", "version", "size_of_node", "size_of_version" } },
	{ SQL_CHECK_VERSION_ORPHANS, true, "version without node", { "version", "node" } },
	{ SQL_CHECK_PART_ORPHANS, true, "part without version", { "version", "part" } },
	{ SQL_CHECK_PART_SUMS, true, "parts do not add up to the version", { "version", "size", "parts" } },
	{ SQL_CHECK_PART_RANGES, true, "part reaches beyond its blob", { "version", "part", "blob" } },
	{ SQL_CHECK_BLOB_MISSING, true, "blob of version is missing or dead", { "version", "blob" } },
	{ SQL_CHECK_PART_BLOB_MISSING, true, "blob of part is missing or dead", { "version", "blob" } },
	{ SQL_CHECK_BLOB_SIZE, true, "version and its blob differ in size",
	  { "version", "size", "blob", "size_of_blob" } },
	{ SQL_CHECK_LOCATOR, true, "file and its blob differ in locator", { "node", "blob" } },
	{ SQL_CHECK_REFS, true, "references of blob are miscounted", { "blob", "refs", "counted" } },
	{ SQL_CHECK_DAMAGED, true, "blob is marked as damaged", { "blob", "size" } },
	{ SQL_CHECK_PROP_FLAGS, true, "properties of node and its flag disagree", { "node", "flag" } },
	{ SQL_CHECK_USED_BYTES, true, "bytes of the ledger and of the files differ", { "ledger", "files" } },
	{ SQL_CHECK_USED_FILES, true, "number of files in the ledger is wrong", { "ledger", "files" } },
	{ SQL_CHECK_OWNED, true, "sums of what a user owns are wrong", { "user", "ledger", "bytes", "files" } },
	{ SQL_CHECK_PROP_ORPHANS, false, "property without node", { "node" } },
	{ SQL_CHECK_LOCK_ORPHANS, false, "lock without node", { "lock", "node" } },
	{ SQL_CHECK_ACL_ORPHANS, false, "rights without node", { "node" } },
	{ SQL_CHECK_ACE_ORPHANS, false, "entry that no node lists", { "node", "entry" } },
	{ SQL_CHECK_MEMBERS, false, "membership without group or user", { "group", "user" } },
	{ SQL_CHECK_TOKENS, false, "app password without user", { "token", "user" } },
};

static void report(const struct question *qn, const struct meta_tenant *t, struct db_stmt *s, meta_finding_fn *fn,
		   void *arg)
{
	char text[DB_ERR_MAX];
	int n = snprintf(text, sizeof(text), "tenant %s: %s:", t->name, qn->text);

	for (unsigned i = 0; i < LABELS && qn->labels[i] && n > 0 && (size_t)n < sizeof(text); i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %s=%lld", qn->labels[i], (long long)db_i64(s, i));
	fn(arg, qn->loss, text);
}

static enum gh_status ask(struct query *q, const struct question *qn, const struct meta_tenant *t, meta_finding_fn *fn,
			  void *arg)
{
	enum gh_status st = query_prepare(q, qn->sql);

	if (st != GH_OK)
		return st;
	db_bind_u64(q->stmt, 1, t->id);
	db_bind_u64(q->stmt, 2, FINDINGS_MAX);
	while ((st = q->m->drv->step(q->stmt)) == GH_OK)
		report(qn, t, q->stmt, fn, arg);
	return st == GH_END ? GH_OK : st;
}

static enum gh_status check_tenant(struct query *q, const struct meta_tenant *t, meta_finding_fn *fn, void *arg)
{
	char text[DB_ERR_MAX];
	enum gh_status st = GH_OK;

	for (unsigned i = 0; st == GH_OK && i < sizeof(questions) / sizeof(questions[0]); i++) {
		st = ask(q, &questions[i], t, fn, arg);
		if (st == GH_DAMAGED) { /* the rest may still be told */
			snprintf(text, sizeof(text), "tenant %s: can't be asked, the database is damaged: %s", t->name,
				 questions[i].text);
			fn(arg, true, text);
			st = GH_OK;
		}
	}
	return st;
}

enum gh_status shard_check(struct shard_store *m, struct meta_call *c, meta_finding_fn *fn, void *arg)
{
	struct meta_call unhurried = { .arena = c->arena, .op = c->op };
	struct meta_tenant *t = NULL;
	unsigned count = 1;
	uint64_t after = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, &unhurried);

	if (st == GH_OK)
		st = m->drv->check(q.conn, fn, arg);
	if (st == GH_OK)
		st = query_snapshot(&q);
	while (st == GH_OK && count) {
		st = shard_tenants(m, &unhurried, after, 100, &t, &count);
		for (unsigned i = 0; st == GH_OK && i < count; i++) {
			st = check_tenant(&q, &t[i], fn, arg);
			after = t[i].id;
		}
	}
	query_close(&q);
	return st;
}
