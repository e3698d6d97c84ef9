/* Words of the switchboard whose answers are sentences or a narrower table than the list has fields. With --json
 * everything comes as the gateway said it. See cli.h. */
#include "frontends/main/cli.h"

#include <string.h>

/* "41 sessions"; what is one is named as one. */
static void count_print(const json_t *hit, const char *one, const char *key, const char *before)
{
	const json_int_t n = json_integer_value(json_object_get(hit, key));

	printf("%s%" JSON_INTEGER_FORMAT " %s%s", before, n, one, n == 1 ? "" : "s");
}

static void hit_print(const json_t *result, bool dry_run)
{
	const json_t *hit = json_object_get(result, "hit");
	const char *until = json_string_value(json_object_get(result, "until"));

	printf("%s: %s", json_string_value(json_object_get(result, "scope")),
	       json_string_value(json_object_get(result, "mode")));
	if (until)
		printf(" until %s", until);
	printf("%s", dry_run ? "; would hit " : "; hit ");
	count_print(hit, "session", "sessions", "");
	count_print(hit, "upload", "uploads", ", ");
	count_print(hit, "download", "downloads", ", ");
	putchar('\n');
}

static void outcome_print(const json_t *result)
{
	const json_int_t ms = json_integer_value(json_object_get(result, "took_ms"));
	const char *id = json_string_value(json_object_get(result, "id"));

	count_print(result, "live session", "live_after", "");
	printf(" after %" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT " s\n", ms / 1000, ms % 1000 / 100);
	printf("id %s (gatehouse switch clear %s)\n", id, id);
}

int cli_switch_set(struct cli *c)
{
	json_t *result = NULL;
	int rc;

	if (!strcmp(c->command->words, "switch off") && !json_object_get(c->args, "mode") &&
	    json_object_set_new(c->args, "mode", json_string("off")))
		return CLI_FAILED;
	rc = cli_call(c, &result, NULL);
	if (!rc && c->json) {
		cli_print_result(c, result);
	} else if (!rc) {
		const bool dry_run = !json_object_get(result, "id");

		hit_print(result, dry_run);
		if (!dry_run)
			outcome_print(result);
	}
	json_decref(result);
	return rc;
}

/* {"items": [...]} with only those fields that are no part of the scope's words. NULL: out of memory. */
static json_t *narrow(const json_t *result)
{
	static const char *const keys[] = { "id", "scope", "mode", "expires", "message", "who", "why" };
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach (json_object_get(result, "items"), i, item) {
		json_t *row = json_object();

		for (size_t k = 0; row && k < sizeof(keys) / sizeof(keys[0]); k++)
			(void)json_object_set(row, keys[k], json_object_get(item, keys[k]));
		(void)json_array_append_new(list, row);
	}
	return json_pack("{s:o}", "items", list);
}

int cli_switch_list(struct cli *c)
{
	json_t *result = NULL, *rows = NULL;
	int rc = cli_call(c, &result, NULL);

	if (!rc && !c->json)
		rows = narrow(result);
	if (!rc)
		cli_print_result(c, rows ? rows : result);
	json_decref(rows);
	json_decref(result);
	return rc;
}
