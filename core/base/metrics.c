/* Metrics: cells for every row of metrics.tbl.h, and their Prometheus text. Called by everybody; lock-free.
 *
 * Counters and histograms have SHARDS copies, each thread adds to one of them, reading sums them: loops that count the
 * same thing do not pass a cache line to and fro. A gauge has one cell, since it can be set. A sum that is read while
 * others add is some value between the one before and the one after.
 */
#include "core/base/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { SHARDS = 8, LABELS = 8, BUCKETS = GH_METRIC_BUCKETS };

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct row {
	const char *name, *label, *values, *help;
	enum kind kind;
	int histogram; /* index into histo cells, -1 */
};

/* Numbers the histograms: the others vanish from this list. */
#define NUMBER_COUNTER(sym)
#define NUMBER_GAUGE(sym)
#define NUMBER_HISTOGRAM(sym) H_##sym,
enum {
#define X(sym, name, kind, label, values, help) NUMBER_##kind(sym)
#include "core/base/metrics.tbl.h"
#undef X
	HISTOGRAMS
};

#define INDEX_COUNTER(sym) -1
#define INDEX_GAUGE(sym) -1
#define INDEX_HISTOGRAM(sym) H_##sym

static const struct row rows[GH_METRIC_COUNT] = {
#define X(sym, name, kind, label, values, help) { name, label, values, help, kind, INDEX_##kind(sym) },
#include "core/base/metrics.tbl.h"
#undef X
};

/* Upper edges; the last bucket has none. */
static const uint64_t edge_ns[BUCKETS - 1] = {
	100000,	   250000,    500000,	 1000000,   2500000,	5000000,    10000000,	 25000000,    50000000,
	100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000, 30000000000,
};
static const char *const edge_text[BUCKETS] = {
	"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
	"0.1",	  "0.25",    "0.5",    "1",	"2.5",	  "5",	   "10",   "30",    "+Inf",
};

struct histo {
	_Atomic uint64_t sum_ns, bucket[BUCKETS];
};

struct shard {
	_Alignas(64) _Atomic int64_t cell[GH_METRIC_COUNT][LABELS];
	struct histo histo[HISTOGRAMS][LABELS];
};

static struct shard shards[SHARDS];
static _Atomic unsigned shard_next;

static struct shard *shard_mine(void)
{
	static _Thread_local unsigned mine; /* 1 + index */

	if (!mine)
		mine = 1 + atomic_fetch_add_explicit(&shard_next, 1, memory_order_relaxed) % SHARDS;
	return &shards[mine - 1];
}

/* Words in the row's list of values. Counted once; the answer is the same whoever counts. */
static unsigned labels_of(enum gh_metric m)
{
	static _Atomic unsigned char known[GH_METRIC_COUNT];
	unsigned n = atomic_load_explicit(&known[m], memory_order_relaxed);

	if (n)
		return n;
	n = 1;
	for (const char *s = rows[m].values; s && *s; s++)
		n += *s == ' ';
	GH_ASSERT(n <= LABELS);
	atomic_store_explicit(&known[m], (unsigned char)n, memory_order_relaxed);
	return n;
}

static bool in_table(enum gh_metric m, unsigned label)
{
	return (unsigned)m < GH_METRIC_COUNT && label < labels_of(m);
}

void gh_metric_add(enum gh_metric m, unsigned label, int64_t n)
{
	struct shard *s;

	if (!in_table(m, label) || rows[m].kind == HISTOGRAM)
		return;
	s = rows[m].kind == GAUGE ? &shards[0] : shard_mine();
	atomic_fetch_add_explicit(&s->cell[m][label], n, memory_order_relaxed);
}

void gh_metric_set(enum gh_metric m, unsigned label, int64_t v)
{
	if (in_table(m, label) && rows[m].kind == GAUGE)
		atomic_store_explicit(&shards[0].cell[m][label], v, memory_order_relaxed);
}

