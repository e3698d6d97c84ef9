/* What the gate costs an operation that memory can answer, with 10,000 tenants and 1,000 rules: the parts of it, called as
 * vfs_submit, the doors and the operations call them, on a loop (breakers are asked where an operation leaves memory, and
 * so not here). A loop serves one tenant after another at random, so most of what is
 * asked has left the processor's caches; the second column is one tenant alone. Processor time of the loop's thread, the
 * least of several rounds: others use the machine, too. Prints figures, judges nothing.
 *
 *   gate [TENANTS [RULES [ASKS]]]        (TMPDIR=/dev/shm makes the preparation quick)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/control.h"
#include "core/place.h"
#include "core/quota.h"
#include "core/switches.h"
#include "tests/unit/core/fixture.h"

#define ROUNDS 9

static struct house_fixture f;
static struct vfs_session **all;
static struct tenant **tenants;
static unsigned tenant_count = 10000, rule_count = 1000, asks = 1800000;

static void must(enum gh_status st, const char *what)
{
	if (st == GH_OK)
		return;
	fprintf(stderr, "gate: %s: %s\n", what, gh_status_name(st));
	exit(1);
}

/* ---- the house ---- */

/* A tenant with a user who is no owner, and rights of theirs at the root: what a decision has to look at. */
static void tenant_made(unsigned i)
{
	struct gh_arena *a = gh_arena_new(1 << 20);
	char name[32];
	snprintf(name, sizeof(name), "t%05u", i);
	const struct meta_tenant row = { .id = gh_id_new(), .name = name, .hosts = "", .root = gh_id_new(),
					 .trash = gh_id_new() };
	struct meta_step made = { .kind = META_TENANT_PUT, .tenant = &row };
	must(house_commit(f.core, a, NULL, "bench", "tenant.add", "", &made, 1), "tenant");
	must(tenant_get(f.core, name, &tenants[i]), "tenant");
	const struct meta_user u = { .id = gh_id_new(), .name = "user", .key = "user", .password_hash = "" };
	struct meta_ace aces[] = { { 'u', u.id, false, ACL_LIST | ACL_READ | ACL_WRITE }, { 'e', 0, false, ACL_LIST } };
	struct meta_acl_node root = { .id = tenants[i]->root, .aces = aces, .ace_count = 2 };
	struct meta_step steps[] = { { .kind = META_USER_PUT, .user = &u },
				     { .kind = META_ACL_SET, .acl = &root },
				     { .kind = META_RIGHTS_EPOCH } };
	must(house_commit(f.core, a, tenants[i], "bench", "user.add", "", steps, 3), "user");
	all[i] = session_new(tenants[i], u.id, UINT64_MAX, "user");
	gh_arena_free(&a);
}

/* Rules for one in ten tenants, about doors and classes that what is asked here is not of: looked at, and let through. */
static void rules_made(void)
{
	for (unsigned i = 0; i < rule_count;) {
		struct gh_arena *a = gh_arena_new(8 << 20);
		struct meta_step steps[400];
		unsigned n = 0;
		for (; n < 400 && i < rule_count; n++, i++) {
			struct switch_kept k = { .rule = { .percent = 100, .expires_ms = SWITCH_NEVER, .mode = SWITCH_READONLY,
							   .tenant = tenants[i * 7919u % tenant_count]->id,
							   .protocols = 1u << SWITCH_WEBDAV | (i % 2 ? 1u << SWITCH_FTP : 0),
							   .classes = i % 4 == 3 ? 1u << VFS_C_BULK : 0,
							   .message = "closed", .why = "bench", .who = "bench" },
						 .tenant_name = "x", .user_name = "" };
			struct meta_setting *s = gh_alloc(a, sizeof(*s));
			*s = (struct meta_setting){ .kind = SWITCH_KIND, .id = gh_id_new(), .tenant = k.rule.tenant,
						    .doc = switch_doc_write(a, &k) };
			steps[n] = (struct meta_step){ .kind = META_SETTING_PUT, .setting = s };
		}
		must(house_commit(f.core, a, NULL, "bench", "switch.set", "", steps, n), "rules");
		gh_arena_free(&a);
	}
	must(switches_load(f.core), "rules");
}

/* A limit that is never met, for one tenant in ten and for whom is measured alone. */
static void limits_made(void)
{
	for (unsigned i = 0; i < tenant_count; i += 10) {
		json_t *args = json_pack("{s:s, s:i, s:i}", "tenant", tenants[i]->name, "requests_s", 1000000, "sessions", 1000000);
		struct control_call c = { .core = f.core, .args = args, .actor = "bench", .role = CONTROL_OWNER };
		must(control_run("limit.set", &c), c.message);
		json_decref(c.result);
		json_decref(args);
	}
}

/* Everything is in memory after each has asked once. */
static void warm(void)
{
	for (unsigned i = 0; i < tenant_count; i++)
		must(fixture_do(&f, VFS_STAT, all[i], "/", NULL, 0), "stat");
}

/* ---- asking ---- */

struct ask {
	struct vfs_work *w;
	struct place root;
	uint64_t now_ns;
	uint64_t sum;
};

static void nothing(struct ask *k)
{
	k->sum += k->w->req.session->user;
}

static void asks_switch(struct ask *k)
{
	k->sum += switches_gate(k->w);
}

