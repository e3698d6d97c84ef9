/* The burst of the event feed: EVENTS events of one tenant, read by CLIENTS clients, users with rights in CLASSES groups of
 * equal rights. Clients are simulated on the house's loop; each reads the feed from before the first event to its end, by
 * VFS_EVENTS submitted as the REST door submits it, with its own session and its own rights. So every pair of an event and a
 * client is decided; what comes out is counted item by item as it is given, and compared with what arithmetic says each
 * client may see, which knows nothing of the feed. Prints figures; exits 1 where the counts differ.
 *
 *   feed [EVENTS [CLIENTS [CLASSES]]]        (TMPDIR=/dev/shm makes the preparation quick)
 *
 * The tree: /dNN for NN below CLASSES, and files in them, written in turn. Group g may see /d00 to /dg; the clients are
 * spread over the groups evenly. So a client of group g hears of a fraction of (g + 1) / CLASSES of all events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/metrics.h"
#include "core/feed_room.h"
#include "tests/unit/core/fixture.h"

#define BATCH 400

static struct house_fixture f;
static unsigned events = 100000, clients = 30000, classes = 100;
static uint64_t *users, *groups, *folders;

struct client {
	struct vfs_session *s;
	char cursor[VFS_CURSOR_LEN + 1];
	uint64_t heard;
	bool done;
};
static struct client *all;

static void must(enum gh_status st, const char *what)
{
	if (st == GH_OK)
		return;
	fprintf(stderr, "feed: %s: %s\n", what, gh_status_name(st));
	exit(1);
}

/* ---- the tenant ---- */

static void commit(struct gh_arena *a, const char *what, struct meta_step *steps, unsigned n)
{
	must(house_commit(f.core, a, f.tenant, "bench", what, "", steps, n), what);
}

static void people_made(void)
{
	for (unsigned g = 0; g < classes; g++) {
		struct gh_arena *a = gh_arena_new(1 << 20);
		struct meta_group group = { .id = groups[g] = gh_id_new(), .name = gh_printf(a, "g%u", g) };
		struct meta_step s = { .kind = META_GROUP_PUT, .group = &group };

		commit(a, "group.add", &s, 1);
		gh_arena_free(&a);
	}
	for (unsigned i = 0; i < clients;) {
		struct gh_arena *a = gh_arena_new(8 << 20);
		struct meta_step steps[BATCH];
		unsigned n = 0;

		for (; n + 2 <= BATCH && i < clients; i++) {
			struct meta_user *u = gh_alloc(a, sizeof(*u));
			struct meta_group *g = gh_alloc(a, sizeof(*g));

			users[i] = gh_id_new();
			*u = (struct meta_user){ .id = users[i], .name = gh_printf(a, "u%u", i), .password_hash = "" };
			u->key = u->name;
			g->id = groups[i % classes];
			steps[n++] = (struct meta_step){ .kind = META_USER_PUT, .user = u };
			steps[n++] = (struct meta_step){ .kind = META_MEMBER_ADD, .group = g, .user = u };
		}
		commit(a, "user.add", steps, n);
		gh_arena_free(&a);
	}
}

static void tree_made(void)
{
	char path[32];

	for (unsigned k = 0; k < classes; k++) {
		struct gh_arena *a = gh_arena_new(1 << 20);
		struct meta_ace *aces = gh_alloc_array(a, classes, sizeof(*aces));
		struct meta_acl_node node = { .aces = aces };
		struct meta_step steps[] = { { .kind = META_ACL_SET, .acl = &node }, { .kind = META_RIGHTS_EPOCH } };
		struct house_place p;

		snprintf(path, sizeof(path), "/d%02u", k);
		must(fixture_do(&f, VFS_MKDIR, f.admin, path, NULL, 0), path);
		must(house_place(f.core, a, f.tenant, path, &p), path);
		node.id = folders[k] = p.nodes[1].id;
		for (unsigned g = k; g < classes; g++)
			aces[node.ace_count++] = (struct meta_ace){ 'g', groups[g], false, ACL_LIST | ACL_READ };
		commit(a, "acl.grant", steps, 2);
		gh_arena_free(&a);
	}
}

/* The events, as they come from a writer that changes files: each is a row of the log like any other. */
static void events_made(void)
{
	struct gh_arena *a = gh_arena_new(1 << 20);

	for (unsigned i = 0; i < events; i++) {
		struct meta_call call = { .arena = a, .op = "bench" };
		struct meta_step step = { .kind = META_NODE_TOUCH, .node = { .id = folders[i % classes] } };
		struct meta_batch b = {
			.tenant = f.tenant->id, .op = gh_id_new(), .tree_gen = UINT64_MAX, .rights_epoch = UINT64_MAX,
			.route_epoch = UINT64_MAX, .lock_seen = UINT64_MAX, .step_count = 1, .steps = &step,
			.event = { .user_name = "writer", .what = "set-times", .door = "bench", .dest = "", .request_id = "",
				   .path = gh_printf(a, "/d%02u/file-%u.txt", i % classes, i), .node = folders[i % classes] },
		};

		must(meta_commit(f.meta, &call, &b), "event");
		gh_arena_reset(a);
	}
	gh_arena_free(&a);
}

