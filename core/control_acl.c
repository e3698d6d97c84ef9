/* Entries: grant, deny, revoke, inheritance, listing and explaining. See control.h; policy/acl_trie.h has the rule.
 *
 * One node holds at most one allow and one deny per person, group or everyone. Since a deny beats an allow of the same
 * node, granting a right also takes it out of the deny beside it, and denying takes it out of the allow: what was asked
 * for last holds.
 */
#include <stdlib.h>
#include <string.h>

#include "core/control_work.h"

struct who {
	char kind;
	uint64_t id;
};

static enum gh_status who_parse(struct control_call *c, struct tenant *t, const char *text, struct who *ret)
{
	struct meta_group *g;
	struct meta_user *u;
	enum gh_status st;

	if (!strcmp(text, "everyone")) {
		*ret = (struct who){ 'e', 0 };
		return GH_OK;
	}
	if (!strncmp(text, "user:", 5)) {
		st = control_user(c, t, text + 5, &u);
		if (st == GH_OK)
			*ret = (struct who){ 'u', u->id };
		return st;
	}
	if (!strncmp(text, "group:", 6)) {
		st = control_group(c, t, text + 6, &g);
		if (st == GH_OK)
			*ret = (struct who){ 'g', g->id };
		return st;
	}
	return control_fail(c, GH_INVALID, "argument \"who\": user:NAME, group:NAME or everyone");
}

/* ---- changing ---- */

struct acl_change {
	struct tenant *t;
	const char *path, *who, *rights;
	enum { GRANT, DENY, REVOKE, INHERIT } what;
	unsigned bits;
	bool inherit;
};

/* Rights added to somebody's allow or deny, and taken out of the other. Entries that are empty then go. */
static enum gh_status entries_change(struct control_call *c, const struct acl_change *k, struct who who,
				     const struct meta_acl_node *old, struct meta_acl_node *ret)
{
	struct meta_ace *aces = gh_alloc_array(c->arena, old->ace_count + 1u, sizeof(*aces));
	bool deny = k->what == DENY, merged = k->what == REVOKE;
	unsigned count = 0;

	if (!aces)
		return GH_NOMEM;
	for (unsigned i = 0; i < old->ace_count; i++) {
		struct meta_ace e = old->aces[i];

		if (e.who == who.kind && e.who_id == who.id) {
			if (k->what == REVOKE)
				e.rights = 0;
			else if (e.deny == deny)
				e.rights |= k->bits;
			else
				e.rights &= ~k->bits;
			merged = merged || e.deny == deny;
		}
		if (e.rights)
			aces[count++] = e;
	}
	if (!merged)
		aces[count++] = (struct meta_ace){ .who = who.kind, .who_id = who.id, .deny = deny, .rights = k->bits };
	if (count > ACL_ENTRIES_MAX)
		return control_fail(c, GH_LIMIT, "a file or folder has at most %d entries; use a group",
				    ACL_ENTRIES_MAX);
	ret->aces = aces;
	ret->ace_count = count;
	return GH_OK;
}

static const struct meta_acl_node *node_entries(const struct meta_rights *r, uint64_t node)
{
	static const struct meta_acl_node none;

	for (unsigned i = 0; i < r->acl_count; i++) {
		if (r->acl[i].id == node)
			return &r->acl[i];
	}
	return &none;
}

static bool same_entries(const struct meta_acl_node *a, const struct meta_acl_node *b)
{
	if (a->ace_count != b->ace_count || a->inherit_off != b->inherit_off)
		return false;
	for (unsigned i = 0; i < a->ace_count; i++) {
		const struct meta_ace *x = &a->aces[i], *y = &b->aces[i];

		if (x->who != y->who || x->who_id != y->who_id || x->deny != y->deny || x->rights != y->rights)
			return false;
	}
	return true;
}

static enum gh_status change_once(struct control_call *c, void *arg)
{
	const struct acl_change *k = arg;
	struct meta_call call = control_meta(c);
	const struct meta_acl_node *old;
	struct meta_rights *rights;
	struct house_place place;
	struct who who = { 0 };
	enum gh_status st = meta_rights_load(c->core->meta, &call, k->t->id, &rights);

