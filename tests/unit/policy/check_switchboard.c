/* The switchboard: which rule wins (against a naive oracle that follows the header's words), what can be set, expiry,
 * roll-out, words. Time is a number here. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/switchboard.h"

#define P(x) (1u << SWITCH_##x)

static const struct switch_place here = { "h1", "p1", "d1" };
static const struct flag_spec specs[] = {
	{ "core.fast", FLAG_BOOL, 1, 0, 1, "" },
	{ "list.page", FLAG_NUMBER, 250, 10, 1000, "" },
};

static struct switch_rule a_rule(void)
{
	return (struct switch_rule){ .id = 1, .protocols = P(FTP), .mode = SWITCH_OFF, .percent = 100,
				     .expires_ms = SWITCH_NEVER };
}

static struct switchboard *board_of(const struct switch_rule *r, unsigned n, int64_t now)
{
	struct switchboard *b = switchboard_new(r, n, &here, now, specs, 2, NULL);

	ck_assert_ptr_nonnull(b);
	return b;
}

static struct switch_answer ask(const struct switchboard *b, enum switch_proto p, unsigned class, uint64_t tenant,
				uint64_t user, int64_t now)
{
	struct switch_answer a;

	switchboard_ask(b, &(struct switch_ask){ p, class, tenant, user }, now, &a);
	return a;
}

/* ---- what can be set ---- */

static void wrong(const struct switch_rule *r, const char *word)
{
	const char *why = switch_rule_wrong(r, 1000);

	ck_assert_msg(why != NULL, "accepted, though: %s", word);
	ck_assert_msg(strstr(why, word) != NULL, "\"%s\" does not say \"%s\"", why, word);
}

START_TEST(a_plain_rule_can_be_set)
{
	struct switch_rule r = a_rule();

	ck_assert_ptr_null(switch_rule_wrong(&r, 1000));
	r.message = "Closed until four o'clock \xe2\x80\x94 use https";
	r.expires_ms = 1001;
	ck_assert_ptr_null(switch_rule_wrong(&r, 1000));
	r = (struct switch_rule){ .everywhere = true, .mode = SWITCH_DRAIN, .percent = 100, .expires_ms = SWITCH_NEVER };
	ck_assert_ptr_null(switch_rule_wrong(&r, 1000));
}
END_TEST

START_TEST(scopes_that_say_nothing_too_much_or_half_are_refused)
{
	struct switch_rule r = a_rule();

	r.protocols = 0;
	wrong(&r, "no scope");
	r.host = "";
	wrong(&r, "no scope");
	r = a_rule();
	r.everywhere = true;
	wrong(&r, "one or the other");
	r = a_rule();
	r.user = 7;
	wrong(&r, "without its tenant");
	r = a_rule();
	r.protocols = 1u << SWITCH_PROTO_COUNT;
	wrong(&r, "protocol");
	r = a_rule();
	r.classes = 1u << SWITCH_CLASS_MAX;
	wrong(&r, "class");
}
END_TEST

START_TEST(expiry_mode_value_and_percentage_are_looked_at)
{
	struct switch_rule r = a_rule();

	r.expires_ms = 1000;
	wrong(&r, "past");
	r.expires_ms = -5;
	wrong(&r, "past");
	r = a_rule();
	r.mode = (enum switch_mode)9;
	wrong(&r, "mode");
	r = a_rule();
	r.percent = 50;
	wrong(&r, "percentage");
	r = a_rule();
	r.value = 1;
	wrong(&r, "value");
	r = a_rule();
	r.flag = "core.fast";
	for (unsigned p = 0; p < 103; p++) {
		r.percent = p;
		if (p >= 1 && p <= 100)
			ck_assert_ptr_null(switch_rule_wrong(&r, 1000));
		else
			wrong(&r, "1 to 100");
	}
	r.percent = 100;
	r.flag = "";
	wrong(&r, "empty");
}
END_TEST

