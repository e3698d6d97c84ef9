/* The live properties (RFC 4918 section 15, RFC 4331) as a table, and one DAV:response of a 207: called by propfind.c
 * for every entry of a listing, so it writes straight into the buffer: no formatting library, no allocation. No
 * whitespace between elements (Windows XP), no attributes on getlastmodified (Office 2011). Pure.
 */
#include "frontends/webdav/dav.h"

#include <string.h>

#define OK_LINE "<D:status>HTTP/1.1 200 OK</D:status>"
#define LOCKENTRY(scope)                                                                                               \
	"<D:lockentry><D:lockscope><D:" scope "/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
#define NOT_FOUND_LINE "<D:status>HTTP/1.1 404 Not Found</D:status>"

/* ---- times ---- */

struct civil {
	unsigned year, month, day, weekday, hour, minute, second;
};

/* Proleptic Gregorian date of a day count, by eras of 400 years that begin on 1 March. */
static void civil_of(int64_t us, struct civil *c)
{
	int64_t s = us / 1000000 - (us % 1000000 < 0), days = s / 86400, era;
	unsigned rest, doe, yoe, doy, mp;

	if (s % 86400 < 0)
		days--;
	rest = (unsigned)(s - days * 86400);
	c->weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = (unsigned)(days - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	c->day = doy - (153 * mp + 2) / 5 + 1;
	c->month = mp < 10 ? mp + 3 : mp - 9;
	c->year = (unsigned)(yoe + era * 400) + (c->month <= 2);
	c->hour = rest / 3600;
	c->minute = rest / 60 % 60;
	c->second = rest % 60;
}

static char *put_digits(char *p, unsigned v, unsigned width)
{
	for (unsigned i = width; i > 0; i--, v /= 10)
		p[i - 1] = (char)('0' + v % 10);
	return p + width;
}

/* Years outside 0..9999 can't be written in either form. */
static int64_t writable_time(int64_t us)
{
	const int64_t first = -62167219200000000, last = 253402300799000000;

	return us < first ? first : us > last ? last : us;
}

void dav_time_rfc3339(char *out, int64_t us)
{
	struct civil c;

	civil_of(writable_time(us), &c);
	out = put_digits(out, c.year, 4);
	*out++ = '-';
	out = put_digits(out, c.month, 2);
	*out++ = '-';
	out = put_digits(out, c.day, 2);
	*out++ = 'T';
	out = put_digits(out, c.hour, 2);
	*out++ = ':';
	out = put_digits(out, c.minute, 2);
	*out++ = ':';
	out = put_digits(out, c.second, 2);
	memcpy(out, "Z", 2);
}

void dav_time_http(char *out, int64_t us)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c;

	civil_of(writable_time(us), &c);
	memcpy(out, days + c.weekday * 3, 3);
	memcpy(out + 3, ", ", 2);
	out = put_digits(out + 5, c.day, 2);
	*out++ = ' ';
	memcpy(out, months + (c.month - 1) * 3, 3);
	out[3] = ' ';
	out = put_digits(out + 4, c.year, 4);
	*out++ = ' ';
	out = put_digits(out, c.hour, 2);
	*out++ = ':';
	out = put_digits(out, c.minute, 2);
	*out++ = ':';
	out = put_digits(out, c.second, 2);
	memcpy(out, " GMT", 5);
}

/* ---- small pieces ---- */

void dav_href(struct gh_buf *b, const char *path_text, bool folder)
{
	size_t len = strlen(path_text);

	DAV_LIT(b, DAV_PREFIX);
	gh_buf_href(b, path_text, len);
	if (folder && (len == 0 || path_text[len - 1] != '/'))
		gh_buf_char(b, '/');
}

void dav_prop_element(struct gh_buf *b, const char *ns, const char *name, const char *lang, const char *value)
{
	/* In the DAV: namespace with the prefix of the whole document, so that clients which compare text find it. */
	const char *prefix = !strcmp(ns, "DAV:") ? "D:" : ns[0] ? "P:" : "";

	gh_buf_char(b, '<');
	gh_buf_str(b, prefix);
	gh_buf_str(b, name);
	if (prefix[0] == 'P') {
		DAV_LIT(b, " xmlns:P=\"");
		gh_buf_xml(b, ns, strlen(ns));
		gh_buf_char(b, '"');
	}
	if (lang && lang[0]) {
		DAV_LIT(b, " xml:lang=\"");
		gh_buf_xml(b, lang, strlen(lang));
		gh_buf_char(b, '"');
	}
	if (!value || !value[0]) {
		DAV_LIT(b, "/>");
		return;
	}
	gh_buf_char(b, '>');
	gh_buf_str(b, value); /* stands by itself: dav_xml_inner made it */
	DAV_LIT(b, "</");
	gh_buf_str(b, prefix);
	gh_buf_str(b, name);
	gh_buf_char(b, '>');
}

