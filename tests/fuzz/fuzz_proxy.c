/* PROXY headers against anything: what is a header stays one however much of it is there at first, never says more than its
 * bounds, and bytes behind it change nothing. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* In memory of exactly that size, so that a sanitizer sees what is read behind it. */
static enum proxy_verdict parse(const uint8_t *data, size_t len, struct proxy_header *h)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum proxy_verdict v;

	must(copy != NULL);
	memcpy(copy, data, len);
	v = proxy_parse(copy, len, h);
	free(copy);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;
	enum proxy_verdict v = parse(data, size, &whole), before;
	size_t step = size > 256 ? 7 : 1;

	must(v != PROXY_MORE || size < PROXY_HEADER_MAX);
	if (v == PROXY_HEADER) {
		must(whole.len > 0 && whole.len <= size && whole.len <= PROXY_HEADER_MAX);
		must(data[0] != 'P' || whole.len <= PROXY_V1_MAX);
		must(!whole.addressed || (whole.from.ss_family == whole.to.ss_family &&
					  (whole.from.ss_family == AF_INET || whole.from.ss_family == AF_INET6)));
		must(parse(data, whole.len, &part) == PROXY_HEADER && part.len == whole.len &&
		     part.addressed == whole.addressed && !memcmp(&part.from, &whole.from, sizeof(part.from)));
		must(parse(data, whole.len - 1, &part) == PROXY_MORE);
	}
	/* Who reads piece by piece comes to the same end. */
	for (size_t n = 0; n < size; n += step) {
		before = parse(data, n, &part);
		if (before == PROXY_BAD)
			must(v == PROXY_BAD);
		if (before == PROXY_HEADER)
			must(v == PROXY_HEADER && part.len == whole.len);
	}
	return 0;
}
