/* The arithmetic of live: percentiles, the busiest, the ring and its thinning. Pure, single-owner. See live_work.h. */
#include <stdlib.h>
#include <string.h>

#include "core/live_work.h"

#define MERGED_MAX 128 /* tenants told apart in one group of seconds; further ones are not among its busiest */

float live_percentile_ms(const uint64_t bucket[GH_METRIC_BUCKETS], unsigned percent)
{
	uint64_t total = 0, before = 0, rank;

	for (unsigned b = 0; b < GH_METRIC_BUCKETS; b++)
		total += bucket[b];
	if (!total)
		return 0;
	rank = (total * percent + 99) / 100;
	for (unsigned b = 0; b < GH_METRIC_BUCKETS; b++) {
		const double low = b ? (double)gh_metric_edge_ns(b - 1) : 0;

		if (bucket[b] && before + bucket[b] >= rank) {
			if (b == GH_METRIC_BUCKETS - 1)
				return (float)(low / 1e6);
			return (float)((low + ((double)gh_metric_edge_ns(b) - low) * (double)(rank - before) /
					      (double)bucket[b]) / 1e6);
		}
		before += bucket[b];
	}
	return 0; /* not reached: the ranks end with total */
}

/* Requests, what was moved in units of a window, and what was refused: whoever keeps the house busy in any way. */
static double busyness(const struct live_tenant *t)
{
	return (double)t->requests + (double)t->shed + t->bytes / 65536;
}

void live_top_add(struct live_sample *s, const struct live_tenant *row)
{
	unsigned at = s->tenant_count;

	while (at && busyness(&s->tenant[at - 1]) < busyness(row))
		at--;
	if (at == LIVE_TENANTS)
		return;
	if (s->tenant_count < LIVE_TENANTS)
		s->tenant_count++;
	memmove(&s->tenant[at + 1], &s->tenant[at], (s->tenant_count - 1 - at) * sizeof(*row));
	s->tenant[at] = *row;
}

/* ---- ring ---- */

enum gh_status live_ring_init(struct live_ring *r, unsigned room)
{
	*r = (struct live_ring){ .at = calloc(room, sizeof(*r->at)), .room = room };
	return r->at ? GH_OK : GH_NOMEM;
}

void live_ring_fini(struct live_ring *r)
{
	free(r->at);
	r->at = NULL;
}

void live_ring_push(struct live_ring *r, const struct live_sample *s)
{
	r->at[r->next] = *s;
	r->next = (r->next + 1) % r->room;
	if (r->count < r->room)
		r->count++;
}

const struct live_sample *live_ring_get(const struct live_ring *r, unsigned i)
{
	return &r->at[(r->next + r->room - r->count + i) % r->room];
}

/* ---- several seconds as one ---- */

static float worse(float a, float b)
{
	return a > b ? a : b;
}

static void door_merge(struct live_door *to, const struct live_door *d, double part)
{
	to->requests += d->requests * (float)part;
	to->refused += d->refused * (float)part;
	to->errors += d->errors * (float)part;
	to->in_bytes += d->in_bytes * part;
	to->out_bytes += d->out_bytes * part;
	to->p50_ms = worse(to->p50_ms, d->p50_ms);
	to->p95_ms = worse(to->p95_ms, d->p95_ms);
	to->p99_ms = worse(to->p99_ms, d->p99_ms);
	to->connections = d->connections > to->connections ? d->connections : to->connections;
}

static void tenant_merge(struct live_tenant *rows, unsigned *count, const struct live_tenant *t, double part)
{
	unsigned i = 0;

	while (i < *count && rows[i].tenant != t->tenant)
		i++;
	if (i == MERGED_MAX)
		return;
	if (i == *count)
		rows[(*count)++] = (struct live_tenant){ .tenant = t->tenant, .name = t->name };
	rows[i].requests += t->requests * (float)part;
	rows[i].shed += t->shed * (float)part;
	rows[i].share += t->share * (float)part;
	rows[i].bytes += t->bytes * part;
	rows[i].wait_ms = worse(rows[i].wait_ms, t->wait_ms);
}

void live_ring_merge(const struct live_ring *r, unsigned first, unsigned count, struct live_sample *ret)
{
	struct live_tenant rows[MERGED_MAX];
	unsigned row_count = 0;
	const double part = 1.0 / count;

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = first; i < first + count; i++) {
		const struct live_sample *s = live_ring_get(r, i);

		ret->t_s = s->t_s;
		for (unsigned d = 0; d < LIVE_DOORS; d++)
			door_merge(&ret->door[d], &s->door[d], part);
		ret->shed += s->shed * (float)part;
		ret->loop_busy += s->loop_busy * (float)part;
		ret->queue_waiting = s->queue_waiting > ret->queue_waiting ? s->queue_waiting : ret->queue_waiting;
		ret->queue_oldest_ms = s->queue_oldest_ms > ret->queue_oldest_ms ? s->queue_oldest_ms : ret->queue_oldest_ms;
		ret->breakers_open = s->breakers_open > ret->breakers_open ? s->breakers_open : ret->breakers_open;
		for (unsigned k = 0; k < s->tenant_count; k++)
			tenant_merge(rows, &row_count, &s->tenant[k], part);
	}
	for (unsigned k = 0; k < row_count; k++)
		live_top_add(ret, &rows[k]);
}

unsigned live_ring_thin(const struct live_ring *r, unsigned seconds, unsigned points, struct live_sample *ret)
{
	const unsigned take = seconds < r->count ? seconds : r->count, skip = r->count - take;
	unsigned per, given = 0;

	points = points ? points : 1;
	/* Rounded up with a group to spare: the first and the last may be cut short by where the multiples lie. Where seconds
	 * are missing there are more groups than that, and the last takes what is left. */
	per = take <= points ? 1 : points > 1 ? (take + points - 2) / (points - 1) : take;
	for (unsigned i = skip; i < r->count && given < points;) {
		const int64_t t = live_ring_get(r, i)->t_s;
		unsigned n = 1;

		while (i + n < r->count && (given + 1 == points || (n < per && live_ring_get(r, i + n)->t_s / per == t / per)))
			n++;
		live_ring_merge(r, i, n, &ret[given++]);
		i += n;
	}
	return given;
}
