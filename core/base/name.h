/* The canonicaliser: the one spelling of a path, for every door and every source of a name (request target,
 * Destination, If tags, XML hrefs, FTP arguments, configuration). Runs at the edge of the core, before routing, ACL,
 * cache key, lock key.
 *
 * name     = NFC of what the client sent, case preserved; what listings show.
 * name key = NFC(simple one-to-one case fold(NFC)); per code point utf8proc's CASEFOLD where it yields exactly one code
 *            point, else utf8proc_tolower; U+0130 stays itself. In a case-sensitive tenant key = name.
 *            Uniqueness and paging order are by the key's bytes.
 * canon(canon(x)) = canon(x). Full folding would make two files of NTFS one (straße, strasse).
 *
 * Refused (GH_BADNAME): NUL, controls (C0, DEL, C1), invalid UTF-8, backslash, slash inside a percent-decoded segment
 * (%2F), unassigned code points, surrogates and non-characters, ".." (unless GH_PATH_CLIMB). "." and empty segments
 * vanish. GH_TOOLONG past the limits below. Pure: no I/O, no globals; any thread.
 */
#ifndef GH_CORE_BASE_NAME_H
#define GH_CORE_BASE_NAME_H

#include <stdint.h>

#include "core/base/arena.h"

#define GH_NAME_MAX 255   /* bytes of one name after NFC, and of its key (NTFS, ext4) */
#define GH_PATH_MAX 4096  /* bytes of the whole path as sent (percent-decoded), in canonical form, and of its key */
#define GH_DEPTH_MAX 128  /* components */

struct gh_name_rule {
	bool case_sensitive;
};

struct gh_component {
	const char *name, *key; /* NUL-terminated, in the arena */
	uint16_t name_len, key_len;
};

/* Lives in the arena it was parsed into. The root has depth 0. */
struct gh_path {
	unsigned depth;
	bool trailing_slash;      /* the client wrote one: it means a folder */
	const char *text;         /* "/" or "/a/b", names joined; NUL-terminated */
	uint32_t text_len;
	const char *key;          /* "/" or "/a/b" of the keys: lock key and ACL key */
	uint32_t key_len;
	struct gh_component comp[];
};

enum {
	GH_PATH_PERCENT = 1, /* the bytes are percent-encoded: decode once; malformed %XX is GH_BADNAME */
	GH_PATH_CLIMB = 2,   /* ".." goes up lexically, at the root it stays there (FTP's CWD ..) */
};

/* bytes need no leading slash; len 0 is the root. *ret_path is in arena a. */
GH_MUST_CHECK enum gh_status gh_path_parse(struct gh_arena *a, const char *bytes, size_t len, unsigned flags,
					   const struct gh_name_rule *rule, struct gh_path **ret_path);
/* The folder above; NULL for the root. */
struct gh_path *gh_path_parent(struct gh_arena *a, const struct gh_path *p);
/* p with one more name, which must be canonical already (it came from the store). */
struct gh_path *gh_path_child(struct gh_arena *a, const struct gh_path *p, const char *name, const char *key);
/* Same place, by keys. */
bool gh_path_equal(const struct gh_path *a, const struct gh_path *b);
/* a lies strictly below b, by keys. */
bool gh_path_below(const struct gh_path *a, const struct gh_path *b);
/* One name (a user, group, tenant): canonical NFC name in arena; same refusals, also "/" "." "..". */
GH_MUST_CHECK enum gh_status gh_name_check(struct gh_arena *a, const char *bytes, size_t len,
					   const struct gh_name_rule *rule, struct gh_component *ret);

#endif
