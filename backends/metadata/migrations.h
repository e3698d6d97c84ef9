/* The numbered migrations, embedded at build time from migrations/NNNN_name.sql, in order. */
#ifndef GH_BACKENDS_METADATA_MIGRATIONS_H
#define GH_BACKENDS_METADATA_MIGRATIONS_H

struct migration {
	unsigned version; /* NNNN */
	const char *name; /* "0001_shard" */
	const char *sql;
};
extern const struct migration migrations[];
extern const unsigned migration_count;

#endif
