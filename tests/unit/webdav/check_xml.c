/* Request bodies: what becomes of good ones, and that hostile ones are refused early and cheaply. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "frontends/webdav/xml.h"

#define CAP ((size_t)256 << 10)

static struct dav_xml *doc;

static void teardown(void)
{
	dav_xml_free(&doc);
}

static enum gh_status parse_in(const void *data, size_t len, size_t step, struct dav_el **root)
{
	const char *p = data;

	dav_xml_free(&doc);
	doc = dav_xml_new(CAP);
	ck_assert_ptr_nonnull(doc);
	for (size_t at = 0; at < len; at += step) {
		enum gh_status st = dav_xml_feed(doc, p + at, len - at < step ? len - at : step);

		if (st != GH_OK)
			return st;
	}
	return dav_xml_finish(doc, root);
}

static enum gh_status parse(const char *text, struct dav_el **root)
{
	return parse_in(text, strlen(text), strlen(text) ? strlen(text) : 1, root);
}

/* The content of the document element after a round trip. */
static char *inner(const char *text)
{
	struct dav_el *root;
	struct gh_buf b;

	ck_assert_msg(parse(text, &root) == GH_OK, "%s", text);
	gh_buf_init(&b, CAP);
	dav_xml_inner(&b, root);
	ck_assert(!b.failed);
	if (!b.data)
		gh_buf_add(&b, "", 0);
	return b.data ? b.data : calloc(1, 1);
}

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* Sanitizers are slower than what is promised. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWNESS 10
#else
#define SLOWNESS 1
#endif

START_TEST(elements_come_with_their_namespaces)
{
	struct dav_el *root, *prop;

	ck_assert_int_eq(
		parse("<?xml version=\"1.0\"?>\n<D:propfind xmlns:D=\"DAV:\"><D:prop><x xmlns='urn:x'/><y/></D:prop>"
		      "</D:propfind>\n",
		      &root),
		GH_OK);
	ck_assert(dav_is(root, "propfind"));
	prop = dav_child(root, "prop");
	ck_assert_ptr_nonnull(prop);
	ck_assert_str_eq(prop->first->name, "x");
	ck_assert_str_eq(prop->first->ns, "urn:x");
	ck_assert_str_eq(prop->first->next->ns, "");
	ck_assert_ptr_null(dav_child(root, "nothing"));
}
END_TEST

START_TEST(nothing_at_all_is_no_document_and_no_error)
{
	struct dav_el *root = (struct dav_el *)1;

	ck_assert_int_eq(parse("", &root), GH_OK);
	ck_assert_ptr_null(root);
}
END_TEST

static size_t utf16(unsigned char *out, const char *ascii, bool big, bool mark)
{
	size_t n = 0;

	if (mark) {
		out[n++] = big ? 0xFE : 0xFF;
		out[n++] = big ? 0xFF : 0xFE;
	}
	for (; *ascii; ascii++) {
		out[n++] = big ? 0 : (unsigned char)*ascii;
		out[n++] = big ? (unsigned char)*ascii : 0;
	}
	return n;
}

START_TEST(utf16_and_byte_order_marks_parse_in_pieces_of_any_size)
{
	static const char text[] = "<?xml version='1.0' encoding='utf-16'?><a xmlns='DAV:'>x&#x1F600;</a>";
	unsigned char buf[400];
	struct dav_el *root;
	size_t len;

	for (unsigned kind = 0; kind < 5; kind++) {
		if (kind < 4) {
			len = utf16(buf, text, kind & 1, kind & 2);
		} else {
			len = (size_t)snprintf((char *)buf, sizeof(buf),
					       "\xEF\xBB\xBF<a xmlns='DAV:'>x\xF0\x9F\x98\x80</a>");
		}
		for (size_t step = 1; step < 9; step++) {
			ck_assert_msg(parse_in(buf, len, step, &root) == GH_OK, "kind %u step %zu", kind, step);
			ck_assert(dav_is(root, "a"));
			ck_assert_str_eq(root->first->text, "x\xF0\x9F\x98\x80");
		}
	}
}
END_TEST

