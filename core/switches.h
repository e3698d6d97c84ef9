/* The switchboard in the house: rules from the store, one board that every operation is asked of, and what happens to
 * what is open when it changes. policy/switchboard.h decides; this keeps, asks and tells.
 *
 *   rules   the settings of kind "switch", read whole (switch_rules.c); each with the moment it ends on the monotonic
 *           clock, computed when this gateway learnt of it: a clock that is set does not change it
 *   board   made of them, swapped under RCU, asked on loops and workers (switches.c)
 *   keeper  a thread that waits for the next end: makes the board anew, tells sessions, removes the rule with an event
 */
#ifndef GH_CORE_SWITCHES_H
#define GH_CORE_SWITCHES_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/fe_api.h"
#include "core/house.h"
#include "core/switch_doc.h"

/* All rules at one time; immutable. */
struct switch_rules {
	atomic_uint refs;
	struct gh_arena *arena;
	unsigned count;
	struct switch_kept *of; /* by id; ended ones too, until the keeper has removed them */
};

struct switches {
	struct switch_place here;
	struct switchboard *board; /* gh_rcu_read; never NULL */
	atomic_bool emptied;       /* this host is to get no new work: vfs_not_ready */
	atomic_uint_fast64_t reads;
	pthread_mutex_t lock; /* what follows; writers of board */
	struct switch_rules *rules;
	uint64_t read;        /* number of the reading that rules came from */
	int64_t next_end_ms;
	pthread_cond_t wake;
	pthread_t keeper;
	bool running, stop;
};

extern const struct flag_spec switch_flags[VFS_FLAG_COUNT];
int64_t switch_now_ms(void); /* the clock of rule.expires_ms */

/* ---- life ---- */
GH_MUST_CHECK enum gh_status switches_new(const struct switch_place *here, struct switches **ret);
void switches_free(struct switches **s);
GH_MUST_CHECK enum gh_status switches_start(struct gh_core *c); /* the keeper */
void switches_stop(struct gh_core *c);

/* ---- rules (switch_rules.c); blocking, control and keeper ---- */
/* Reads the store and publishes what is there. Whoever has committed a change calls it: when it returns, the board has
 * that change, or a later state. */
GH_MUST_CHECK enum gh_status switches_load(struct gh_core *c);
struct switch_rules *switch_rules_ref(struct switches *s);
void switch_rules_unref(struct switch_rules **r);
/* The board as it would be with this rule (in place of one of the same scope). NULL: out of memory. */
struct switchboard *switches_try(struct switches *s, const struct switch_kept *rule);

/* ---- asking (switches.c); a loop, or an online thread ---- */
struct switch_stand {
	enum gh_status status; /* OK, OFF, DRAINING, SUSPENDED, READONLY, FROZEN */
	bool drains;           /* refused, but what runs may finish */
	uint32_t retry_after_s;
	uint64_t rule;
	const char *message;   /* the board's */
};
bool switch_proto_of(enum vfs_proto p, bool secure, enum switch_proto *ret); /* false: never refused (admin) */
struct switch_stand switches_stand(struct switches *s, const struct switch_ask *ask, bool writes);
/* The request's own: by its operation, session or host. Sets message, retry_after_s and rule. */
enum gh_status switches_gate(struct vfs_work *w);
/* While logging in: tenant and, where known, user. may_except: the answer may get better when the user is known, and
 * GH_OK does not mean that it is open. */
enum gh_status switches_login(struct vfs_work *w, uint64_t tenant, uint64_t user, bool *ret_may_except);
/* How a live session stands as a whole: refused only if every class is. */
struct switch_stand switches_session(const struct switchboard *b, const struct vfs_live *l, int64_t now_ms);

int64_t core_flag(struct gh_core *c, enum vfs_flag f, enum vfs_proto proto, const struct vfs_session *s, bool may_block);

/* ---- telling; not a loop ---- */
/* Every live session hears how it stands now. false: a loop did not answer within a second or two. */
bool switches_tell(struct gh_core *c);

#endif
