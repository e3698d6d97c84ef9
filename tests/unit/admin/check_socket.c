/* admin.sock: lines in, lines out, whatever a caller sends. */
#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/control.h"
#include "frontends/admin/admin.h"

static char folder[160], top[] = "/tmp/check_socket.XXXXXX", err[256];
static struct admin_socket *sock;

/* A control plane of the test's own. */
static enum gh_status run(const char *op, struct control_call *call)
{
	if (!strcmp(op, "echo")) {
		call->result = json_pack("{s:O, s:s}", "args", call->args, "actor", call->actor);
		return call->result ? GH_OK : GH_NOMEM;
	}
	if (!strcmp(op, "empty"))
		return GH_OK;
	if (!strcmp(op, "slow")) {
		nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
		return GH_OK;
	}
	if (!strcmp(op, "big")) {
		json_t *items = json_array();

		for (int i = 0; i < 20000; i++)
			json_array_append_new(items, json_string("an item of some length, to make the answer big"));
		call->result = json_pack("{s:o}", "items", items);
		return GH_OK;
	}
	if (!strcmp(op, "taken")) {
		snprintf(call->message, sizeof(call->message), "there is a tenant \"acme\" already");
		return GH_EXISTS;
	}
	return GH_NOTFOUND;
}

static void setup(void)
{
	struct admin_socket_config cfg = { .folder = folder, .line_timeout_ms = 300, .run = run };

	strcpy(top + strlen(top) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	/* Longer than a socket address can hold. */
	snprintf(folder, sizeof(folder), "%s/%0120d", top, 0);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_msg(admin_socket_open(&cfg, &sock, err) == GH_OK, "%s", err);
}

static void teardown(void)
{
	char command[128];

	ck_assert(admin_socket_close(&sock, 5000));
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	ck_assert_int_eq(system(command), 0);
}

static int dial(void)
{
	struct timeval patience = { .tv_sec = 10 };
	int fd;

	ck_assert_msg(admin_socket_connect(folder, &fd, err) == GH_OK, "%s", err);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* One line, or NULL when the server closed. */
static json_t *line_get(int fd)
{
	static char text[4 << 20];
	size_t len = 0;

	while (len < sizeof(text)) {
		ssize_t n = recv(fd, text + len, sizeof(text) - len, MSG_PEEK);
		char *nl = n > 0 ? memchr(text + len, '\n', (size_t)n) : NULL;

		if (n <= 0)
			return NULL;
		if (nl)
			n = nl + 1 - (text + len);
		len += (size_t)recv(fd, text + len, (size_t)n, 0); /* what follows the line stays */
		if (nl)
			return json_loadb(text, len, 0, NULL);
	}
	return NULL;
}

static void say(int fd, const char *text)
{
	size_t len = strlen(text);

	ck_assert_int_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static json_t *ask(const char *text)
{
	int fd = dial();
	json_t *reply;

	say(fd, text);
	reply = line_get(fd);
	close(fd);
	ck_assert_ptr_nonnull(reply);
	return reply;
}

static void refuses(const char *text, const char *status, const char *words)
{
	json_t *reply = ask(text);

	ck_assert(json_is_false(json_object_get(reply, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(reply, "status")), status);
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(reply, "message")), words));
	json_decref(reply);
}

START_TEST(a_call_gets_its_result_and_knows_its_caller)
{
	json_t *reply = ask("{\"op\":\"echo\",\"args\":{\"a\":[1,\"x\"]}}\n"), *want = json_pack("{s:[i,s]}", "a", 1, "x");
	char actor[32];
	json_t *result = json_object_get(reply, "result");

	snprintf(actor, sizeof(actor), "uid:%u", geteuid());
	ck_assert(json_is_true(json_object_get(reply, "ok")));
	ck_assert(json_equal(json_object_get(result, "args"), want));
	ck_assert_str_eq(json_string_value(json_object_get(result, "actor")), actor);
	json_decref(reply);
	json_decref(want);
}
END_TEST

START_TEST(a_call_without_a_result_gets_an_empty_object)
{
	json_t *reply = ask("{\"op\":\"empty\"}\n");

	ck_assert(json_is_object(json_object_get(reply, "result")));
	json_decref(reply);
}
END_TEST

START_TEST(refusals_carry_status_and_words)
{
	refuses("{\"op\":\"taken\"}\n", "exists", "acme");
	refuses("{\"op\":\"nothing.like.it\"}\n", "notfound", "");
}
END_TEST

START_TEST(what_is_no_call_is_refused)
{
	refuses("\n", "invalid", "not JSON");
	refuses("hello\n", "invalid", "not JSON");
	refuses("[]\n", "invalid", "a call is");
	refuses("{\"args\":{}}\n", "invalid", "a call is");
	refuses("{\"op\":3}\n", "invalid", "a call is");
	refuses("{\"op\":\"echo\",\"args\":[]}\n", "invalid", "a call is");
	refuses("{\"op\":\"echo\",\"more\":1}\n", "invalid", "a call is");
	refuses("{\"op\":\"echo\",\"op\":\"empty\"}\n", "invalid", "not JSON");
	refuses("{\"op\":\"echo\"} {\"op\":\"echo\"}\n", "invalid", "not JSON");
	refuses("GET / HTTP/1.1\r\n\r\n", "invalid", "not JSON");
}
END_TEST

START_TEST(lines_that_come_together_are_answered_in_order)
{
	int fd = dial();

	say(fd, "{\"op\":\"empty\"}\n{\"op\":\"taken\"}\n{\"op\":\"em");
	for (int i = 0; i < 2; i++) {
		json_t *reply = line_get(fd);

		ck_assert_int_eq(json_is_true(json_object_get(reply, "ok")), i == 0);
		json_decref(reply);
	}
	say(fd, "pty\"}\n");
	json_decref(line_get(fd));
	close(fd);
}
END_TEST

START_TEST(a_big_answer_arrives_whole)
{
	json_t *reply = ask("{\"op\":\"big\"}\n");

	ck_assert_uint_eq(json_array_size(json_object_get(json_object_get(reply, "result"), "items")), 20000);
	json_decref(reply);
}
END_TEST

START_TEST(a_line_without_end_is_refused_at_one_mebibyte)
{
	static char part[65536];
	int fd = dial();
	json_t *reply;

	memset(part, 'a', sizeof(part));
	for (int i = 0; i < 20; i++) {
		if (send(fd, part, sizeof(part), MSG_NOSIGNAL) < 0)
			break;
	}
	reply = line_get(fd);
	if (reply) /* the reset of what was not read may overtake it */
		ck_assert_str_eq(json_string_value(json_object_get(reply, "status")), "toolarge");
	json_decref(reply);
	close(fd);
	json_decref(ask("{\"op\":\"empty\"}\n"));
}
END_TEST

START_TEST(callers_who_say_nothing_are_cut_and_keep_nobody_out)
{
	int idle[4];
	char byte;

	for (int i = 0; i < 4; i++)
		idle[i] = dial();
	json_decref(ask("{\"op\":\"empty\"}\n")); /* after the deadline of one of them */
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(recv(idle[i], &byte, 1, 0), 0);
		close(idle[i]);
	}
}
END_TEST

