/* The admin listener without a house behind it: probes, metrics, files, refusals. The API over a real one:
 * tests/conformance/admin_*.py. */
#include <check.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/run/doorstep.h"
#include "frontends/admin/admin.h"

static struct admin_listener *listener;
static char address[64], err[256], reply[1 << 20];
static _Atomic(const char *) reason;

static const char *not_ready(struct gh_core *core)
{
	return atomic_load(&reason);
}

static void setup(void)
{
	const struct admin_listener_config cfg = { .address = "127.0.0.1:0", .not_ready = not_ready };

	atomic_store(&reason, NULL);
	ck_assert_msg(admin_listener_open(&cfg, address, &listener, err) == GH_OK, "%s", err);
}

static void teardown(void)
{
	ck_assert(admin_listener_close(&listener, 5000));
	ck_assert_ptr_null(listener);
}

/* Sends exactly this; reply gets all until the server closes. Status code. */
static int ask(const char *request)
{
	struct timeval patience = { .tv_sec = 5 };
	struct sockaddr_storage ss;
	size_t len = 0;
	socklen_t ss_len;
	ssize_t n;
	int fd;

	ck_assert_int_eq(gh_addr_parse(address, &ss, &ss_len), GH_OK);
	fd = socket(ss.ss_family, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, ss_len), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	while (len < sizeof(reply) - 1 && (n = recv(fd, reply + len, sizeof(reply) - 1 - len, 0)) > 0)
		len += (size_t)n;
	reply[len] = 0;
	close(fd);
	return len > 12 ? atoi(reply + 9) : 0;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

START_TEST(healthz_answers_while_the_process_lives)
{
	ck_assert_int_eq(ask(GET("/healthz")), 200);
	atomic_store(&reason, "no database");
	ck_assert_int_eq(ask(GET("/healthz")), 200);
}
END_TEST

START_TEST(readyz_says_why_it_is_not_ready)
{
	ck_assert_int_eq(ask(GET("/readyz")), 200);
	atomic_store(&reason, "no database");
	ck_assert_int_eq(ask(GET("/readyz")), 503);
	ck_assert_ptr_nonnull(strstr(reply, "no database"));
	atomic_store(&reason, NULL);
	admin_listener_drain(listener);
	ck_assert_int_eq(ask(GET("/readyz")), 503);
	ck_assert_ptr_nonnull(strstr(reply, "stopping"));
}
END_TEST

START_TEST(metrics_are_prometheus_text)
{
	ck_assert_int_eq(ask(GET("/metrics")), 200);
	ck_assert_ptr_nonnull(strstr(reply, "text/plain; version=0.0.4"));
	ck_assert_ptr_nonnull(strstr(reply, "# TYPE gatehouse_requests_total counter"));
}
END_TEST

START_TEST(head_has_no_body)
{
	ck_assert_int_eq(ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	ck_assert_ptr_null(strstr(reply, "# TYPE"));
}
END_TEST

START_TEST(the_page_says_what_it_may_load)
{
	ck_assert_int_eq(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200);
	ck_assert_ptr_nonnull(strstr(reply, "Content-Security-Policy: default-src 'none'; script-src 'self'"));
	ck_assert_ptr_nonnull(strstr(reply, "frame-ancestors 'none'"));
	ck_assert_ptr_nonnull(strstr(reply, "X-Content-Type-Options: nosniff"));
	ck_assert_ptr_nonnull(strstr(reply, "ETag: \""));
}
END_TEST

START_TEST(nothing_else_is_there_and_nothing_can_be_changed)
{
	ck_assert_int_eq(ask(GET("/nothing")), 404);
	ck_assert_int_eq(ask(GET("/metrics/../etc/passwd")), 404);
	ck_assert_int_eq(ask("POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), 405);
	ck_assert_int_eq(ask("DELETE /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 405);
}
END_TEST

START_TEST(garbage_ends_with_the_connection)
{
	ask("\x16\x03\x01\x02\r\n\r\n");
	ask("GET\r\n\r\n");
	ck_assert_int_eq(ask(GET("/healthz")), 200);
}
END_TEST

START_TEST(an_address_that_is_taken_is_named)
{
	struct admin_listener *second = NULL;
	char other[64];

	struct admin_listener_config cfg = { .address = address, .not_ready = not_ready };

	ck_assert_int_ne(admin_listener_open(&cfg, other, &second, err), GH_OK);
	ck_assert_ptr_nonnull(strstr(err, address));
	cfg.address = "nowhere";
	ck_assert_int_ne(admin_listener_open(&cfg, other, &second, err), GH_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("admin listener");
	TCase *t = tcase_create("admin listener");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, healthz_answers_while_the_process_lives);
	tcase_add_test(t, readyz_says_why_it_is_not_ready);
	tcase_add_test(t, metrics_are_prometheus_text);
	tcase_add_test(t, head_has_no_body);
	tcase_add_test(t, the_page_says_what_it_may_load);
	tcase_add_test(t, nothing_else_is_there_and_nothing_can_be_changed);
	tcase_add_test(t, garbage_ends_with_the_connection);
	tcase_add_test(t, an_address_that_is_taken_is_named);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
