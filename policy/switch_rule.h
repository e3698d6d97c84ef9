/* What the switchboard's own files share: rules in the form in which a board keeps and compares them. */
#ifndef GH_POLICY_SWITCH_RULE_H
#define GH_POLICY_SWITCH_RULE_H

#include "policy/switchboard.h"

#define SWITCH_PROTOS_ALL ((1u << SWITCH_PROTO_COUNT) - 1)
#define SWITCH_CLASSES_ALL ((1u << SWITCH_CLASS_MAX) - 1)

/* `ftps` beside `ftp` says nothing more. */
static inline unsigned switch_protos_named(unsigned protocols)
{
	return protocols & 1u << SWITCH_FTP ? protocols & ~(1u << SWITCH_FTPS) : protocols;
}

/* The asks that a set of protocols matches: `ftp` takes in FTPS, nothing takes in everything. */
static inline unsigned switch_protos_matched(unsigned protocols)
{
	if (!protocols)
		return SWITCH_PROTOS_ALL;
	return protocols & 1u << SWITCH_FTP ? protocols | 1u << SWITCH_FTPS : protocols;
}

static inline bool switch_given(const char *name)
{
	return name && *name;
}

/* Precedence: < 0 when a goes before b. Both match; neither has expired. */
int switch_rule_compare(const struct switch_rule *a, const struct switch_rule *b);
/* FNV-1a of a flag's key, the salt of its roll-out. */
uint64_t switch_key_hash(const char *key);
/* Where a tenant stands among 100. */
unsigned switch_rollout_slot(uint64_t key_hash, uint64_t tenant);

#endif
