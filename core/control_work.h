/* What the control operations share among themselves: arguments, look-ups, commits, JSON. Blocking; worker or admin
 * thread only. Not for anybody outside core/control*.c. */
#ifndef GH_CORE_CONTROL_WORK_H
#define GH_CORE_CONTROL_WORK_H

#include "core/control.h"
#include "core/control_house.h"

/* ---- arguments ---- */

enum control_type { CONTROL_TEXT, CONTROL_BOOL, CONTROL_NUMBER, CONTROL_TEXTS, CONTROL_ID, CONTROL_ANY };

/* One argument: where its value goes. Texts stay the JSON's; an absent optional one leaves `into` as it was. */
struct control_arg {
	const char *name;
	enum control_type type;
	bool required;
	void *into;  /* const char **, bool *, int64_t *, const json_t **, uint64_t *; ANY: const json_t ** */
	bool *given; /* may be NULL */
};
#define CONTROL_ARG_COUNT(args) (sizeof(args) / sizeof((args)[0]))

/* GH_INVALID with a message that names the argument: unknown, missing, or of the wrong type. GH_END: they were only asked
 * for. The first thing that an operation does. */
GH_MUST_CHECK enum gh_status control_args(struct control_call *c, const struct control_arg *args, size_t count);

/* Sets the message, returns st. */
enum gh_status control_fail(struct control_call *c, enum gh_status st, const char *fmt, ...) GH_PRINTF(3, 4);
/* Adds the status's own words where nobody has said anything better. */
enum gh_status control_done(struct control_call *c, enum gh_status st);

/* Is it one that may be set? Says why not. */
GH_MUST_CHECK enum gh_status control_password(struct control_call *c, const char *password);

/* ---- look-ups; each says what was not found ---- */

struct meta_call control_meta(const struct control_call *c);
GH_MUST_CHECK enum gh_status control_tenant(struct control_call *c, const char *name, struct tenant **ret);
/* Canonical name and key of a user or group that an administrator typed. noun: "user", "group". */
GH_MUST_CHECK enum gh_status control_name(struct control_call *c, const char *noun, const char *name,
					  struct gh_component *ret);
GH_MUST_CHECK enum gh_status control_user(struct control_call *c, struct tenant *t, const char *name,
					  struct meta_user **ret);
GH_MUST_CHECK enum gh_status control_group(struct control_call *c, struct tenant *t, const char *name,
					   struct meta_group **ret);
/* The names of all users, for lists that hold ids. */
struct control_names {
	unsigned count;
	struct control_named {
		uint64_t id;
		const char *name;
	} * of; /* by id */
};
GH_MUST_CHECK enum gh_status control_users_named(struct control_call *c, struct tenant *t, struct control_names *ret);
GH_MUST_CHECK enum gh_status control_groups_named(struct control_call *c, struct tenant *t, struct control_names *ret);
const char *control_named(const struct control_names *n, uint64_t id); /* "?" for a stranger */

/* ---- changes ---- */

/* Commits with an event of the operation's name; path and detail tell about what. epoch: what control_epoch gave before
 * anything was read that the steps rest on, or UINT64_MAX. A META_RIGHTS_EPOCH step is the caller's. */
GH_MUST_CHECK enum gh_status control_commit(struct control_call *c, struct tenant *t, const char *path,
					    const char *detail, uint64_t epoch, struct meta_step *steps,
					    unsigned count);
GH_MUST_CHECK enum gh_status control_epoch(struct control_call *c, struct tenant *t, uint64_t *ret);
/* Runs once(c, arg) again while it answers GH_STALE, a bounded number of times; then GH_CONFLICT. One caller at a time. */
typedef enum gh_status control_once_fn(struct control_call *c, void *arg);
GH_MUST_CHECK enum gh_status control_retry(struct control_call *c, control_once_fn *once, void *arg);

/* fn for every tenant, by id, until it fails; a row lives as long as its call. c->arena is fn's to empty. */
typedef enum gh_status control_tenant_fn(struct control_call *c, const struct meta_tenant *row, void *arg);
GH_MUST_CHECK enum gh_status control_tenants_each(struct control_call *c, control_tenant_fn *fn, void *arg);

/* ---- live sessions ---- */

/* Whose sessions are to end, after a commit that took away what opened them; transfers are cut. */
struct control_end {
	struct tenant *tenant;
	uint64_t user, token;                /* 0: any */
	const struct people_proof *password; /* those that another password than this opened; NULL: any */
	enum gh_status status;               /* UNAUTH: who logs in again may go on; OFF: not now */
	const char *message;
};
void control_sessions_end(struct control_call *c, struct control_end *which);
#define CONTROL_ACCOUNT_CHANGED "Your account has changed; please log in again."

