/* See switch_doc.h. Fields that a document does not have say nothing; a word that is not known makes the whole rule
 * unreadable, because half a rule would shut something else. */
#include "core/switch_doc.h"

#include <jansson.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/vfs.h"

int switch_class_of(const char *word)
{
	for (int c = 0; c < VFS_CLASS_COUNT; c++)
		if (!strcmp(vfs_class_name((enum vfs_class)c), word))
			return c;
	return -1;
}

/* ---- reading ---- */

static const char *text_of(struct gh_arena *a, const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return gh_strdup(a, text ? text : "");
}

static const char *name_of(struct gh_arena *a, const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text && *text ? gh_strdup(a, text) : NULL;
}

static bool words_read(const json_t *list, struct switch_rule *r)
{
	const json_t *protocols = json_object_get(list, "protocols"), *classes = json_object_get(list, "classes");
	for (size_t i = 0; i < json_array_size(protocols); i++) {
		const char *word = json_string_value(json_array_get(protocols, i));
		enum switch_proto p;
		if (!word || !switch_proto_parse(word, &p))
			return false;
		r->protocols |= 1u << p;
	}
	for (size_t i = 0; i < json_array_size(classes); i++) {
		const char *word = json_string_value(json_array_get(classes, i));
		const int class = word ? switch_class_of(word) : -1;
		if (class < 0)
			return false;
		r->classes |= 1u << class;
	}
	return true;
}

static bool rule_read(struct gh_arena *a, const json_t *o, struct switch_kept *k)
{
	struct switch_rule *r = &k->rule;
	const char *mode = json_string_value(json_object_get(o, "mode"));
	const json_t *percent = json_object_get(o, "percent");
	if (!words_read(o, r) || !mode || !switch_mode_parse(mode, &r->mode))
		return false;
	r->flag = name_of(a, o, "flag");
	r->host = name_of(a, o, "host");
	r->pod = name_of(a, o, "pod");
	r->dc = name_of(a, o, "dc");
	r->everywhere = json_is_true(json_object_get(o, "everywhere"));
	r->value = json_integer_value(json_object_get(o, "value"));
	r->percent = percent ? (unsigned)json_integer_value(percent) : 100;
	r->message = text_of(a, o, "message");
	r->who = text_of(a, o, "who");
	r->why = text_of(a, o, "why");
	k->tenant_name = text_of(a, o, "tenant");
	k->user_name = text_of(a, o, "user");
	k->made_us = json_integer_value(json_object_get(o, "made_us"));
	k->until_us = json_integer_value(json_object_get(o, "until_us"));
	return true;
}

enum gh_status switch_doc_read(struct gh_arena *a, const struct meta_setting *s, struct switch_kept *ret)
{
	json_t *o = json_loads(s->doc, 0, NULL);
	*ret = (struct switch_kept){ .rev = s->rev };
	ret->rule.id = s->id;
	ret->rule.tenant = s->tenant;
	ret->rule.user = s->user;
	ret->rule.expires_ms = SWITCH_NEVER;
	const bool good = o && rule_read(a, o, ret);
	json_decref(o);
	if (!good)
		return GH_INVALID;
	return gh_arena_overflowed(a) ? GH_NOMEM : GH_OK;
}

/* ---- writing ---- */

static json_t *protocols_json(unsigned bits)
{
	json_t *list = json_array();
	for (unsigned p = 0; p < SWITCH_PROTO_COUNT; p++)
		if (bits & 1u << p)
			json_array_append_new(list, json_string(switch_proto_name((enum switch_proto)p)));
	return list;
}

static json_t *classes_json(unsigned bits)
{
	json_t *list = json_array();
	for (unsigned c = 0; c < VFS_CLASS_COUNT; c++)
		if (bits & 1u << c)
			json_array_append_new(list, json_string(vfs_class_name((enum vfs_class)c)));
	return list;
}

static const char *or_nothing(const char *text)
{
	return text ? text : "";
}

char *switch_doc_write(struct gh_arena *a, const struct switch_kept *k)
{
	const struct switch_rule *r = &k->rule;
	json_t *o = json_pack("{s:o, s:o, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "protocols",
			      protocols_json(r->protocols), "classes", classes_json(r->classes), "host",
			      or_nothing(r->host), "pod", or_nothing(r->pod), "dc", or_nothing(r->dc), "everywhere",
			      r->everywhere, "mode", switch_mode_name(r->mode), "message", or_nothing(r->message), "who",
			      or_nothing(r->who), "why", or_nothing(r->why), "tenant", or_nothing(k->tenant_name), "user",
			      or_nothing(k->user_name), "made_us", (json_int_t)k->made_us, "until_us",
			      (json_int_t)k->until_us);
	if (o && r->flag) {
		json_object_set_new(o, "flag", json_string(r->flag));
		json_object_set_new(o, "value", json_integer(r->value));
		json_object_set_new(o, "percent", json_integer(r->percent));
	}
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL, *kept = NULL;
	if (text)
		kept = gh_strdup(a, text);
	free(text);
	json_decref(o);
	return kept;
}

static void word_add(struct gh_buf *b, const char *key, const char *value)
{
	if (value && *value)
		gh_buf_printf(b, "%s%s%s", b->len ? " " : "", key, value);
}

const char *switch_doc_scope(struct gh_arena *a, const struct switch_kept *k)
{
	const struct switch_rule *r = &k->rule;
	struct gh_buf b;
	gh_buf_init(&b, 4096);
	word_add(&b, "flag ", r->flag);
	for (unsigned p = 0; p < SWITCH_PROTO_COUNT; p++)
		if (r->protocols & 1u << p)
			word_add(&b, "", switch_proto_name((enum switch_proto)p));
	for (unsigned c = 0; c < VFS_CLASS_COUNT; c++)
		if (r->classes & 1u << c)
			word_add(&b, "class=", vfs_class_name((enum vfs_class)c));
	word_add(&b, "tenant=", k->tenant_name);
	word_add(&b, "user=", k->user_name);
	word_add(&b, "host=", r->host);
	word_add(&b, "pod=", r->pod);
	word_add(&b, "dc=", r->dc);
	if (r->everywhere)
		word_add(&b, "", "everywhere");
	const char *text = b.failed || !b.len ? "?" : gh_strndup(a, b.data, b.len);
	gh_buf_fini(&b);
	return text ? text : "?";
}
