/* Counters, gauges and histograms as rows of a table (metrics.tbl.h): name, kind, labels, help. Labels are bounded
 * enums chosen at compile time, never a path or a user. Lock-free, any thread. */
#ifndef GH_CORE_BASE_METRICS_H
#define GH_CORE_BASE_METRICS_H

#include <stdint.h>

#include "core/base/buf.h"

enum gh_metric {
#define X(sym, name, kind, label, values, help) GH_M_##sym,
#include "core/base/metrics.tbl.h"
#undef X
	GH_METRIC_COUNT
};

/* label: index into the row's value list (0 where the row has no label). Out of range is ignored. */
void gh_metric_add(enum gh_metric m, unsigned label, int64_t n);
void gh_metric_set(enum gh_metric m, unsigned label, int64_t v);
void gh_metric_observe_ns(enum gh_metric m, unsigned label, uint64_t ns); /* histograms */
int64_t gh_metric_get(enum gh_metric m, unsigned label);
/* A histogram as it is read by who computes percentiles: how many fell into each bucket, and the buckets' upper edges
 * (the last has none: UINT64_MAX). */
enum { GH_METRIC_BUCKETS = 18 };
void gh_metric_buckets(enum gh_metric m, unsigned label, uint64_t ret[GH_METRIC_BUCKETS]);
uint64_t gh_metric_edge_ns(unsigned bucket);
/* Prometheus text format of everything, names with prefix gatehouse_. */
void gh_metrics_render(struct gh_buf *out);

#endif
