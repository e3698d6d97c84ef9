/* The files of the administrator's console, embedded in the program; the service that serves them is
 * frontends/admin's. The table is made at build time by console/embed.sh from console/ and, where the build could fetch
 * them, the third-party modules; a build without those has a single page that says how to get the console.
 *
 * Constant data: any thread.
 */
#ifndef GH_FRONTENDS_ADMIN_ASSETS_H
#define GH_FRONTENDS_ADMIN_ASSETS_H

#include <stddef.h>

struct admin_asset {
	const char *path; /* of the URL: "/", "/console/app.mjs" */
	const char *type; /* Content-Type */
	const unsigned char *bytes;
	size_t len;
	const char *etag; /* with its quotation marks */
};

extern const struct admin_asset admin_assets[]; /* ends with path NULL */

#endif