START_TEST(a_message_is_one_line_of_utf8)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "two\nlines", "line breaks" },     { "two\r\n421 lines", "line breaks" }, { "tab\there", "control" },
		{ "\x1b[2J", "control" },	     { "del\x7f", "control" },		    { "c1 \xc2\x9b", "control" },
		{ "nel \xc2\x85", "line breaks" },   { "ls \xe2\x80\xa8", "line breaks" },  { "\xff\xfe", "UTF-8" },
		{ "overlong \xc0\x8a", "UTF-8" },    { "cut \xe2\x80", "UTF-8" },	    { "surrogate \xed\xa0\x80", "UTF-8" },
		{ "overlong \xe0\x80\x8a", "UTF-8" }, { "beyond \xf4\x90\x80\x80", "UTF-8" },
	};
	char longest[SWITCH_TEXT_MAX + 2], name[SWITCH_NAME_MAX + 2];
	struct switch_rule r = a_rule();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = a_rule();
		r.message = bad[i].text;
		wrong(&r, bad[i].word);
		r.message = NULL;
		r.why = bad[i].text;
		wrong(&r, bad[i].word);
		r.why = NULL;
		r.who = bad[i].text;
		wrong(&r, bad[i].word);
	}
	memset(longest, 'x', sizeof(longest));
	longest[SWITCH_TEXT_MAX] = '\0';
	r = a_rule();
	r.message = longest;
	ck_assert_ptr_null(switch_rule_wrong(&r, 1000));
	longest[SWITCH_TEXT_MAX] = 'x';
	longest[SWITCH_TEXT_MAX + 1] = '\0';
	wrong(&r, "message is too long");
	memset(name, 'x', sizeof(name));
	name[SWITCH_NAME_MAX + 1] = '\0';
	r = a_rule();
	r.host = name;
	wrong(&r, "host's name is too long");
}
END_TEST

START_TEST(words_are_known_and_the_admin_listener_is_not_a_protocol)
{
	enum switch_proto p;
	enum switch_mode m;
	const char *bad = NULL;

	for (unsigned i = 0; i < SWITCH_PROTO_COUNT; i++) {
		ck_assert(switch_proto_parse(switch_proto_name((enum switch_proto)i), &p));
		ck_assert_uint_eq(p, i);
	}
	for (unsigned i = SWITCH_ON; i <= SWITCH_OFF; i++) {
		ck_assert(switch_mode_parse(switch_mode_name((enum switch_mode)i), &m));
		ck_assert_uint_eq(m, i);
	}
	ck_assert(!switch_proto_parse("gopher", &p));
	ck_assert(!switch_proto_parse("FTP", &p));
	ck_assert(!switch_mode_parse("", &m));
	ck_assert_uint_eq(switch_protos_parse("webdav,ftp", &bad), P(WEBDAV) | P(FTP));
	ck_assert_uint_eq(switch_protos_parse("webdav,gopher,ftp", &bad), 0);
	ck_assert_str_eq(bad, "gopher,ftp");
	ck_assert(strstr(switch_proto_wrong(bad), "unknown") != NULL);
	ck_assert_uint_eq(switch_protos_parse("ftp,admin", &bad), 0);
	ck_assert_str_eq(bad, "admin");
	ck_assert(strstr(switch_proto_wrong(bad), "cannot be shut") != NULL);
	ck_assert_uint_eq(switch_protos_parse("", &bad), 0);
	ck_assert_uint_eq(switch_protos_parse("ftp,", &bad), 0);
}
END_TEST

START_TEST(the_same_what_and_scope_is_recognised_whatever_else_differs)
{
	struct switch_rule a = a_rule(), b = a_rule();

	b.id = 9;
	b.mode = SWITCH_ON;
	b.message = "m";
	b.protocols = P(FTP) | P(FTPS); /* says the same */
	b.host = "";
	ck_assert(switch_rule_same_scope(&a, &b));
	b.tenant = 3;
	ck_assert(!switch_rule_same_scope(&a, &b));
	b = a_rule();
	b.flag = "core.fast";
	ck_assert(!switch_rule_same_scope(&a, &b));
	b = a_rule();
	b.pod = "p";
	ck_assert(!switch_rule_same_scope(&a, &b));
	b = a_rule();
	b.classes = 1;
	ck_assert(!switch_rule_same_scope(&a, &b));
}
END_TEST

/* ---- precedence ---- */

