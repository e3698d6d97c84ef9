/* What people type as their name: `user`, `tenant/user` or `user$tenant` (FTP clients of 1998 cannot send a slash).
 * Pure; any thread, loops too. */
#ifndef GH_CORE_PEOPLE_LOGINNAME_H
#define GH_CORE_PEOPLE_LOGINNAME_H

#include "core/base/arena.h"
#include "core/base/name.h"

#define LOGIN_NAME_MAX 64  /* bytes of a user's or group's name and of its key */
#define TENANT_NAME_MAX 63 /* [a-z0-9][a-z0-9._-]{0,62} */
#define TENANT_DEFAULT "default"

struct login_name {
	const char *tenant; /* NULL: none was named */
	const char *user;   /* canonical, case as typed */
	const char *key;    /* what people are looked up by: case-folded in every tenant */
};

/* GH_BADNAME: a backslash (DOMAIN\user), controls, "." or "..", two tenants, an empty part, too long. GH_NOMEM. Strings
 * are in a. */
GH_MUST_CHECK enum gh_status login_name_parse(struct gh_arena *a, const char *text, size_t len, struct login_name *ret);
/* The tenant that is meant: the host's (NULL: no tenant claims the host), else the one named, else `default`.
 * GH_UNAUTH: host and login name different ones. */
GH_MUST_CHECK enum gh_status login_name_tenant(const struct login_name *n, const char *host_tenant,
					       const char **ret_tenant);

/* A tenant's name: [a-z0-9][a-z0-9._-]{0,62}. */
bool tenant_name_ok(const char *name);
/* A user's or group's name: gh_name_check, and no "/", "$", ":" and no space at either end, at most LOGIN_NAME_MAX.
 * *ret is in a. GH_BADNAME, GH_TOOLONG, GH_NOMEM. */
GH_MUST_CHECK enum gh_status people_name_check(struct gh_arena *a, const char *name, size_t len,
					       struct gh_component *ret);

#endif