void dav_activelock(struct gh_buf *b, const struct vfs_lock *l, bool folder, uint32_t seconds)
{
	DAV_LIT(b, "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope>");
	gh_buf_str(b, l->exclusive ? "<D:exclusive/>" : "<D:shared/>");
	DAV_LIT(b, "</D:lockscope><D:depth>");
	gh_buf_str(b, l->deep ? "infinity" : "0");
	DAV_LIT(b, "</D:depth>");
	if (l->owner_xml && l->owner_xml[0]) {
		DAV_LIT(b, "<D:owner>");
		gh_buf_str(b, l->owner_xml);
		DAV_LIT(b, "</D:owner>");
	}
	DAV_LIT(b, "<D:timeout>Second-");
	gh_buf_u64(b, seconds);
	DAV_LIT(b, "</D:timeout><D:locktoken><D:href>");
	gh_buf_xml(b, l->token, strlen(l->token));
	DAV_LIT(b, "</D:href></D:locktoken><D:lockroot><D:href>");
	dav_href(b, l->path, folder);
	DAV_LIT(b, "</D:href></D:lockroot></D:activelock>");
}

/* ---- the table ---- */

struct entry { /* what renders one needs */
	const struct dav_ask *ask;
	const char *path;
	const struct vfs_node *n;
};

static bool is_file(const struct entry *e)
{
	return e->n->type == VFS_FILE && !e->n->navigable;
}

static bool is_told(const struct entry *e)
{
	return !e->n->navigable; /* of others only name and type may be told */
}

static bool has_name(const struct entry *e)
{
	return e->n->name_len > 0; /* the root has none */
}

static bool always(const struct entry *e)
{
	return true;
}

/* RFC 4331: of collections; no value rather than a wrong one, clients refuse to write on 0. */
static bool has_quota_used(const struct entry *e)
{
	return e->n->type == VFS_FOLDER && e->ask->quota_known;
}

static bool has_quota_available(const struct entry *e)
{
	return has_quota_used(e) && e->ask->quota_available != UINT64_MAX;
}

static void put_creationdate(struct gh_buf *b, const struct entry *e)
{
	char t[DAV_TIME_LEN];

	dav_time_rfc3339(t, e->n->made_us);
	gh_buf_str(b, t);
}

static void put_displayname(struct gh_buf *b, const struct entry *e)
{
	gh_buf_xml(b, e->n->name, e->n->name_len);
}

static void put_length(struct gh_buf *b, const struct entry *e)
{
	gh_buf_u64(b, e->n->size);
}

static void put_type(struct gh_buf *b, const struct entry *e)
{
	gh_buf_str(b, vfs_content_type(e->n->name));
}

static void put_etag(struct gh_buf *b, const struct entry *e)
{
	char tag[24];

	vfs_etag(tag, e->n->version);
	gh_buf_str(b, tag);
}

static void put_lastmodified(struct gh_buf *b, const struct entry *e)
{
	char t[DAV_TIME_LEN];

	dav_time_http(t, e->n->mtime_us);
	gh_buf_str(b, t);
}

static void put_resourcetype(struct gh_buf *b, const struct entry *e)
{
	if (e->n->type == VFS_FOLDER)
		DAV_LIT(b, "<D:collection/>");
}

static void put_supportedlock(struct gh_buf *b, const struct entry *e)
{
	DAV_LIT(b, LOCKENTRY("exclusive") LOCKENTRY("shared"));
}

static void put_lockdiscovery(struct gh_buf *b, const struct entry *e)
{
	for (unsigned i = 0; i < e->n->lock_count; i++) {
		const struct vfs_lock *l = &e->n->locks[i];
		bool own = e->path && !strcmp(l->path, e->path);

		/* A lock that covers this node from elsewhere comes from a folder above. */
		dav_activelock(b, l, !own || e->n->type == VFS_FOLDER, l->remaining_s);
	}
}

static void put_quota_used(struct gh_buf *b, const struct entry *e)
{
	gh_buf_u64(b, e->ask->quota_used);
}

static void put_quota_available(struct gh_buf *b, const struct entry *e)
{
	gh_buf_u64(b, e->ask->quota_available);
}

