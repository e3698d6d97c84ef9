/* What the operations on rules share: switches and flags are rules of one board. Not for anybody outside
 * core/control*.c. */
#ifndef GH_CORE_CONTROL_SWITCH_H
#define GH_CORE_CONTROL_SWITCH_H

#include "core/control_work.h"
#include "core/switches.h"

/* Arguments of a rule, as they came. */
struct control_rule {
	const json_t *protocols, *classes;
	const char *tenant, *user, *host, *pod, *dc;
	bool everywhere;
	int64_t for_s;
	bool has_for;
	const char *until, *message, *why;
};
#define CONTROL_SCOPE_ARGS(r)                                                                                          \
	{ "protocols", CONTROL_TEXTS, false, &(r).protocols, NULL },                                                   \
		{ "classes", CONTROL_TEXTS, false, &(r).classes, NULL }, { "tenant", CONTROL_TEXT, false, &(r).tenant, NULL }, \
		{ "user", CONTROL_TEXT, false, &(r).user, NULL }, { "host", CONTROL_TEXT, false, &(r).host, NULL },    \
		{ "pod", CONTROL_TEXT, false, &(r).pod, NULL }, { "dc", CONTROL_TEXT, false, &(r).dc, NULL },          \
		{ "everywhere", CONTROL_BOOL, false, &(r).everywhere, NULL }
#define CONTROL_END_ARGS(r)                                                                                            \
	{ "for_s", CONTROL_NUMBER, false, &(r).for_s, &(r).has_for }, { "until", CONTROL_TEXT, false, &(r).until, NULL }

/* Scope, names looked up; who and now. Says what is wrong. The rule lives as long as the call. */
GH_MUST_CHECK enum gh_status control_rule_scope(struct control_call *c, const struct control_rule *from,
						struct switch_kept *ret);
/* The end, then the whole by switch_rule_wrong. */
GH_MUST_CHECK enum gh_status control_rule_check(struct control_call *c, const struct control_rule *from,
						struct switch_kept *k);
/* Commits it, in place of one of the same scope, with its event; then applies it. New id in k. */
GH_MUST_CHECK enum gh_status control_rule_commit(struct control_call *c, struct switch_kept *k, const char *detail);
/* Removes the rule that match chooses, likewise. GH_NOTFOUND: says so. */
typedef bool control_rule_match(const struct switch_kept *k, const void *arg);
GH_MUST_CHECK enum gh_status control_rule_remove(struct control_call *c, control_rule_match *match, const void *arg,
						 const char *what);
/* What lists show of every rule; the caller adds to it. NULL: out of memory. */
json_t *control_rule_json(struct control_call *c, const struct switch_kept *k);

#endif
