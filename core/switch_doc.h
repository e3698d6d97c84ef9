/* A rule of the switchboard as it is kept: a setting of kind "switch" whose document is JSON. Any thread. */
#ifndef GH_CORE_SWITCH_DOC_H
#define GH_CORE_SWITCH_DOC_H

#include "core/base/arena.h"
#include "core/meta.h"
#include "policy/switchboard.h"

#define SWITCH_KIND "switch"

struct switch_kept {
	struct switch_rule rule;   /* expires_ms: on the monotonic clock, filled in by who learns of it */
	uint64_t rev;
	int64_t made_us, until_us; /* as people read them; until 0: for good */
	const char *tenant_name, *user_name; /* "" = none */
};

/* Texts in a. GH_INVALID: it says what this release does not know; GH_NOMEM. */
GH_MUST_CHECK enum gh_status switch_doc_read(struct gh_arena *a, const struct meta_setting *s, struct switch_kept *ret);
/* In a; NULL: out of memory. */
char *switch_doc_write(struct gh_arena *a, const struct switch_kept *k);
/* What a rule is about, for people: "ftp write tenant=acme", "flag list.page everywhere". In a. */
const char *switch_doc_scope(struct gh_arena *a, const struct switch_kept *k);
/* Class by name, -1: none. */
int switch_class_of(const char *word);

#endif