void gh_metric_observe_ns(enum gh_metric m, unsigned label, uint64_t ns)
{
	struct histo *h;
	unsigned b = 0;

	if (!in_table(m, label) || rows[m].kind != HISTOGRAM)
		return;
	while (b < BUCKETS - 1 && ns > edge_ns[b])
		b++;
	h = &shard_mine()->histo[rows[m].histogram][label];
	atomic_fetch_add_explicit(&h->bucket[b], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, ns, memory_order_relaxed);
}

static uint64_t histo_sum_ns(enum gh_metric m, unsigned label)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += atomic_load_explicit(&shards[i].histo[rows[m].histogram][label].sum_ns, memory_order_relaxed);
	return sum;
}

static uint64_t histo_bucket(enum gh_metric m, unsigned label, unsigned b)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += atomic_load_explicit(&shards[i].histo[rows[m].histogram][label].bucket[b], memory_order_relaxed);
	return sum;
}

void gh_metric_buckets(enum gh_metric m, unsigned label, uint64_t ret[GH_METRIC_BUCKETS])
{
	for (unsigned b = 0; b < BUCKETS; b++)
		ret[b] = in_table(m, label) && rows[m].kind == HISTOGRAM ? histo_bucket(m, label, b) : 0;
}

uint64_t gh_metric_edge_ns(unsigned bucket)
{
	return bucket < BUCKETS - 1 ? edge_ns[bucket] : UINT64_MAX;
}

int64_t gh_metric_get(enum gh_metric m, unsigned label)
{
	int64_t sum = 0;

	if (!in_table(m, label))
		return 0;
	for (unsigned b = 0; b < BUCKETS && rows[m].kind == HISTOGRAM; b++)
		sum += (int64_t)histo_bucket(m, label, b);
	for (unsigned i = 0; i < SHARDS && rows[m].kind != HISTOGRAM; i++)
		sum += atomic_load_explicit(&shards[i].cell[m][label], memory_order_relaxed);
	return sum;
}

/* One label pair as text: door="ftp", or nothing. */
struct label_text {
	char text[64];
};

static struct label_text label_text(const struct row *r, unsigned label)
{
	struct label_text t = { "" };
	const char *v = r->values;

	if (!r->label || !v)
		return t;
	while (label--)
		v = strchr(v, ' ') + 1;
	snprintf(t.text, sizeof(t.text), "%s=\"%.*s\"", r->label, (int)strcspn(v, " "), v);
	return t;
}

static void histo_render(struct gh_buf *out, enum gh_metric m, unsigned label)
{
	const struct row *r = &rows[m];
	struct label_text l = label_text(r, label);
	const char *comma = *l.text ? "," : "", *open = *l.text ? "{" : "", *close = *l.text ? "}" : "";
	uint64_t sum_ns = histo_sum_ns(m, label), count = 0;

	for (unsigned b = 0; b < BUCKETS; b++) {
		count += histo_bucket(m, label, b);
		gh_buf_printf(out, "gatehouse_%s_bucket{%s%sle=\"%s\"} %llu\n", r->name, l.text, comma, edge_text[b],
			      (unsigned long long)count);
	}
	gh_buf_printf(out, "gatehouse_%s_sum%s%s%s %llu.%09llu\n", r->name, open, l.text, close,
		      (unsigned long long)(sum_ns / 1000000000), (unsigned long long)(sum_ns % 1000000000));
	gh_buf_printf(out, "gatehouse_%s_count%s%s%s %llu\n", r->name, open, l.text, close, (unsigned long long)count);
}

void gh_metrics_render(struct gh_buf *out)
{
	static const char *const kinds[] = { [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram" };

	for (unsigned m = 0; m < GH_METRIC_COUNT; m++) {
		const struct row *r = &rows[m];

		gh_buf_printf(out, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s %s\n", r->name, r->help, r->name,
			      kinds[r->kind]);
		for (unsigned label = 0; label < labels_of(m); label++) {
			struct label_text l = label_text(r, label);

			if (r->kind == HISTOGRAM)
				histo_render(out, m, label);
			else
				gh_buf_printf(out, "gatehouse_%s%s%s%s %lld\n", r->name, *l.text ? "{" : "", l.text,
					      *l.text ? "}" : "", (long long)gh_metric_get(m, label));
		}
	}
}
