/* Tenants: make, list, change. See control.h. */
#include <stdio.h>
#include <string.h>

#include "core/base/id.h"
#include "core/control_work.h"
#include "core/people/loginname.h"

#define HOSTS_MAX 64      /* names per tenant */
#define HOST_NAME_MAX 253 /* RFC 1035 section 2.3.4, as text */

static bool host_ok(const char *host)
{
	size_t len = strnlen(host, HOST_NAME_MAX + 1);

	if (len < 1 || len > HOST_NAME_MAX || host[0] == '.' || host[0] == '-')
		return false;
	return strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.[]:") == len;
}

/* Lower-cased and joined by spaces, as the store has them. */
static enum gh_status hosts_join(struct control_call *c, const json_t *hosts, const char **ret)
{
	char *all = gh_alloc(c->arena, HOSTS_MAX * (HOST_NAME_MAX + 2)), *at = all;

	if (!all)
		return GH_NOMEM;
	if (json_array_size(hosts) > HOSTS_MAX)
		return control_fail(c, GH_LIMIT, "a tenant has at most %d host names", HOSTS_MAX);
	for (size_t i = 0; i < json_array_size(hosts); i++) {
		char *host = gh_strdup(c->arena, json_string_value(json_array_get(hosts, i)));

		if (!host)
			return GH_NOMEM;
		for (char *p = host; *p; p++) {
			if (*p >= 'A' && *p <= 'Z')
				*p += 'a' - 'A';
		}
		if (!host_ok(host))
			return control_fail(c, GH_INVALID, "argument \"hosts\": \"%.64s\" is not a host name", host);
		at += sprintf(at, "%s%s", at == all ? "" : " ", host);
	}
	*ret = all;
	return GH_OK;
}

static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, " ");

		if (n == len && !memcmp(p, word, len))
			return true;
		p += n;
		p += strspn(p, " ");
	}
	return false;
}

static const char *shared_word(const char *a, const char *b, size_t *ret_len)
{
	for (const char *p = a; *p;) {
		size_t n = strcspn(p, " ");

		*ret_len = n;
		if (has_word(b, p, n))
			return p;
		p += n;
		p += strspn(p, " ");
	}
	return NULL;
}

struct claim {
	const char *hosts, *tenant;
};

static enum gh_status claim_against(struct control_call *c, const struct meta_tenant *row, void *arg)
{
	const struct claim *k = arg;
	size_t len;
	const char *both = shared_word(k->hosts, row->hosts, &len);

	if (!both || !strcmp(row->name, k->tenant))
		return GH_OK;
	return control_fail(c, GH_EXISTS, "host name %.*s belongs to tenant %s", (int)len, both, row->name);
}

/* A host name leads to one tenant. */
static enum gh_status hosts_free_for(struct control_call *c, const char *hosts, const char *tenant)
{
	struct claim k = { hosts, tenant };

	return *hosts ? control_tenants_each(c, claim_against, &k) : GH_OK;
}

/* In its turn among administrators: no two tenants get the same host name. */
static enum gh_status add_once(struct control_call *c, void *arg)
{
	const struct meta_tenant *row = arg;
	struct meta_step step = { .kind = META_TENANT_PUT, .tenant = row };
	struct meta_call call = control_meta(c);
	struct meta_tenant *there;
	enum gh_status st = meta_tenant_by_name(c->core->meta, &call, row->name, &there);

	if (st == GH_OK)
		st = GH_EXISTS;
	else if (st == GH_NOTFOUND)
		st = hosts_free_for(c, row->hosts, row->name);
	if (st == GH_OK)
		st = control_commit(c, NULL, "", row->name, UINT64_MAX, &step, 1);
	if (st == GH_NOTFOUND && row->shard)
		return control_fail(c, st, "there is no shard \"%.64s\"", row->shard);
	if (st == GH_DRAINING)
		return control_fail(c, st, "%s%.64s takes no new tenants", row->shard ? "shard " : "no shard is open: every one",
				    row->shard ? row->shard : "");
	if (st == GH_EXISTS && !*c->message)
		return control_fail(c, st, "tenant %s exists already", row->name);
	return st;
}

