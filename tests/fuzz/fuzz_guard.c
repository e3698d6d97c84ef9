/* The request guard against anything: what passes is framed in one way only. First line "METHOD TARGET VERSION", then
 * "name:value" lines, split without any of a parser's kindness. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "frontends/http/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static unsigned count(const struct http_raw *raw, const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < raw->field_count; i++)
		n += raw->fields[i].name_len == strlen(name) &&
		     !strncasecmp(raw->fields[i].name, name, raw->fields[i].name_len);
	return n;
}

static void check(const struct http_raw *raw)
{
	struct http_guarded g;
	const char *why = NULL;
	int code = http_guard(raw, &g, &why);

	if (code) {
		must(code >= 400 && code <= 505 && why);
		return;
	}
	must(count(raw, "Transfer-Encoding") + count(raw, "Content-Length") <= 1);
	must(count(raw, "Host") == 1 || (g.http10 && count(raw, "Host") == 0));
	must(count(raw, "Authorization") <= 1 && count(raw, "Destination") <= 1 && count(raw, "If") <= 1);
	must((g.declared == UINT64_MAX) == (count(raw, "Transfer-Encoding") == 1));
	must(g.has_body == (g.declared > 0));
	must(!(g.http10 && g.declared == UINT64_MAX));
	must(raw->field_count <= HTTP_FIELDS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_field fields[150];
	struct http_raw raw = { .fields = fields };
	char *text = malloc(size + 1), *line, *next, *word;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	line = text;
	next = strchr(line, '\n');
	if (next)
		*next++ = '\0';
	raw.method = line;
	raw.target = raw.version = "";
	word = strchr(line, ' ');
	if (word) {
		*word++ = '\0';
		raw.target = word;
		word = strrchr(word, ' ');
	}
	if (word) {
		*word++ = '\0';
		raw.version = word;
	}
	raw.target_len = strlen(raw.target);
	while (next && raw.field_count < 150) {
		struct http_field *f = &fields[raw.field_count++];

		line = next;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		f->name = line;
		word = strchr(line, ':');
		f->name_len = (unsigned)(word ? (size_t)(word - line) : strlen(line));
		f->value = word ? word + 1 : "";
		f->value_len = (unsigned)strlen(f->value);
	}
	check(&raw);
	free(text);
	return 0;
}
