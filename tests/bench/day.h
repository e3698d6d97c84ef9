/* A day's load at the HTTP door, in parts: day.c is the clock and the connections, day_mix.c what is asked for,
 * day_http.c reads answers. One thread. */
#ifndef TESTS_BENCH_DAY_H
#define TESTS_BENCH_DAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- day_mix.c ---- */

enum day_class { DAY_STAT, DAY_LIST, DAY_READ, DAY_WRITE, DAY_REST, DAY_CLASSES };

struct day_layout {
	unsigned tenants, folders, files; /* files in each folder */
	unsigned run;                     /* part of the names that are made, so that two runs never make the same */
};

struct day_kind;

/* One request: made when it is due, freed when it was answered. */
struct day_ask {
	struct day_ask *next;
	const struct day_kind *kind;
	uint64_t due_ns;
	unsigned tenant, folder, file;
	unsigned serial, target; /* of names that are made: what it works on, and what comes of it; 0: none */
};

extern const char *const day_class_name[DAY_CLASSES];

/* Once. password is every tenant's user's. False: no memory. */
bool day_mix_init(const struct day_layout *l, const char *password);
void day_mix_fini(void);
/* The mix by chance: kind, tenant, and what of it. */
void day_mix_any(struct day_ask *a, uint64_t *random);
/* The nth step of preparing a tenant: its folders, then its files. False: there are no more. */
bool day_mix_fill(struct day_ask *a, unsigned n);
/* The nth step of looking at all that is there. */
bool day_mix_warm(struct day_ask *a, unsigned n);
/* What logs in and looks at nothing but the root. */
void day_mix_login(struct day_ask *a);
enum day_class day_mix_class(const struct day_ask *a);
/* The request's bytes into buf, which has to have DAY_REQUEST_MAX. */
#define DAY_REQUEST_MAX 8192
size_t day_mix_render(const struct day_ask *a, char *buf);
/* Whether this is the answer. What was made is known from now on. */
bool day_mix_answered(const struct day_ask *a, unsigned status, uint64_t body_bytes);
const char *day_mix_name(const struct day_ask *a);
bool day_mix_bodyless(const struct day_ask *a); /* HEAD */
/* What the mix is, for people, as JSON. */
void day_mix_tell(void);

/* ---- day_http.c ---- */

#define DAY_HEAD_MAX 4096

/* An answer that comes in pieces. All zero: none has begun. */
struct day_answer {
	enum { DAY_HEAD, DAY_BODY, DAY_SIZE, DAY_CHUNK, DAY_CHUNK_END, DAY_TRAILER, DAY_WHOLE, DAY_BROKEN } at;
	bool closes;
	unsigned status;
	uint64_t left, body_bytes;
	unsigned len;
	char line[DAY_HEAD_MAX];
};

/* Takes what has come; a->at is DAY_WHOLE or DAY_BROKEN when it is over. Bytes behind the answer break it: nothing else
 * was asked for. */
void day_answer_take(struct day_answer *a, bool bodyless, const char *data, size_t len);

#endif
