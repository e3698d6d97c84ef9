/* What each core status is in HTTP: the exhaustive switch that a new status must pass before anything compiles. Called
 * by every service behind this door; bodies are the services' own. Pure.
 */
#include "frontends/http/exchange.h"

int http_code_of(enum gh_status st)
{
	switch (st) {
	case GH_OK:
		return 200;
	case GH_NOTMODIFIED:
		return 304;
	case GH_INVALID:
	case GH_BADNAME:
	case GH_SHORT:
	case GH_DIGEST:
	case GH_GONE: /* nobody is left to read it */
		return 400;
	case GH_UNAUTH:
		return 401;
	case GH_DENIED:
	case GH_PROTECTED:
	case GH_FROZEN: /* lasting: waiting does not help */
	case GH_SAMEFILE:
	case GH_LOOP:
		return 403;
	case GH_NOTFOUND:
		return 404;
	case GH_ISDIR: /* content of a folder: this method is not for it */
		return 405;
	case GH_NOPARENT:
	case GH_EXISTS:
	case GH_NOTDIR:
	case GH_NOTEMPTY:
	case GH_NOLOCK:
	case GH_CONFLICT:
		return 409;
	case GH_PRECONDITION:
		return 412;
	case GH_TOOLARGE:
		return 413;
	case GH_TOOLONG:
		return 414;
	case GH_RANGE:
		return 416;
	case GH_LOCKED:
		return 423;
	case GH_THROTTLED:
	case GH_OVERSHARE:
	case GH_PACED:
	case GH_CROWDED:
		return 429;
	case GH_UNSUPPORTED:
		return 501;
	case GH_OFF:
	case GH_DRAINING:
	case GH_SUSPENDED:
	case GH_READONLY:
	case GH_BUSY:
	case GH_DATABASE:
	case GH_TRIPPED:
	case GH_STOPPING:
	case GH_NOMEM:
		return 503;
	case GH_DEADLINE:
		return 504;
	case GH_QUOTA:
	case GH_NOSPACE:
	case GH_LIMIT:
		return 507;
	case GH_IO:
	case GH_DAMAGED:
	case GH_UNKNOWN:
	case GH_BUG:
	/* Flow of the core: none of these may reach a client. */
	case GH_PENDING:
	case GH_WAIT:
	case GH_AGAIN:
	case GH_STALE:
	case GH_END:
	case GH_STATUS_COUNT:
		return 500;
	}
	return 500;
}