static const struct live {
	const char *name, *open, *close, *empty;
	bool in_allprop;
	bool (*has)(const struct entry *e);
	void (*put)(struct gh_buf *b, const struct entry *e);
} lives[DAV_LIVE_COUNT] = {
#define LIVE(name, in_allprop, has, put)                                                                               \
	{                                                                                                              \
		name, "<D:" name ">", "</D:" name ">", "<D:" name "/>", in_allprop, has, put                           \
	}
	[DAV_CREATIONDATE] = LIVE("creationdate", true, is_told, put_creationdate),
	[DAV_DISPLAYNAME] = LIVE("displayname", true, has_name, put_displayname),
	[DAV_GETCONTENTLENGTH] = LIVE("getcontentlength", true, is_file, put_length),
	[DAV_GETCONTENTTYPE] = LIVE("getcontenttype", true, is_file, put_type),
	[DAV_GETETAG] = LIVE("getetag", true, is_file, put_etag),
	[DAV_GETLASTMODIFIED] = LIVE("getlastmodified", true, is_told, put_lastmodified),
	[DAV_RESOURCETYPE] = LIVE("resourcetype", true, always, put_resourcetype),
	[DAV_SUPPORTEDLOCK] = LIVE("supportedlock", true, is_told, put_supportedlock),
	[DAV_LOCKDISCOVERY] = LIVE("lockdiscovery", true, is_told, put_lockdiscovery),
	[DAV_QUOTA_USED] = LIVE("quota-used-bytes", false, has_quota_used, put_quota_used),
	[DAV_QUOTA_AVAILABLE] = LIVE("quota-available-bytes", false, has_quota_available, put_quota_available),
#undef LIVE
};

int dav_live_find(const char *ns, const char *name)
{
	if (strcmp(ns, "DAV:") != 0)
		return -1;
	for (int i = 0; i < DAV_LIVE_COUNT; i++) {
		if (!strcmp(lives[i].name, name))
			return i;
	}
	return -1;
}

/* ---- what is asked ---- */

static enum gh_status ask_names(struct gh_arena *a, const struct dav_el *prop, struct dav_ask *ask)
{
	ask->named = gh_alloc_array(a, DAV_NAMED_MAX, sizeof(*ask->named));
	if (!ask->named)
		return GH_TOOLARGE;
	for (const struct dav_el *e = prop->first; e; e = e->next) {
		int live = e->name ? dav_live_find(e->ns, e->name) : -1;
		struct gh_buf empty;
		unsigned i;

		if (!e->name)
			continue;
		if (live >= 0) {
			ask->live |= 1u << live;
			continue;
		}
		for (i = 0; i < ask->named_count; i++) {
			if (!strcmp(ask->named[i].name, e->name) && !strcmp(ask->named[i].ns, e->ns))
				break;
		}
		if (i < ask->named_count)
			continue; /* asked twice */
		if (i == DAV_NAMED_MAX)
			return GH_INVALID;
		gh_buf_init(&empty, (size_t)1 << 20);
		dav_prop_element(&empty, e->ns, e->name, NULL, NULL);
		ask->named[i].ns = e->ns;
		ask->named[i].name = e->name;
		ask->named[i].empty = empty.failed ? NULL : gh_strndup(a, empty.data, empty.len);
		ask->named[i].empty_len = empty.len;
		gh_buf_fini(&empty);
		if (!ask->named[i].empty || gh_arena_overflowed(a))
			return GH_TOOLARGE;
		ask->named_count++;
	}
	return GH_OK;
}

enum gh_status dav_ask_parse(struct gh_arena *a, const struct dav_el *root, struct dav_ask *ret)
{
	const struct dav_el *e;

	*ret = (struct dav_ask){ .kind = DAV_ALLPROP, .quota_available = UINT64_MAX };
	if (!root)
		return GH_OK;
	if (!dav_is(root, "propfind"))
		return GH_INVALID;
	if (dav_child(root, "propname")) {
		ret->kind = DAV_PROPNAME;
		return GH_OK;
	}
	if (dav_child(root, "allprop")) {
		e = dav_child(root, "include");
		return e ? ask_names(a, e, ret) : GH_OK;
	}
	ret->kind = DAV_PROP;
	e = dav_child(root, "prop");
	return e ? ask_names(a, e, ret) : GH_INVALID;
}

unsigned dav_ask_flags(const struct dav_ask *ask)
{
	unsigned flags = 0;

	if (ask->kind != DAV_PROP || ask->named_count > 0)
		flags |= VFS_WITH_PROPS;
	if (ask->kind == DAV_ALLPROP || ask->live & 1u << DAV_LOCKDISCOVERY)
		flags |= VFS_WITH_LOCKS;
	return flags;
}

