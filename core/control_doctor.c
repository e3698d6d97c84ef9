/* The doctor's visit to a running gateway. See doctor.h; `gatehouse doctor` adds what is outside of it. */
#include "core/base/metrics.h"
#include "core/control_work.h"
#include "core/doctor.h"
#include "core/house_gauges.h"

static void say_server(json_t *items, struct gh_core *c)
{
	const char *why = gh_core_not_ready(c);
	const unsigned waiting = gh_pool_waiting(c->wait_pool) + gh_pool_waiting(c->login_pool);

	if (why)
		doctor_say(items, "server", DOCTOR_FAIL, "see gatehouse status --watch", "it is not ready: %s", why);
	else
		doctor_say(items, "server", waiting > c->cfg.queue_max / 2 ? DOCTOR_WARN : DOCTOR_OK,
			   "it has more work than workers: see gatehouse status --watch", "it is ready; %u operations wait",
			   waiting);
}

struct resting {
	unsigned tenants;
	bool cache;
	const char *service; /* the last one that rests for everybody */
	bool by_hand;
};

static void rests(void *arg, const struct breaker_view *v)
{
	struct resting *r = arg;

	if (v->state == BREAKER_CLOSED)
		return;
	r->by_hand |= v->forced;
	if (v->service == SERVICE_CACHE)
		r->cache = true; /* nothing waits for it */
	else if (v->tenant)
		r->tenants++;
	else
		r->service = service_name(v->service);
}

static void say_breakers(json_t *items, struct gh_core *c)
{
	struct resting r = { 0 };

	breakers_each(c, rests, &r);
	if (r.service)
		doctor_say(items, "breakers", DOCTOR_FAIL,
			   r.by_hand ? "gatehouse breaker reset, when it is to be asked again" :
				       "look at the store and the log: it kept failing; it is tried again by itself",
			   "%s is not asked: its breaker is not closed", r.service);
	else if (r.cache)
		doctor_say(items, "breakers", DOCTOR_WARN, "gatehouse breaker reset cache, if it was opened by hand; else see its servers",
			   "the shared cache is not asked: its breaker is not closed");
	else
		doctor_say(items, "breakers", r.tenants ? DOCTOR_WARN : DOCTOR_OK, "see gatehouse breaker list",
			   r.tenants ? "%u breakers of tenants are not closed" : "all breakers are closed", r.tenants);
}

static void say_server_of_cache(void *arg, const char *server, const char *kinds, const char *trouble)
{
	json_t *items = arg;

	doctor_say(items, "cache", *trouble ? DOCTOR_WARN : DOCTOR_OK,
		   "is memcached running there, and may this machine reach it? Until then answers are the same, only later",
		   *trouble ? "%s (%s) does not answer: %s" : "%s (%s) answers%s", server, kinds, trouble);
}

static void say_cache(json_t *items, struct gh_core *c)
{
	if (c->cfg.cache.ops)
		c->cfg.cache.ops->look(c->cfg.cache.cache, say_server_of_cache, items);
}

static void say_past(json_t *items)
{
	const int64_t damaged = gh_metric_get(GH_M_DAMAGED, 0), jumps = gh_metric_get(GH_M_CLOCK_JUMPS, 0);

	doctor_say(items, "damage", damaged ? DOCTOR_FAIL : DOCTOR_OK,
		   "run gatehouse fsck --verify, look at the disk's health, restore what is named from a backup",
		   "%lld reads met damaged content since the start", (long long)damaged);
	doctor_say(items, "clock.jumps", jumps ? DOCTOR_WARN : DOCTOR_OK,
		   "let the clock be slewed, not set: rules and tokens end by it",
		   "the wall clock was set %lld times since the start", (long long)jumps);
}

static void say_database(struct control_call *c, json_t *items)
{
	struct meta_call call = control_meta(c);
	uint64_t newest = 0;
	const enum gh_status st = meta_id_floor(c->core->meta, &call, &newest);

	if (st != GH_OK) {
		doctor_say(items, "database", DOCTOR_FAIL, "see the log; run gatehouse fsck", "it does not answer: %s",
			   gh_status_text(st));
		return;
	}
	doctor_say(items, "schema", DOCTOR_OK, NULL, "the database has the schema of this program");
	doctor_newest_id(items, newest);
}

enum gh_status control_doctor(struct control_call *c)
{
	enum gh_status st = control_args(c, NULL, 0);
	json_t *items;

	if (st != GH_OK)
		return st;
	items = control_items(c);
	if (!items)
		return GH_NOMEM;
	say_server(items, c->core);
	say_database(c, items);
	say_breakers(items, c->core);
	say_cache(items, c->core);
	if (c->core->cfg.folder)
		doctor_disk(items, c->core->cfg.folder);
	doctor_clock(items);
	doctor_descriptors(items, house_descriptors_open());
	say_past(items);
	doctor_certificates(items);
	return GH_OK;
}