START_TEST(the_precedence_table_from_top_to_bottom)
{
	/* Each beats all above it. */
	const struct switch_rule table[] = {
		{ .everywhere = true },
		{ .dc = "d1" },
		{ .pod = "p1" },
		{ .host = "h1" },
		{ .host = "h1", .pod = "p1" },
		{ .classes = 7 },
		{ .classes = 3 },
		{ .classes = 1 },
		{ .classes = 1, .host = "h1" },
		{ .protocols = P(FTP) | P(FTPS) | P(REST) | P(WEB) }, /* three: ftps says nothing beside ftp */
		{ .protocols = P(FTP) | P(REST) },
		{ .protocols = P(FTP) },
		{ .protocols = P(FTPS) },
		{ .protocols = P(FTPS), .classes = 1 },
		{ .tenant = 5 },
		{ .tenant = 5, .protocols = P(FTPS), .classes = 1, .host = "h1", .pod = "p1", .dc = "d1" },
		{ .tenant = 5, .user = 6 },
		{ .tenant = 5, .user = 6, .dc = "d1" },
	};
	const unsigned n = sizeof(table) / sizeof(table[0]);

	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < n; k++) {
			struct switch_rule two[2] = { table[i], table[k] };
			struct switchboard *b;

			if (i == k)
				continue;
			for (unsigned x = 0; x < 2; x++) {
				two[x].id = 10 + x;
				two[x].mode = x ? SWITCH_DRAIN : SWITCH_OFF;
				two[x].percent = 100;
				two[x].expires_ms = SWITCH_NEVER;
			}
			b = board_of(two, 2, 0);
			ck_assert_msg(ask(b, SWITCH_FTPS, 0, 5, 6, 0).rule == (i > k ? 10 : 11), "rows %u and %u", i, k);
			switchboard_free(&b);
		}
	}
}
END_TEST

START_TEST(of_two_that_name_the_same_the_later_wins)
{
	struct switch_rule two[2] = { a_rule(), a_rule() };
	struct switchboard *b;

	two[0].id = 8;
	two[1].id = 5;
	two[0].mode = SWITCH_ON;
	b = board_of(two, 2, 0);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, 0, 0, 0).rule, 8);
	ck_assert_int_eq(ask(b, SWITCH_FTP, 0, 0, 0, 0).mode, SWITCH_ON);
	switchboard_free(&b);
}
END_TEST

START_TEST(rules_for_other_places_are_not_here)
{
	struct switch_rule r[3] = { a_rule(), a_rule(), a_rule() };
	unsigned left_out = 9;
	struct switchboard *b;

	r[0].host = "h2";
	r[1].host = "h1";
	r[1].pod = "p9";
	r[2].dc = "d9";
	b = switchboard_new(r, 3, &here, 0, specs, 2, &left_out);
	ck_assert_uint_eq(switchboard_count(b), 0);
	ck_assert_uint_eq(left_out, 0);
	ck_assert(switchboard_quiet(b, SWITCH_FTP));
	switchboard_free(&b);
	r[0].host = r[1].host = NULL;
	r[0].pod = "p1";
	b = switchboard_new(r, 1, &(struct switch_place){ "", "", "" }, 0, specs, 2, NULL);
	ck_assert_uint_eq(switchboard_count(b), 0);
	switchboard_free(&b);
}
END_TEST

START_TEST(wrong_rules_are_left_out_and_counted)
{
	struct switch_rule r[5] = { a_rule(), a_rule(), a_rule(), a_rule(), a_rule() };
	unsigned left_out = 0;
	struct switchboard *b;

	r[0].message = "two\nlines";
	r[1].flag = "no.such";
	r[2].flag = "list.page";
	r[2].value = 5; /* below its least */
	r[3].expires_ms = 10;
	b = switchboard_new(r, 5, &here, 10, specs, 2, &left_out);
	ck_assert_uint_eq(left_out, 3);
	ck_assert_uint_eq(switchboard_count(b), 1);
	switchboard_free(&b);
}
END_TEST

START_TEST(quiet_means_that_nobody_could_be_refused)
{
	struct switch_rule r = a_rule();
	struct switchboard *b;

	r.protocols = P(FTPS);
	b = board_of(&r, 1, 0);
	ck_assert(switchboard_quiet(b, SWITCH_FTP));
	ck_assert(!switchboard_quiet(b, SWITCH_FTPS));
	switchboard_free(&b);
	r.protocols = P(FTP);
	r.tenant = 4;
	b = board_of(&r, 1, 0);
	ck_assert(!switchboard_quiet(b, SWITCH_FTP));
	ck_assert(!switchboard_quiet(b, SWITCH_FTPS));
	ck_assert(switchboard_quiet(b, SWITCH_REST));
	switchboard_free(&b);
	r.mode = SWITCH_ON;
	b = board_of(&r, 1, 0);
	ck_assert(switchboard_quiet(b, SWITCH_FTP));
	switchboard_free(&b);
}
END_TEST

