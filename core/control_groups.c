/* Groups and who is in them. See control.h. */
#include <string.h>

#include "core/base/id.h"
#include "core/control_work.h"

#define MEMBERS_MAX 900 /* of one call: a batch holds 1,000 steps */

struct group_change {
	struct tenant *t;
	const char *name;
	const json_t *members;
	struct meta_group group; /* group.add makes it */
	enum { ADD, REMOVE, JOIN, LEAVE } what;
};

static const char *group_text(struct control_call *c, const char *name)
{
	const char *text = gh_printf(c->arena, "group:%s", name);

	return text ? text : "group:?";
}

/* One step per member; *ret_detail: their names. */
static enum gh_status member_steps(struct control_call *c, const struct group_change *k, const struct meta_group *g,
				   struct meta_step *steps, const char **ret_detail)
{
	const char *detail = "";

	for (size_t i = 0; i < json_array_size(k->members); i++) {
		struct meta_user *u;
		enum gh_status st = control_user(c, k->t, json_string_value(json_array_get(k->members, i)), &u);

		if (st != GH_OK)
			return st;
		steps[i] = (struct meta_step){
			.kind = k->what == LEAVE ? META_MEMBER_REMOVE : META_MEMBER_ADD,
			.group = g,
			.user = u,
		};
		/* the log wants to be read, not to hold a register */
		if (i < 16)
			detail = gh_printf(c->arena, "%s%s%s", detail, i ? " " : "", u->name);
		if (!detail)
			return GH_NOMEM;
	}
	*ret_detail = detail;
	return GH_OK;
}

static enum gh_status change_once(struct control_call *c, void *arg)
{
	struct group_change *k = arg;
	size_t members = json_array_size(k->members), count = 0;
	struct meta_step *steps = gh_alloc_array(c->arena, members + 2, sizeof(*steps));
	struct meta_group *g = NULL;
	const char *detail = "";
	uint64_t epoch;
	enum gh_status st = steps ? control_epoch(c, k->t, &epoch) : GH_NOMEM;

	if (st == GH_OK)
		st = control_group(c, k->t, k->name, &g);
	if (k->what == ADD && st == GH_OK)
		return control_fail(c, GH_EXISTS, "group %s exists already in tenant %s", g->name, k->t->name);
	if (k->what == ADD && st == GH_NOTFOUND) {
		c->message[0] = '\0';
		g = &k->group;
		st = GH_OK;
	}
	if (st != GH_OK)
		return st;
	if (k->what == ADD)
		steps[count++] = (struct meta_step){ .kind = META_GROUP_PUT, .group = g };
	if (k->what == REMOVE)
		steps[count++] = (struct meta_step){ .kind = META_GROUP_DELETE, .group = g };
	st = member_steps(c, k, g, steps + count, &detail);
	if (st != GH_OK)
		return st;
	count += members;
	steps[count++] = (struct meta_step){ .kind = META_RIGHTS_EPOCH };
	return control_commit(c, k->t, group_text(c, g->name), detail, epoch, steps, (unsigned)count);
}

static enum gh_status change(struct control_call *c, struct group_change *k, bool members_allowed, bool members_needed)
{
	const char *tenant;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "group", CONTROL_TEXT, true, &k->name, NULL },
		{ "members", CONTROL_TEXTS, members_needed, &k->members, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args) - !members_allowed);

	if (st == GH_OK && json_array_size(k->members) > MEMBERS_MAX)
		st = control_fail(c, GH_LIMIT, "at most %d members in one call", MEMBERS_MAX);
	if (st == GH_OK)
		st = control_tenant(c, tenant, &k->t);
	return st;
}

enum gh_status control_group_add(struct control_call *c)
{
	struct group_change k = { .what = ADD };
	struct gh_component n;
	enum gh_status st = change(c, &k, true, false);

	if (st == GH_OK)
		st = control_name(c, "group", k.name, &n);
	if (st != GH_OK)
		return st;
	k.group = (struct meta_group){ .id = gh_id_new(), .name = n.name };
	st = control_retry(c, change_once, &k);
	if (st != GH_OK)
		return st;
	return control_result(
		c, json_pack("{s:s, s:s, s:o}", "tenant", k.t->name, "group", n.name, "id", control_id(k.group.id)));
}

enum gh_status control_group_remove(struct control_call *c)
{
	struct group_change k = { .what = REMOVE };
	enum gh_status st = change(c, &k, false, false);

	return st == GH_OK ? control_retry(c, change_once, &k) : st;
}

enum gh_status control_group_join(struct control_call *c)
{
	struct group_change k = { .what = JOIN };
	enum gh_status st = change(c, &k, true, true);

	return st == GH_OK ? control_retry(c, change_once, &k) : st;
}

enum gh_status control_group_leave(struct control_call *c)
{
	struct group_change k = { .what = LEAVE };
	enum gh_status st = change(c, &k, true, true);

	return st == GH_OK ? control_retry(c, change_once, &k) : st;
}

enum gh_status control_group_list(struct control_call *c)
{
	const char *tenant;
	const struct control_arg args[] = { { "tenant", CONTROL_TEXT, true, &tenant, NULL } };
	struct meta_call call = control_meta(c);
	struct control_names users;
	struct meta_group *groups;
	struct tenant *t;
	unsigned count;
	json_t *items;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &t);
	if (st == GH_OK)
		st = control_users_named(c, t, &users);
	if (st == GH_OK)
		st = meta_groups(c->core->meta, &call, t->id, &groups, &count);
	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	for (unsigned i = 0; st == GH_OK && i < count; i++) {
		json_t *members = json_array();

		for (unsigned k = 0; k < groups[i].member_count; k++)
			json_array_append_new(members, json_string(control_named(&users, groups[i].members[k])));
		st = control_item(items, json_pack("{s:s, s:o, s:o}", "group", groups[i].name, "id",
						   control_id(groups[i].id), "members", members));
	}
	return st;
}