START_TEST(surrogates_pair_up_or_are_refused)
{
	static const unsigned char pair[] = { 0xFF, 0xFE, '<', 0, 'a', 0, '>', 0, 0x3D, 0xD8,
					      0x00, 0xDE, '<', 0, '/', 0, 'a', 0, '>',  0 };
	unsigned char bad[sizeof(pair)];
	struct dav_el *root;

	ck_assert_int_eq(parse_in(pair, sizeof(pair), 1, &root), GH_OK);
	ck_assert_str_eq(root->first->text, "\xF0\x9F\x98\x80");
	memcpy(bad, pair, sizeof(bad));
	bad[10] = 'x';
	bad[11] = 0;
	ck_assert_int_eq(parse_in(bad, sizeof(bad), 3, &root), GH_INVALID);
	ck_assert_int_eq(parse_in(pair, sizeof(pair) - 1, 3, &root), GH_INVALID); /* half a unit */
}
END_TEST

START_TEST(content_survives_with_markup_whitespace_and_prefixes)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "<p>text</p>", "text" },
		{ "<p/>", "" },
		{ "<p> a\tb\n c </p>", " a\tb\n c " },
		{ "<p>&lt;&amp;&gt;\"'</p>", "&lt;&amp;&gt;\"'" },
		{ "<p><![CDATA[<b>]]></p>", "&lt;b&gt;" },
		{ "<p>a<b/>c<d>e</d>f</p>", "a<b/>c<d>e</d>f" },
		{ "<p>x<!-- gone -->y<?gone too?>z</p>", "xyz" },
		{ "<p>&#13;&#10;</p>", "&#13;\n" },
		{ "<p><b a='&quot;&#10;&#9;&lt;'/></p>", "<b a=\"&quot;&#10;&#9;&lt;\"/>" },
		{ "<p><b a='&amp;&#38;x&amp;#38;'/></p>", "<b a=\"&amp;&amp;x&amp;#38;\"/>" },
		/* a prefix from outside is declared where it is first used, once */
		{ "<p xmlns:x='urn:x'><x:b><x:c/></x:b><x:d/></p>",
		  "<x:b xmlns:x=\"urn:x\"><x:c/></x:b><x:d xmlns:x=\"urn:x\"/>" },
		{ "<p xmlns='urn:d'><b><c xmlns=''/></b></p>", "<b xmlns=\"urn:d\"><c xmlns=\"\"/></b>" },
		{ "<p xmlns:x='urn:x'><b x:a='1'/></p>", "<b xmlns:x=\"urn:x\" x:a=\"1\"/>" },
		{ "<p xmlns:x='urn:1'><x:a><x:b xmlns:x='urn:2'/><x:c/></x:a></p>",
		  "<x:a xmlns:x=\"urn:1\"><x:b xmlns:x=\"urn:2\"/><x:c/></x:a>" },
		{ "<p><b xml:lang='de' xml:space='preserve'> </b></p>",
		  "<b xml:lang=\"de\" xml:space=\"preserve\"> </b>" },
		{ "<p>\xF0\x9F\x98\x80\xC3\xA9&#xE9;</p>", "\xF0\x9F\x98\x80\xC3\xA9\xC3\xA9" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = inner(cases[i].in), *again, *text = malloc(strlen(out) + 16);

		ck_assert_str_eq(out, cases[i].out);
		sprintf(text, "<p>%s</p>", out); /* and what was written is the same when it is read again */
		again = inner(text);
		ck_assert_str_eq(again, out);
		free(out);
		free(again);
		free(text);
	}
}
END_TEST

START_TEST(the_language_in_scope_is_inherited)
{
	struct dav_el *root;

	ck_assert_int_eq(parse("<a xml:lang='de'><b><c xml:lang='en'><d xml:lang=''/></c></b></a>", &root), GH_OK);
	ck_assert_str_eq(root->first->lang, "de");
	ck_assert_str_eq(root->first->first->lang, "en");
	ck_assert_ptr_null(root->first->first->first->lang);
}
END_TEST

