/* Who is committed next. Called by commit.c under the queue's lock; no clock, no lock of its own.
 *
 * Alone, a tenant's batches go together in the order in which they came, as many as GROUP_MAX: the larger the group, the
 * less each of them costs. In company (another tenant's came within the last second) a group has at most GROUP_OF_ONE of
 * each and begins with one of each that waits, the oldest first: who comes while many of one tenant wait, waits for the
 * group that runs, which is short, and is in the next; and where many tenants come, they share a sync all the same. If a
 * group carries somebody who comes rarely (none of its was in the last few groups), it is shorter still, but not more than
 * every fourth: one who floods is slowed down by that by a tenth at most, however many there are who come rarely.
 *
 * Content is made durable before its batch is here (commit_ahead.c), and meanwhile a group of a flooder's would begin,
 * which takes longer than that. So who comes rarely is expected from when its batch has got there, and the next group
 * waits for it: HOLD_NS at most, and not more than every fourth.
 *
 * Whoever comes while a group runs may go with it as long as it is not committed (commit_queue_join): alone, all there is
 * room for; in company a few who come rarely and are not in it, since for them the next group is a sync further away.
 */
#include "backends/metadata/store.h"

#include "core/base/clock.h"

#define COMPANY_NS GH_S_NS
#define HOLD_NS GH_MS_NS
#define RARELY 4 /* groups: who was in none of so many comes rarely, and of so many one at most is shortened for such */

struct group {
	struct commit_item *items, **end;
	unsigned count;
};

static uint64_t tenant_of(const struct commit_item *it)
{
	return it->batch ? it->batch->tenant : 0;
}

void commit_queue_put(struct commit_queue *q, struct commit_item *it, uint64_t now_ns)
{
	const uint64_t tenant = tenant_of(it);

	it->next = NULL;
	*q->tail = it;
	q->tail = &it->next;
	if (tenant && tenant == q->expected)
		q->expected = q->expected_until_ns = 0;
	if (!tenant || tenant == q->tenant) /* the house's own are nobody's company */
		return;
	if (q->tenant)
		q->company_until_ns = now_ns + COMPANY_NS;
	q->tenant = tenant;
}

static void move(struct commit_queue *q, struct commit_item **link, struct group *g)
{
	struct commit_item *it = *link;

	*link = it->next;
	if (q->tail == &it->next)
		q->tail = link;
	it->next = NULL;
	*g->end = it;
	g->end = &it->next;
	g->count++;
}

static bool is_late(const struct commit_item *it, uint64_t now_ns)
{
	return it->deadline_ns && it->deadline_ns < now_ns;
}

static void move_late(struct commit_queue *q, uint64_t now_ns, struct group *late)
{
	for (struct commit_item **link = &q->head; *link;) {
		struct commit_item *it = *link;

		if (is_late(it, now_ns)) {
			it->status = GH_DEADLINE;
			move(q, link, late);
		} else {
			link = &it->next;
		}
	}
}

static unsigned count_of(const struct group *g, uint64_t tenant)
{
	unsigned n = 0;

	for (const struct commit_item *it = g->items; it; it = it->next)
		n += tenant_of(it) == tenant;
	return n;
}

/* Until the group has so many in all, of each tenant no more than that. */
static void move_some(struct commit_queue *q, bool jobs_alone, unsigned most, unsigned of_each, struct group *g)
{
	for (struct commit_item **link = &q->head; *link && g->count < most;) {
		if (jobs_alone && (*link)->job)
			return;
		if (of_each < most && count_of(g, tenant_of(*link)) >= of_each)
			link = &(*link)->next;
		else
			move(q, link, g);
	}
}

/* Where it is remembered when the tenant's was committed last; two that fall on one place forget each other. */
static struct commit_seen *seen_of(struct commit_queue *q, uint64_t tenant)
{
	return &q->seen[(tenant * 0x9e3779b97f4a7c15u) >> 32 & (COMMIT_SEEN - 1)];
}