static void asks_flag(struct ask *k)
{
	k->sum += (uint64_t)core_flag(f.core, VFS_FLAG_FASTPATH, VFS_WEBDAV, k->w->req.session, false);
}

static void asks_share(struct ask *k)
{
	uint32_t retry_s;
	k->w->turn.granted = true; /* this loop does nothing but ask: it is let through as one with credit is */
	k->sum += share_may(f.core, f.loop, k->w->req.session->tenant, gh_mono_ns(), &k->w->turn, &retry_s);
}

static void asks_rights(struct ask *k)
{
	k->sum += gate_enter(k->w);
	k->sum += gate_check(k->w, &k->root, NULL);
	k->w->rights = NULL;
}

static void asks_limits(struct ask *k)
{
	k->sum += quota_request(k->w, k->w->req.session);
}

static void asks_all(struct ask *k)
{
	asks_switch(k);
	asks_limits(k);
	asks_flag(k);
	asks_share(k);
	asks_rights(k);
}

static const struct part {
	const char *name;
	void (*fn)(struct ask *k);
} parts[] = {
	{ "(the loop of the measurement itself)", nothing },
	{ "switchboard", asks_switch },
	{ "limits", asks_limits },
	{ "a flag", asks_flag },
	{ "credit on the loop", asks_share },
	{ "rights", asks_rights },
	{ "the whole gate", asks_all },
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))
static double took_ns[PARTS][2], whole_ns[2];
static unsigned pending; /* of those that memory should answer */

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure(const struct part *p, struct ask *k, bool one)
{
	uint64_t x = 88172645463325252ull;
	const double began = cpu_ns();

	for (unsigned i = 0; i < asks / ROUNDS; i++) {
		k->w->req.session = all[one ? 0 : next(&x) % tenant_count];
		k->w->tenant = k->w->req.session->tenant;
		p->fn(k);
	}
	return (cpu_ns() - began) / (asks / ROUNDS);
}

static void keep_least(double *least, double ns, unsigned round)
{
	if (!round || ns < *least)
		*least = ns;
}

static void measure_parts(void *arg)
{
	struct vfs_req *r = vfs_req_new(f.core, f.loop, VFS_STAT, VFS_WEBDAV, all[0]);
	struct ask k = { .w = work_of(r) };
	const unsigned one = *(const unsigned *)arg;

	must(vfs_req_path(r, "/", 1, 0), "path");
	k.root = (struct place){ .path = r->path, .exists = true, .node = { .type = META_FOLDER } };
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < PARTS; i++)
			keep_least(&took_ns[i][one], measure(&parts[i], &k, one), round);
	r->session = all[0];
	vfs_req_free(&r);
}

static void unexpected(struct vfs_req *r, void *door)
{
	(void)r;
	(void)door;
}

/* The operation itself, as a door submits it: what the gate is a part of. */
static void measure_whole(void *arg)
{
	const unsigned one = *(const unsigned *)arg, count = asks / ROUNDS / 10;
	uint64_t x = 88172645463325252ull;

	for (unsigned round = 0; round < ROUNDS; round++) {
		const double began = cpu_ns();
		for (unsigned n = 0; n < count; n++) {
			struct vfs_session *s = all[one ? 0 : next(&x) % tenant_count];
			struct vfs_req *r = vfs_req_new(f.core, f.loop, VFS_STAT, VFS_WEBDAV, s);
			must(vfs_req_path(r, "/", 1, 0), "path");
			pending += vfs_submit(r, unexpected, NULL) == VFS_PENDING;
			vfs_req_free(&r);
		}
		keep_least(&whole_ns[one], (cpu_ns() - began) / count, round);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		tenant_count = (unsigned)atoi(argv[1]);
	if (argc > 2)
		rule_count = (unsigned)atoi(argv[2]);
	if (argc > 3)
		asks = (unsigned)atoi(argv[3]);
	all = calloc(tenant_count, sizeof(*all));
	tenants = calloc(tenant_count, sizeof(*tenants));
	if (!all || !tenants)
		return 1;
	fixture_open(&f);
	for (unsigned i = 0; i < tenant_count; i++)
		tenant_made(i);
	rules_made();
	limits_made();
	warm();
	for (unsigned one = 0; one < 2; one++) {
		const struct timespec alone = { 1, 200000000 }; /* nobody else has been here for a second */
		nanosleep(&alone, NULL);
		fixture_on_loop(&f, measure_whole, &one);
		fixture_on_loop(&f, measure_parts, &one);
	}
	printf("%u tenants, %u rules\n", tenant_count, rule_count);
	printf("%-40s %14s %14s\n", "ns an operation", "random tenant", "one tenant");
	for (unsigned i = 0; i < PARTS; i++)
		printf("%-40s %14.1f %14.1f\n", parts[i].name, took_ns[i][0] - (i ? took_ns[0][0] : 0),
		       took_ns[i][1] - (i ? took_ns[0][1] : 0));
	printf("%-40s %14.1f %14.1f\n", "a whole STAT, as a door submits it", whole_ns[0], whole_ns[1]);
	if (pending)
		printf("%u of them went to a worker\n", pending);
	for (unsigned i = 0; i < tenant_count; i++)
		vfs_session_unref(&all[i]);
	fixture_close(&f);
	free(all);
	free(tenants);
	return 0;
}