START_TEST(what_is_not_well_formed_is_refused)
{
	static const char *const bad[] = {
		"<a>",
		"<a></b>",
		"x",
		"<a/><b/>",
		"<a",
		"</a>",
		"<a b=c/>",
		"<a>&nbsp;</a>",
		"<a>&#0;</a>",
		"<a>\x01</a>",
		"<a>\xFF</a>",
		"<a xmlns:x=''><x:b/></a>",
		"<x:a/>",
		"<a b='1' b='2'/>",
		"\xEF\xBB\xBF",
		"  ",
		"<!-- -->",
		"<a><!--</a>",
		"<a><!-x></a>",
		"<a>]]></a>",
		"<?xml version='1.0'?>",
		" <?xml version='1.0'?><a/>",
		"L\x6F\xA7\x94", /* EBCDIC */
	};
	struct dav_el *root;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(parse(bad[i], &root) == GH_INVALID, "%s", bad[i]);
		ck_assert_msg(parse_in(bad[i], strlen(bad[i]), 1, &root) == GH_INVALID, "bytewise: %s", bad[i]);
	}
	ck_assert_int_eq(parse_in("<\0\0\0a\0\0\0/\0\0\0>\0\0\0", 16, 16, &root), GH_INVALID); /* UTF-32 */
}
END_TEST

START_TEST(a_namespace_name_that_is_no_proper_uri_is_still_a_name)
{
	struct dav_el *root;

	ck_assert_int_eq(parse("<a xmlns='not a uri'/>", &root), GH_OK);
	ck_assert_str_eq(root->ns, "not a uri");
	ck_assert_int_eq(parse("<a xmlns='urn:schemas-microsoft-com:'/>", &root), GH_OK);
	ck_assert_int_eq(parse("<a xmlns='http://h/?b=1&amp;c=2'/>", &root), GH_OK);
	ck_assert_str_eq(root->ns, "http://h/?b=1&c=2");
}
END_TEST

START_TEST(a_doctype_is_refused_as_soon_as_it_begins)
{
	static const char *const bad[] = {
		"<!DOCTYPE a><a/>",
		"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
		"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
		"<!doctype a><a/>",
		"<!ENTITY x 'y'>",
		"<!-- c --><!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://169.254.169.254/'>%p;]><a/>",
	};
	struct dav_el *root;
	unsigned char wide[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parse(bad[i], &root) == GH_INVALID, "%s", bad[i]);
	ck_assert_int_eq(parse_in(wide, utf16(wide, "<!DOCTYPE a><a/>", true, true), 5, &root), GH_INVALID);
	dav_xml_free(&doc);
	doc = dav_xml_new(CAP);
	ck_assert_int_eq(dav_xml_feed(doc, "<!DO", 4), GH_INVALID); /* the rest is never waited for */
}
END_TEST

static char *repeat(const char *head, const char *what, size_t times, const char *tail)
{
	size_t n = strlen(what), len = strlen(head);
	char *out = malloc(len + n * times + strlen(tail) + 1);

	memcpy(out, head, len);
	for (size_t i = 0; i < times; i++, len += n)
		memcpy(out + len, what, n);
	strcpy(out + len, tail);
	return out;
}

static char *many_attributes(size_t count)
{
	char *out = malloc(count * 12 + 20);
	size_t n = 2;

	if (!out)
		abort();
	memcpy(out, "<a", n);

	for (size_t i = 0; i < count; i++)
		n += (size_t)sprintf(out + n, " a%zu=''", i);
	strcpy(out + n, "/>");
	return out;
}

