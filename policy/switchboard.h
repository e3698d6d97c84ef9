/* The switchboard: one rule engine for kill switches and feature flags. A rule says what (a switch, or the key of a
 * flag), for whom (its scope), how (its mode or value), until when, who set it and why.
 *
 * Pure: no I/O, clock, threads or locks; time is an argument. A board is built from all rules at once, is immutable, and
 * may be asked by any number of threads; the core swaps boards and frees the old one after a grace period. Building
 * sorts: O(rules log rules). Asking is a few hash look-ups, whatever the number of rules and tenants.
 *
 * Which rule wins: the most specific one that matches. Specificity is compared in this order, and the first difference
 * decides: a rule that names a user beats one that does not; then a tenant; then protocols (`ftps` alone beats a set
 * with `ftp`, a set with fewer protocols beats one with more); then classes (fewer beat more); then host, pod, data
 * centre. Of two that name the same, the one set later (the higher id) wins. A switch of mode `on` is an exception to
 * what a wider rule shuts. Expired rules do not exist.
 */
#ifndef GH_POLICY_SWITCHBOARD_H
#define GH_POLICY_SWITCHBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Protocols as rules name them. A session under TLS is FTPS and FTP both: the caller asks with its one value, a rule
 * that names `ftp` matches both. */
enum switch_proto {
	SWITCH_WEBDAV, SWITCH_FTP, SWITCH_FTPS, SWITCH_REST, SWITCH_WEB, SWITCH_LINKS, SWITCH_PROTO_COUNT
};
/* Operation classes: the caller's numbering (core's enum vfs_class), at most this many. */
#define SWITCH_CLASS_MAX 16

enum switch_mode {
	SWITCH_ON,       /* open: an exception to a wider rule */
	SWITCH_READONLY, /* what changes something is refused, the rest works */
	SWITCH_DRAIN,    /* what runs may finish; nothing new */
	SWITCH_OFF,      /* shut; what runs is cut */
};

#define SWITCH_TEXT_MAX 512 /* message, why: UTF-8, one line, no control characters (it is said in FTP replies) */
#define SWITCH_NAME_MAX 64  /* host, pod, dc, who, flag key */
#define SWITCH_RULES_MAX 10000
#define SWITCH_NEVER INT64_MAX

struct switch_rule {
	uint64_t id; /* rises with time */
	/* what */
	const char *flag; /* NULL: a switch; else the key of a flag */
	/* scope; 0 or NULL = any */
	unsigned protocols; /* bits 1 << enum switch_proto */
	unsigned classes;   /* bits 1 << class */
	uint64_t tenant, user; /* a user needs its tenant */
	const char *host, *pod, *dc;
	bool everywhere; /* scope says nothing, and that is meant; without it such a rule is refused */
	/* how */
	enum switch_mode mode; /* switches */
	int64_t value;         /* flags: the value where the rule applies (booleans 0, 1) */
	unsigned percent;      /* flags: applies to this share of tenants, 1..100, stable for a tenant */
	/* and the rest */
	int64_t expires_ms; /* on the clock that switchboard_* are asked with; SWITCH_NEVER */
	const char *message, *who, *why; /* message: for users; NULL or "" = none */
};

/* Where this gateway is: rules for others are left out of its board. "" = unknown, matched by no rule that names one. */
struct switch_place {
	const char *host, *pod, *dc;
};

/* Is it a rule that can be set? NULL = yes, else what is wrong with it, as a sentence for who typed it (static
 * storage). protocols, classes known; a scope or `everywhere`; expiry after now_ms; message one line of at most
 * SWITCH_TEXT_MAX bytes of UTF-8; user only with tenant; mode known; percent 1..100 for flags, exactly 100 for switches;
 * a switch has no value other than 0. */
const char *switch_rule_wrong(const struct switch_rule *r, int64_t now_ms);
/* Do a and b have the same what and the same scope? Then b replaces a. */
bool switch_rule_same_scope(const struct switch_rule *a, const struct switch_rule *b);

