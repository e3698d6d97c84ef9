/* One entry of a 207: which properties it has, in which words. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "frontends/webdav/dav.h"

static struct gh_arena *arena;
static struct dav_xml *doc;
static struct gh_buf out;
static struct dav_ask ask;

static void setup(void)
{
	arena = gh_arena_new((size_t)1 << 20);
	gh_buf_init(&out, (size_t)1 << 20);
}

static void teardown(void)
{
	gh_arena_free(&arena);
	gh_buf_fini(&out);
	dav_xml_free(&doc);
}

static enum gh_status asked(const char *xml)
{
	struct dav_el *root;

	dav_xml_free(&doc);
	doc = dav_xml_new(65536);
	ck_assert_int_eq(dav_xml_feed(doc, xml, strlen(xml)), GH_OK);
	ck_assert_int_eq(dav_xml_finish(doc, &root), GH_OK);
	return dav_ask_parse(arena, root, &ask);
}

static struct vfs_node file(void)
{
	return (struct vfs_node){ .id = 7,
				  .version = 0xabc,
				  .type = VFS_FILE,
				  .name = "a.txt",
				  .name_len = 5,
				  .size = 12,
				  .made_us = 0,
				  .mtime_us = 784111777 * GH_S_US };
}

static struct vfs_node folder(void)
{
	return (struct vfs_node){ .id = 8, .type = VFS_FOLDER, .name = "d", .name_len = 1 };
}

static const char *render(const struct vfs_node *n)
{
	gh_buf_clear(&out);
	dav_entry(&out, &ask, "/dav/x", 6, "/x", n);
	ck_assert(!out.failed);
	return out.data;
}

static void has(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what) != NULL, "no %s in %s", what, text);
}

static void hasnt(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what) == NULL, "%s in %s", what, text);
}

START_TEST(a_file_tells_everything_that_allprop_promises_and_nothing_else)
{
	struct vfs_node n = file();
	const char *r;

	ck_assert_int_eq(dav_ask_parse(arena, NULL, &ask), GH_OK);
	r = render(&n);
	has(r, "<D:response><D:href>/dav/x</D:href><D:propstat><D:prop>");
	has(r, "<D:creationdate>1970-01-01T00:00:00Z</D:creationdate>");
	has(r, "<D:displayname>a.txt</D:displayname>");
	has(r, "<D:getcontentlength>12</D:getcontentlength>");
	has(r, "<D:getetag>\"0000000000000abc\"</D:getetag>");
	has(r, "<D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>");
	has(r, "<D:resourcetype/>");
	has(r, "<D:supportedlock><D:lockentry>");
	has(r, "<D:lockdiscovery/>");
	has(r, "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>");
	hasnt(r, "404");
	hasnt(r, "quota");
	hasnt(r, "\n");
}
END_TEST

START_TEST(a_folder_has_no_length_type_or_etag)
{
	struct vfs_node n = folder();
	const char *r;

	ck_assert_int_eq(dav_ask_parse(arena, NULL, &ask), GH_OK);
	r = render(&n);
	has(r, "<D:resourcetype><D:collection/></D:resourcetype>");
	hasnt(r, "getcontentlength");
	hasnt(r, "getetag");
	hasnt(r, "getcontenttype");
}
END_TEST

START_TEST(what_is_not_there_is_404_inside_the_response)
{
	struct vfs_prop dead = { .ns = "urn:x", .name = "here", .xml = "<b/>v", .lang = "de" };
	struct vfs_node n = folder();
	const char *r;

	n.props = &dead;
	n.prop_count = 1;
	ck_assert_int_eq(
		asked("<D:propfind xmlns:D='DAV:' xmlns:x='urn:x'><D:prop><D:getetag/><x:here/><x:gone/><none/>"
		      "<D:resourcetype/><x:gone/><D:unknown/></D:prop></D:propfind>"),
		GH_OK);
	ck_assert_uint_eq(dav_ask_flags(&ask), VFS_WITH_PROPS);
	r = render(&n);
	ck_assert_str_eq(r, "<D:response><D:href>/dav/x</D:href><D:propstat><D:prop><D:resourcetype><D:collection/>"
			    "</D:resourcetype><P:here xmlns:P=\"urn:x\" xml:lang=\"de\"><b/>v</P:here></D:prop>"
			    "<D:status>HTTP/1.1 200 OK</D:status></D:propstat><D:propstat><D:prop><D:getetag/>"
			    "<P:gone xmlns:P=\"urn:x\"/><none/><D:unknown/></D:prop>"
			    "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>");
	ck_assert_int_eq(asked("<propfind xmlns='DAV:'><prop><getetag/></prop></propfind>"), GH_OK);
	r = render(&n);
	hasnt(r, "200 OK");
	has(r, "404");
}
END_TEST

START_TEST(nothing_asked_is_answered_with_nothing)
{
	struct vfs_node n = file();

	ck_assert_int_eq(asked("<propfind xmlns='DAV:'><prop/></propfind>"), GH_OK);
	ck_assert_str_eq(render(&n), "<D:response><D:href>/dav/x</D:href><D:propstat><D:prop></D:prop>"
				     "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>");
}
END_TEST

START_TEST(propname_gives_names_without_values)
{
	struct vfs_prop dead = { .ns = "", .name = "mine", .xml = "secret" };
	struct vfs_node n = file();
	const char *r;

	n.props = &dead;
	n.prop_count = 1;
	ck_assert_int_eq(asked("<propfind xmlns='DAV:'><propname/></propfind>"), GH_OK);
	r = render(&n);
	has(r, "<D:getetag/>");
	has(r, "<mine/>");
	hasnt(r, "secret");
	hasnt(r, "a.txt");
}
END_TEST

START_TEST(quota_is_told_when_asked_and_of_folders_and_never_as_a_guess)
{
	struct vfs_node n = folder(), f = file();
	const char *r;

	ck_assert_int_eq(
		asked("<propfind xmlns='DAV:'><allprop/><include><quota-used-bytes/><quota-available-bytes/></include>"
		      "</propfind>"),
		GH_OK);
	ck_assert(dav_ask_wants_quota(&ask));
	ask.quota_known = true;
	ask.quota_used = 5;
	r = render(&n);
	has(r, "<D:quota-used-bytes>5</D:quota-used-bytes>");
	has(r, "<D:prop><D:quota-available-bytes/></D:prop><D:status>HTTP/1.1 404");
	ask.quota_available = 77;
	has(render(&n), "<D:quota-available-bytes>77</D:quota-available-bytes>");
	hasnt(render(&f), "<D:quota-used-bytes>5");
}
END_TEST

START_TEST(of_a_folder_on_the_way_only_name_and_type_are_told)
{
	struct vfs_node n = folder();
	const char *r;

	n.navigable = true;
	ck_assert_int_eq(dav_ask_parse(arena, NULL, &ask), GH_OK);
	r = render(&n);
	has(r, "displayname");
	has(r, "collection");
	hasnt(r, "creationdate");
	hasnt(r, "lastmodified");
	hasnt(r, "lockdiscovery");
}
END_TEST

START_TEST(names_are_escaped)
{
	struct vfs_node n = file();

	n.name = "<&>\"";
	n.name_len = 4;
	ck_assert_int_eq(dav_ask_parse(arena, NULL, &ask), GH_OK);
	has(render(&n), "<D:displayname>&lt;&amp;&gt;");
	gh_buf_clear(&out);
	dav_href(&out, "/a b/\xC3\xA9(1)'!*~<&>", true);
	ck_assert_str_eq(out.data, "/dav/a%20b/%C3%A9(1)'!*~%3C%26%3E/");
	gh_buf_clear(&out);
	dav_href(&out, "/", true);
	ck_assert_str_eq(out.data, "/dav/");
}
END_TEST

START_TEST(locks_are_shown_with_their_roots)
{
	struct vfs_lock locks[] = {
		{ .token = "urn:uuid:1",
		  .path = "/x",
		  .owner_xml = "<h xmlns=\"DAV:\">ann</h>",
		  .user = "ann",
		  .exclusive = true,
		  .timeout_s = 600,
		  .remaining_s = 599 },
		{ .token = "urn:uuid:2", .path = "/", .owner_xml = "", .user = "bob", .deep = true, .remaining_s = 5 },
	};
	struct vfs_node n = file();
	const char *r;

	n.locks = locks;
	n.lock_count = 2;
	ck_assert_int_eq(asked("<propfind xmlns='DAV:'><prop><lockdiscovery/></prop></propfind>"), GH_OK);
	ck_assert_uint_eq(dav_ask_flags(&ask), VFS_WITH_LOCKS);
	r = render(&n);
	has(r, "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/></D:lockscope><D:depth>0</"
	       "D:depth>"
	       "<D:owner><h "
	       "xmlns=\"DAV:\">ann</h></D:owner><D:timeout>Second-599</D:timeout><D:locktoken><D:href>urn:uuid:1"
	       "</D:href></D:locktoken><D:lockroot><D:href>/dav/x</D:href></D:lockroot></D:activelock>");
	has(r, "<D:shared/></D:lockscope><D:depth>infinity</D:depth><D:timeout>Second-5<");
	has(r, "<D:lockroot><D:href>/dav/</D:href></D:lockroot>");
}
END_TEST

START_TEST(dates_agree_with_the_c_library_over_eight_thousand_years)
{
	for (int64_t s = -62135596800; s < 253402300799; s += 40000003 * 7) {
		char got[DAV_TIME_LEN], want[64];
		time_t t = (time_t)s;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%a, %d %b ", &tm);
		sprintf(want + strlen(want), "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
			tm.tm_sec);
		dav_time_http(got, s * GH_S_US + (s < 0 ? 0 : 999999));
		ck_assert_str_eq(got, want);
		sprintf(want, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			tm.tm_hour, tm.tm_min, tm.tm_sec);
		dav_time_rfc3339(got, s * GH_S_US);
		ck_assert_str_eq(got, want);
	}
}
END_TEST

START_TEST(times_that_cannot_be_written_are_bent_to_those_that_can)
{
	char got[DAV_TIME_LEN];

	dav_time_rfc3339(got, INT64_MAX);
	ck_assert_str_eq(got, "9999-12-31T23:59:59Z");
	dav_time_http(got, INT64_MIN);
	ck_assert_str_eq(got + 5, "01 Jan 0000 00:00:00 GMT");
	dav_time_rfc3339(got, -1);
	ck_assert_str_eq(got, "1969-12-31T23:59:59Z");
}
END_TEST

START_TEST(a_question_that_is_none_is_refused)
{
	ck_assert_int_eq(asked("<propfind xmlns='DAV:'/>"), GH_INVALID);
	ck_assert_int_eq(asked("<propfind xmlns='DAV:'><what/></propfind>"), GH_INVALID);
	ck_assert_int_eq(asked("<propfind xmlns='urn:x'><prop/></propfind>"), GH_INVALID);
	ck_assert_int_eq(asked("<propfind xmlns='DAV:'><what/><prop/></propfind>"), GH_OK);
}
END_TEST

START_TEST(too_many_names_are_refused)
{
	char *xml = malloc(20000);
	size_t n = (size_t)sprintf(xml, "<propfind xmlns='DAV:'><prop>");

	for (unsigned i = 0; i < DAV_NAMED_MAX; i++)
		n += (size_t)sprintf(xml + n, "<x%u xmlns='urn:x'/>", i);
	strcpy(xml + n, "</prop></propfind>");
	ck_assert_int_eq(asked(xml), GH_OK);
	ck_assert_uint_eq(ask.named_count, DAV_NAMED_MAX);
	strcpy(xml + n, "<y/></prop></propfind>");
	ck_assert_int_eq(asked(xml), GH_INVALID);
	free(xml);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("live properties");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_file_tells_everything_that_allprop_promises_and_nothing_else);
	tcase_add_test(t, a_folder_has_no_length_type_or_etag);
	tcase_add_test(t, what_is_not_there_is_404_inside_the_response);
	tcase_add_test(t, nothing_asked_is_answered_with_nothing);
	tcase_add_test(t, propname_gives_names_without_values);
	tcase_add_test(t, quota_is_told_when_asked_and_of_folders_and_never_as_a_guess);
	tcase_add_test(t, of_a_folder_on_the_way_only_name_and_type_are_told);
	tcase_add_test(t, names_are_escaped);
	tcase_add_test(t, locks_are_shown_with_their_roots);
	tcase_add_test(t, dates_agree_with_the_c_library_over_eight_thousand_years);
	tcase_add_test(t, times_that_cannot_be_written_are_bent_to_those_that_can);
	tcase_add_test(t, a_question_that_is_none_is_refused);
	tcase_add_test(t, too_many_names_are_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