	if (st == GH_OK)
		st = house_place(c->core, c->arena, k->t, k->path, &place);
	if (st == GH_NOTFOUND)
		return control_fail(c, st, "there is no %.150s in tenant %s", k->path, k->t->name);
	if (st == GH_BADNAME || st == GH_TOOLONG)
		return control_fail(c, st, "argument \"path\": %s", gh_status_text(st));
	if (st == GH_OK && k->who)
		st = who_parse(c, k->t, k->who, &who);
	if (st != GH_OK)
		return st;
	old = node_entries(rights, place.nodes[place.path->depth].id);
	struct meta_acl_node fresh = {
		.id = place.nodes[place.path->depth].id,
		.parent = place.nodes[place.path->depth].parent,
		.inherit_off = k->what == INHERIT ? !k->inherit : old->inherit_off,
		.aces = old->aces,
		.ace_count = old->ace_count,
	};

	if (k->what != INHERIT)
		st = entries_change(c, k, who, old, &fresh);
	if (st != GH_OK)
		return st;
	if (k->what == REVOKE && same_entries(old, &fresh))
		return control_fail(c, GH_NOTFOUND, "%.64s has no entry at %.100s", k->who, place.path->text);
	struct meta_step steps[] = { { .kind = META_ACL_SET, .acl = &fresh }, { .kind = META_RIGHTS_EPOCH } };
	const char *detail = k->what == INHERIT ? (k->inherit ? "on" : "off")
						: gh_printf(c->arena, "%s %s", k->who, k->rights ? k->rights : "");

	return control_commit(c, k->t, place.path->text, detail, rights->rights_epoch, steps, 2);
}

static enum gh_status change(struct control_call *c, struct acl_change *k)
{
	const char *tenant;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "path", CONTROL_TEXT, true, &k->path, NULL },
		{ "who", CONTROL_TEXT, true, &k->who, NULL },
		{ "rights", CONTROL_TEXT, true, &k->rights, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args) - (k->what == REVOKE));

	if (st == GH_OK && k->rights) {
		k->bits = acl_rights_parse(k->rights);
		if (!k->bits)
			st = control_fail(
				c, GH_INVALID,
				"argument \"rights\": of list read create write delete share manage, or full");
	}
	if (st == GH_OK)
		st = control_tenant(c, tenant, &k->t);
	return st == GH_OK ? control_retry(c, change_once, k) : st;
}

enum gh_status control_acl_grant(struct control_call *c)
{
	struct acl_change k = { .what = GRANT };

	return change(c, &k);
}

enum gh_status control_acl_deny(struct control_call *c)
{
	struct acl_change k = { .what = DENY };

	return change(c, &k);
}

enum gh_status control_acl_revoke(struct control_call *c)
{
	struct acl_change k = { .what = REVOKE };

	return change(c, &k);
}

enum gh_status control_acl_inherit(struct control_call *c)
{
	struct acl_change k = { .what = INHERIT };
	const char *tenant;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "path", CONTROL_TEXT, true, &k.path, NULL },
		{ "on", CONTROL_BOOL, true, &k.inherit, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &k.t);
	return st == GH_OK ? control_retry(c, change_once, &k) : st;
}

/* ---- listing ---- */

struct acl_list {
	struct tenant *t;
	unsigned count;
	const struct meta_acl_node **nodes; /* with entries or above such, by id */
	struct control_names users, groups;
	json_t *items;
};

static const char *who_text(struct control_call *c, const struct acl_list *l, char kind, uint64_t id)
{
	const char *text = "everyone";

	if (kind == 'u')
		text = gh_printf(c->arena, "user:%s", control_named(&l->users, id));
	else if (kind == 'g')
		text = gh_printf(c->arena, "group:%s", control_named(&l->groups, id));
	return text ? text : "?";
}

