/* Operators and their tokens inside the core: the table in memory, its documents, its changes. See operators.h.
 *
 * Who changes anything holds gh_core.change_lock (control_retry does) from reading the table until it was loaded anew,
 * so that a table that is published never lacks a change that was made before.
 */
#ifndef GH_CORE_OPERATORS_WORK_H
#define GH_CORE_OPERATORS_WORK_H

#include "core/house.h"
#include "core/operators.h"
#include "core/people/loginname.h"
#include "core/people/password.h"
#include "core/people/totp.h"

#define OPERATOR_KIND "operator"
#define OPERATOR_TOKEN_KIND "operator-token"
#define OPERATORS_MAX 1000 /* of either kind */

struct operator_row {
	uint64_t id, rev;
	uint64_t gen; /* raised whenever who is signed in must sign in again */
	char name[LOGIN_NAME_MAX + 1], key[LOGIN_NAME_MAX + 1];
	enum control_role role;
	bool disabled, totp;
	char hash[PW_HASH_MAX];
	unsigned char secret[TOTP_SECRET_BYTES]; /* if totp */
	int64_t totp_step;                       /* of the last code that was used */
	int64_t made_us, seen_us;                /* seen: the last sign-in; 0 = never */
};

struct operator_token_row {
	uint64_t id, rev;
	char name[LOGIN_NAME_MAX + 1], by[OPERATOR_ACTOR_MAX];
	enum control_role role;
	unsigned char digest[PW_DIGEST_BYTES];
	int64_t made_us, expires_us; /* 0 = never */
};

/* A copy of all, sorted by id; the caller frees both arrays. */
struct operator_table {
	struct operator_row *rows;
	struct operator_token_row *tokens;
	unsigned count, token_count;
};

struct operators;
GH_MUST_CHECK enum gh_status operators_new(struct operators **ret);
void operators_free(struct operators **o);

/* Reads the store and publishes what is there. Blocks. */
GH_MUST_CHECK enum gh_status operators_load(struct gh_core *c);
/* GH_NOMEM. */
GH_MUST_CHECK enum gh_status operators_copy(struct gh_core *c, struct operator_table *ret);
void operator_table_free(struct operator_table *t);
/* By folded name. GH_NOTFOUND. */
GH_MUST_CHECK enum gh_status operators_find(struct gh_core *c, const char *key, struct operator_row *ret);

/* Documents (operator_doc.c); in the arena; NULL: out of memory. */
const char *operator_doc_write(struct gh_arena *a, const struct operator_row *row);
const char *operator_token_doc_write(struct gh_arena *a, const struct operator_token_row *row);
/* false: cannot be read, and is nobody */
bool operator_doc_read(const struct meta_setting *s, struct operator_row *ret);
bool operator_token_doc_read(const struct meta_setting *s, struct operator_token_row *ret);

#endif