struct switchboard;
struct flag_spec;
/* Copies everything. Flags are known by their index in specs (static storage; may be NULL with 0). Left out, and counted
 * in *ret_left_out: rules that are wrong by switch_rule_wrong (but for the expiry), flags unknown to specs or with a
 * value out of range. Left out, and not counted: rules for other places, and expired ones. NULL: out of memory. Of more
 * than SWITCH_RULES_MAX the newest that many. */
struct switchboard *switchboard_new(const struct switch_rule *rules, unsigned count, const struct switch_place *here,
				    int64_t now_ms, const struct flag_spec *specs, unsigned spec_count,
				    unsigned *ret_left_out);
void switchboard_free(struct switchboard **b); /* leaves NULL; accepts NULL inside */
/* When does the next of its rules expire? SWITCH_NEVER if none. A new board is due then, but nothing is wrong before. */
int64_t switchboard_next_expiry(const struct switchboard *b);
unsigned switchboard_count(const struct switchboard *b);

struct switch_ask {
	enum switch_proto proto;
	unsigned class;
	uint64_t tenant, user; /* 0 = not known yet (before the login): only rules that name none match */
};
struct switch_answer {
	enum switch_mode mode; /* SWITCH_ON when no rule matches */
	uint64_t rule;         /* id; 0 = none */
	const char *message;   /* the board's memory: valid while the board is; "" = none */
	int64_t expires_ms;
	bool by_place;         /* it names a host, pod or data centre: this one */
};
/* The rule that decides. Any thread, no lock, under 100 ns whatever the number of rules, as long as the best matching
 * rule has not expired since the board was built (then a walk over its rules). */
void switchboard_ask(const struct switchboard *b, const struct switch_ask *ask, int64_t now_ms,
		     struct switch_answer *ret);
/* Could the answer to this ask get better once its tenant (0 now) or user (0 now) is known: is there a rule that names
 * one it does not know yet, and opens (on, read-only) what a wider rule shuts? A walk; for who is about to be refused. */
bool switchboard_excepts(const struct switchboard *b, const struct switch_ask *ask, int64_t now_ms);
/* Is there any rule that could ever refuse this protocol (any class, tenant or user)? For the doorstep: false lets a
 * caller skip questions. */
bool switchboard_quiet(const struct switchboard *b, enum switch_proto proto);

/* ---- flags ---- */

/* What a flag can be: registered in code by its user (core/flags.tbl.h), in one table that the caller passes. */
enum flag_type { FLAG_BOOL, FLAG_NUMBER };
struct flag_spec {
	const char *key; /* "webdav.propfind-stream" */
	enum flag_type type;
	int64_t fallback, min, max;
	const char *help;
};
/* The value for this tenant and user: that of the most specific rule whose percentage takes the tenant in; else the
 * fallback. Under 100 ns, no lock. */
int64_t switchboard_flag(const struct switchboard *b, unsigned flag, const struct switch_ask *ask, int64_t now_ms);
/* NULL, or what is wrong with setting this flag to value (text as typed, for the type's sake). *ret_value. */
const char *flag_value_wrong(const struct flag_spec *spec, const char *text, int64_t *ret_value);
/* Is a tenant among `percent` of 100 for that key? Stable: growing the percentage keeps who was in. */
bool flag_rollout_takes(const char *key, uint64_t tenant, unsigned percent);

/* ---- words ---- */
const char *switch_proto_name(enum switch_proto p);          /* "webdav" */
bool switch_proto_parse(const char *text, enum switch_proto *ret);
const char *switch_mode_name(enum switch_mode m);            /* "read-only" */
bool switch_mode_parse(const char *text, enum switch_mode *ret);
/* "webdav,ftp" -> bits. An unknown word: 0, and *ret_bad points at it in text. "admin" is unknown, with a reason of its
 * own: the admin listener cannot be shut. */
unsigned switch_protos_parse(const char *text, const char **ret_bad);
/* What is wrong with a word (up to a comma) that is no protocol. Static storage. */
const char *switch_proto_wrong(const char *word);

#endif