/* ---- reading ---- */

static atomic_uint reading; /* clients that are not through */
static atomic_uint_fast64_t asked;
static unsigned next_client;

static void another(struct gh_task *t);
static struct gh_task again = { .fn = another };

static void heard(struct client *c, struct vfs_req *r)
{
	must(r->status, "events");
	atomic_fetch_add(&asked, 1);
	for (unsigned i = 0; i < r->run_count; i++)
		for (unsigned k = 0; k < r->runs[i].count; k++)
			c->heard += r->runs[i].items[k]->word == VFS_FEED_CHANGED;
	c->done = !strcmp(r->feed_next, r->feed_newest);
	memcpy(c->cursor, r->feed_next, sizeof(c->cursor));
	vfs_req_free(&r);
}

static void read_on(struct client *c);

static void came(struct vfs_req *r, void *door)
{
	struct client *c = door;

	heard(c, r);
	read_on(c);
}

/* Until it waits for a worker, or is through. */
static void read_on(struct client *c)
{
	while (!c->done) {
		struct vfs_req *r = vfs_req_new(f.core, f.loop, VFS_EVENTS, VFS_REST, c->s);

		r->cursor = c->cursor;
		r->limit = 10000; /* as much as a client of the REST door can ask for */
		if (vfs_submit(r, came, c) == VFS_PENDING)
			return;
		heard(c, r);
	}
	atomic_fetch_sub(&reading, 1);
	if (c == all) /* what it was woken for has been read from the log: so it is for all that wait */
		gh_loop_post(f.loop, &again);
}

static void another(struct gh_task *t)
{
	for (unsigned i = 0; i < 16 && next_client < clients; i++)
		read_on(&all[next_client++]);
	if (next_client < clients)
		gh_loop_post(f.loop, t);
}

static void begin(void *arg)
{
	(void)arg;
	read_on(&all[next_client++]);
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* What client i may see of the events, by arithmetic alone. */
static uint64_t due(unsigned i)
{
	const unsigned open = i % classes + 1, whole = events / classes, rest = events % classes;

	return (uint64_t)whole * open + (rest < open ? rest : open);
}

int main(int argc, char **argv)
{
	const struct timespec nap = { 0, 5000000 };
	char start[VFS_CURSOR_LEN + 1];
	uint64_t sum = 0, want = 0, wrong = 0;
	double began, cpu;

	if (argc > 1)
		events = (unsigned)atoi(argv[1]);
	if (argc > 2)
		clients = (unsigned)atoi(argv[2]);
	if (argc > 3)
		classes = (unsigned)atoi(argv[3]);
	users = calloc(clients, sizeof(*users));
	all = calloc(clients, sizeof(*all));
	groups = calloc(classes, sizeof(*groups));
	folders = calloc(classes, sizeof(*folders));
	if (!users || !all || !groups || !folders || !classes)
		return 1;
	fixture_open(&f);
	must(feeds_start(f.core), "feed");
	people_made();
	tree_made();
	struct vfs_req *r = fixture_req(&f, VFS_EVENTS, f.admin, "/", NULL);
	must(fixture_run(&f, r), "events");
	strcpy(start, r->feed_next);
	fixture_free(&f, &r);
	events_made();
	feed_poke(f.core, f.tenant); /* as every commit of the house does */
	for (unsigned i = 0; i < clients; i++) {
		char name[16];

		snprintf(name, sizeof(name), "u%u", i);
		all[i].s = session_new(f.tenant, users[i], UINT64_MAX, name);
		strcpy(all[i].cursor, start);
	}

	const int64_t reads = gh_metric_get(GH_M_FEED_READS, 0);
	atomic_store(&reading, clients);
	began = (double)gh_mono_ns() / 1e9;
	cpu = cpu_s();
	fixture_on_loop(&f, begin, NULL);
	while (atomic_load(&reading))
		nanosleep(&nap, NULL);
	const double took = (double)gh_mono_ns() / 1e9 - began;
	cpu = cpu_s() - cpu;

	for (unsigned i = 0; i < clients; i++) {
		sum += all[i].heard;
		want += due(i);
		wrong += all[i].heard != due(i);
	}
	const double decided = (double)events * clients;
	printf("%u events, %u clients in %u classes of rights: %.0f deliveries decided in %.1f s (%.1f s of processor time),"
	       " %.0f million a second\n", events, clients, classes, decided, took, cpu, decided / took / 1e6);
	printf("%llu given, %llu due by arithmetic, %llu clients with another count than is due\n", (unsigned long long)sum,
	       (unsigned long long)want, (unsigned long long)wrong);
	printf("%llu requests, %lld reads of the log, %.1f MiB held by the feed\n", (unsigned long long)atomic_load(&asked),
	       (long long)(gh_metric_get(GH_M_FEED_READS, 0) - reads), (double)gh_metric_get(GH_M_FEED_BYTES, 0) / (1 << 20));
	for (unsigned i = 0; i < clients; i++)
		vfs_session_unref(&all[i].s);
	fixture_close(&f);
	free(users);
	free(all);
	free(groups);
	free(folders);
	return wrong ? 1 : 0;
}