START_TEST(exceptions_for_those_not_known_yet_are_told)
{
	struct switch_rule r[3] = { a_rule(), a_rule(), a_rule() };
	struct switchboard *b;
#define EXCEPTS(proto, t, u) switchboard_excepts(b, &(struct switch_ask){ SWITCH_##proto, 0, t, u }, 50)

	r[1].id = 2;
	r[1].mode = SWITCH_ON;
	r[1].tenant = 5;
	r[1].expires_ms = 100;
	r[2].id = 3;
	r[2].mode = SWITCH_READONLY;
	r[2].tenant = 6;
	r[2].user = 7;
	b = board_of(r, 3, 0);
	ck_assert(EXCEPTS(FTP, 0, 0));
	ck_assert(!EXCEPTS(REST, 0, 0));
	ck_assert(!EXCEPTS(FTP, 5, 0)); /* its rule is in the answer itself */
	ck_assert(EXCEPTS(FTP, 6, 0));
	ck_assert(!EXCEPTS(FTP, 6, 7));
	switchboard_free(&b);
	b = board_of(r, 2, 0);
	ck_assert(EXCEPTS(FTP, 0, 0));
	ck_assert(!switchboard_excepts(b, &(struct switch_ask){ SWITCH_FTP, 0, 0, 0 }, 100));
	switchboard_free(&b);
#undef EXCEPTS
}
END_TEST

/* ---- the oracle: the header's words, the slow way ---- */

static unsigned bits(unsigned v)
{
	unsigned n = 0;

	for (; v; v >>= 1)
		n += v & 1;
	return n;
}

static bool covers(const struct switch_rule *r, const struct switch_ask *a)
{
	bool proto = !r->protocols || r->protocols & 1u << a->proto ||
		     (a->proto == SWITCH_FTPS && r->protocols & P(FTP));

	return proto && (!r->classes || r->classes & 1u << a->class) && (!r->tenant || r->tenant == a->tenant) &&
	       (!r->user || r->user == a->user) && (!r->host || !strcmp(r->host, here.host)) &&
	       (!r->pod || !strcmp(r->pod, here.pod)) && (!r->dc || !strcmp(r->dc, here.dc));
}

static unsigned named_protos(const struct switch_rule *r)
{
	return r->protocols & P(FTP) ? r->protocols & ~P(FTPS) : r->protocols;
}

/* Does x beat y? */
static bool beats(const struct switch_rule *x, const struct switch_rule *y)
{
	const unsigned px = named_protos(x), py = named_protos(y);

	if (!x->user != !y->user)
		return x->user;
	if (!x->tenant != !y->tenant)
		return x->tenant;
	if (!px != !py)
		return px;
	if (bits(px) != bits(py))
		return bits(px) < bits(py);
	if (bits(px) == 1 && (px == P(FTPS)) != (py == P(FTPS)))
		return px == P(FTPS);
	if (!x->classes != !y->classes)
		return x->classes;
	if (bits(x->classes) != bits(y->classes))
		return bits(x->classes) < bits(y->classes);
	if (!x->host != !y->host)
		return x->host;
	if (!x->pod != !y->pod)
		return x->pod;
	if (!x->dc != !y->dc)
		return x->dc;
	return x->id > y->id;
}

static const struct switch_rule *oracle(const struct switch_rule *r, unsigned n, const struct switch_ask *a,
					const char *flag, int64_t now)
{
	const struct switch_rule *won = NULL;

	for (unsigned i = 0; i < n; i++) {
		if (!flag != !r[i].flag || (flag && strcmp(flag, r[i].flag)) || r[i].expires_ms <= now || !covers(&r[i], a))
			continue;
		if (flag && !flag_rollout_takes(flag, a->tenant, r[i].percent))
			continue;
		if (!won || beats(&r[i], won))
			won = &r[i];
	}
	return won;
}

static unsigned roll(unsigned n)
{
	return (unsigned)rand() % n;
}

static struct switch_rule random_rule(uint64_t id, unsigned tenants)
{
	struct switch_rule r = { .id = id, .percent = 100, .mode = (enum switch_mode)roll(4), .expires_ms = SWITCH_NEVER };

