/* See installation.h.
 *
 *   database  store     what is done
 *   -         -         both are made: the database's first, as "not marked yet", so that who is cut short is known
 *   not yet   - or same the mark is made, then the database knows
 *   id        same      all is well; nothing is written
 *   else                refused
 *
 * What writes holds a lease, so that two first starts do not cross. */
#include "core/installation.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/setting_put.h"

#define KIND "installation"
#define ERR_BYTES 512
#define LEASE_MS 10000u
#define WAIT_S 15u

struct known {
	char in_database[BLOB_MARK_BYTES], in_store[BLOB_MARK_BYTES];
	bool marked; /* the store is known to have been marked */
	uint64_t rev;
};

static void doc_read(const char *text, struct known *k)
{
	json_t *o = json_loads(text, 0, NULL);
	const char *id = json_string_value(json_object_get(o, "id"));

	if (id)
		snprintf(k->in_database, sizeof(k->in_database), "%s", id);
	k->marked = json_is_true(json_object_get(o, "marked"));
	json_decref(o);
}

static enum gh_status look(const struct installation *in, struct gh_arena *a, struct known *k)
{
	struct meta_call call = { .arena = a, .op = "installation" };
	struct meta_setting *rows;
	unsigned count;
	enum gh_status st = meta_settings(in->meta, &call, KIND, 0, 1, &rows, &count);

	*k = (struct known){ .rev = 0 };
	if (st == GH_OK && count) {
		k->rev = rows->rev;
		doc_read(rows->doc, k);
	}
	return st ? st : in->ops->mark(in->blobs, NULL, k->in_store);
}

static enum gh_status write_down(const struct installation *in, struct gh_arena *a, struct known *k, bool marked)
{
	struct meta_call call = { .arena = a, .op = "installation" };
	struct meta_setting s = { .kind = KIND, .id = 1, .rev = k->rev,
				  .doc = gh_printf(a, "{\"id\":\"%s\",\"marked\":%s}", k->in_database, marked ? "true" : "false") };
	const enum gh_status st = setting_put(in->meta, &call, "installation.set", &s);

	if (st == GH_OK)
		k->rev++;
	return st;
}

static bool is_settled(const struct known *k)
{
	return k->marked || (!*k->in_database && *k->in_store);
}

/* With the lease. */
static enum gh_status make(const struct installation *in, struct gh_arena *a, struct known *k)
{
	enum gh_status st = look(in, a, k);

	if (st || is_settled(k))
		return st;
	if (!*k->in_database) {
		uint64_t r[2];
		gh_random(r, sizeof(r));
		snprintf(k->in_database, sizeof(k->in_database), "%016llx%016llx", (unsigned long long)r[0],
			 (unsigned long long)r[1]);
		st = write_down(in, a, k, false);
	}
	if (st == GH_OK)
		st = in->ops->mark(in->blobs, k->in_database, k->in_store);
	if (st == GH_OK && !strcmp(k->in_store, k->in_database))
		st = write_down(in, a, k, true);
	return st;
}

static enum gh_status make_alone(const struct installation *in, struct gh_arena *a, struct known *k)
{
	struct meta_call call = { .arena = a, .op = "installation" };
	const uint64_t until_ns = gh_mono_ns() + WAIT_S * GH_S_NS;
	const struct timespec pause = { .tv_nsec = 50 * GH_MS_NS };
	enum gh_status st;

	while ((st = meta_lease_take(in->meta, &call, KIND, 0, 0, in->holder, LEASE_MS)) == GH_BUSY && gh_mono_ns() < until_ns)
		nanosleep(&pause, NULL);
	if (st == GH_OK) {
		st = make(in, a, k);
		if (meta_lease_drop(in->meta, &call, KIND, 0, 0, in->holder) != GH_OK)
			gh_log(GH_LOG_DEBUG, "installation", "lease=kept"); /* it ends by itself */
	}
	return st;
}

static enum gh_status judge(const struct installation *in, const struct known *k, char *err)
{
	if (!strcmp(k->in_database, k->in_store))
		return GH_OK;
	if (!*k->in_store)
		snprintf(err, ERR_BYTES, "blobs.path %.160s is not where this database's content is: it has no mark; name the folder"
			 " that the other gateways use (or, if this is it, write %s into its file `installation`)", in->where,
			 k->in_database);
	else
		snprintf(err, ERR_BYTES, "blobs.path %.160s has the content of another database (installation %s, this one is %s);"
			 " name the folder that the other gateways use, or remove its file `installation` if it is this"
			 " database's", in->where, k->in_store, *k->in_database ? k->in_database : "new");
	return GH_CONFLICT;
}

enum gh_status installation_check(const struct installation *in, char *err)
{
	struct gh_arena *a;
	struct known k;
	enum gh_status st;

	if (!in->ops->mark)
		return GH_OK;
	a = gh_arena_new(1 << 20);
	if (!a)
		return GH_NOMEM;
	st = look(in, a, &k);
	if (st == GH_OK && !is_settled(&k))
		st = make_alone(in, a, &k);
	if (st == GH_OK)
		st = judge(in, &k, err);
	else
		snprintf(err, ERR_BYTES, "whether blobs.path %.160s belongs to this database cannot be told: %s", in->where,
			 gh_status_text(st));
	gh_arena_free(&a);
	return st;
}