static bool comes_rarely(struct commit_queue *q, uint64_t tenant)
{
	const struct commit_seen *s = seen_of(q, tenant);

	return tenant && (s->tenant != tenant || q->groups - s->group >= RARELY);
}

static bool carries_rare(struct commit_queue *q, const struct group *g)
{
	for (const struct commit_item *it = g->items; it; it = it->next) {
		if (comes_rarely(q, tenant_of(it)))
			return true;
	}
	return false;
}

/* How many the group that has begun may have in all. */
static unsigned most_now(struct commit_queue *q)
{
	if (!q->rare || q->groups - q->short_group < RARELY)
		return GROUP_MAX;
	q->short_group = q->groups;
	return GROUP_SHORT;
}

void commit_queue_expect(struct commit_queue *q, uint64_t tenant, uint64_t now_ns)
{
	/* The first of several is waited for, lest each that follows makes it longer. */
	if (!tenant || !q->tenant || tenant == q->tenant || now_ns < q->expected_until_ns || !comes_rarely(q, tenant))
		return;
	q->expected = tenant;
	q->expected_until_ns = now_ns + HOLD_NS;
}

uint64_t commit_queue_hold_ns(struct commit_queue *q, uint64_t now_ns)
{
	if (!q->head || !q->expected || q->groups - q->short_group < RARELY)
		return 0;
	if (now_ns < q->expected_until_ns)
		return q->expected_until_ns;
	q->expected = 0;
	q->short_group = q->groups; /* in vain, but waited all the same */
	return 0;
}

static void remember(struct commit_queue *q, const struct group *g)
{
	for (const struct commit_item *it = g->items; it; it = it->next)
		*seen_of(q, tenant_of(it)) = (struct commit_seen){ tenant_of(it), q->groups };
}

struct commit_item *commit_queue_take(struct commit_queue *q, bool jobs_alone, uint64_t now_ns,
				      struct commit_item **ret_late)
{
	const bool company = now_ns < q->company_until_ns;
	unsigned most;
	struct group g = { .end = &g.items }, late = { .end = &late.items };

	move_late(q, now_ns, &late);
	*ret_late = late.items;
	if (jobs_alone && q->head && q->head->job) {
		move(q, &q->head, &g);
		return g.items;
	}
	q->groups++;
	atomic_store_explicit(&q->company, company, memory_order_relaxed);
	if (company)
		move_some(q, jobs_alone, GROUP_MAX, 1, &g);
	q->rare = company && carries_rare(q, &g);
	most = most_now(q);
	move_some(q, jobs_alone, most, company ? GROUP_OF_ONE : most, &g);
	remember(q, &g);
	return g.items;
}

/* May it go with a group of others that runs? Those whose time is over are told when the next one is taken. */
static bool may_join(struct commit_queue *q, const struct commit_item *it, const struct group *g,
		     const struct group *more, bool company, uint64_t now_ns)
{
	const uint64_t tenant = tenant_of(it);

	if (is_late(it, now_ns))
		return false;
	return !company || (tenant && comes_rarely(q, tenant) && !count_of(g, tenant) && !count_of(more, tenant));
}

struct commit_item *commit_queue_join(struct commit_queue *q, struct commit_item *items, uint64_t now_ns)
{
	const bool company = now_ns < q->company_until_ns;
	const unsigned most = company ? GROUP_OF_ONE + GROUP_SHORT : GROUP_MAX;
	struct group g = { .items = items }, more = { .end = &more.items };

	for (struct commit_item *it = items; it; it = it->next)
		g.count++;
	for (struct commit_item **link = &q->head; *link && g.count + more.count < most;) {
		if (may_join(q, *link, &g, &more, company, now_ns))
			move(q, link, &more);
		else
			link = &(*link)->next;
	}
	q->rare |= company && more.items;
	remember(q, &more);
	return more.items;
}