	if (roll(2))
		r.protocols = roll(1u << SWITCH_PROTO_COUNT);
	if (!roll(3))
		r.classes = roll(1u << 8);
	if (roll(2)) {
		r.tenant = 1 + roll(tenants);
		r.user = roll(2) ? 1 + roll(3) : 0;
	}
	r.host = roll(6) ? NULL : roll(2) ? "h1" : "h2";
	r.pod = roll(6) ? NULL : roll(2) ? "p1" : "p2";
	r.dc = roll(6) ? NULL : roll(2) ? "d1" : "d2";
	if (!roll(2))
		r.expires_ms = 1 + roll(100);
	if (!roll(3)) {
		r.flag = specs[roll(2)].key;
		r.percent = 1 + roll(100);
		r.value = r.flag == specs[0].key ? roll(2) : 10 + roll(900);
		r.mode = SWITCH_ON;
	}
	r.everywhere = !(r.protocols || r.classes || r.tenant || r.host || r.pod || r.dc);
	return r;
}

static void compare_with_oracle(const struct switch_rule *r, unsigned n, const struct switchboard *b, unsigned tenants)
{
	struct switch_ask a = { (enum switch_proto)roll(SWITCH_PROTO_COUNT), roll(8), roll(tenants + 2), roll(5) };
	int64_t now = roll(102);
	const struct switch_rule *want = oracle(r, n, &a, NULL, now);
	struct switch_answer got;

	switchboard_ask(b, &a, now, &got);
	ck_assert_uint_eq(got.rule, want ? want->id : 0);
	ck_assert_int_eq(got.mode, want ? want->mode : SWITCH_ON);
	ck_assert_int_eq(got.expires_ms, want ? want->expires_ms : SWITCH_NEVER);
	ck_assert_int_eq(got.by_place, want && (want->host || want->pod || want->dc));
	if (want && want->mode != SWITCH_ON)
		ck_assert(!switchboard_quiet(b, a.proto));
	for (unsigned f = 0; f < 2; f++) {
		want = oracle(r, n, &a, specs[f].key, now);
		ck_assert_int_eq(switchboard_flag(b, f, &a, now), want ? want->value : specs[f].fallback);
	}
}

START_TEST(any_board_answers_as_the_naive_reading_of_the_rules)
{
	srand(7);
	for (unsigned round = 0; round < 600; round++) {
		struct switch_rule r[60];
		const unsigned n = roll(61), tenants = 1 + roll(4);
		unsigned left_out = 0;
		struct switchboard *b;

		for (unsigned i = 0; i < n; i++)
			r[i] = random_rule(1000 + (i * 37) % 61, tenants);
		b = switchboard_new(r, n, &here, 0, specs, 2, &left_out);
		ck_assert_ptr_nonnull(b);
		ck_assert_uint_eq(left_out, 0);
		for (unsigned i = 0; i < 300; i++)
			compare_with_oracle(r, n, b, tenants);
		switchboard_free(&b);
		ck_assert_ptr_null(b);
	}
}
END_TEST

START_TEST(of_more_rules_than_fit_the_newest_are_kept)
{
	const unsigned n = SWITCH_RULES_MAX + 100;
	struct switch_rule *r = calloc(n, sizeof(*r));
	struct switchboard *b;

	for (unsigned i = 0; i < n; i++) {
		r[i] = a_rule();
		r[i].id = n - i;
		r[i].tenant = n - i;
	}
	b = board_of(r, n, 0);
	ck_assert_uint_eq(switchboard_count(b), SWITCH_RULES_MAX);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, 100, 0, 0).rule, 0);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, 101, 0, 0).rule, 101);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, n, 0, 0).rule, n);
	switchboard_free(&b);
	free(r);
}
END_TEST

/* ---- expiry ---- */

START_TEST(an_expired_rule_gives_way_though_the_board_is_the_same)
{
	struct switch_rule r[3] = { a_rule(), a_rule(), a_rule() };
	struct switchboard *b;

	r[0].id = 1;
	r[0].message = "wide";
	r[1].id = 2;
	r[1].tenant = 5;
	r[1].mode = SWITCH_ON;
	r[1].expires_ms = 100;
	r[2].id = 3;
	r[2].tenant = 5;
	r[2].user = 6;
	r[2].mode = SWITCH_DRAIN;
	r[2].expires_ms = 50;
	b = board_of(r, 3, 0);
	ck_assert_int_eq(switchboard_next_expiry(b), 50);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, 5, 6, 49).rule, 3);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, 5, 6, 50).rule, 2);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, 5, 6, 99).rule, 2);
	ck_assert_uint_eq(ask(b, SWITCH_FTP, 0, 5, 6, 100).rule, 1);
	ck_assert_str_eq(ask(b, SWITCH_FTP, 0, 5, 6, 100).message, "wide");
	switchboard_free(&b);
	b = board_of(r, 3, 60);
	ck_assert_uint_eq(switchboard_count(b), 2);
	ck_assert_int_eq(switchboard_next_expiry(b), 100);
	switchboard_free(&b);
	b = board_of(r, 1, 0);
	ck_assert_int_eq(switchboard_next_expiry(b), SWITCH_NEVER);
	switchboard_free(&b);
}
END_TEST

