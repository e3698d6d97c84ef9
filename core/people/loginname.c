/* Login names and the names of people and tenants. See loginname.h. */
#include "core/people/loginname.h"

#include <string.h>

/* People are looked up without regard to case in every tenant, whatever its rule for files. */
static const struct gh_name_rule people_rule = { .case_sensitive = false };

static bool tenant_char(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return true;
	return !first && (c == '.' || c == '_' || c == '-');
}

bool tenant_name_ok(const char *name)
{
	size_t len = strnlen(name, TENANT_NAME_MAX + 1);

	if (len < 1 || len > TENANT_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!tenant_char(name[i], i == 0))
			return false;
	}
	return true;
}

enum gh_status people_name_check(struct gh_arena *a, const char *name, size_t len, struct gh_component *ret)
{
	struct gh_component c;
	enum gh_status st;

	if (!len || memchr(name, '$', len) || memchr(name, ':', len) || name[0] == ' ' || name[len - 1] == ' ')
		return GH_BADNAME;
	if (len > GH_NAME_MAX)
		return GH_TOOLONG;
	st = gh_name_check(a, name, len, &people_rule, &c); /* refuses "/", "." and ".." */
	if (st != GH_OK)
		return st;
	if (c.name_len > LOGIN_NAME_MAX || c.key_len > LOGIN_NAME_MAX)
		return GH_TOOLONG;
	*ret = c;
	return GH_OK;
}

/* As the tenant is spelt: people type ACME/ann. */
static const char *tenant_part(struct gh_arena *a, const char *text, size_t len)
{
	char *name = len && len <= TENANT_NAME_MAX ? gh_strndup(a, text, len) : NULL;

	if (!name)
		return NULL;
	for (char *p = name; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	}
	return strlen(name) == len && tenant_name_ok(name) ? name : NULL;
}

enum gh_status login_name_parse(struct gh_arena *a, const char *text, size_t len, struct login_name *ret)
{
	const char *slash = memchr(text, '/', len), *dollar = memchr(text, '$', len), *tenant = NULL;
	struct gh_component user;
	enum gh_status st;

	if (slash && dollar)
		return GH_BADNAME;
	if (slash || dollar) {
		const char *mark = slash ? slash : dollar, *after = mark + 1;
		size_t before_len = (size_t)(mark - text), after_len = len - before_len - 1;

		tenant = slash ? tenant_part(a, text, before_len) : tenant_part(a, after, after_len);
		if (!tenant)
			return gh_arena_overflowed(a) ? GH_NOMEM : GH_BADNAME;
		len = slash ? after_len : before_len;
		text = slash ? after : text;
	}
	st = people_name_check(a, text, len, &user);
	if (st != GH_OK)
		return st == GH_TOOLONG ? GH_BADNAME : st;
	*ret = (struct login_name){ .tenant = tenant, .user = user.name, .key = user.key };
	return GH_OK;
}

enum gh_status login_name_tenant(const struct login_name *n, const char *host_tenant, const char **ret_tenant)
{
	if (host_tenant && n->tenant && strcmp(host_tenant, n->tenant) != 0)
		return GH_UNAUTH;
	*ret_tenant = host_tenant ? host_tenant : n->tenant ? n->tenant : TENANT_DEFAULT;
	return GH_OK;
}
