/* Which entries about names in the shared cache are true: what a shard's stream (stream.h) has heard of, in a table of fixed size.
 *
 * An entry is a node as somebody read it from the database, and a horizon: each commit below that place of the log was to be seen
 * by who read it. So it is true for as long as no commit at or behind its horizon has touched the name. The table knows, for
 * each name's slot, the highest place of a commit that touched a name there; names that share a slot make each other look
 * changed, no more. `floor` is where what the table knows begins: an entry with a lower horizon may have missed something.
 *
 * What was just found out past the stream is not in the table yet: a commit of this gateway's own, what it read from the
 * database. Such a name, or all of them, is doubted until a reading of the log has ended that began after that; else an entry
 * could show what this gateway has shown to be over.
 *
 * An era is the time between two beginnings of the stream; a view is of one, and what was looked up under a view of another is
 * not true. Within an era the table only rises, so an entry that is false once stays so.
 *
 * Pure; no clock. Threads: begin, since, name, all and end are the stream's, one at a time; the rest is from anywhere.
 */
#ifndef GH_CORE_TREE_MARKS_H
#define GH_CORE_TREE_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct tree_marks;

struct tree_view {
	uint64_t era;
	uint64_t log;     /* which log its numbers are of (meta_stream) */
	uint64_t horizon; /* what is read from the database from now on has this one */
};

GH_MUST_CHECK enum gh_status tree_marks_new(struct tree_marks **ret);
void tree_marks_free(struct tree_marks **m);
/* A name's, for what follows. */
uint64_t tree_marks_hash(const struct tree_marks *m, uint64_t tenant, uint64_t parent, const char *key, size_t len);

/* ---- the stream ---- */
/* A reading begins; its number. anew: nothing of before counts, and nothing is true until the end of one. */
uint64_t tree_marks_begin(struct tree_marks *m, bool anew);
/* Of one that began anew: every commit from that place on is told by name() and all(). */
void tree_marks_since(struct tree_marks *m, uint64_t place);
void tree_marks_name(struct tree_marks *m, uint64_t hash, uint64_t place); /* a commit there touched that name */
void tree_marks_all(struct tree_marks *m, uint64_t place);                 /* ... or nobody knows which */
/* All that it said is told. */
void tree_marks_end(struct tree_marks *m, uint64_t number, uint64_t log, uint64_t horizon);

/* ---- others ---- */
void tree_marks_doubt(struct tree_marks *m, uint64_t hash);
void tree_marks_doubt_all(struct tree_marks *m);
/* false: nothing has been heard yet. Before the database, or the cache, is asked. */
bool tree_marks_view(struct tree_marks *m, struct tree_view *ret);
/* Is an entry of that horizon, asked for under that view, true? */
bool tree_marks_true(struct tree_marks *m, const struct tree_view *v, uint64_t hash, uint64_t horizon);
/* Would what was read under that view be, for others and later? What changes all the time is not worth being kept. */
bool tree_marks_lasts(struct tree_marks *m, const struct tree_view *v, uint64_t hash);

#endif
