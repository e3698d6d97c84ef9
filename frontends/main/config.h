/* Configuration: one YAML file against one table of keys (config_keys.tbl.h). Whatever is not in the table, is written
 * wrongly, or is given twice is refused with file and line, before anything starts.
 *
 * A struct config is immutable after config_load and the overrides; a reload makes a new one. Single-threaded until then,
 * afterwards any thread may read.
 */
#ifndef GH_FRONTENDS_MAIN_CONFIG_H
#define GH_FRONTENDS_MAIN_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct config;

enum config_kind {
	CONFIG_TEXT, CONFIG_PATH, CONFIG_ADDRESS, CONFIG_CHOICE, CONFIG_USER, CONFIG_SIZE, CONFIG_DURATION, CONFIG_COUNT,
	CONFIG_BOOL, CONFIG_PORTS
};

struct config_key {
	const char *name;
	enum config_kind kind;
	const char *preset; /* the default, as it would be written */
	int64_t min, max;
	bool reload;
	const char *help;
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;

#define CONFIG_ERR_MAX 512

/* path NULL: defaults only. err (CONFIG_ERR_MAX): "FILE:LINE: what". GH_INVALID, GH_NOTFOUND (no such file), GH_IO,
 * GH_NOMEM. */
GH_MUST_CHECK enum gh_status config_load(const char *path, struct config **ret, char *err);
/* One key from the command line; where names the option in messages. As config_load. */
GH_MUST_CHECK enum gh_status config_override(struct config *c, const char *key, const char *value, const char *where,
					     char *err);
/* What only the system can tell: users and folders that are named exist, addresses parse, no two listeners share one.
 * As config_load. */
GH_MUST_CHECK enum gh_status config_check(const struct config *c, char *err);
void config_free(struct config **c);

/* Key must be in the table. number: bytes, milliseconds, counts; text: never NULL. */
int64_t config_number(const struct config *c, const char *key);
const char *config_text(const struct config *c, const char *key);
/* "FILE:LINE" or the option that set it; "default". */
void config_where(const struct config *c, size_t key, char *out, size_t size);
/* Calls fn for every key whose value differs and that a reload can't change. */
void config_changes(const struct config *old, const struct config *new, void (*fn)(void *arg, const char *key), void *arg);

/* Values as they are written (config_units.c). Each: GH_OK, or GH_INVALID with words in err that follow "KEY: ". */
GH_MUST_CHECK enum gh_status config_parse_number(const struct config_key *k, const char *text, int64_t *ret, char *err);

#endif
