/* Rules of the switchboard as the control operations make, keep and show them. See control_switch.h. */
#include "core/control_switch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/people/loginname.h"

#define FOR_MAX_S (10ll * 366 * 86400)

/* ---- scope ---- */

static enum gh_status protocols_take(struct control_call *c, const json_t *list, struct switch_rule *r)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));
		enum switch_proto p;

		if (!switch_proto_parse(word, &p))
			return control_fail(c, GH_INVALID, "\"%.32s\": %s", word, switch_proto_wrong(word));
		r->protocols |= 1u << p;
	}
	return GH_OK;
}

static enum gh_status classes_take(struct control_call *c, const json_t *list, struct switch_rule *r)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));
		const int class = switch_class_of(word);

		if (class < 0)
			return control_fail(c, GH_INVALID,
					    "\"%.32s\" is no class of operations: login, lookup, list, read, write, change, "
					    "bulk, watch",
					    word);
		r->classes |= 1u << class;
	}
	return GH_OK;
}

static enum gh_status people_take(struct control_call *c, const struct control_rule *from, struct switch_kept *k)
{
	struct tenant *t;
	struct meta_user *u;
	enum gh_status st;

	if (from->user && !from->tenant)
		return control_fail(c, GH_INVALID, "a user is named without its tenant");
	if (!from->tenant)
		return GH_OK;
	st = control_tenant(c, from->tenant, &t);
	if (st == GH_OK && from->user)
		st = control_user(c, t, from->user, &u);
	if (st != GH_OK)
		return st;
	k->rule.tenant = t->id;
	k->tenant_name = t->name;
	if (from->user) {
		k->rule.user = u->id;
		k->user_name = u->name;
	}
	return GH_OK;
}

enum gh_status control_rule_scope(struct control_call *c, const struct control_rule *from, struct switch_kept *k)
{
	struct switch_rule *r = &k->rule;
	enum gh_status st;

	*k = (struct switch_kept){ .tenant_name = "", .user_name = "", .made_us = gh_real_us() };
	r->id = UINT64_MAX; /* later than any there is, until it has one */
	r->percent = 100;
	r->expires_ms = SWITCH_NEVER;
	r->host = from->host;
	r->pod = from->pod;
	r->dc = from->dc;
	r->everywhere = from->everywhere;
	r->message = from->message;
	r->why = from->why;
	r->who = c->actor;
	st = protocols_take(c, from->protocols, r);
	if (st == GH_OK)
		st = classes_take(c, from->classes, r);
	if (st == GH_OK)
		st = people_take(c, from, k);
	return st;
}

/* ---- the end ---- */

/* RFC 3339 in UTC, whole seconds. */
static bool until_parse(const char *text, int64_t *ret_us)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t s;

	if (!rest || strcmp(rest, "Z"))
		return false;
	s = timegm(&tm);
	*ret_us = (int64_t)s * GH_S_US;
	return true;
}

static enum gh_status end_take(struct control_call *c, const struct control_rule *from, struct switch_kept *k)
{
	if (from->has_for && from->until)
		return control_fail(c, GH_INVALID, "\"for_s\" and \"until\" name two ends");
	if (from->has_for && from->for_s > FOR_MAX_S)
		return control_fail(c, GH_INVALID, "it is to last too long; without an end it lasts for good");
	if (from->has_for && from->for_s <= 0)
		return control_fail(c, GH_INVALID, "the expiry lies in the past");
	if (from->has_for)
		k->until_us = k->made_us + from->for_s * GH_S_US;
	else if (from->until && !until_parse(from->until, &k->until_us))
		return control_fail(c, GH_INVALID, "\"%.40s\" is no time; write 2026-01-31T12:00:00Z", from->until);
	if (k->until_us)
		k->rule.expires_ms = switch_now_ms() + (k->until_us - k->made_us) / 1000;
	return GH_OK;
}

enum gh_status control_rule_check(struct control_call *c, const struct control_rule *from, struct switch_kept *k)
{
	enum gh_status st = end_take(c, from, k);
	const char *wrong;

	if (st != GH_OK)
		return st;
	wrong = switch_rule_wrong(&k->rule, switch_now_ms());
	return wrong ? control_fail(c, GH_INVALID, "%s", wrong) : GH_OK;
}

/* ---- changes ---- */

struct commit {
	struct switch_kept *k;
	const char *detail;
};

static enum gh_status commit_once(struct control_call *c, void *arg)
{
	struct commit *m = arg;
	struct switch_rules *all = switch_rules_ref(c->core->switches);
	struct meta_setting fresh = { .kind = SWITCH_KIND, .id = gh_id_new(), .tenant = m->k->rule.tenant,
				      .user = m->k->rule.user, .doc = switch_doc_write(c->arena, m->k) };
	struct meta_setting old[8];
	struct meta_step steps[9] = { { .kind = META_SETTING_PUT, .setting = &fresh } };
	unsigned n = 1;
	enum gh_status st;

