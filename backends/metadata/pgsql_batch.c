/* The PostgreSQL driver: a group of batches as one pipeline, in which the server decides alone what sinks, so that however
 * many members a group has, it is one round trip, COMMIT included.
 *
 *   BEGIN  LOCKS  EVENT STEP...  EVENT STEP...  COMMIT              Sync
 *
 * An event whose guards do not hold is not put in, and its steps find none and do nothing: that member sinks, and no other.
 * What is an error (a step that does not change its one row, a name that is taken, an event that had been there before: its
 * steps would find it) sinks them all, COMMIT is skipped, and commit.c has the group run once more with marks, which cost a
 * transaction within the transaction and several messages for each:
 *
 *   BEGIN  LOCKS                                                    Sync
 *   SAVEPOINT m0   SEEN EVENT STEP...   SAVEPOINT m0                Sync
 *   ROLLBACK TO m0  RELEASE m0   SAVEPOINT m1 ...  SAVEPOINT m1     Sync
 *   ROLLBACK TO m1  RELEASE m1   COMMIT                             Sync
 *
 * A second savepoint of the same name hides the first. So where a member went well, ROLLBACK TO falls back to where it has
 * ended, and undoes nothing; where it failed, everything up to the Sync was skipped, the second savepoint with it, and it
 * falls back to before the member. RELEASE takes away the innermost of that name. For that to work failure has to be an
 * error there: commands that must change one row are sent strict (pgsql.h).
 *
 * A group of one needs no mark then: if it fails, COMMIT is a rollback.
 *
 * Locks are the group's, taken before anything is looked at, all in one statement and in the order of their keys, so that
 * writers of several gateways cannot wait for each other in a circle. Each batch: the house shared (jobs take it exclusive),
 * its tenant's gate shared or exclusive, its name slots and its operation exclusive; the last, because the same batch may be
 * at its end still in a connection that was lost, while it runs again in another.
 */
#include "backends/metadata/pgsql.h"

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/hash.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- locks ---- */

#define HOUSE_LOCK 0 /* the first in the order: whoever has it exclusive waits for all others, and they for it */

struct lock {
	int64_t key;
	bool exclusive;
};

/* Every gateway has to come to the same numbers. Two names that fall on one only wait for each other. */
static int64_t key_of(uint64_t tenant, uint64_t parent, const char *name)
{
	static const struct gh_sipkey fixed = { 0x6761746568617573ull, 0x6d65746164617461ull };
	const uint64_t all[3] = { tenant, parent, name ? gh_siphash(&fixed, name, strlen(name)) : 0 };

	return (int64_t)(gh_siphash(&fixed, all, sizeof(all)) >> 1) | 1;
}

static int by_key(const void *a, const void *b)
{
	const struct lock *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (int)y->exclusive - (int)x->exclusive; /* of two, the exclusive one is kept: no upgrades */
}

static unsigned locks_of(struct db_batch **b, unsigned count, struct lock *locks)
{
	unsigned n = 0, kept = 1;

	locks[n++] = (struct lock){ HOUSE_LOCK, false };
	for (unsigned i = 0; i < count; i++) {
		locks[n++] = (struct lock){ key_of(b[i]->tenant, 0, NULL), b[i]->gate_exclusive };
		locks[n++] = (struct lock){ key_of(b[i]->tenant, (uint64_t)b[i]->values[1].i, "operation"), true };
		for (unsigned k = 0; k < b[i]->slot_count; k++)
			locks[n++] = (struct lock){ key_of(b[i]->tenant, b[i]->slots[k].parent, b[i]->slots[k].key), true };
	}
	qsort(locks, n, sizeof(*locks), by_key);
	for (unsigned i = 1; i < n; i++)
		if (locks[i].key != locks[kept - 1].key)
			locks[kept++] = locks[i];
	return kept;
}

