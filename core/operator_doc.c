/* Operators and their tokens as JSON documents of the house. A document that lacks what makes it safe (a role that is
 * known, a hash) is nobody. See operators_work.h. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/operators_work.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static int64_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool take_text(const json_t *o, const char *key, char *into, size_t room)
{
	return snprintf(into, room, "%s", text_of(o, key)) < (int)room && *into;
}

static const char *document(struct gh_arena *a, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const char *kept = text ? gh_strdup(a, text) : NULL;

	free(text);
	json_decref(o);
	return kept;
}

/* ---- operators ---- */

const char *operator_doc_write(struct gh_arena *a, const struct operator_row *r)
{
	char secret[TOTP_TEXT_MAX] = "";

	if (r->totp)
		totp_secret_text(r->secret, secret);
	return document(a, json_pack("{s:s, s:s, s:b, s:s, s:s, s:I, s:I, s:I, s:I}", "name", r->name, "role",
				     control_role_name(r->role), "disabled", r->disabled, "hash", r->hash, "totp",
				     secret, "totp_step", (json_int_t)r->totp_step, "gen", (json_int_t)r->gen,
				     "made_us", (json_int_t)r->made_us, "seen_us", (json_int_t)r->seen_us));
}

static bool key_of(struct operator_row *r)
{
	struct gh_arena *a = gh_arena_new(1u << 16);
	struct gh_component n;
	bool good = a && people_name_check(a, r->name, strlen(r->name), &n) == GH_OK &&
		    snprintf(r->key, sizeof(r->key), "%s", n.key) < (int)sizeof(r->key);

	gh_arena_free(&a);
	return good;
}

bool operator_doc_read(const struct meta_setting *s, struct operator_row *ret)
{
	json_t *o = json_loads(s->doc, 0, NULL);
	const char *totp = text_of(o, "totp");
	bool good;

	*ret = (struct operator_row){ .id = s->id, .rev = s->rev };
	good = take_text(o, "name", ret->name, sizeof(ret->name)) && key_of(ret) &&
	       take_text(o, "hash", ret->hash, sizeof(ret->hash)) && control_role_parse(text_of(o, "role"), &ret->role);
	ret->disabled = json_is_true(json_object_get(o, "disabled"));
	ret->totp = *totp != '\0';
	if (ret->totp)
		good &= totp_secret_parse(totp, ret->secret);
	ret->totp_step = number_of(o, "totp_step");
	ret->gen = (uint64_t)number_of(o, "gen");
	ret->made_us = number_of(o, "made_us");
	ret->seen_us = number_of(o, "seen_us");
	json_decref(o);
	return good;
}

/* ---- tokens ---- */

const char *operator_token_doc_write(struct gh_arena *a, const struct operator_token_row *r)
{
	char hex[2 * PW_DIGEST_BYTES + 1];

	gh_hex(hex, r->digest, PW_DIGEST_BYTES);
	return document(a, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "name", r->name, "role",
				     control_role_name(r->role), "sha256", hex, "by", r->by, "made_us",
				     (json_int_t)r->made_us, "expires_us", (json_int_t)r->expires_us));
}

static bool digest_read(const char *hex, unsigned char *ret)
{
	if (strlen(hex) != 2 * PW_DIGEST_BYTES || strspn(hex, "0123456789abcdef") != 2 * PW_DIGEST_BYTES)
		return false;
	for (unsigned i = 0; i < PW_DIGEST_BYTES; i++) {
		unsigned byte = 0;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return false;
		ret[i] = (unsigned char)byte;
	}
	return true;
}

bool operator_token_doc_read(const struct meta_setting *s, struct operator_token_row *ret)
{
	json_t *o = json_loads(s->doc, 0, NULL);
	bool good;

	*ret = (struct operator_token_row){ .id = s->id, .rev = s->rev };
	good = take_text(o, "name", ret->name, sizeof(ret->name)) && digest_read(text_of(o, "sha256"), ret->digest) &&
	       control_role_parse(text_of(o, "role"), &ret->role);
	(void)take_text(o, "by", ret->by, sizeof(ret->by));
	ret->made_us = number_of(o, "made_us");
	ret->expires_us = number_of(o, "expires_us");
	json_decref(o);
	return good;
}
