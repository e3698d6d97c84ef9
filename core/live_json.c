/* A sample as JSON, and the control operations that give it. Worker or admin thread only. See live.h, control.h. */
#include "core/control_work.h"
#include "core/live.h"

#define POINTS_DEFAULT 300
#define POINTS_MAX LIVE_SECONDS

/* A few decimals are enough for people, and whole numbers stay short. */
static json_t *rounded(double v, unsigned parts)
{
	const json_int_t n = (json_int_t)(v * parts + 0.5), whole = parts;

	return n % whole ? json_real((double)n / parts) : json_integer(n / whole);
}

static json_t *number(double v)
{
	return rounded(v, 100);
}

static json_t *fraction(double v)
{
	return rounded(v, 10000);
}

static json_t *door_json(const struct live_door *d)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "requests", number(d->requests), "refused",
			 number(d->refused), "errors", number(d->errors), "p50_ms", number(d->p50_ms), "p95_ms",
			 number(d->p95_ms), "p99_ms", number(d->p99_ms), "in_bytes", (json_int_t)d->in_bytes,
			 "out_bytes", (json_int_t)d->out_bytes, "connections", (json_int_t)d->connections);
}

static json_t *tenant_json(const struct live_tenant *t)
{
	return json_pack("{s:s, s:o, s:I, s:o, s:o, s:o}", "tenant", t->name, "requests", number(t->requests), "bytes",
			 (json_int_t)t->bytes, "wait_ms", number(t->wait_ms), "shed", number(t->shed), "share",
			 fraction(t->share));
}

json_t *live_json(const struct live_sample *s, unsigned tenants_max)
{
	json_t *doors = json_object(), *tenants = json_array();
	int failed = 0;

	for (unsigned d = 0; d < LIVE_DOORS; d++)
		failed |= json_object_set_new(doors, vfs_proto_name((enum vfs_proto)(VFS_WEBDAV + d)), door_json(&s->door[d]));
	for (unsigned i = 0; i < s->tenant_count && i < tenants_max; i++)
		failed |= json_array_append_new(tenants, tenant_json(&s->tenant[i]));
	if (failed) {
		json_decref(doors);
		json_decref(tenants);
		return NULL;
	}
	return json_pack("{s:I, s:o, s:o, s:{s:I, s:I}, s:I, s:o, s:{s:o}}", "t", (json_int_t)s->t_s, "doors", doors,
			 "shed", number(s->shed), "queue", "waiting", (json_int_t)s->queue_waiting, "oldest_ms",
			 (json_int_t)s->queue_oldest_ms, "breakers_open", (json_int_t)s->breakers_open, "tenants",
			 tenants, "cpu", "loop_busy", fraction(s->loop_busy));
}

enum gh_status control_live_now(struct control_call *c)
{
	struct live_sample s;
	enum gh_status st = control_args(c, NULL, 0);

	if (st != GH_OK)
		return st;
	if (!live_now(c->core, &s))
		return control_fail(c, GH_BUSY, "the gateway has not run for a second yet; ask again");
	return control_result(c, live_json(&s, LIVE_TENANTS));
}

enum gh_status control_live_history(struct control_call *c)
{
	int64_t seconds = LIVE_SECONDS, points = POINTS_DEFAULT, tenants = LIVE_TENANTS;
	const struct control_arg args[] = {
		{ "seconds", CONTROL_NUMBER, false, &seconds, NULL },
		{ "points", CONTROL_NUMBER, false, &points, NULL },
		{ "tenants", CONTROL_NUMBER, false, &tenants, NULL },
	};
	enum gh_status st = control_args(c, args, CONTROL_ARG_COUNT(args));

	if (st != GH_OK)
		return st;
	if (seconds < 1 || seconds > LIVE_SECONDS)
		return control_fail(c, GH_INVALID, "seconds: from 1 to %d", LIVE_SECONDS);
	if (points < 1 || points > POINTS_MAX)
		return control_fail(c, GH_INVALID, "points: from 1 to %d", POINTS_MAX);
	if (tenants < 0 || tenants > LIVE_TENANTS)
		return control_fail(c, GH_INVALID, "tenants: from 0 to %d", LIVE_TENANTS);
	return control_result(c, live_history_json(c->core, (unsigned)seconds, (unsigned)points, (unsigned)tenants));
}