static bool send_locks(struct pg_conn *c, struct db_batch **b, unsigned count)
{
	const unsigned most = 1 + count * (2 + META_SLOTS_MAX);
	struct lock *locks = malloc(most * sizeof(*locks));
	struct gh_buf keys, exclusive;
	bool ok = locks != NULL;

	gh_buf_init(&keys, most * 24);
	gh_buf_init(&exclusive, most * 4);
	for (unsigned i = 0, n = ok ? locks_of(b, count, locks) : 0; i < n; i++) {
		gh_buf_char(&keys, i ? ',' : '{');
		gh_buf_u64(&keys, (unsigned long long)locks[i].key);
		gh_buf_char(&exclusive, i ? ',' : '{');
		gh_buf_char(&exclusive, locks[i].exclusive ? 't' : 'f');
	}
	gh_buf_char(&keys, '}');
	gh_buf_char(&exclusive, '}');
	ok = ok && !keys.failed && !exclusive.failed && pg_send_locks(c, keys.data, exclusive.data);
	gh_buf_fini(&keys);
	gh_buf_fini(&exclusive);
	free(locks);
	return ok;
}

bool pg_lock_house(struct pg_conn *c)
{
	return pg_defer(c, "SELECT pg_advisory_xact_lock(0)");
}

/* ---- sending ---- */

static struct pg_stmt *stmt_of(struct pg_conn *c, enum sql_id id)
{
	struct db_stmt *s = NULL;

	if (pg_prepare(&c->base, id, &s) != GH_OK)
		pg_lose(c, sql_rows[id].name, "out of memory");
	return (struct pg_stmt *)s;
}

/* How command k of a batch is judged. */
static enum pg_how how_of(const struct db_batch *b, unsigned k, bool bare)
{
	if (!bare)
		return b->cmds[k].exactly_one ? PG_STRICT : PG_AS_IS;
	if (k == 0)
		return PG_FIRST;
	return b->cmds[k].exactly_one && !(sql_rows[b->cmds[k].sql].flags & SQL_SURE) ? PG_IF_EVENT : PG_AS_IS;
}

/* Before any member: one that fails would have the server skip what the others need. */
static bool parse_all(struct pg_conn *c, struct db_batch **b, unsigned count, bool bare)
{
	bool ok = true;

	for (unsigned i = 0; ok && i < count; i++) {
		struct pg_stmt *s = bare ? NULL : stmt_of(c, SQL_EVENT_TIME);

		ok = bare || (s && pg_parse(c, s, PG_AS_IS, b[i]->values, 2));
		for (unsigned k = 0; ok && k < b[i]->cmd_count; k++) {
			const struct db_cmd *cmd = &b[i]->cmds[k];

			s = stmt_of(c, cmd->sql);
			ok = s && pg_parse(c, s, how_of(b[i], k, bare), b[i]->values + cmd->first, cmd->count);
		}
	}
	return ok;
}

static bool send_commands(struct pg_conn *c, const struct db_batch *b, unsigned member, int64_t now_us, bool bare)
{
	bool ok = true;

	for (unsigned k = 0; ok && k < b->cmd_count; k++) {
		const struct db_cmd *cmd = &b->cmds[k];
		const struct pg_expected change = { PG_EXPECT_CHANGE, how_of(b, k, bare), member, k };

		ok = pg_send(c, stmt_of(c, cmd->sql), b->values + cmd->first, cmd->count, now_us, change);
	}
	return ok;
}

static bool send_member(struct pg_conn *c, const struct db_batch *b, unsigned member, int64_t now_us)
{
	const struct pg_expected seen = { .kind = PG_EXPECT_SEEN, .how = PG_AS_IS, .member = member };

	return pg_send(c, stmt_of(c, SQL_EVENT_TIME), b->values, 2, now_us, seen) && send_commands(c, b, member, now_us, false);
}

/* "SAVEPOINT m7" and its kind. */
static bool send_mark(struct pg_conn *c, const char *verb, unsigned member, enum pg_expect kind)
{
	char control[PG_CONTROL_MAX];

	snprintf(control, sizeof(control), "%s m%u", verb, member);
	return pg_send_control(c, control, kind);
}

