/* How answers look: JSON as it came, or text for people. A list becomes a table whose columns are the keys in the order
 * they came; anything else becomes lines of "key: value". Strings that came from users cannot move the cursor. See cli.h.
 */
#include "frontends/main/cli.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"

#define CELL_MAX (1u << 16)

/* ---- values as text ---- */

static void text_add(struct gh_buf *b, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)s[i];

		if (ch < 0x20 || ch == 0x7f)
			gh_buf_printf(b, "\\x%02x", ch);
		else
			gh_buf_char(b, s[i]);
	}
}

static void value_add(struct gh_buf *b, const json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;

	switch (json_typeof(v)) {
	case JSON_STRING:
		text_add(b, json_string_value(v), json_string_length(v));
		break;
	case JSON_INTEGER:
		gh_buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		gh_buf_printf(b, "%g", json_real_value(v));
		break;
	case JSON_TRUE:
		gh_buf_str(b, "yes");
		break;
	case JSON_FALSE:
		gh_buf_str(b, "no");
		break;
	case JSON_NULL:
		gh_buf_str(b, "-");
		break;
	case JSON_ARRAY:
		json_array_foreach ((json_t *)v, i, item) {
			if (i)
				gh_buf_char(b, ',');
			value_add(b, item);
		}
		break;
	case JSON_OBJECT:
		json_object_foreach ((json_t *)v, key, item) {
			if (b->len && b->data[b->len - 1] != ' ')
				gh_buf_char(b, ' ');
			gh_buf_str(b, key);
			gh_buf_char(b, '=');
			value_add(b, item);
		}
		break;
	}
}

/* Columns on the screen, near enough: code points. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* ---- a table ---- */

#define COLUMNS_MAX 24

struct table {
	const char *keys[COLUMNS_MAX];
	size_t widths[COLUMNS_MAX], columns, rows;
	char **cells; /* rows x columns */
};

static void table_columns(struct table *t, const json_t *items)
{
	const char *key;
	json_t *item, *v;
	size_t i;

	json_array_foreach ((json_t *)items, i, item) {
		json_object_foreach (item, key, v) {
			size_t k = 0;

			while (k < t->columns && strcmp(t->keys[k], key))
				k++;
			if (k == t->columns && k < COLUMNS_MAX) {
				t->keys[k] = key;
				t->widths[k] = text_width(key);
				t->columns++;
			}
		}
	}
}

static void table_cells(struct table *t, const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)items, i, item) {
		for (size_t k = 0; k < t->columns; k++) {
			const json_t *v = json_object_get(item, t->keys[k]);
			struct gh_buf b;

			gh_buf_init(&b, CELL_MAX);
			if (v)
				value_add(&b, v);
			if (!b.len)
				gh_buf_char(&b, '-');
			t->cells[i * t->columns + k] = b.data; /* the table's now */
			if (b.data && text_width(b.data) > t->widths[k])
				t->widths[k] = text_width(b.data);
		}
	}
}

static void cell_print(const char *text, size_t width, bool last, bool head)
{
	size_t w = text_width(text);

	for (; *text; text++)
		putchar(head && *text == '_' ? ' ' : head && *text >= 'a' && *text <= 'z' ? *text - 32 : *text);
	while (!last && w++ < width + 2)
		putchar(' ');
	if (last)
		putchar('\n');
}

static void table_print(const json_t *items)
{
	struct table t = { .rows = json_array_size(items) };

	table_columns(&t, items);
	t.cells = t.columns ? calloc(t.rows * t.columns, sizeof(*t.cells)) : NULL;
	if (!t.cells)
		return;
	table_cells(&t, items);
	for (size_t k = 0; k < t.columns; k++)
		cell_print(t.keys[k], t.widths[k], k + 1 == t.columns, true);
	for (size_t i = 0; i < t.rows * t.columns; i++) {
		size_t k = i % t.columns;

		cell_print(t.cells[i] ? t.cells[i] : "?", t.widths[k], k + 1 == t.columns, false);
		free(t.cells[i]);
	}
	free(t.cells);
}

/* ---- anything else ---- */

static void lines_print(const json_t *o, const char *prefix)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)o, key, v) {
		char name[256];
		struct gh_buf b;

		snprintf(name, sizeof(name), "%s%s", prefix, key);
		if (json_is_object(v)) {
			strncat(name, ".", sizeof(name) - strlen(name) - 1);
			lines_print(v, name);
			continue;
		}
		if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
			printf("%s:\n", name);
			table_print(v);
			continue;
		}
		gh_buf_init(&b, CELL_MAX);
		value_add(&b, v);
		printf("%s: %s\n", name, b.len ? b.data : "-");
		gh_buf_fini(&b);
	}
}

void cli_print_result(const struct cli *c, const json_t *result)
{
	const json_t *items = json_object_get(result, "items");

	if (c->json) {
		json_dumpf(result, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (items && json_object_size(result) == 1 && json_is_object(json_array_get(items, 0))) {
		table_print(items);
	} else if (!items || json_array_size(items)) {
		lines_print(result, "");
	}
}

/* ---- help ---- */

static void options_print(const struct cli_command *command, FILE *out)
{
	for (const struct cli_option *o = cli_options; o->name; o++) {
		char head[64];

		if (!o->help || (o->kind != CLI_GLOBAL && !(command->options & o->bit)))
			continue;
		if (!strcmp(o->name, "--admin") && strcmp(command->words, "serve"))
			continue;
		snprintf(head, sizeof(head), "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		fprintf(out, "  %-22s %s\n", head, o->help);
	}
}

void cli_print_help(const struct cli_command *command, FILE *out)
{
	if (command) {
		fprintf(out, "usage: gatehouse %s%s%s [OPTION...]\n%s\n\n", command->words, *command->positional ? " " : "",
			command->positional, command->help);
		options_print(command, out);
		return;
	}
	fputs("usage: gatehouse COMMAND [ARGUMENT...] [-D DIR] [--json]\n"
	      "`serve` runs the gateway; every other command talks to a running one.\n\n", out);
	for (const struct cli_command *c = cli_commands; c->words; c++) {
		char head[80];

		snprintf(head, sizeof(head), "%s%s%s", c->words, *c->positional ? " " : "", c->positional);
		fprintf(out, "  %-40s %s\n", head, c->help);
	}
	fputs("\n`gatehouse COMMAND --help` tells its options. Exit status: 0 done, 1 refused or failed, 2 usage.\n", out);
}
