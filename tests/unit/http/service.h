/* What the end-to-end tests of the HTTP door share: a service at /t that does each thing once, files, fixtures.
 *
 *   GET  /t/PATH     the file; /t/stream[?fail] a stream, /t/silent no answer, /t/forge a line break in a header
 *   PUT  /t/PATH     an upload
 *   POST /t/bad      refused by body; /t/early answered by body; else by end
 *   *    /t/open...  without a login
 */
#ifndef GH_TESTS_UNIT_HTTP_SERVICE_H
#define GH_TESTS_UNIT_HTTP_SERVICE_H

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "frontends/http/exchange.h"
#include "tests/unit/http/house.h"

extern const struct http_service *const http_services[];
extern atomic_uint begun, gone; /* calls of the service */
extern atomic_bool in_order;    /* each begin came after the gone before; where one connection is used */
extern struct house h;
extern char big[1 << 20]; /* /big; /a.txt is "hello", /page.html "<p>", /dir a folder */

void setup(void);
void teardown(void); /* checks that nothing is left anywhere */
TCase *group(Suite *s, const char *name); /* with these fixtures */
int run_suite(Suite *s);                  /* main's status */

#define GET(path) "GET /t" path " HTTP/1.1\r\n" AS_ANN "\r\n"
/* Says request and hears an answer of this status, with this body unless text is NULL. */
void expect(int fd, const char *request, const char *method, int status, const char *text);

#endif