static bool send_marked(struct pg_conn *c, const struct db_batch *b, unsigned member, int64_t now_us)
{
	return send_mark(c, "SAVEPOINT", member, PG_EXPECT_NOTHING) && send_member(c, b, member, now_us) &&
	       send_mark(c, "SAVEPOINT", member, PG_EXPECT_MARK) && pg_send_sync(c) &&
	       send_mark(c, "ROLLBACK TO", member, PG_EXPECT_NOTHING) && send_mark(c, "RELEASE", member, PG_EXPECT_NOTHING);
}

/* All of them, marked, or the only one there is. */
static bool send_group(struct pg_conn *c, struct db_batch **b, unsigned count, int64_t now_us, bool marked)
{
	bool ok = true;

	if (!marked)
		return send_member(c, b[0], 0, now_us) && pg_send_sync(c);
	ok = pg_send_sync(c);
	for (unsigned i = 0; ok && i < count; i++)
		ok = send_marked(c, b[i], i, now_us);
	return ok;
}

/* ---- what became of it ---- */

static void note_seen(struct db_batch *b, const PGresult *r)
{
	uint64_t us;

	if (PQntuples(r) == 0)
		return;
	memcpy(&us, PQgetvalue(r, 0, 0), sizeof(us));
	b->done_before = true;
	b->done_us = (int64_t)be64toh(us);
}

static enum gh_status note_error(struct pg_conn *c, struct db_batch *b, const struct pg_expected *e, const PGresult *r)
{
	b->failed = e->cmd;
	b->status = pg_fail(c, r, sql_rows[e->kind == PG_EXPECT_SEEN ? SQL_EVENT_TIME : b->cmds[e->cmd].sql].name);
	return b->status;
}

/* How many rows it changed. What is counted on the server gives one, or is an error. */
static uint64_t changes_of(const struct pg_expected *e, const PGresult *r)
{
	return PQresultStatus(r) == PGRES_TUPLES_OK ? e->how == PG_STRICT || e->how == PG_IF_EVENT
						    : strtoull(PQcmdTuples((PGresult *)r), NULL, 10);
}

static void note_change(struct pg_conn *c, struct db_batch *b, const struct pg_expected *e, PGresult *r)
{
	uint64_t changes;

	switch (PQresultStatus(r)) {
	case PGRES_FATAL_ERROR:
		if (b->status == GH_OK)
			(void)note_error(c, b, e, r);
		break;
	case PGRES_PIPELINE_ABORTED:
		break;
	default:
		if (e->kind == PG_EXPECT_SEEN) {
			note_seen(b, r);
			break;
		}
		changes = changes_of(e, r);
		if (e->how == PG_FIRST && !changes)
			b->status = GH_STALE;
		if (b->status == GH_OK) /* else its steps did nothing */
			c->changed_total += changes;
	}
}

/* What is no member's has to go well. */
static enum gh_status note_control(struct pg_conn *c, const struct pg_expected *e, PGresult *r, bool sunk)
{
	switch (PQresultStatus(r)) {
	case PGRES_FATAL_ERROR:
		return pg_fail(c, r, "group");
	case PGRES_PIPELINE_ABORTED:
		return e->kind == PG_EXPECT_MARK ? GH_OK : GH_DATABASE;
	default:
		/* In a transaction that has failed COMMIT says ROLLBACK: well for one that is alone, and sank. */
		return e->kind == PG_EXPECT_COMMIT && !sunk && strcmp(PQcmdStatus(r), "COMMIT") ? GH_DATABASE : GH_OK;
	}
}

/* GH_OK: each member has its status. */
static enum gh_status receive(struct pg_conn *c, struct db_batch **b, bool marked)
{
	enum gh_status first = GH_OK, st;
	struct pg_expected e;
	PGresult *r;

	while ((st = pg_next(c, &e, &r)) == GH_OK) {
		if (e.kind == PG_EXPECT_SEEN || e.kind == PG_EXPECT_CHANGE) {
			note_change(c, b[e.member], &e, r);
		} else if (first == GH_OK) {
			first = note_control(c, &e, r, !marked && b[0]->status != GH_OK);
		}
		PQclear(r);
	}
	return st == GH_END ? first : st;
}