	/* Normally one; two that were set at the same moment may both have got in. */
	for (unsigned i = 0; i < all->count && n < 9; i++) {
		const struct switch_kept *k = &all->of[i];

		if (!switch_rule_same_scope(&k->rule, &m->k->rule))
			continue;
		old[n - 1] = (struct meta_setting){ .kind = SWITCH_KIND, .id = k->rule.id, .rev = k->rev };
		steps[n] = (struct meta_step){ .kind = META_SETTING_DELETE, .setting = &old[n - 1] };
		n++;
	}
	if (all->count >= SWITCH_RULES_MAX && n == 1)
		st = control_fail(c, GH_LIMIT, "there are %d rules already", SWITCH_RULES_MAX);
	else if (!fresh.doc)
		st = GH_NOMEM;
	else
		st = control_commit(c, NULL, switch_doc_scope(c->arena, m->k), m->detail, UINT64_MAX, steps, n);
	switch_rules_unref(&all);
	if (st == GH_OK)
		m->k->rule.id = fresh.id;
	else if (st == GH_STALE && switches_load(c->core) != GH_OK) /* what is in memory is not what is stored */
		st = GH_CONFLICT;
	return st;
}

/* The board first, so that every new operation meets it; then what is open. */
static enum gh_status apply(struct control_call *c)
{
	enum gh_status st = switches_load(c->core);

	if (st != GH_OK)
		return control_fail(c, st, "it is stored, but this gateway could not read it back: %s",
				    gh_status_text(st));
	(void)switches_tell(c->core); /* a loop that is late hears of it all the same: the board is what counts */
	return GH_OK;
}

enum gh_status control_rule_commit(struct control_call *c, struct switch_kept *k, const char *detail)
{
	struct commit m = { k, detail };
	enum gh_status st = control_retry(c, commit_once, &m);

	return st == GH_OK ? apply(c) : st;
}

struct removal {
	control_rule_match *match;
	const void *arg;
	const char *what;
};

static enum gh_status remove_once(struct control_call *c, void *arg)
{
	struct removal *m = arg;
	struct switch_rules *all = switch_rules_ref(c->core->switches);
	const struct switch_kept *k = NULL;
	enum gh_status st;

	for (unsigned i = 0; i < all->count && !k; i++)
		if (all->of[i].rule.expires_ms > switch_now_ms() && m->match(&all->of[i], m->arg))
			k = &all->of[i];
	if (k) {
		const struct meta_setting row = { .kind = SWITCH_KIND, .id = k->rule.id, .rev = k->rev };
		struct meta_step step = { .kind = META_SETTING_DELETE, .setting = &row };

		st = control_commit(c, NULL, switch_doc_scope(c->arena, k), switch_mode_name(k->rule.mode), UINT64_MAX,
				    &step, 1);
	} else {
		st = control_fail(c, GH_NOTFOUND, "there is no such %s; it may have ended by itself", m->what);
	}
	switch_rules_unref(&all);
	if (st == GH_STALE && switches_load(c->core) != GH_OK)
		st = GH_CONFLICT;
	return st;
}

enum gh_status control_rule_remove(struct control_call *c, control_rule_match *match, const void *arg, const char *what)
{
	struct removal m = { match, arg, what };
	enum gh_status st = control_retry(c, remove_once, &m);

	return st == GH_OK ? apply(c) : st;
}

/* ---- showing ---- */

static json_t *protocols_json(const struct switch_rule *r)
{
	json_t *list = json_array();

	for (unsigned p = 0; p < SWITCH_PROTO_COUNT; p++)
		if (r->protocols & 1u << p)
			json_array_append_new(list, json_string(switch_proto_name((enum switch_proto)p)));
	return list;
}

static json_t *classes_json(const struct switch_rule *r)
{
	json_t *list = json_array();

	for (unsigned k = 0; k < VFS_CLASS_COUNT; k++)
		if (r->classes & 1u << k)
			json_array_append_new(list, json_string(vfs_class_name((enum vfs_class)k)));
	return list;
}

static const char *or_nothing(const char *text)
{
	return text ? text : "";
}

json_t *control_rule_json(struct control_call *c, const struct switch_kept *k)
{
	const struct switch_rule *r = &k->rule;
	const int64_t left_ms = r->expires_ms - switch_now_ms();

	return json_pack("{s:o, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:s, s:s, s:o}", "id",
			 control_id(r->id), "scope", switch_doc_scope(c->arena, k), "protocols", protocols_json(r),
			 "classes", classes_json(r), "tenant", k->tenant_name, "user", k->user_name, "host",
			 or_nothing(r->host), "pod", or_nothing(r->pod), "dc", or_nothing(r->dc), "everywhere",
			 r->everywhere, "message", or_nothing(r->message), "expires", control_time(k->until_us), "left_s",
			 r->expires_ms == SWITCH_NEVER ? json_null() : json_integer(left_ms > 0 ? left_ms / 1000 : 0),
			 "who", or_nothing(r->who), "why", or_nothing(r->why), "made", control_time(k->made_us));
}