enum gh_status control_tenant_add(struct control_call *c)
{
	struct meta_tenant row = { .id = gh_id_new(), .root = gh_id_new(), .trash = gh_id_new() };
	const json_t *host_list = NULL;
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &row.name, NULL },
		{ "case_sensitive", CONTROL_BOOL, false, &row.case_sensitive, NULL },
		{ "hosts", CONTROL_TEXTS, false, &host_list, NULL },
		{ "shard", CONTROL_TEXT, false, &row.shard, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (!tenant_name_ok(row.name))
		return control_fail(
			c, GH_BADNAME,
			"\"%.80s\" cannot be a tenant's name: a-z 0-9 . _ - only, a letter or digit first, at most "
			"%d",
			row.name, TENANT_NAME_MAX);
	row.hosts = "";
	st = hosts_join(c, host_list, &row.hosts);
	if (st == GH_OK)
		st = control_retry(c, add_once, &row);
	if (st != GH_OK)
		return st;
	return control_result(c, json_pack("{s:s, s:o}", "tenant", row.name, "id", control_id(row.id)));
}

static json_t *hosts_json(const char *hosts)
{
	json_t *list = json_array();

	for (const char *p = hosts; *p;) {
		size_t n = strcspn(p, " ");

		if (n)
			json_array_append_new(list, json_stringn(p, n));
		p += n;
		p += strspn(p, " ");
	}
	return list;
}

static json_t *tenant_json(const struct meta_tenant *t, uint64_t bytes, uint64_t files)
{
	return json_pack("{s:s, s:o, s:s, s:o, s:b, s:b, s:I, s:I}", "tenant", t->name, "id", control_id(t->id), "shard", t->shard ? t->shard : "main", "hosts",
			 hosts_json(t->hosts), "disabled", t->disabled, "case_sensitive", t->case_sensitive, "files",
			 (json_int_t)files, "bytes", (json_int_t)bytes);
}

static enum gh_status tenant_item(struct control_call *c, const struct meta_tenant *row, void *items)
{
	struct meta_call call = control_meta(c);
	uint64_t bytes = 0, files = 0;
	enum gh_status st = meta_usage(c->core->meta, &call, row->id, &bytes, &files);

	/* one whose shard does not answer is listed all the same */
	if (st == GH_DATABASE && meta_is_many(c->core->meta))
		st = GH_OK;
	return st == GH_OK ? control_item(items, tenant_json(row, bytes, files)) : st;
}

enum gh_status control_tenant_list(struct control_call *c)
{
	enum gh_status st = control_args(c, NULL, 0);
	json_t *items;

	if (st != GH_OK)
		return st;
	items = control_items(c);
	return items ? control_tenants_each(c, tenant_item, items) : GH_NOMEM;
}

struct tenant_change {
	struct tenant *t;
	const json_t *hosts;
	bool hosts_given, disabled, disabled_given;
};

static enum gh_status set_once(struct control_call *c, void *arg)
{
	const struct tenant_change *k = arg;
	struct meta_call call = control_meta(c);
	struct meta_tenant *row;
	enum gh_status st = meta_tenant_by_name(c->core->meta, &call, k->t->name, &row);

	if (st == GH_OK && k->hosts_given)
		st = hosts_join(c, k->hosts, &row->hosts);
	if (st == GH_OK && k->hosts_given)
		st = hosts_free_for(c, row->hosts, row->name);
	if (st != GH_OK)
		return st;
	if (k->disabled_given)
		row->disabled = k->disabled;
	struct meta_step steps[] = { { .kind = META_TENANT_PUT, .tenant = row }, { .kind = META_RIGHTS_EPOCH } };
	const char *detail =
		gh_printf(c->arena, "%s%s%s", k->disabled_given ? (k->disabled ? "disabled " : "enabled ") : "",
			  k->hosts_given ? "hosts " : "", k->hosts_given ? row->hosts : "");

	return control_commit(c, k->t, "", detail, row->rights_epoch, steps, 2);
}

enum gh_status control_tenant_set(struct control_call *c)
{
	struct tenant_change k = { .t = NULL };
	const char *name;
	const struct control_arg args[] = {
		{ "name", CONTROL_TEXT, true, &name, NULL },
		{ "hosts", CONTROL_TEXTS, false, &k.hosts, &k.hosts_given },
		{ "disabled", CONTROL_BOOL, false, &k.disabled, &k.disabled_given },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st == GH_OK && !k.hosts_given && !k.disabled_given)
		st = control_fail(c, GH_INVALID, "nothing to change: give \"hosts\" or \"disabled\"");
	if (st == GH_OK)
		st = control_tenant(c, name, &k.t);
	if (st == GH_OK)
		st = control_retry(c, set_once, &k);
	if (st == GH_OK && k.disabled) {
		struct control_end end = { .tenant = k.t, .status = GH_OFF, .message = "This tenant is disabled." };

		control_sessions_end(c, &end);
	}
	return st;
}