/* Done before: its event could not be put in a second time, and nothing else of it ran. */
static void forgive_done(struct db_batch *b)
{
	if (b->done_before && b->status != GH_OK && b->failed == 0)
		b->status = GH_OK;
}

/* ---- a group ---- */

/* Errors that are a member's own business, not the server's, and say that it must not go on as it is. */
static bool sinks(enum gh_status st)
{
	return st == GH_EXISTS || st == GH_STALE || st == GH_INVALID;
}

/* GH_OK: each member has its status. Else the first error. */
static enum gh_status receive_bare(struct pg_conn *c, struct db_batch **b)
{
	enum gh_status first = GH_OK, st;
	struct pg_expected e;
	PGresult *r;

	while ((st = pg_next(c, &e, &r)) == GH_OK) {
		if (e.kind == PG_EXPECT_CHANGE && PQresultStatus(r) == PGRES_FATAL_ERROR) {
			first = note_error(c, b[e.member], &e, r);
			c->base.spoiled = sinks(first);
		} else if (e.kind == PG_EXPECT_CHANGE) {
			note_change(c, b[e.member], &e, r);
		} else if (first == GH_OK) {
			first = note_control(c, &e, r, false);
		}
		PQclear(r);
	}
	return st == GH_END ? first : st;
}

/* COMMIT travels with them, and is skipped if one of them fails. */
static enum gh_status group_bare(struct pg_conn *c, struct db_batch **b, unsigned count, int64_t now_us, bool commit_too)
{
	enum gh_status st;

	if (commit_too)
		gh_crash_point("meta.before_commit");
	for (unsigned i = 0; i < count; i++)
		if (!send_commands(c, b[i], i, now_us, true))
			return GH_DATABASE; /* COMMIT never left */
	if (commit_too && !pg_send_control(c, "COMMIT", PG_EXPECT_COMMIT))
		return GH_DATABASE;
	(void)pg_send_sync(c);
	st = receive_bare(c, b);
	if (commit_too && c->lost)
		return GH_UNKNOWN;
	if (st == GH_OK)
		gh_crash_point(commit_too ? "meta.after_commit" : "meta.after_steps");
	c->committed = commit_too && st == GH_OK;
	return st;
}

static enum gh_status group_marked(struct pg_conn *c, struct db_batch **b, unsigned count, int64_t now_us, bool commit_too)
{
	const bool marked = count > 1;
	enum gh_status st;

	if (commit_too)
		gh_crash_point("meta.before_commit");
	if (!send_group(c, b, count, now_us, marked))
		return GH_DATABASE; /* COMMIT never left */
	if (commit_too && !pg_send_control(c, "COMMIT", PG_EXPECT_COMMIT))
		return GH_DATABASE;
	(void)pg_send_sync(c);
	st = receive(c, b, marked);
	if (!marked && !commit_too && st == GH_OK && b[0]->status != GH_OK && !(pg_defer(c, "ROLLBACK") && pg_defer(c, "BEGIN")))
		return GH_DATABASE;
	for (unsigned i = 0; i < count; i++)
		forgive_done(b[i]);
	if (commit_too && c->lost)
		return GH_UNKNOWN;
	if (st == GH_OK)
		gh_crash_point(commit_too ? "meta.after_commit" : "meta.after_steps");
	c->committed = commit_too && st == GH_OK;
	return st;
}

enum gh_status pg_batches(struct db_conn *base, struct db_batch **b, unsigned count, int64_t now_us, bool last)
{
	struct pg_conn *c = (struct pg_conn *)base;

	for (unsigned i = 0; i < count; i++) {
		b[i]->status = GH_OK;
		b[i]->failed = 0;
		b[i]->done_before = false;
	}
	if (!parse_all(c, b, count, base->bare) || !pg_send_deferred(c) || !send_locks(c, b, count))
		return GH_DATABASE;
	return base->bare ? group_bare(c, b, count, now_us, last) : group_marked(c, b, count, now_us, last);
}
