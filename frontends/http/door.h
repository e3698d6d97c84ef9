/* More than one HTTP door: each has its own loops, services and settings (through its fe_env). The one behind fe_http is
 * for users; the administrator's (frontends/admin) is another, with everything else of fe_http: start, accept, drain,
 * quiesce, close.
 */
#ifndef GH_FRONTENDS_HTTP_DOOR_H
#define GH_FRONTENDS_HTTP_DOOR_H

#include "frontends/http/exchange.h"

struct http_door_config {
	const struct fe_env *env;                   /* borrowed */
	const struct http_service *const *services; /* NULL at the end; borrowed */
	bool administrators; /* probes are its services' own; it is no part of what rules reach */
};

/* GH_NOMEM, GH_IO; err says what. Main thread. */
GH_MUST_CHECK enum gh_status http_door_open(const struct http_door_config *cfg, struct fe_door **ret, char *err,
					    unsigned err_len);

#endif