/* ---- flags ---- */

START_TEST(a_roll_out_is_stable_grows_without_losing_anybody_and_is_honest)
{
	for (unsigned percent = 1; percent <= 100; percent++) {
		unsigned in = 0;

		for (uint64_t t = 1; t <= 5000; t++) {
			bool now = flag_rollout_takes("core.fast", t, percent);

			ck_assert_int_eq(now, flag_rollout_takes("core.fast", t, percent));
			if (percent > 1 && flag_rollout_takes("core.fast", t, percent - 1))
				ck_assert(now);
			in += now;
		}
		ck_assert_int_le(abs((int)in - 50 * (int)percent), 200);
	}
	ck_assert(!flag_rollout_takes("core.fast", 0, 99)); /* nobody yet */
	ck_assert(flag_rollout_takes("core.fast", 0, 100));
}
END_TEST

START_TEST(two_flags_are_rolled_out_to_different_tenants)
{
	unsigned both = 0;

	for (uint64_t t = 1; t <= 1000; t++)
		both += flag_rollout_takes("core.fast", t, 50) == flag_rollout_takes("list.page", t, 50);
	ck_assert_uint_gt(both, 400);
	ck_assert_uint_lt(both, 600);
}
END_TEST

START_TEST(flag_values_are_what_their_type_and_range_allow)
{
	int64_t v = -1;

	ck_assert_ptr_null(flag_value_wrong(&specs[0], "true", &v));
	ck_assert_int_eq(v, 1);
	ck_assert_ptr_null(flag_value_wrong(&specs[0], "off", &v));
	ck_assert_int_eq(v, 0);
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[0], "2", &v));
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[0], "", &v));
	ck_assert_ptr_null(flag_value_wrong(&specs[1], "500", &v));
	ck_assert_int_eq(v, 500);
	v = 7;
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[1], "true", &v));
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[1], "9", &v));
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[1], "1001", &v));
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[1], "-", &v));
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[1], "99999999999999999999", &v));
	ck_assert_ptr_nonnull(flag_value_wrong(&specs[1], "50x", &v));
	ck_assert_int_eq(v, 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("switchboard");
	TCase *set = tcase_create("rules"), *win = tcase_create("precedence"), *flags = tcase_create("flags");
	SRunner *sr;
	int failed;

	tcase_add_test(set, a_plain_rule_can_be_set);
	tcase_add_test(set, scopes_that_say_nothing_too_much_or_half_are_refused);
	tcase_add_test(set, expiry_mode_value_and_percentage_are_looked_at);
	tcase_add_test(set, a_message_is_one_line_of_utf8);
	tcase_add_test(set, words_are_known_and_the_admin_listener_is_not_a_protocol);
	tcase_add_test(set, the_same_what_and_scope_is_recognised_whatever_else_differs);
	tcase_set_timeout(win, 120);
	tcase_add_test(win, the_precedence_table_from_top_to_bottom);
	tcase_add_test(win, of_two_that_name_the_same_the_later_wins);
	tcase_add_test(win, rules_for_other_places_are_not_here);
	tcase_add_test(win, wrong_rules_are_left_out_and_counted);
	tcase_add_test(win, quiet_means_that_nobody_could_be_refused);
	tcase_add_test(win, exceptions_for_those_not_known_yet_are_told);
	tcase_add_test(win, any_board_answers_as_the_naive_reading_of_the_rules);
	tcase_add_test(win, of_more_rules_than_fit_the_newest_are_kept);
	tcase_add_test(win, an_expired_rule_gives_way_though_the_board_is_the_same);
	tcase_set_timeout(flags, 60);
	tcase_add_test(flags, a_roll_out_is_stable_grows_without_losing_anybody_and_is_honest);
	tcase_add_test(flags, two_flags_are_rolled_out_to_different_tenants);
	tcase_add_test(flags, flag_values_are_what_their_type_and_range_allow);
	suite_add_tcase(s, set);
	suite_add_tcase(s, win);
	suite_add_tcase(s, flags);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