START_TEST(limits_hold_at_their_edges)
{
	struct dav_el *root;
	char *text;

	text = many_attributes(DAV_XML_ATTRS_MAX);
	ck_assert_int_eq(parse(text, &root), GH_OK);
	ck_assert_uint_eq(root->attr_count, DAV_XML_ATTRS_MAX);
	free(text);
	text = many_attributes(DAV_XML_ATTRS_MAX + 1);
	ck_assert_int_eq(parse(text, &root), GH_INVALID);
	free(text);
	text = repeat("<a>", "<b/>", DAV_XML_ELEMENTS_MAX - 1, "</a>");
	ck_assert_int_eq(parse(text, &root), GH_OK);
	free(text);
	text = repeat("<a>", "<b/>", DAV_XML_ELEMENTS_MAX, "</a>");
	ck_assert_int_eq(parse(text, &root), GH_INVALID);
	free(text);
	text = repeat("", "<a>", DAV_XML_DEPTH_MAX + 1, "");
	ck_assert_int_eq(parse(text, &root), GH_INVALID);
	free(text);
	text = repeat("<a>", "x", CAP - 7, "</a>");
	ck_assert_int_eq(parse(text, &root), GH_OK);
	free(text);
	text = repeat("<a>", "x", CAP - 6, "</a>");
	ck_assert_int_eq(parse(text, &root), GH_TOOLARGE);
	free(text);
}
END_TEST

START_TEST(hostile_documents_cost_less_than_fifty_milliseconds)
{
	struct {
		const char *what;
		char *text;
	} cases[] = {
		{ "attributes", many_attributes(30000) },
		{ "siblings", repeat("<a>", "<b/>", 60000, "</a>") },
		{ "depth", repeat("", "<a>", 80000, "") },
		{ "one long attribute", repeat("<a b='", "x", CAP - 10, "'/>") },
		{ "one long name", repeat("<", "x", CAP - 10, "/>") },
		{ "one long text", repeat("<a>", "x", CAP - 10, "</a>") },
		{ "unclosed tag", repeat("<a ", " ", CAP - 10, "") },
		{ "references", repeat("<a>", "&amp;", CAP / 5 - 10, "</a>") },
		{ "references in an attribute", repeat("<a b='", "&amp;", CAP / 5 - 10, "'/>") },
		{ "comments", repeat("<a>", "<!---->", CAP / 7 - 10, "</a>") },
		{ "one comment", repeat("<a><!--", "x", CAP - 20, "--></a>") },
		{ "brackets", repeat("<a>", "]", CAP - 10, "</a>") },
		{ "instructions", repeat("<a>", "<?x?>", CAP / 5 - 10, "</a>") },
		{ "CDATA", repeat("<a>", "<![CDATA[]]>", CAP / 12 - 10, "</a>") },
		{ "open CDATA", repeat("<a><![CDATA[", "]", CAP - 20, "") },
		{ "attributes behind a comment that closes late",
		  repeat("<a><!--->  <b c=\" --><d ", "e='' ", 50000, "/></a>") },
		{ "attributes behind quotes", repeat("<a b='<\"' ", "c='' ", 50000, "/>") },
	};
	struct dav_el *root;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned bytewise = 0; bytewise < 2; bytewise++) {
			double before = cpu_ms(), spent;
			enum gh_status st = parse_in(cases[i].text, strlen(cases[i].text), bytewise ? 1 : 65536, &root);

			dav_xml_free(&doc);
			spent = cpu_ms() - before;
			ck_assert(st == GH_OK || st == GH_INVALID || st == GH_TOOLARGE);
			ck_assert_msg(spent < 50.0 * SLOWNESS, "%s (bytewise %u): %.1f ms", cases[i].what, bytewise,
				      spent);
		}
		free(cases[i].text);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xml");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, elements_come_with_their_namespaces);
	tcase_add_test(t, nothing_at_all_is_no_document_and_no_error);
	tcase_add_test(t, utf16_and_byte_order_marks_parse_in_pieces_of_any_size);
	tcase_add_test(t, surrogates_pair_up_or_are_refused);
	tcase_add_test(t, content_survives_with_markup_whitespace_and_prefixes);
	tcase_add_test(t, the_language_in_scope_is_inherited);
	tcase_add_test(t, what_is_not_well_formed_is_refused);
	tcase_add_test(t, a_namespace_name_that_is_no_proper_uri_is_still_a_name);
	tcase_add_test(t, a_doctype_is_refused_as_soon_as_it_begins);
	tcase_add_test(t, limits_hold_at_their_edges);
	tcase_add_test(t, hostile_documents_cost_less_than_fifty_milliseconds);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