/* ---- JSON ---- */

json_t *control_id(uint64_t id);  /* ids are strings in JSON */
json_t *control_time(int64_t us); /* "2026-01-31T12:00:00Z"; 0 = null */
/* c->result = {"items": []}; gives the array. NULL: out of memory. */
json_t *control_items(struct control_call *c);
/* Adds to the list; takes item in every case. */
GH_MUST_CHECK enum gh_status control_item(json_t *items, json_t *item);
/* c->result = o. */
GH_MUST_CHECK enum gh_status control_result(struct control_call *c, json_t *o);

/* ---- the operations ---- */

enum gh_status control_tenant_add(struct control_call *c);
enum gh_status control_tenant_list(struct control_call *c);
enum gh_status control_tenant_set(struct control_call *c);
enum gh_status control_tenant_move(struct control_call *c);
enum gh_status control_user_add(struct control_call *c);
enum gh_status control_user_list(struct control_call *c);
enum gh_status control_user_remove(struct control_call *c);
enum gh_status control_user_passwd(struct control_call *c);
enum gh_status control_user_set(struct control_call *c);
enum gh_status control_token_add(struct control_call *c);
enum gh_status control_token_list(struct control_call *c);
enum gh_status control_token_revoke(struct control_call *c);
enum gh_status control_group_add(struct control_call *c);
enum gh_status control_group_list(struct control_call *c);
enum gh_status control_group_remove(struct control_call *c);
enum gh_status control_group_join(struct control_call *c);
enum gh_status control_group_leave(struct control_call *c);
enum gh_status control_acl_grant(struct control_call *c);
enum gh_status control_acl_deny(struct control_call *c);
enum gh_status control_acl_revoke(struct control_call *c);
enum gh_status control_acl_inherit(struct control_call *c);
enum gh_status control_acl_list(struct control_call *c);
enum gh_status control_acl_explain(struct control_call *c);
enum gh_status control_locks_list(struct control_call *c);
enum gh_status control_locks_break(struct control_call *c);
enum gh_status control_status(struct control_call *c);
enum gh_status control_doctor(struct control_call *c);
enum gh_status control_live_now(struct control_call *c);
enum gh_status control_live_history(struct control_call *c);
enum gh_status control_events_list(struct control_call *c);
enum gh_status control_defender_clear(struct control_call *c);
enum gh_status control_fsck(struct control_call *c);
enum gh_status control_switch_set(struct control_call *c);
enum gh_status control_switch_list(struct control_call *c);
enum gh_status control_switch_clear(struct control_call *c);
enum gh_status control_flag_list(struct control_call *c);
enum gh_status control_flag_describe(struct control_call *c);
enum gh_status control_flag_set(struct control_call *c);
enum gh_status control_flag_clear(struct control_call *c);
enum gh_status control_share_list(struct control_call *c);
enum gh_status control_share_set(struct control_call *c);
enum gh_status control_pool_list(struct control_call *c);
enum gh_status control_pool_set(struct control_call *c);
enum gh_status control_pool_remove(struct control_call *c);
enum gh_status control_session_list(struct control_call *c);
enum gh_status control_session_kill(struct control_call *c);
enum gh_status control_upload_list(struct control_call *c);
enum gh_status control_breaker_list(struct control_call *c);
enum gh_status control_breaker_open(struct control_call *c);
enum gh_status control_breaker_reset(struct control_call *c);
enum gh_status control_limit_set(struct control_call *c);
enum gh_status control_limit_list(struct control_call *c);
enum gh_status control_quota_list(struct control_call *c);
enum gh_status control_operator_add(struct control_call *c);
enum gh_status control_operator_list(struct control_call *c);
enum gh_status control_operator_set(struct control_call *c);
enum gh_status control_operator_remove(struct control_call *c);
enum gh_status control_operator_totp(struct control_call *c);
enum gh_status control_shard_add(struct control_call *c);
enum gh_status control_shard_list(struct control_call *c);
enum gh_status control_shard_drain(struct control_call *c);
enum gh_status control_shard_open(struct control_call *c);
enum gh_status control_schema_check(struct control_call *c);
enum gh_status control_operator_token_add(struct control_call *c);
enum gh_status control_operator_token_list(struct control_call *c);
enum gh_status control_operator_token_revoke(struct control_call *c);

#endif
