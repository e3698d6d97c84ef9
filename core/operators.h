/* Those who work the gate: operators with a role, who sign in to the console, and tokens with a role, for programs.
 * They are nobody's users and see no files. The admin listener asks here who somebody is; control operations
 * (operator.*) change them. Kept as settings of the house, kinds "operator" and "operator-token"; all of them are in
 * memory.
 *
 * Threads: any. Only operator_sign_in blocks (Argon2, then a commit).
 */
#ifndef GH_CORE_OPERATORS_H
#define GH_CORE_OPERATORS_H

#include "core/control.h"

#define OPERATOR_ACTOR_MAX 80

struct operator_who {
	uint64_t id;
	uint64_t gen;                   /* operators: what they were when they signed in; see operator_still */
	char actor[OPERATOR_ACTOR_MAX]; /* for the event log: "ada", "token:grafana" */
	enum control_role role;
};

struct operator_ask {
	const char *name, *password;
	const char *code; /* one-time code; NULL or "": none was sent */
	const char *peer; /* address text, for the log */
	uint64_t prefix;  /* vfs_peer_prefix */
};

/* Blocks. GH_OK. GH_UNAUTH: no such operator, disabled, or a wrong password; all cost and sound the same.
 * GH_PRECONDITION: the password is right, but a one-time code is wanted, or this one is wrong or used. GH_THROTTLED:
 * too many wrong ones, *ret_retry_s says for how long. GH_NOMEM. */
GH_MUST_CHECK enum gh_status operator_sign_in(struct gh_core *c, const struct operator_ask *ask,
					      struct operator_who *ret, unsigned *ret_retry_s);
/* Is that operator still what it was at gen: there, enabled, with the same password, role and second factor? */
bool operator_still(struct gh_core *c, uint64_t id, uint64_t gen);
/* After a change that it made of itself: what it is now. false: gone, disabled, or changed by others as well. */
bool operator_renewed(struct gh_core *c, uint64_t id, uint64_t gen, struct operator_who *ret);
/* Whose token is it? false: nobody's, or it has ended. */
bool operator_token(struct gh_core *c, const char *text, struct operator_who *ret);

#endif
