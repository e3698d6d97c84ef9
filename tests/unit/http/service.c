/* A service that does each thing once, and what the tests of the door share. See service.h. */
#include "tests/unit/http/service.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

atomic_uint begun, gone;
atomic_bool in_order = true;

static void begin(struct http_ex *ex);
static enum gh_status body(struct http_ex *ex, const void *data, size_t len);
static void end(struct http_ex *ex);

static void left(struct http_ex *ex)
{
	atomic_fetch_add(&gone, 1);
	http_put_gone(ex);
}

static void refuse(struct http_ex *ex, enum gh_status st, const struct vfs_req *req)
{
	const char *name = gh_status_name(st);

	http_reply(ex, http_code_of(st), name, strlen(name));
}

static bool open_to_all(const struct http_ex *ex)
{
	return !strncmp(ex->path, "/open", 5);
}

static const struct http_service service = {
	.name = "test",
	.proto = VFS_REST,
	.prefix = "/t",
	.methods = 1 << HTTP_GET | 1 << HTTP_HEAD | 1 << HTTP_PUT | 1 << HTTP_POST,
	.open_to_all = open_to_all,
	.begin = begin,
	.body = body,
	.end = end,
	.gone = left,
	.refuse = refuse,
};
const struct http_service *const http_services[] = { &service, NULL };

static void put_done(struct http_ex *ex, struct vfs_req *req)
{
	int code = req->created ? 201 : 204;

	vfs_req_free(&req);
	http_reply(ex, code, NULL, 0);
}

/* 100 lines, each after a request of its own to the core. */
static void told(struct http_ex *ex, struct vfs_req *req)
{
	vfs_req_free(&req);
	*(unsigned *)ex->state |= 0x100;
}

static enum gh_status fill(struct http_ex *ex, struct gh_buf *out)
{
	unsigned *n = ex->state;
	struct vfs_req *req;

	if ((*n & 0xff) == 100)
		return GH_END;
	if (ex->query && !strcmp(ex->query, "fail") && (*n & 0xff) == 50)
		return GH_IO;
	if (*n & 0x100) {
		*n = (*n & 0xff) + 1;
		gh_buf_printf(out, "line %u\n", *n & 0xff);
		return GH_OK;
	}
	if (http_req(ex, VFS_STAT, &req) != GH_OK)
		return GH_NOMEM;
	http_submit_in_stream(ex, req, told);
	return GH_WAIT;
}

static void begin(struct http_ex *ex)
{
	atomic_fetch_add(&begun, 1);
	if (atomic_load(&begun) != atomic_load(&gone) + 1)
		atomic_store(&in_order, false); /* only meaningful where one connection is used */
	if (ex->method == HTTP_PUT) {
		http_put_begin(ex, NULL, put_done);
	} else if (ex->method == HTTP_POST) {
		/* answered by body or end */
	} else if (!strncmp(ex->path, "/stream", 7)) {
		ex->state = gh_alloc(ex->arena, sizeof(unsigned));
		http_reply_stream(ex, 200, fill);
	} else if (!strcmp(ex->path, "/silent")) {
		/* no answer: a bug of the service */
	} else if (!strcmp(ex->path, "/forge")) {
		http_reply_header(ex, "X-A", "a\r\nX-B: b");
		http_reply_static(ex, 200, "static");
	} else {
		http_serve_file(ex, NULL);
	}
}

static enum gh_status body(struct http_ex *ex, const void *data, size_t len)
{
	if (ex->method == HTTP_PUT)
		return http_put_body(ex, data, len);
	if (!strcmp(ex->path, "/early"))
		http_reply_static(ex, 202, "enough");
	return strcmp(ex->path, "/bad") ? GH_OK : GH_INVALID;
}

static void end(struct http_ex *ex)
{
	if (ex->method == HTTP_PUT)
		http_put_end(ex);
	else if (strcmp(ex->path, "/silent"))
		http_reply(ex, 200, "got all", 7);
}

/* ---- fixtures ---- */

struct house h;
char big[1 << 20];

void setup(void)
{
	atomic_store(&begun, 0);
	atomic_store(&gone, 0);
	atomic_store(&in_order, true);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + (i >> 9));
	house_open(&h);
	fake_put(h.core, "/a.txt", "hello", 5, 1700000000000000);
	fake_put(h.core, "/big", big, sizeof(big), 1700000000000000);
	fake_put(h.core, "/page.html", "<p>", 3, 1700000000000000);
	fake_put(h.core, "/dir", NULL, 0, 0);
}

void teardown(void)
{
	house_close(&h);
	ck_assert_uint_eq(atomic_load(&begun), atomic_load(&gone)); /* gone comes exactly once for each begin */
}

void expect(int fd, const char *request, const char *method, int status, const char *text)
{
	struct heard a;

	say(fd, request);
	hear(fd, method, &a);
	ck_assert_msg(a.status == status, "%s gave %d: %s%s", request, a.status, a.head, a.body);
	if (text)
		ck_assert_str_eq(a.body, text);
	ck_assert(!a.cut);
	unhear(&a);
}

int run_suite(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

TCase *group(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t;
}
