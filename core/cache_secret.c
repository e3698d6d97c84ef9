/* See cache_secret.h. */
#include "core/cache_secret.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/setting_put.h"

#define KIND "cache"
#define TRIES 5u

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse(const char *doc, unsigned char ret[CACHE_SECRET_ALL_BYTES])
{
	json_t *o = json_loads(doc, 0, NULL);
	const char *hex = json_string_value(json_object_get(o, "secret"));
	bool ok = hex && strlen(hex) == 2 * CACHE_SECRET_ALL_BYTES;

	for (unsigned i = 0; ok && i < CACHE_SECRET_ALL_BYTES; i++) {
		const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		ok = high >= 0 && low >= 0;
		ret[i] = (unsigned char)(high << 4 | low);
	}
	json_decref(o);
	return ok;
}

static enum gh_status make(struct meta_store *m, struct meta_call *call)
{
	unsigned char secret[CACHE_SECRET_ALL_BYTES];
	char hex[2 * CACHE_SECRET_ALL_BYTES + 1];
	struct meta_setting s = { .kind = KIND, .id = 1 };

	gh_random(secret, sizeof(secret));
	gh_hex(hex, secret, sizeof(secret));
	s.doc = gh_printf(call->arena, "{\"secret\":\"%s\"}", hex);
	return setting_put(m, call, "cache.set", &s);
}

/* Several may make it at once: the row is made once, and read again by the others. */
static enum gh_status find(struct meta_store *m, struct meta_call *call, unsigned char ret[CACHE_SECRET_ALL_BYTES])
{
	enum gh_status st = GH_STALE;

	for (unsigned i = 0; i < TRIES && (st == GH_OK || st == GH_STALE); i++) {
		struct meta_setting *rows;
		unsigned count;

		st = meta_settings(m, call, KIND, 0, 1, &rows, &count);
		if (st == GH_OK && count)
			return parse(rows->doc, ret) ? GH_OK : GH_DAMAGED;
		if (st == GH_OK)
			st = make(m, call);
	}
	return st == GH_OK ? GH_STALE : st;
}

enum gh_status cache_secret(struct meta_store *m, unsigned char ret[CACHE_SECRET_ALL_BYTES], char *err)
{
	struct meta_call call = { .arena = gh_arena_new(1 << 20), .op = "cache" };
	enum gh_status st = call.arena ? find(m, &call, ret) : GH_NOMEM;

	if (st != GH_OK)
		snprintf(err, 256, "the secret of the shared cache (setting \"" KIND "\" in the database) cannot be %s: %s",
			 st == GH_DAMAGED ? "understood; remove it, and another is made" : "read", gh_status_text(st));
	gh_arena_free(&call.arena);
	return st;
}
