/* gatehouse tenant move: asks for one step after another until there is none left, and says what each did. See cli.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "frontends/main/cli.h"

static void say(const json_t *r)
{
	const char *step = json_string_value(json_object_get(r, "step"));
	const double frozen_ms = json_number_value(json_object_get(r, "frozen_ms"));

	if (!step)
		return;
	if (!strcmp(step, "waiting"))
		puts("moved; waiting until no gateway needs what is left behind");
	else if (!strcmp(step, "switching"))
		printf("switched: %lld rows, frozen for %.0f ms, in which %lld were read\n",
		       (long long)json_integer_value(json_object_get(r, "rows")), frozen_ms,
		       (long long)json_integer_value(json_object_get(r, "frozen_rows")));
	else if (!strcmp(step, "clearing"))
		printf("cleared: %lld rows\n", (long long)json_integer_value(json_object_get(r, "differed")));
	else if (!strcmp(step, "copying"))
		printf("copied: %lld rows, %lld of them new or changed\n",
		       (long long)json_integer_value(json_object_get(r, "rows")),
		       (long long)json_integer_value(json_object_get(r, "differed")));
	else
		puts(step);
	fflush(stdout);
}

int cli_tenant_move(struct cli *c)
{
	const struct timespec pause = { .tv_sec = 1 };
	bool done = false, waited = false;
	int rc = 0;

	while (!rc && !done) {
		json_t *r = NULL;
		const char *step;
		bool waits;

		rc = cli_call(c, &r, NULL);
		step = json_string_value(json_object_get(r, "step"));
		waits = step && !strcmp(step, "waiting");
		done = json_is_true(json_object_get(r, "done"));
		if (!rc && c->json && done)
			cli_print_result(c, r);
		else if (!rc && !c->json && !(waits && waited))
			say(r);
		if (!rc && waits)
			nanosleep(&pause, NULL);
		waited = waits;
		json_decref(r);
	}
	return rc;
}
