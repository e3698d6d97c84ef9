/* The operators in memory, and who somebody is. See operators.h and operators_work.h.
 *
 * `lock` covers the table and the defender; held for look-ups and copies, never across anything that waits. A table is
 * built aside and put in place whole.
 */
#include "core/operators.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/control_house.h"
#include "core/operators_work.h"
#include "policy/defender.h"

#define PAGE 500
#define FIRST_OPERATOR "admin"

struct operators {
	pthread_mutex_t lock;
	struct operator_table table;
	struct defender *defender;
};

/* ---- life ---- */

enum gh_status operators_new(struct operators **ret)
{
	struct defender_config guard = { .slots = 4096 };
	struct operators *o = calloc(1, sizeof(*o));

	if (!o)
		return GH_NOMEM;
	gh_random(&guard.key0, sizeof(guard.key0));
	gh_random(&guard.key1, sizeof(guard.key1));
	pthread_mutex_init(&o->lock, NULL);
	o->defender = defender_new(&guard);
	if (!o->defender) {
		operators_free(&o);
		return GH_NOMEM;
	}
	*ret = o;
	return GH_OK;
}

void operator_table_free(struct operator_table *t)
{
	if (t->rows)
		explicit_bzero(t->rows, t->count * sizeof(*t->rows));
	free(t->rows);
	free(t->tokens);
	*t = (struct operator_table){ 0 };
}

