/* Kill switches: set (or only ask what it would hit), list, clear. See control.h. */
#include "core/control_switch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/sessions.h"

#define COUNT_MS 2000u
#define GO_MS 1000u /* how long a command waits for what it has told to go */
#define LOOK_MS 20u

/* ---- what a rule hits ---- */

struct hit {
	const struct switchboard *board; /* with the rule */
	uint64_t rule;
	enum switch_mode mode;
	json_int_t sessions, uploads, downloads;
	struct gh_arena *arena;
};

/* Does the rule decide for this session, in that class? */
static bool decides(const struct hit *h, const struct vfs_live *l, enum switch_proto proto, unsigned class)
{
	const struct switch_ask ask = { proto, class, l->who ? l->who->tenant->id : 0, l->who ? l->who->user : 0 };
	struct switch_answer a;

	switchboard_ask(h->board, &ask, switch_now_ms(), &a);
	return a.rule == h->rule && a.mode != SWITCH_ON;
}

static void count_hit(struct vfs_live *l, void *arg)
{
	struct hit *h = arg;
	struct vfs_live_look look = { .arena = h->arena };
	enum switch_proto proto;
	bool any = false;

	if (l->leaving || !switch_proto_of(l->proto, l->secure, &proto))
		return;
	for (unsigned class = 0; class < VFS_CLASS_COUNT; class++)
		any |= decides(h, l, proto, class);
	if (!any)
		return;
	h->sessions++;
	l->ops->look(l, &look);
	gh_arena_reset(h->arena);
	if (look.up && decides(h, l, proto, VFS_C_WRITE))
		h->uploads++;
	if (look.down && h->mode != SWITCH_READONLY &&
	    (decides(h, l, proto, VFS_C_READ) || decides(h, l, proto, VFS_C_LIST)))
		h->downloads++;
}

static enum gh_status hit_count(struct control_call *c, const struct switch_kept *k, json_t **ret)
{
	struct switchboard *b = switches_try(c->core->switches, k);
	struct hit h = { b, k->rule.id, k->rule.mode, 0, 0, 0, gh_arena_new(1u << 16) };
	bool all = b && h.arena && sessions_each(c->core, count_hit, &h, COUNT_MS);

	switchboard_free(&b);
	gh_arena_free(&h.arena);
	if (!all)
		return control_fail(c, GH_BUSY, "the sessions could not be counted in time; try again");
	*ret = json_pack("{s:I, s:I, s:I}", "sessions", h.sessions, "uploads", h.uploads, "downloads", h.downloads);
	return *ret ? GH_OK : GH_NOMEM;
}

/* ---- what is left of it ---- */

struct left {
	struct gh_core *core;
	uint64_t rule;
	json_int_t sessions;
	struct gh_arena *arena;
};

static void count_left(struct vfs_live *l, void *arg)
{
	struct left *f = arg;
	struct vfs_live_look look = { .arena = f->arena };
	struct vfs_verdict v;

	if (l->leaving)
		return;
	l->ops->look(l, &look);
	gh_arena_reset(f->arena);
	v = vfs_live_stand(f->core, l, look.up ? VFS_C_WRITE : look.down ? VFS_C_READ : VFS_C_LOOKUP);
	if (v.status == GH_OK || v.rule != f->rule)
		return;
	/* Between two requests there is nothing to end; and a rule about some operations ends only those. */
	if (look.up || look.down || (!l->stateless && (v.status == GH_OFF || v.status == GH_DRAINING)) ||
	    (l->stateless && strcmp(look.doing, "idle") != 0))
		f->sessions++;
}

/* Until nothing is left or the wait is over; the number left. */
static json_int_t wait_gone(struct control_call *c, uint64_t rule, uint64_t start_ns)
{
	const struct timespec nap = { 0, LOOK_MS * 1000000l };
	struct left f = { .core = c->core, .rule = rule, .arena = gh_arena_new(1u << 16) };

	for (;;) {
		f.sessions = 0;
		if (!f.arena || !sessions_each(c->core, count_left, &f, COUNT_MS) || !f.sessions ||
		    gh_mono_ns() - start_ns > GO_MS * GH_MS_NS)
			break;
		nanosleep(&nap, NULL);
	}
	gh_arena_free(&f.arena);
	return f.sessions;
}

/* ---- the operations ---- */

