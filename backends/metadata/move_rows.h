/* Rows of a tenant in two databases, compared and made the same: what move_rows.c and move_follow.c share. */
#ifndef GH_BACKENDS_METADATA_MOVE_ROWS_H
#define GH_BACKENDS_METADATA_MOVE_ROWS_H

#include "backends/metadata/move.h"
#include "backends/metadata/tables.h"

#define NODE_ID 3u /* columns of tables.tbl.h */
#define NODE_TYPE 4u
#define NODE_SIZE 9u

struct row {
	struct db_value v[TABLE_COLUMNS_MAX];
};

/* In the order of the keys, in an arena. */
struct page {
	struct row *rows;
	unsigned count, cap;
	bool last; /* there are no more */
};

/* What has to go from the new shard, and what has to come; pointers into pages. */
struct mend {
	const struct move *m;
	const struct meta_table *t;
	bool told; /* what comes may have another row's place */
	const struct row **out, **in;
	unsigned out_count, in_count, out_at, in_at;
};

/* One more row of the statement that was stepped. false: no memory. */
bool page_add(struct gh_arena *a, const struct meta_table *t, struct db_stmt *s, struct page *p);
/* By key, each once. */
void page_sort(const struct meta_table *t, struct page *p);
/* Room for what two pages can differ by. */
GH_MUST_CHECK enum gh_status mend_begin(struct mend *k, const struct move *m, const struct meta_table *t, struct gh_arena *a,
					const struct page *from, const struct page *to);
/* Up to that key (NULL: the end). */
void mend_compare(struct mend *k, const struct page *from, const struct page *to, const struct row *bound,
		  struct move_tally *tally);
/* Writes what was found, at most 1000 rows at a time. */
GH_MUST_CHECK enum gh_status mend_write(struct mend *k, struct meta_call *c);
/* One pass over a table. Adds to *tally. */
GH_MUST_CHECK enum gh_status table_mend(const struct move *m, struct meta_call *c, const struct meta_table *t,
					struct move_tally *tally);

#endif