bool dav_ask_wants_quota(const struct dav_ask *ask)
{
	return ask->kind == DAV_PROPNAME || ask->live & (1u << DAV_QUOTA_USED | 1u << DAV_QUOTA_AVAILABLE);
}

/* ---- one response ---- */

static void put_live(struct gh_buf *b, enum dav_live which, const struct entry *e)
{
	const struct live *l = &lives[which];
	size_t before;

	gh_buf_str(b, l->open);
	before = b->len;
	l->put(b, e);
	if (b->len > before || b->failed) {
		gh_buf_str(b, l->close);
	} else { /* no value: <name/> */
		b->len -= strlen(l->open);
		gh_buf_str(b, l->empty);
	}
}

static const struct vfs_prop *find_dead(const struct vfs_node *n, const struct dav_named *named)
{
	for (unsigned i = 0; i < n->prop_count; i++) {
		if (!strcmp(n->props[i].name, named->name) && !strcmp(n->props[i].ns, named->ns))
			return &n->props[i];
	}
	return NULL;
}

/* Those that are there, and in *missing the live ones that are not. */
static void put_found(struct gh_buf *b, const struct entry *e, unsigned *missing)
{
	const struct dav_ask *ask = e->ask;

	for (unsigned i = 0; i < DAV_LIVE_COUNT; i++) {
		bool asked = ask->live & 1u << i;

		if (!asked && !(ask->kind == DAV_ALLPROP && lives[i].in_allprop))
			continue;
		if (lives[i].has(e))
			put_live(b, (enum dav_live)i, e);
		else if (asked)
			*missing |= 1u << i;
	}
	if (ask->kind == DAV_ALLPROP) {
		for (unsigned i = 0; i < e->n->prop_count; i++) {
			const struct vfs_prop *p = &e->n->props[i];

			dav_prop_element(b, p->ns, p->name, p->lang, p->xml);
		}
		return;
	}
	for (unsigned i = 0; i < ask->named_count; i++) {
		const struct vfs_prop *p = find_dead(e->n, &ask->named[i]);

		if (p)
			dav_prop_element(b, p->ns, p->name, p->lang, p->xml);
	}
}

/* Unknown properties are 404 inside the response, never of it (RFC 4918 section 9.1). */
static void put_missing(struct gh_buf *b, const struct entry *e, unsigned missing)
{
	size_t start = b->len;

	DAV_LIT(b, "<D:propstat><D:prop>");
	for (unsigned i = 0; i < DAV_LIVE_COUNT; i++) {
		if (missing & 1u << i)
			gh_buf_str(b, lives[i].empty);
	}
	for (unsigned i = 0; i < e->ask->named_count; i++) {
		if (e->n->prop_count > 0 && find_dead(e->n, &e->ask->named[i]))
			continue;
		missing = 1;
		gh_buf_add(b, e->ask->named[i].empty, e->ask->named[i].empty_len);
	}
	if (missing)
		DAV_LIT(b, "</D:prop>" NOT_FOUND_LINE "</D:propstat>");
	else
		b->len = start;
}

static void put_names(struct gh_buf *b, const struct entry *e)
{
	for (unsigned i = 0; i < DAV_LIVE_COUNT; i++) {
		if (lives[i].has(e))
			gh_buf_str(b, lives[i].empty);
	}
	for (unsigned i = 0; i < e->n->prop_count; i++)
		dav_prop_element(b, e->n->props[i].ns, e->n->props[i].name, NULL, NULL);
}

void dav_entry(struct gh_buf *b, const struct dav_ask *ask, const char *href, size_t href_len, const char *path,
	       const struct vfs_node *n)
{
	struct entry e = { ask, path, n };
	unsigned missing = 0;
	size_t start, open;

	DAV_LIT(b, "<D:response><D:href>");
	gh_buf_add(b, href, href_len);
	DAV_LIT(b, "</D:href>");
	start = b->len;
	DAV_LIT(b, "<D:propstat><D:prop>");
	open = b->len;
	if (ask->kind == DAV_PROPNAME)
		put_names(b, &e);
	else
		put_found(b, &e, &missing);
	if (b->len > open || (missing == 0 && ask->named_count == 0))
		DAV_LIT(b, "</D:prop>" OK_LINE "</D:propstat>");
	else
		b->len = start; /* nothing found: only the 404 below */
	if (missing || ask->named_count > 0)
		put_missing(b, &e, missing);
	DAV_LIT(b, "</D:response>");
}
