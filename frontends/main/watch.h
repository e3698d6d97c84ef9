/* `gatehouse status --watch`: what the gateway is doing, once a second. watch.c talks to the gateway and the terminal,
 * watch_draw.c makes the picture. */
#ifndef GH_FRONTENDS_MAIN_WATCH_H
#define GH_FRONTENDS_MAIN_WATCH_H

#include <jansson.h>

#include "core/base/buf.h"

struct cli;

struct watch_view {
	const json_t *sample;   /* live.history's latest; NULL = none yet */
	const json_t *status;   /* status; may be NULL */
	const json_t *switches; /* items of switch.list; NULL = this gateway has none */
	const json_t *breakers; /* items of breaker.list */
	unsigned rows, columns;
};

/* Lines for a terminal: at most rows of them, none wider than columns, each cleared to its end. */
void watch_draw(const struct watch_view *v, struct gh_buf *out);
/* One line without its end, for what is no terminal. */
void watch_line(const json_t *sample, struct gh_buf *out);

int cli_watch(struct cli *c);

#endif
