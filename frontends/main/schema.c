/* `gatehouse schema check`: every difference on a line of its own; exit status 1 if there is one. See cli.h. */
#include <stdio.h>

#include "frontends/main/cli.h"

int cli_schema_check(struct cli *c)
{
	json_t *result = NULL;
	int rc = cli_call(c, &result, NULL);
	const json_t *found = json_object_get(result, "differences");

	if (!rc && c->json)
		cli_print_result(c, result);
	else if (!rc && !json_array_size(found))
		puts("no differences");
	for (size_t i = 0; !rc && !c->json && i < json_array_size(found); i++)
		puts(json_string_value(json_array_get(found, i)));
	if (!rc && json_array_size(found))
		rc = CLI_FAILED;
	json_decref(result);
	return rc;
}