static int by_id(const void *a, const void *b)
{
	const struct meta_acl_node *x = *(const struct meta_acl_node *const *)a;
	const struct meta_acl_node *y = *(const struct meta_acl_node *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static enum gh_status nodes_load(struct control_call *c, struct acl_list *l)
{
	struct meta_call call = control_meta(c);
	struct meta_rights *rights;
	enum gh_status st = meta_rights_load(c->core->meta, &call, l->t->id, &rights);

	if (st != GH_OK)
		return st;
	l->count = rights->acl_count;
	l->nodes = gh_alloc_array(c->arena, l->count + 1u, sizeof(*l->nodes));
	if (!l->nodes)
		return GH_NOMEM;
	for (unsigned i = 0; i < l->count; i++)
		l->nodes[i] = &rights->acl[i];
	qsort(l->nodes, l->count, sizeof(*l->nodes), by_id);
	return GH_OK;
}

static const struct meta_acl_node *node_find(const struct acl_list *l, uint64_t id)
{
	const struct meta_acl_node wanted = { .id = id }, *key = &wanted;
	const struct meta_acl_node **found = bsearch(&key, l->nodes, l->count, sizeof(key), by_id);

	return found ? *found : NULL;
}

/* The path of a node with entries, by the rows alone; NULL: it does not hang at the root (it is in the trash). */
static const char *path_of(struct control_call *c, const struct acl_list *l, const struct meta_acl_node *n)
{
	const char *path = "";

	for (; n && n->id != l->t->root; n = node_find(l, n->parent)) {
		path = gh_printf(c->arena, "/%s%s", n->name, path);
		if (!path)
			return NULL;
	}
	if (!n)
		return NULL;
	return *path ? path : "/";
}

static enum gh_status list_node(struct control_call *c, const struct acl_list *l, const struct meta_acl_node *n,
				const char *path)
{
	char rights[64];
	enum gh_status st = GH_OK;

	if (n->inherit_off)
		st = control_item(l->items, json_pack("{s:s, s:s, s:s, s:s}", "path", path, "effect", "inherit-off",
						      "who", "everyone", "rights", "full"));
	for (unsigned i = 0; st == GH_OK && i < n->ace_count; i++) {
		const struct meta_ace *e = &n->aces[i];

		acl_rights_format(e->rights, rights);
		st = control_item(l->items,
				  json_pack("{s:s, s:s, s:s, s:s}", "path", path, "effect", e->deny ? "deny" : "allow",
					    "who", who_text(c, l, e->who, e->who_id), "rights", rights));
	}
	return st;
}

enum gh_status control_acl_list(struct control_call *c)
{
	const char *tenant, *path = NULL;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "path", CONTROL_TEXT, false, &path, NULL },
	};
	struct acl_list l = { .t = NULL };
	const struct meta_acl_node *n;
	struct house_place place;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &l.t);
	if (st == GH_OK && path) {
		st = house_place(c->core, c->arena, l.t, path, &place);
		if (st == GH_NOTFOUND)
			return control_fail(c, st, "there is no %.150s in tenant %s", path, l.t->name);
	}
	if (st == GH_OK)
		st = nodes_load(c, &l);
	if (st == GH_OK)
		st = control_users_named(c, l.t, &l.users);
	if (st == GH_OK)
		st = control_groups_named(c, l.t, &l.groups);
	if (st != GH_OK)
		return st;
	l.items = control_items(c);
	if (!l.items)
		return GH_NOMEM;
	if (path) {
		n = node_find(&l, place.nodes[place.path->depth].id);
		return n ? list_node(c, &l, n, place.path->text) : GH_OK;
	}
	for (unsigned i = 0; st == GH_OK && i < l.count; i++) {
		const char *text = l.nodes[i]->ace_count || l.nodes[i]->inherit_off ? path_of(c, &l, l.nodes[i]) : NULL;

		if (text)
			st = list_node(c, &l, l.nodes[i], text);
	}
	return st;
}

/* ---- explaining ---- */

/* The leading components of a path as text. */
static const char *path_head(struct control_call *c, const struct gh_path *p, unsigned depth)
{
	const char *text = "";

	for (unsigned i = 0; text && i < depth && i < p->depth; i++)
		text = gh_printf(c->arena, "%s/%s", text, p->comp[i].name);
	return !text ? "?" : *text ? text : "/";
}