void operators_free(struct operators **op)
{
	struct operators *o = *op;

	*op = NULL;
	if (!o)
		return;
	operator_table_free(&o->table);
	defender_free(&o->defender);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* ---- loading ---- */

/* Room for so many more at the end of an array of count; NULL: out of memory, and the array is as it was. */
static void *grown(void *array, unsigned count, unsigned more, size_t size)
{
	return reallocarray(array, count + more + 1u, size);
}

static enum gh_status take_rows(struct operator_table *t, const char *kind, const struct meta_setting *s, unsigned n)
{
	const bool tokens = !strcmp(kind, OPERATOR_TOKEN_KIND);
	void *more = tokens ? grown(t->tokens, t->token_count, n, sizeof(*t->tokens))
			    : grown(t->rows, t->count, n, sizeof(*t->rows));

	if (!more)
		return GH_NOMEM;
	if (tokens)
		t->tokens = more;
	else
		t->rows = more;
	for (unsigned i = 0; i < n; i++) {
		if (tokens ? operator_token_doc_read(&s[i], &t->tokens[t->token_count])
			   : operator_doc_read(&s[i], &t->rows[t->count]))
			*(tokens ? &t->token_count : &t->count) += 1;
		else
			gh_log(GH_LOG_WARN, "operator.unreadable", "kind=%s id=%ju", kind, (uintmax_t)s[i].id);
	}
	return GH_OK;
}

static enum gh_status table_read(struct gh_core *c, const char *kind, struct operator_table *t)
{
	unsigned count = PAGE;
	enum gh_status st = GH_OK;

	for (uint64_t after = 0; st == GH_OK && count == PAGE;) {
		struct gh_arena *a = gh_arena_new(16u << 20);
		struct meta_call call = { .arena = a, .op = "operators" };
		struct meta_setting *rows;

		st = a ? meta_settings(c->meta, &call, kind, after, PAGE, &rows, &count) : GH_NOMEM;
		if (st == GH_OK && count) {
			after = rows[count - 1].id;
			st = take_rows(t, kind, rows, count);
		}
		gh_arena_free(&a);
	}
	return st;
}

/* A code that was used here stays used, whether or not that could be stored. With the lock. */
static void keep_steps(const struct operator_table *old, struct operator_table *fresh)
{
	for (unsigned i = 0; i < fresh->count; i++) {
		for (unsigned k = 0; k < old->count; k++) {
			const struct operator_row *was = &old->rows[k];

			if (was->id == fresh->rows[i].id && was->gen == fresh->rows[i].gen &&
			    was->totp_step > fresh->rows[i].totp_step)
				fresh->rows[i].totp_step = was->totp_step;
		}
	}
}

enum gh_status operators_load(struct gh_core *c)
{
	struct operators *o = c->operators;
	struct operator_table fresh = { 0 }, old;
	enum gh_status st = table_read(c, OPERATOR_KIND, &fresh);

	if (st == GH_OK)
		st = table_read(c, OPERATOR_TOKEN_KIND, &fresh);
	if (st != GH_OK) {
		operator_table_free(&fresh);
		return st;
	}
	pthread_mutex_lock(&o->lock);
	old = o->table;
	keep_steps(&old, &fresh);
	o->table = fresh;
	pthread_mutex_unlock(&o->lock);
	operator_table_free(&old);
	return GH_OK;
}

enum gh_status operators_copy(struct gh_core *c, struct operator_table *ret)
{
	struct operators *o = c->operators;

	*ret = (struct operator_table){ 0 };
	pthread_mutex_lock(&o->lock);
	ret->rows = calloc(o->table.count + 1u, sizeof(*ret->rows));
	ret->tokens = calloc(o->table.token_count + 1u, sizeof(*ret->tokens));
	if (ret->rows && ret->tokens) {
		ret->count = o->table.count;
		ret->token_count = o->table.token_count;
		if (ret->count)
			memcpy(ret->rows, o->table.rows, ret->count * sizeof(*ret->rows));
		if (ret->token_count)
			memcpy(ret->tokens, o->table.tokens, ret->token_count * sizeof(*ret->tokens));
	}
	pthread_mutex_unlock(&o->lock);
	if (ret->rows && ret->tokens)
		return GH_OK;
	operator_table_free(ret);
	return GH_NOMEM;
}

/* ---- who is that: with the lock ---- */

static struct operator_row *row_by_id(struct operators *o, uint64_t id)
{
	for (unsigned i = 0; i < o->table.count; i++) {
		if (o->table.rows[i].id == id)
			return &o->table.rows[i];
	}
	return NULL;
}

static const struct operator_token_row *token_by_id(const struct operators *o, uint64_t id)
{
	for (unsigned i = 0; i < o->table.token_count; i++) {
		if (o->table.tokens[i].id == id)
			return &o->table.tokens[i];
	}
	return NULL;
}

/* ---- who is that ---- */

enum gh_status operators_find(struct gh_core *c, const char *key, struct operator_row *ret)
{
	struct operators *o = c->operators;
	enum gh_status st = GH_NOTFOUND;

	pthread_mutex_lock(&o->lock);
	for (unsigned i = 0; st == GH_NOTFOUND && i < o->table.count; i++) {
		if (!strcmp(o->table.rows[i].key, key)) {
			*ret = o->table.rows[i];
			st = GH_OK;
		}
	}
	pthread_mutex_unlock(&o->lock);
	return st;
}

bool operator_still(struct gh_core *c, uint64_t id, uint64_t gen)
{
	struct operators *o = c->operators;
	const struct operator_row *row;
	bool same;

	pthread_mutex_lock(&o->lock);
	row = row_by_id(o, id);
	same = row && row->gen == gen && !row->disabled;
	pthread_mutex_unlock(&o->lock);
	return same;
}

static void who_of(const struct operator_row *row, struct operator_who *ret)
{
	*ret = (struct operator_who){ .id = row->id, .gen = row->gen, .role = row->role };
	snprintf(ret->actor, sizeof(ret->actor), "%s", row->name);
}

bool operator_renewed(struct gh_core *c, uint64_t id, uint64_t gen, struct operator_who *ret)
{
	struct operators *o = c->operators;
	const struct operator_row *row;
	bool same;

	pthread_mutex_lock(&o->lock);
	row = row_by_id(o, id);
	same = row && row->gen == gen + 1 && !row->disabled;
	if (same)
		who_of(row, ret);
	pthread_mutex_unlock(&o->lock);
	return same;
}

bool operator_token(struct gh_core *c, const char *text, struct operator_who *ret)
{
	struct operators *o = c->operators;
	const struct operator_token_row *row;
	unsigned char digest[PW_DIGEST_BYTES];
	uint64_t id;
	bool good;

	if (!pw_operator_token_parse(text, &id))
		return false;
	pw_digest(text, digest);
	pthread_mutex_lock(&o->lock);
	row = token_by_id(o, id);
	good = row && gh_ct_equal(row->digest, digest, sizeof(digest)) &&
	       (!row->expires_us || row->expires_us > gh_real_us());
	if (good) {
		*ret = (struct operator_who){ .id = row->id, .role = row->role };
		snprintf(ret->actor, sizeof(ret->actor), "token:%s", row->name);
	}
	pthread_mutex_unlock(&o->lock);
	return good;
}

/* ---- signing in ---- */

static unsigned defender_wait(struct operators *o, const char *key, uint64_t prefix)
{
	unsigned wait_s;

	pthread_mutex_lock(&o->lock);
	wait_s = defender_ask(o->defender, gh_mono_ns() / GH_S_NS, 0, key, prefix);
	pthread_mutex_unlock(&o->lock);
	return wait_s;
}

static void defender_tell(struct operators *o, const char *key, uint64_t prefix, bool right)
{
	const uint64_t now_s = gh_mono_ns() / GH_S_NS;

	pthread_mutex_lock(&o->lock);
	if (right)
		defender_succeeded(o->defender, now_s, 0, key, prefix);
	else
		defender_failed(o->defender, now_s, 0, key, prefix);
	pthread_mutex_unlock(&o->lock);
}

/* The password, and what is due after it. *ret_wrong: somebody guesses. One Argon2 in every case. */
static enum gh_status verify(const struct operator_row *row, const struct operator_ask *ask, int64_t *ret_step,
			     bool *ret_wrong)
{
	enum gh_status st = pw_verify(row ? row->hash : NULL, ask->password);

	*ret_wrong = st == GH_UNAUTH;
	if (st == GH_DAMAGED) {
		gh_log(GH_LOG_ERROR, "operator.hash_damaged", "operator=%ju", (uintmax_t)row->id);
		return GH_UNAUTH;
	}
	if (st != GH_OK)
		return st;
	if (row->disabled)
		return GH_UNAUTH;
	if (!row->totp)
		return GH_OK;
	if (!ask->code || !*ask->code)
		return GH_PRECONDITION;
	*ret_wrong = !totp_check(row->secret, ask->code, gh_real_us() / GH_S_US, row->totp_step, ret_step);
	return *ret_wrong ? GH_PRECONDITION : GH_OK;
}

/* Marks the code as used. In memory, which is what counts on this gateway; false: somebody else was faster. */
static bool use_code(struct operators *o, const struct operator_row *row, int64_t step)
{
	struct operator_row *now;
	bool mine;

	pthread_mutex_lock(&o->lock);
	now = row_by_id(o, row->id);
	mine = now && now->gen == row->gen && (!row->totp || now->totp_step < step);
	if (mine && row->totp)
		now->totp_step = step;
	pthread_mutex_unlock(&o->lock);
	return mine;
}

/* Puts the sign-in on record: its event, and the used code for other gateways and the next start. A store that fails
 * must not keep operators out of the console: then there is the log. */
static void record(struct gh_core *c, const struct operator_row *row, int64_t step, const char *peer)
{
	struct gh_arena *a = gh_arena_new(1u << 20);
	struct operator_row now;
	enum gh_status st = a ? GH_OK : GH_NOMEM;

	pthread_mutex_lock(&c->change_lock);
	if (st == GH_OK)
		st = operators_find(c, row->key, &now);
	if (st == GH_OK) {
		now.seen_us = gh_real_us();
		if (now.totp && now.totp_step < step)
			now.totp_step = step;
		const struct meta_setting s = {
			.kind = OPERATOR_KIND, .id = now.id, .rev = now.rev, .doc = operator_doc_write(a, &now)
		};
		struct meta_step put = { .kind = META_SETTING_PUT, .setting = &s };
		const struct house_change h = { .actor = now.name,
						.what = "operator.sign-in",
						.detail = peer,
						.rights_epoch = UINT64_MAX,
						.steps = &put,
						.count = 1 };

		st = s.doc ? house_change(c, a, NULL, &h) : GH_NOMEM;
		explicit_bzero(&now, sizeof(now));
		if (st == GH_OK || st == GH_STALE)
			st = operators_load(c);
	}
	pthread_mutex_unlock(&c->change_lock);
	if (st != GH_OK)
		gh_log(GH_LOG_ERROR, "operator.sign_in_unrecorded", "operator=%ju status=%s", (uintmax_t)row->id,
		       gh_status_name(st));
	gh_arena_free(&a);
}

/* A name that nobody can have is looked for like any other. */
static const char *key_of(struct gh_arena *a, const char *name)
{
	struct gh_component n;

	return people_name_check(a, name, strlen(name), &n) == GH_OK ? n.key : "";
}

static enum gh_status sign_in(struct gh_core *c, const struct operator_ask *ask, const char *key,
			      struct operator_row *row, struct operator_who *ret)
{
	struct operators *o = c->operators;
	const bool there = operators_find(c, key, row) == GH_OK;
	int64_t step = 0;
	bool wrong;
	enum gh_status st = verify(there ? row : NULL, ask, &step, &wrong);
	char name[2 * OPERATOR_ACTOR_MAX];

	if (st == GH_OK && !use_code(o, row, step))
		st = row->totp ? GH_PRECONDITION : GH_UNAUTH;
	if (wrong)
		defender_tell(o, key, ask->prefix, false);
	if (st != GH_OK) {
		gh_log(GH_LOG_WARN, "operator.refused", "name=%s peer=%s why=%s",
		       gh_log_quote(name, sizeof(name), ask->name), ask->peer,
		       st == GH_PRECONDITION ? "code" : gh_status_name(st));
		return st;
	}
	defender_tell(o, key, ask->prefix, true);
	record(c, row, step, ask->peer);
	who_of(row, ret);
	return GH_OK;
}

enum sign_in_end { SIGN_IN_DONE, SIGN_IN_WRONG, SIGN_IN_CODE, SIGN_IN_THROTTLED, SIGN_IN_FAILED };

static enum sign_in_end end_of(enum gh_status st)
{
	return st == GH_OK             ? SIGN_IN_DONE
	       : st == GH_UNAUTH       ? SIGN_IN_WRONG
	       : st == GH_PRECONDITION ? SIGN_IN_CODE
	       : st == GH_THROTTLED    ? SIGN_IN_THROTTLED
				       : SIGN_IN_FAILED;
}

enum gh_status operator_sign_in(struct gh_core *c, const struct operator_ask *ask, struct operator_who *ret,
				unsigned *ret_retry_s)
{
	struct gh_arena *a = gh_arena_new(1u << 16);
	struct operator_row row = { 0 };
	const char *key;
	enum gh_status st;

	if (!a)
		return GH_NOMEM;
	key = key_of(a, ask->name);
	*ret_retry_s = defender_wait(c->operators, key, ask->prefix);
	st = *ret_retry_s ? GH_THROTTLED : sign_in(c, ask, key, &row, ret);
	gh_metric_add(GH_M_SIGN_INS, end_of(st), 1);
	explicit_bzero(&row, sizeof(row));
	gh_arena_free(&a);
	return st;
}

/* ---- first start ---- */

static enum gh_status first_commit(struct gh_core *c, struct gh_arena *a, const char *password)
{
	struct operator_row row = { .id = gh_id_new(),
				    .name = FIRST_OPERATOR,
				    .key = FIRST_OPERATOR,
				    .role = CONTROL_OWNER,
				    .made_us = gh_real_us() };
	enum gh_status st = pw_hash(password, row.hash);
	const struct meta_setting s = { .kind = OPERATOR_KIND,
					.id = row.id,
					.doc = st == GH_OK ? operator_doc_write(a, &row) : NULL };
	struct meta_step put = { .kind = META_SETTING_PUT, .setting = &s };

	if (st == GH_OK && !s.doc)
		st = GH_NOMEM;
	if (st == GH_OK)
		st = house_commit(c, a, NULL, "first start", "operator.add", "operator:" FIRST_OPERATOR, &put, 1);
	return st == GH_OK ? operators_load(c) : st;
}

enum gh_status gh_core_bootstrap_operator(struct gh_core *c, const char *password, char *ret_password)
{
	struct gh_arena *a;
	enum gh_status st;

	ret_password[0] = '\0';
	if (c->operators->table.count)
		return GH_OK;
	a = gh_arena_new(1u << 20);
	if (!a)
		return GH_NOMEM;
	if (password && *password)
		snprintf(ret_password, PW_GENERATED_MAX, "%s", password);
	else
		pw_generate(ret_password);
	st = first_commit(c, a, password && *password ? password : ret_password);
	gh_arena_free(&a);
	return st;
}
