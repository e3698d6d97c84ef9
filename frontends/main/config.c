/* Configuration: the file (libyaml's document, whose nodes know their line) against the table of keys. See config.h. */
#include "frontends/main/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#define RELOAD true
#define RESTART false
const struct config_key config_keys[] = {
#define X(name, kind, preset, min, max, reload, help) { name, CONFIG_##kind, preset, min, max, reload, help },
#include "frontends/main/config_keys.tbl.h"
#undef X
};
const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

#define FILE_MAX_BYTES (1l << 20)
#define DEPTH_MAX 8

struct value {
	char *text;
	int64_t number;
	unsigned line;   /* 0 = not from the file */
	const char *where; /* option that set it, static storage; NULL = file or default */
};

struct config {
	char *file; /* NULL = none */
	struct value values[sizeof(config_keys) / sizeof(config_keys[0])];
};

/* "" for an address that is switched off. */
static const char *value_normal(const struct config_key *k, const char *text)
{
	return k->kind == CONFIG_ADDRESS && !strcmp(text, "off") ? "" : text;
}

/* A CHOICE's words stand in brackets at the head of its help. */
static bool choice_has(const struct config_key *k, const char *word)
{
	const char *p = k->help + 1, *end = strchr(p, ']');
	size_t len = strlen(word);

	while (p < end) {
		size_t n = strcspn(p, " ]");

		if (n == len && !memcmp(p, word, n))
			return true;
		p += n + 1;
	}
	return false;
}

static enum gh_status value_set(struct config *c, size_t key, const char *text, char *err)
{
	const struct config_key *k = &config_keys[key];
	struct value *v = &c->values[key];
	int64_t number;
	char *copy;

	if (config_parse_number(k, text, &number, err))
		return GH_INVALID;
	if (k->kind == CONFIG_CHOICE && !choice_has(k, text)) {
		snprintf(err, CONFIG_ERR_MAX, "\"%.64s\" is none of: %.*s", text, (int)(strchr(k->help, ']') - k->help - 1),
			 k->help + 1);
		return GH_INVALID;
	}
	copy = strdup(value_normal(k, text));
	if (!copy) {
		snprintf(err, CONFIG_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	free(v->text);
	v->text = copy;
	v->number = number;
	return GH_OK;
}

static bool key_find(const char *name, size_t *ret)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (!strcmp(config_keys[i].name, name)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool is_section(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < config_key_count; i++) {
		if (!strncmp(config_keys[i].name, name, len) && config_keys[i].name[len] == '.')
			return true;
	}
	return false;
}

/* Edits from a to b, for "did you mean". Both at most 63 bytes. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64], la = (unsigned)strlen(a), lb = (unsigned)strlen(b);

	if (la > 63 || lb > 63)
		return 99;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[lb];
}

static const char *key_near(const char *name)
{
	const char *best = NULL;
	unsigned least = 4;

	for (size_t i = 0; i < config_key_count; i++) {
		unsigned d = distance(name, config_keys[i].name);

		if (d < least) {
			least = d;
			best = config_keys[i].name;
		}
	}
	return best;
}

/* ---- the file ---- */

struct reading {
	struct config *c;
	yaml_document_t *doc;
	const char *file;
	char *err;
};

static enum gh_status refuse(struct reading *r, const yaml_node_t *n, const char *fmt, ...) GH_PRINTF(3, 4);
static enum gh_status refuse(struct reading *r, const yaml_node_t *n, const char *fmt, ...)
{
	char what[CONFIG_ERR_MAX - 160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(r->err, CONFIG_ERR_MAX, "%.140s:%zu: %s", r->file, n->start_mark.line + 1, what);
	return GH_INVALID;
}

static enum gh_status leaf_read(struct reading *r, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
	char why[CONFIG_ERR_MAX];
	const char *text;
	struct value *v;
	size_t i;

	if (!key_find(name, &i)) {
		const char *near = key_near(name);

		return near ? refuse(r, key, "unknown key \"%s\"; did you mean \"%s\"?", name, near)
			    : refuse(r, key, "unknown key \"%s\"", name);
	}
	if (value->type != YAML_SCALAR_NODE)
		return refuse(r, value, "%s: a single value is expected here", name);
	v = &r->c->values[i];
	if (v->line)
		return refuse(r, key, "%s: given twice, first in line %u", name, v->line);
	text = (const char *)value->data.scalar.value;
	if (strlen(text) != value->data.scalar.length)
		return refuse(r, value, "%s: holds a NUL byte", name);
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return refuse(r, value, "%s: holds a control character", name);
	}
	if (value_set(r->c, i, text, why))
		return refuse(r, value, "%s: %s", name, why);
	v->line = (unsigned)value->start_mark.line + 1;
	return GH_OK;
}

static enum gh_status mapping_read(struct reading *r, const yaml_node_t *map, const char *prefix, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return refuse(r, map, "nested too deeply");
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
		const yaml_node_t *value = yaml_document_get_node(r->doc, p->value);
		char name[128];
		enum gh_status st;

		if (!key || !value || key->type != YAML_SCALAR_NODE)
			return refuse(r, map, "a key must be a plain word");
		if (strchr((const char *)key->data.scalar.value, '.'))
			return refuse(r, key, "unknown key \"%.60s\"; sections are nested, not written with a dot",
				      (const char *)key->data.scalar.value);
		if (snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key->data.scalar.value) >=
		    (int)sizeof(name))
			return refuse(r, key, "unknown key \"%.60s...\"", (const char *)key->data.scalar.value);
		if (is_section(name)) {
			bool empty = value->type == YAML_SCALAR_NODE && !value->data.scalar.length;

			if (value->type != YAML_MAPPING_NODE && !empty)
				return refuse(r, value, "%s: keys are expected below it", name);
			st = empty ? GH_OK : mapping_read(r, value, name, depth + 1);
		} else {
			st = leaf_read(r, name, key, value);
		}
		if (st)
			return st;
	}
	return GH_OK;
}

