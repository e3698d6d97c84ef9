/* The canonicaliser compared with a reference written apart from it. Without an argument: runs name_reference.py (77 when
 * there is no Python), which runs this program as "name_tool filter". As a filter: reads lines "FLAGS CASE HEX" (FLAGS a
 * number, CASE 0 or 1, HEX of the bytes or "-" for none), prints a line each: "ok DEPTH SLASH TEXTHEX KEYHEX", or the name
 * of the refusal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/name.h"

enum { BYTES_MAX = 16384 };

static size_t unhex(const char *hex, char *out)
{
	size_t len = 0;
	unsigned byte;

	for (; len < BYTES_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		out[len++] = (char)byte;
	return len;
}

static void hex_print(const char *p, size_t len)
{
	putchar(' ');
	for (size_t i = 0; i < len; i++)
		printf("%02x", (unsigned char)p[i]);
}

/* Says "broken" when the parts do not agree with each other. */
static void path_print(const struct gh_path *p)
{
	size_t text = 0, key = 0;

	for (unsigned i = 0; i < p->depth; i++) {
		const struct gh_component *c = &p->comp[i];

		if (strlen(c->name) != c->name_len || strlen(c->key) != c->key_len || p->text[text] != '/' ||
		    p->key[key] != '/' || memcmp(p->text + text + 1, c->name, c->name_len) != 0 ||
		    memcmp(p->key + key + 1, c->key, c->key_len) != 0)
			break;
		text += 1 + (size_t)c->name_len;
		key += 1 + (size_t)c->key_len;
	}
	if (p->depth ? text != p->text_len || key != p->key_len : strcmp(p->text, "/") || strcmp(p->key, "/")) {
		puts("broken");
		return;
	}
	if (p->text[p->text_len] || p->key[p->key_len]) {
		puts("unterminated");
		return;
	}
	printf("ok %u %d", p->depth, p->trailing_slash);
	hex_print(p->text, p->text_len);
	hex_print(p->key, p->key_len);
	putchar('\n');
}

static int filter(void)
{
	static char line[2 * BYTES_MAX + 64], bytes[BYTES_MAX];
	struct gh_arena *a = gh_arena_new(1 << 20);
	unsigned flags, sensitive;
	int at;

	while (a && fgets(line, sizeof(line), stdin)) {
		struct gh_name_rule rule;
		struct gh_path *p;
		enum gh_status st;

		if (sscanf(line, "%u %u %n", &flags, &sensitive, &at) < 2)
			return EXIT_FAILURE;
		rule.case_sensitive = sensitive;
		st = gh_path_parse(a, bytes, unhex(line + at, bytes), flags, &rule, &p);
		if (st == GH_OK)
			path_print(p);
		else
			puts(gh_status_name(st));
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
	return EXIT_SUCCESS;
}

static int compare(const char *self)
{
	const char *srcdir = getenv("srcdir"), *python = "/usr/bin/python3";
	char script[4096];

	snprintf(script, sizeof(script), "%s/tests/unit/base/name_reference.py", srcdir ? srcdir : ".");
	if (access(python, X_OK) != 0) {
		printf("no %s\n", python);
		return 77;
	}
	execl(python, python, script, self, NULL);
	perror(python);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "filter") == 0 ? filter() : compare(argv[0]);
}
