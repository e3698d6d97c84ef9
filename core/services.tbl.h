/* X(SYMBOL, "name"): the services behind the core that can fail on their own, each with a circuit breaker
 * (core/breakers.h). What is asked over the network later (a cache, an identity provider) is a row here, and its name a
 * value in the rows BREAKER_* of core/base/metrics.tbl.h, in this order. */
X(METADATA, "metadata")
X(BLOBS, "blobs")