static enum gh_status parser_refuse(struct reading *r, const yaml_parser_t *p)
{
	/* Reader errors (encoding) know an offset, not a line; what was read before tells it well enough. */
	size_t line = p->problem_mark.line ? p->problem_mark.line : p->mark.line;

	snprintf(r->err, CONFIG_ERR_MAX, "%.140s:%zu: %s", r->file, line + 1,
		 p->problem ? p->problem : "not readable as YAML");
	return p->error == YAML_MEMORY_ERROR ? GH_NOMEM : GH_INVALID;
}

static enum gh_status document_read(struct reading *r, yaml_parser_t *p)
{
	yaml_document_t doc, second;
	enum gh_status st = GH_OK;
	yaml_node_t *root;

	if (!yaml_parser_load(p, &doc))
		return parser_refuse(r, p);
	r->doc = &doc;
	root = yaml_document_get_root_node(&doc);
	if (!root)
		goto out; /* an empty file: all defaults */
	if (root->type == YAML_MAPPING_NODE)
		st = mapping_read(r, root, "", 0);
	else if (root->type != YAML_SCALAR_NODE || root->data.scalar.length)
		st = refuse(r, root, "keys are expected, like \"data: /var/lib/gatehouse\"");
	if (st)
		goto out;
	if (!yaml_parser_load(p, &second)) {
		st = parser_refuse(r, p);
		goto out;
	}
	root = yaml_document_get_root_node(&second);
	if (root)
		st = refuse(r, root, "a second document in one file");
	yaml_document_delete(&second);
out:
	yaml_document_delete(&doc);
	return st;
}

static enum gh_status file_open(const char *path, FILE **ret, char *err)
{
	struct stat sb;
	FILE *f = fopen(path, "re");

	if (!f) {
		snprintf(err, CONFIG_ERR_MAX, "%.200s: cannot open the configuration: %s", path, strerror(errno));
		return errno == ENOENT ? GH_NOTFOUND : GH_IO;
	}
	if (fstat(fileno(f), &sb) || !S_ISREG(sb.st_mode) || sb.st_size > FILE_MAX_BYTES) {
		snprintf(err, CONFIG_ERR_MAX, "%.200s: not a plain file of at most 1 MiB", path);
		fclose(f);
		return GH_INVALID;
	}
	*ret = f;
	return GH_OK;
}

static enum gh_status file_read(struct config *c, const char *path, char *err)
{
	struct reading r = { .c = c, .file = path, .err = err };
	yaml_parser_t parser;
	enum gh_status st;
	FILE *f;

	st = file_open(path, &f, err);
	if (st)
		return st;
	c->file = strdup(path);
	if (!c->file || !yaml_parser_initialize(&parser)) {
		snprintf(err, CONFIG_ERR_MAX, "out of memory");
		fclose(f);
		return GH_NOMEM;
	}
	yaml_parser_set_input_file(&parser, f);
	st = document_read(&r, &parser);
	yaml_parser_delete(&parser);
	fclose(f);
	return st;
}

enum gh_status config_load(const char *path, struct config **ret, char *err)
{
	struct config *c = calloc(1, sizeof(*c));
	enum gh_status st = GH_OK;

	if (!c) {
		snprintf(err, CONFIG_ERR_MAX, "out of memory");
		return GH_NOMEM;
	}
	for (size_t i = 0; i < config_key_count && !st; i++)
		st = value_set(c, i, config_keys[i].preset, err);
	if (!st && path)
		st = file_read(c, path, err);
	if (st) {
		config_free(&c);
		return st;
	}
	*ret = c;
	return GH_OK;
}

enum gh_status config_override(struct config *c, const char *key, const char *value, const char *where, char *err)
{
	char why[CONFIG_ERR_MAX];
	enum gh_status st;
	size_t i;

	GH_ASSERT(key_find(key, &i));
	st = value_set(c, i, value, why);
	if (st) {
		snprintf(err, CONFIG_ERR_MAX, "%s: %.400s", where, why);
		return st;
	}
	c->values[i].line = 0;
	c->values[i].where = where;
	return GH_OK;
}

void config_free(struct config **c)
{
	if (!*c)
		return;
	for (size_t i = 0; i < config_key_count; i++)
		free((*c)->values[i].text);
	free((*c)->file);
	free(*c);
	*c = NULL;
}

int64_t config_number(const struct config *c, const char *key)
{
	size_t i;

	GH_ASSERT(key_find(key, &i));
	return c->values[i].number;
}

const char *config_text(const struct config *c, const char *key)
{
	size_t i;

	GH_ASSERT(key_find(key, &i));
	return c->values[i].text;
}

void config_where(const struct config *c, size_t key, char *out, size_t size)
{
	const struct value *v = &c->values[key];

	if (v->where)
		snprintf(out, size, "%s", v->where);
	else if (v->line)
		snprintf(out, size, "%s:%u", c->file, v->line);
	else
		snprintf(out, size, "default");
}

void config_changes(const struct config *old, const struct config *new, void (*fn)(void *arg, const char *key), void *arg)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (!config_keys[i].reload && strcmp(old->values[i].text, new->values[i].text))
			fn(arg, config_keys[i].name);
	}
}
