/* Control operations for the administrator: one table, called by the admin socket now and by the admin API later. Each
 * takes and gives JSON (jansson) and blocks; worker or admin thread only, never a loop.
 *
 *   shard.add {name, conninfo}   shard.list -> items [{shard, state, tenants, reached, trouble, conninfo}]
 *   shard.drain {name} -> {shard, state, tenants_left}   shard.open {name}   schema.check {all_shards?} -> {ok, differences[]}
 *   tenant.add {name, case_sensitive?, hosts?, shard?}   tenant.list   tenant.set {name, hosts?, disabled?}
 *   tenant.move {name, to, hold_s?} -> {tenant, step, rows, differed, frozen_ms, frozen_rows, rounds, holds, moved, done}: one
 *     step; again until done
 *   tenant.move {name, abandon: true} -> {tenant, step, done}
 *   user.add {tenant, user, password, owner?}    user.list {tenant}   user.remove   user.passwd {tenant, user, password}
 *   user.set {tenant, user, owner?, disabled?}
 *   token.add {tenant, user, name, scope?: ["webdav",..], days?} -> {password}   token.list {tenant, user}
 *   token.revoke {tenant, user, id}
 *   group.add {tenant, group, members?[]}        group.list   group.remove   group.join / group.leave {members[]}
 *   acl.grant / acl.deny {tenant, path, who: "user:ann"|"group:staff"|"everyone", rights: "read,write"}
 *   acl.revoke {tenant, path, who}   acl.inherit {tenant, path, on: bool}   acl.list {tenant, path?}
 *   acl.explain {tenant, user, path, right} -> {allowed, reason, path, entry}
 *   locks.list {tenant?}   locks.break {tenant, token}
 *   live.now {} -> a sample (core/live.h)   live.history {seconds?, points?, tenants?} -> {items: [sample...]}
 *   doctor {} -> items [{check, ok, level, says, do}]
 *   switch.set {protocols?[], classes?[], tenant?, user?, host?, pod?, dc?, everywhere?, mode, for_s?|until?, message?,
 *     why?, dry_run?} -> {scope, mode, until, hit: {sessions, uploads, downloads}; unless dry_run: id, live_after,
 *     took_ms}   switch.list   switch.clear {id} | {scope as in set}
 *   flag.list   flag.describe {key}   flag.set {key, value, percent?, scope and end as above, why?}   flag.clear {id} | {key, scope}
 *   session.list {tenant?, proto?, limit?}   session.kill {id} | {tenant, user?} -> {killed}   upload.list {tenant?}
 *   share.list {} -> items [{tenant, weight, cap, pool, share, waiting, running, shed, wait_p99_ms, bytes_s}]; share and
 *     bytes_s of the last second, null where not known   share.set {tenant, weight?, cap?, pool?: name|"shared"|null} ->
 *     {tenant, weight, cap, pool, in_force}
 *   pool.list {} -> items [{name, slots, queue, running, waiting}]   pool.set {name, slots?, queue?}
 *   pool.remove {name} -> {name, moved, running, waiting}: so many tenants share now; what ran or waited in it ends there
 *   operator.add {name, role, password?} -> {name, role; password if it was made}   operator.list   operator.remove {name}
 *   operator.set {name, role?, password?, disabled?}   operator.totp {name, on} -> {secret, uri}
 *   operator.token.add {name, role, days?} -> {token, id}   operator.token.list   operator.token.revoke {id}
 *   breaker.list -> items [{service, tenant?, state, forced, calls, failed, slow, openings, until?}]
 *   breaker.open / breaker.reset {service, tenant?} -> {service, tenant?, state, audited}
 *   limit.set {tenant, user?, bytes?, files?, sessions?, transfers?, requests_s?, bytes_s?, month_bytes?}: numbers, or null
 *     for none   limit.list {tenant?}   quota.list {tenant?} -> items [{tenant, user, used{}, leased{}, limit{}}]
 *   status {}   events.list {tenant?, after?, limit?}   fsck {verify?: bool}   defender.clear {tenant, user?}
 *
 * Lists are {"items": [...]}. Unknown or mistyped arguments are GH_INVALID with a message naming them.
 *
 * Whoever calls has a role, and each row says which one it takes: a viewer looks, an operator works the gate, an owner
 * also has people, rights and operators in hand. control_run refuses; a row cannot forget it.
 */
#ifndef GH_CORE_CONTROL_H
#define GH_CORE_CONTROL_H

#include <jansson.h>

#include "core/core.h"

enum control_role { CONTROL_VIEWER, CONTROL_OPERATOR, CONTROL_OWNER, CONTROL_ROLE_COUNT };
const char *control_role_name(enum control_role role);
bool control_role_parse(const char *name, enum control_role *ret);

struct control_call {
	struct gh_core *core;
	const json_t *args;     /* object */
	bool texts;             /* they come from a query string: numbers and booleans are written as text */
	const char *actor;      /* "uid:0", an operator's name: for the event log */
	enum control_role role; /* what actor is */
	json_t *result;         /* the callee sets it (object); the caller decrefs */
	char message[256];      /* on failure: what, which object, what to do */
	struct gh_arena *arena; /* this and op: control_run's own */
	const char *op;
	json_t *describe; /* array: nothing runs, see control_describe */
};

struct control_op {
	const char *name, *args, *help; /* args: one-line synopsis */
	bool mutates;
	enum control_role role; /* the least that may */
	enum gh_status (*run)(struct control_call *call);
};

extern const struct control_op control_ops[]; /* ends with name NULL */
const struct control_op *control_op_find(const char *name); /* NULL: there is none */
/* The arguments that op itself takes, as [{name, type: "string" | "boolean" | "integer" | "array" | "id" | "any",
 * required}]; a new reference. NULL: out of memory. */
json_t *control_describe(const struct control_op *op);
/* GH_NOTFOUND for an unknown op; GH_DENIED where the role is not enough. */
GH_MUST_CHECK enum gh_status control_run(const char *op, struct control_call *call);

#endif