static enum gh_status mode_take(struct control_call *c, const char *mode, struct switch_kept *k)
{
	if (!switch_mode_parse(mode, &k->rule.mode))
		return control_fail(c, GH_INVALID, "the mode \"%.32s\" is unknown: off, read-only, drain, on", mode);
	return GH_OK;
}

static const char *detail_of(struct control_call *c, const struct switch_kept *k)
{
	const char *until = json_string_value(json_object_get(c->result, "until")), *text;

	text = gh_printf(c->arena, "%s%s%s%s%s", switch_mode_name(k->rule.mode), until ? " until " : "", until ? until : "",
			 k->rule.why && *k->rule.why ? ": " : "", k->rule.why ? k->rule.why : "");
	return text ? text : "";
}

static enum gh_status set_now(struct control_call *c, struct switch_kept *k)
{
	const uint64_t start_ns = gh_mono_ns();
	json_int_t left = 0;
	enum gh_status st = control_rule_commit(c, k, detail_of(c, k));

	if (st != GH_OK)
		return st;
	if (k->rule.mode != SWITCH_ON)
		left = wait_gone(c, k->rule.id, start_ns);
	json_object_set_new(c->result, "id", control_id(k->rule.id));
	json_object_set_new(c->result, "live_after", json_integer(left));
	json_object_set_new(c->result, "took_ms", json_integer((json_int_t)((gh_mono_ns() - start_ns) / GH_MS_NS)));
	return GH_OK;
}

enum gh_status control_switch_set(struct control_call *c)
{
	struct control_rule from = { 0 };
	struct switch_kept k;
	const char *mode;
	bool dry_run = false;
	json_t *hit = NULL;
	const struct control_arg args[] = {
		CONTROL_SCOPE_ARGS(from),
		CONTROL_END_ARGS(from),
		{ "mode", CONTROL_TEXT, true, &mode, NULL },
		{ "message", CONTROL_TEXT, false, &from.message, NULL },
		{ "why", CONTROL_TEXT, false, &from.why, NULL },
		{ "dry_run", CONTROL_BOOL, false, &dry_run, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_rule_scope(c, &from, &k);
	if (st == GH_OK)
		st = mode_take(c, mode, &k);
	if (st == GH_OK)
		st = control_rule_check(c, &from, &k);
	if (st == GH_OK)
		st = hit_count(c, &k, &hit);
	if (st != GH_OK)
		return st;
	st = control_result(c, json_pack("{s:s, s:s, s:o, s:o}", "scope", switch_doc_scope(c->arena, &k), "mode",
					 switch_mode_name(k.rule.mode), "until", control_time(k.until_us), "hit", hit));
	if (st != GH_OK || dry_run)
		return st;
	return set_now(c, &k);
}

enum gh_status control_switch_list(struct control_call *c)
{
	struct switch_rules *all;
	json_t *items;
	enum gh_status st = control_args(c, NULL, 0);

	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	all = switch_rules_ref(c->core->switches);
	for (unsigned i = 0; st == GH_OK && i < all->count; i++) {
		const struct switch_kept *k = &all->of[i];
		json_t *o;

		if (k->rule.flag || k->rule.expires_ms <= switch_now_ms())
			continue;
		o = control_rule_json(c, k);
		if (o)
			json_object_set_new(o, "mode", json_string(switch_mode_name(k->rule.mode)));
		st = control_item(items, o);
	}
	switch_rules_unref(&all);
	return st;
}

static bool has_id(const struct switch_kept *k, const void *arg)
{
	return !k->rule.flag && k->rule.id == *(const uint64_t *)arg;
}

static bool has_scope(const struct switch_kept *k, const void *arg)
{
	return switch_rule_same_scope(&k->rule, &((const struct switch_kept *)arg)->rule);
}

/* By its id, or by exactly its scope. */
enum gh_status control_switch_clear(struct control_call *c)
{
	struct control_rule from = { 0 };
	struct switch_kept k;
	uint64_t id = 0;
	bool by_id;
	const struct control_arg args[] = {
		{ "id", CONTROL_ID, false, &id, &by_id },
		CONTROL_SCOPE_ARGS(from),
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (by_id && json_object_size(c->args) > 1)
		return control_fail(c, GH_INVALID, "a rule is named by its id or by its scope, not by both");
	if (by_id)
		return control_rule_remove(c, has_id, &id, "rule");
	st = control_rule_scope(c, &from, &k);
	if (st == GH_OK)
		st = control_rule_check(c, &from, &k);
	return st == GH_OK ? control_rule_remove(c, has_scope, &k, "rule with exactly this scope") : st;
}