START_TEST(closing_waits_for_the_call_that_runs)
{
	struct admin_socket_config cfg = { .folder = folder, .run = run };
	int fd = dial();
	json_t *reply;

	say(fd, "{\"op\":\"slow\"}\n");
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	ck_assert(admin_socket_close(&sock, 5000));
	reply = line_get(fd);
	ck_assert(json_is_true(json_object_get(reply, "ok")));
	json_decref(reply);
	close(fd);
	ck_assert_int_eq(admin_socket_connect(folder, &fd, err), GH_NOTFOUND);
	ck_assert_int_eq(admin_socket_open(&cfg, &sock, err), GH_OK);
}
END_TEST

START_TEST(a_socket_left_by_a_dead_server_is_replaced)
{
	struct admin_socket_config cfg = { .folder = folder, .run = run };
	char path[256];

	ck_assert(admin_socket_close(&sock, 5000));
	snprintf(path, sizeof(path), "%s/admin.sock", folder);
	fclose(fopen(path, "w"));
	ck_assert_int_eq(admin_socket_open(&cfg, &sock, err), GH_OK);
	json_decref(ask("{\"op\":\"empty\"}\n"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("admin socket");
	TCase *t = tcase_create("admin socket");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_call_gets_its_result_and_knows_its_caller);
	tcase_add_test(t, a_call_without_a_result_gets_an_empty_object);
	tcase_add_test(t, refusals_carry_status_and_words);
	tcase_add_test(t, what_is_no_call_is_refused);
	tcase_add_test(t, lines_that_come_together_are_answered_in_order);
	tcase_add_test(t, a_big_answer_arrives_whole);
	tcase_add_test(t, a_line_without_end_is_refused_at_one_mebibyte);
	tcase_add_test(t, callers_who_say_nothing_are_cut_and_keep_nobody_out);
	tcase_add_test(t, closing_waits_for_the_call_that_runs);
	tcase_add_test(t, a_socket_left_by_a_dead_server_is_replaced);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