static json_t *why_json(struct control_call *c, const struct acl_list *l, const struct gh_path *p,
			const struct acl_why *why)
{
	char rights[64];

	acl_rights_format(why->entry.rights, rights);
	switch (why->reason) {
	case ACL_WHY_OWNER:
		return json_pack("{s:b, s:s, s:n, s:n}", "allowed", 1, "reason", "the user owns the tenant", "path",
				 "entry");
	case ACL_WHY_ENTRY:
		return json_pack("{s:b, s:s, s:s, s:s}", "allowed", why->allowed, "reason",
				 why->allowed ? "an entry allows it" : "an entry denies it", "path",
				 path_head(c, p, why->depth), "entry",
				 gh_printf(c->arena, "%s %s %s", why->entry.deny ? "deny" : "allow",
					   who_text(c, l, why->entry.who, why->entry.id), rights));
	case ACL_WHY_INHERIT_OFF:
		return json_pack("{s:b, s:s, s:s, s:s}", "allowed", 0, "reason", "what the folders above say ends here",
				 "path", path_head(c, p, why->depth), "entry", "inherit-off");
	case ACL_WHY_NOTHING:
		return json_pack("{s:b, s:s, s:n, s:n}", "allowed", 0, "reason", "no entry says anything about it",
				 "path", "entry");
	}
	return NULL;
}

static enum gh_status explain(struct control_call *c, struct acl_list *l, const struct meta_user *u,
			      const struct gh_path *p, unsigned right)
{
	struct acl_key *keys = gh_alloc_array(c->arena, p->depth + 1u, sizeof(*keys));
	const struct rights_user *ru;
	struct rights *r;
	struct acl_why why;
	enum gh_status st;

	if (!keys)
		return GH_NOMEM;
	for (unsigned i = 0; i < p->depth; i++)
		keys[i] = (struct acl_key){ p->comp[i].key, p->comp[i].key_len };
	st = rights_get(c->core, l->t, true, &r);
	if (st != GH_OK)
		return st;
	ru = rights_user(r, u->id);
	if (!ru || ru->disabled) {
		rights_unref(&r);
		return control_result(c, json_pack("{s:b, s:s, s:n, s:n}", "allowed", 0, "reason",
						   "the user is disabled", "path", "entry"));
	}
	const struct acl_caller caller = {
		.user = ru->id,
		.groups = ru->groups,
		.group_count = ru->group_count,
		.owner = ru->owner,
	};

	acl_explain(r->trie, &caller, keys, p->depth, (enum acl_right)right, &why);
	rights_unref(&r);
	return control_result(c, why_json(c, l, p, &why));
}

enum gh_status control_acl_explain(struct control_call *c)
{
	const char *tenant, *user, *path, *right;
	const struct control_arg args[] = {
		{ "tenant", CONTROL_TEXT, true, &tenant, NULL },
		{ "user", CONTROL_TEXT, true, &user, NULL },
		{ "path", CONTROL_TEXT, true, &path, NULL },
		{ "right", CONTROL_TEXT, true, &right, NULL },
	};
	struct acl_list l = { .t = NULL };
	struct meta_user *u;
	struct gh_path *p;
	unsigned bit;
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK)
		st = control_tenant(c, tenant, &l.t);
	if (st == GH_OK)
		st = control_user(c, l.t, user, &u);
	if (st != GH_OK)
		return st;
	bit = acl_rights_parse(right);
	if (!bit || bit & (bit - 1))
		return control_fail(c, GH_INVALID,
				    "argument \"right\": one of list read create write delete share manage");
	st = gh_path_parse(c->arena, path, strlen(path), 0, &l.t->rule, &p);
	if (st == GH_BADNAME || st == GH_TOOLONG)
		return control_fail(c, st, "argument \"path\": %s", gh_status_text(st));
	if (st == GH_OK)
		st = control_users_named(c, l.t, &l.users);
	if (st == GH_OK)
		st = control_groups_named(c, l.t, &l.groups);
	return st == GH_OK ? explain(c, &l, u, p, bit) : st;
}
