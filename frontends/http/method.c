/* The methods we know, by name. Pure. */
#include "frontends/http/guard.h"

#include <string.h>

static const char *const names[HTTP_METHOD_COUNT] = {
	[HTTP_GET] = "GET",
	[HTTP_HEAD] = "HEAD",
	[HTTP_PUT] = "PUT",
	[HTTP_POST] = "POST",
	[HTTP_DELETE] = "DELETE",
	[HTTP_OPTIONS] = "OPTIONS",
	[HTTP_PATCH] = "PATCH",
	[HTTP_PROPFIND] = "PROPFIND",
	[HTTP_PROPPATCH] = "PROPPATCH",
	[HTTP_MKCOL] = "MKCOL",
	[HTTP_COPY] = "COPY",
	[HTTP_MOVE] = "MOVE",
	[HTTP_LOCK] = "LOCK",
	[HTTP_UNLOCK] = "UNLOCK",
	[HTTP_REPORT] = "REPORT",
};

const char *http_method_name(enum http_method m)
{
	return (unsigned)m < HTTP_METHOD_COUNT ? names[m] : "?";
}

bool http_method_of(const char *name, enum http_method *ret)
{
	for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++) {
		if (!strcmp(names[i], name)) {
			*ret = (enum http_method)i;
			return true;
		}
	}
	return false;
}
