/* Which doors and which services behind the HTTP door there are. A new one is one line here. */
#include "frontends/main/registry.h"

#include "frontends/http/exchange.h"

const struct registry_door registry_doors[] = {
	{ &fe_http, "http", "listen.http" },
	{ &fe_ftp, "ftp", "listen.ftp" },
	{ NULL, NULL, NULL },
};

/* The HTTP door's, longest prefix wins; ends with NULL. */
extern const struct http_service *const http_services[];
const struct http_service *const http_services[] = {
	&http_service_dav,
	&http_service_rest,
	&http_service_web,
	NULL,
};
