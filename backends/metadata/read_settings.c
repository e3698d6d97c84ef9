/* Reading the house's settings. Any worker; each call holds one reader. */
#include "backends/metadata/store.h"

#include <string.h>

enum gh_status shard_settings(struct shard_store *m, struct meta_call *c, const char *kind, uint64_t after_id,
			      unsigned limit, struct meta_setting **ret, unsigned *ret_count)
{
	const struct db_value kind_value = { .type = DB_BLOB, .len = (uint32_t)strlen(kind), .p = kind };
	struct meta_setting *rows = NULL;
	unsigned count = 0, cap = 0;
	struct query q;
	enum gh_status st = query_open(&q, m, c);

	if (st == GH_OK)
		st = query_prepare(&q, SQL_SETTINGS_LIST);
	if (st == GH_OK) {
		m->drv->bind(q.stmt, 1, &kind_value);
		db_bind_u64(q.stmt, 2, after_id);
		db_bind_u64(q.stmt, 3, limit > 1000 ? 1000 : limit);
	}
	while (st == GH_OK && (st = m->drv->step(q.stmt)) == GH_OK) {
		struct meta_setting *s;

		rows = rows_more(c->arena, rows, count, &cap, sizeof(*rows));
		if (!rows)
			break;
		s = &rows[count++];
		s->kind = kind;
		s->id = db_u64(q.stmt, 0);
		s->tenant = db_u64(q.stmt, 1);
		s->user = db_u64(q.stmt, 2);
		s->rev = db_u64(q.stmt, 3);
		s->doc = row_str(c->arena, q.stmt, 4, NULL);
	}
	query_close(&q);
	st = query_result(&q, st);
	if (st == GH_OK) {
		*ret = rows;
		*ret_count = count;
	}
	return st;
}
