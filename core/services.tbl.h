/* X(SYMBOL, "name"): the services behind the core that can fail on their own, each with a circuit breaker
 * (core/breakers.h). What is asked over the network later (an identity provider) is a row here, and its name a value in the
 * rows BREAKER_* of core/base/metrics.tbl.h, in this order. Nothing waits for the cache: no operation is refused for it. */
X(METADATA, "metadata")
X(BLOBS, "blobs")
X(CACHE, "cache")
