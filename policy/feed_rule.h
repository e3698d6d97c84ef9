/* What a reader of the event feed is told of an event: decided from rights alone, before the event and after it. Pure; any
 * number of readers of the same tries.
 *
 * A reader sees what listings lead to: what there is a right on, or what is only a way to that, in folders that are seen and may
 * be listed. No other name is told, and nothing that a reader sees comes, goes or changes in silence:
 *   created, changed PATH   it is there, or is not what it was
 *   moved PATH to DEST      with all below
 *   gone PATH               with all below: removed, moved to where the reader sees nothing, or out of the reader's rights
 *   resync PATH             look at it and all below anew: it came from where the reader sees nothing, or rights have
 *                           changed there
 * A path may be shorter than the event's: where a folder was only a way to something, it comes and goes with it.
 *
 * A reader that carries out a resync sees what is there then. So what lies there and happened before it, or is told
 * together with it, need not be told: feed_covers.
 */
#ifndef GH_POLICY_FEED_RULE_H
#define GH_POLICY_FEED_RULE_H

#include "policy/acl_trie.h"

enum feed_kind {
	FEED_NOTHING, /* nobody's business */
	FEED_CREATED, /* a file or an empty folder at path */
	FEED_CHANGED,
	FEED_REMOVED, /* with all below */
	FEED_MOVED,   /* from path to dest, with all below; what was there is gone */
	FEED_ARRIVED, /* at dest, with all below; what was there is gone */
	FEED_RIGHTS,  /* entries at path are others now */
	FEED_PEOPLE,  /* users, groups */
	FEED_ANYTHING,
};

struct feed_path {
	const struct acl_key *keys;
	unsigned depth;
};

struct feed_event {
	enum feed_kind kind;
	struct feed_path path, dest;
};

/* Somebody's rights at a time. */
struct feed_view {
	const struct acl_trie *trie;
	struct acl_caller caller;
};

enum feed_word { FEED_SAY_CREATED, FEED_SAY_CHANGED, FEED_SAY_MOVED, FEED_SAY_GONE, FEED_SAY_RESYNC };

/* About the first depth components of the event's path, or dest; 0 = the root. MOVED: from all of path to all of dest. */
struct feed_told {
	enum feed_word word;
	bool dest;
	unsigned depth;
};
#define FEED_TOLD_MAX 3

/* How many of ret were filled in. before and after are the same view where no rights have changed in between. people: is
 * the reader named by entries as before (acl_class_same)? Only FEED_PEOPLE asks. */
unsigned feed_decide(const struct feed_event *e, const struct feed_view *before, const struct feed_view *after, bool people,
		     struct feed_told ret[FEED_TOLD_MAX]);

/* Do rights differ where the event moves a node that holds entries, or an ancestor of one? Such an event changes the
 * trie. */
bool feed_event_holds(const struct feed_event *e, const struct acl_trie *t);

/* ---- what need not be told ---- */

#define FEED_COVER_MAX 16
struct feed_cover {
	bool all;
	unsigned count;
	struct feed_path at[FEED_COVER_MAX]; /* their keys are the events' */
};
/* What was told of e will be looked at anew; more than fits is everything: then *ret says so, and the reader has to be
 * told (resync of the root). */
void feed_cover_add(struct feed_cover *c, const struct feed_event *e, const struct feed_told *told, unsigned count,
		    bool *ret_overflow);
bool feed_covers(const struct feed_cover *c, const struct feed_path *p);
/* Does e move something to where it is covered, or from there? Names from before it are other names after it. */
bool feed_cover_crossed(const struct feed_cover *c, const struct feed_event *e);

#endif
