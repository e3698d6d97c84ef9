/* What a day consists of: the table of what is asked for, how often, and what has to be answered. Half of it comes from
 * a tenth of the tenants. Names that are made (PUT of a new file, COPY) are moved and removed again, oldest first, once
 * their making was answered, so that every request has exactly one right answer, whatever order the server takes them
 * in.
 */
#include "tests/bench/day.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT 4096u
#define MADE_MAX (1u << 16)
#define PROPFIND                                                                                                       \
	"<?xml version=\"1.0\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/>"                     \
	"<getlastmodified/><getetag/></prop></propfind>"
#define XML "Content-Type: application/xml\r\n"

/* On what: a file or a folder that is always there, a name that is not there yet, one that was made. */
enum on { FILE_THERE, FOLDER_THERE, NEW_FILE, NEW_FOLDER, MADE_FILE, ROOT };

struct day_kind {
	const char *name;
	enum day_class class;
	unsigned permille;
	const char *method, *door;
	enum on on;
	const char *headers, *body; /* body NULL with sends: CONTENT bytes */
	bool sends, target;         /* target: COPY and MOVE, to a new name */
	unsigned status;
	unsigned least; /* bytes of the answer's body */
};

static const struct day_kind mix[] = {
	{ "PROPFIND of a file", DAY_STAT, 200, "PROPFIND", "/dav", FILE_THERE, "Depth: 0\r\n" XML, PROPFIND, true,
	  false, 207, 300 },
	{ "HEAD of a file", DAY_STAT, 100, "HEAD", "/dav", FILE_THERE, "", NULL, false, false, 200, 0 },
	{ "REST stat of a file", DAY_STAT, 150, "GET", "/api/v1/stat", FILE_THERE, "", NULL, false, false, 200, 40 },
	{ "PROPFIND of a folder and its members", DAY_LIST, 150, "PROPFIND", "/dav", FOLDER_THERE, "Depth: 1\r\n" XML,
	  PROPFIND, true, false, 207, 600 },
	{ "REST list of a folder", DAY_LIST, 100, "GET", "/api/v1/list", FOLDER_THERE, "", NULL, false, false, 200,
	  80 },
	{ "WebDAV GET of 4 KiB", DAY_READ, 120, "GET", "/dav", FILE_THERE, "", NULL, false, false, 200, CONTENT },
	{ "REST GET of 4 KiB", DAY_READ, 80, "GET", "/api/v1/content", FILE_THERE, "", NULL, false, false, 200,
	  CONTENT },
	{ "WebDAV PUT of 4 KiB in place of another", DAY_WRITE, 40, "PUT", "/dav", FILE_THERE, "", NULL, true, false,
	  204, 0 },
	{ "WebDAV PUT of 4 KiB, a new file", DAY_WRITE, 20, "PUT", "/dav", NEW_FILE, "", NULL, true, false, 201, 0 },
	{ "REST PUT of 4 KiB, a new file", DAY_WRITE, 20, "PUT", "/api/v1/content", NEW_FILE, "", NULL, true, false,
	  201, 0 },
	{ "DELETE of a file", DAY_REST, 8, "DELETE", "/dav", MADE_FILE, "", NULL, false, false, 204, 0 },
	{ "MOVE of a file", DAY_REST, 5, "MOVE", "/dav", MADE_FILE, "", NULL, false, true, 201, 0 },
	{ "COPY of a file", DAY_REST, 3, "COPY", "/dav", FILE_THERE, "", NULL, false, true, 201, 0 },
	{ "MKCOL", DAY_REST, 4, "MKCOL", "/dav", NEW_FOLDER, "", NULL, false, false, 201, 0 },
};
#define KINDS (sizeof(mix) / sizeof(*mix))
enum { LIST = 4, PUT_NEW = 8 };

static const struct day_kind first_folder = { "MKCOL", DAY_REST, 0,     "MKCOL", "/dav", FOLDER_THERE,
					      "",      NULL,     false, false,   201,    0 };
static const struct day_kind first_file = { "PUT", DAY_WRITE, 0,    "PUT", "/dav", FILE_THERE,
					    "",    NULL,      true, false, 201,    0 };
static const struct day_kind look = { "HEAD", DAY_STAT, 0, "HEAD", "/dav", FILE_THERE, "", NULL, false, false, 200, 0 };
static const struct day_kind login = { "login", DAY_STAT, 0, "HEAD", "/dav", ROOT, "", NULL, false, false, 200, 0 };

const char *const day_class_name[DAY_CLASSES] = { "stat", "list", "read", "write", "rest" };

static struct day_layout layout;
static char (*auth)[128]; /* of each tenant */
static char content[CONTENT];
static unsigned next_serial = 1;

/* What was made and is still there: a ring, oldest first. */
static struct made {
	unsigned tenant, folder, serial;
} made[MADE_MAX];
static unsigned made_first, made_count;

static void base64(char *out, const char *in)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const size_t n = strlen(in);

	for (size_t i = 0; i < n; i += 3) {
		const size_t left = n - i;
		const unsigned v = (unsigned)(unsigned char)in[i] << 16 |
				   (left > 1 ? (unsigned)(unsigned char)in[i + 1] << 8 : 0) |
				   (left > 2 ? (unsigned)(unsigned char)in[i + 2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[v & 63] : '=';
	}
	*out = '\0';
}

bool day_mix_init(const struct day_layout *l, const char *password)
{
	char plain[80];

	layout = *l;
	auth = calloc(l->tenants, sizeof(*auth));
	if (!auth || strlen(password) > 40)
		return false;
	for (unsigned i = 0; i < l->tenants; i++) {
		snprintf(plain, sizeof(plain), "t%04u/admin:%s", i, password);
		base64(auth[i], plain);
	}
	memset(content, 'x', sizeof(content));
	return true;
}

void day_mix_fini(void)
{
	free(auth);
	auth = NULL;
}

/* ---- choosing ---- */

static unsigned below(uint64_t *x, unsigned n)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (unsigned)((*x >> 32) * n >> 32);
}

static unsigned any_tenant(uint64_t *x)
{
	const unsigned busy = layout.tenants / 10;

	return busy && below(x, 2) ? below(x, busy) : busy + below(x, layout.tenants - busy);
}

static void take_made(struct day_ask *a)
{
	const struct made *m = &made[made_first++ % MADE_MAX];

	made_count--;
	a->tenant = m->tenant;
	a->folder = m->folder;
	a->serial = m->serial;
}

void day_mix_any(struct day_ask *a, uint64_t *random)
{
	unsigned at = below(random, 1000);
	const struct day_kind *k = mix;

	while (at >= k->permille)
		at -= k++->permille;
	if (k->on == MADE_FILE && !made_count)
		k = &mix[PUT_NEW]; /* right after the start */
	*a = (struct day_ask){ .kind = k, .tenant = any_tenant(random) };
	a->folder = below(random, layout.folders);
	a->file = below(random, layout.files);
	if (k->on == MADE_FILE)
		take_made(a);
	else if (k->on == NEW_FILE || k->on == NEW_FOLDER)
		a->serial = next_serial++;
	if (k->target)
		a->target = next_serial++;
}

bool day_mix_fill(struct day_ask *a, unsigned n)
{
	const unsigned step = n / layout.tenants;

	*a = (struct day_ask){ .tenant = n % layout.tenants };
	if (step < layout.folders) {
		a->kind = &first_folder;
		a->folder = step;
		return true;
	}
	a->kind = &first_file;
	a->folder = (step - layout.folders) / layout.files;
	a->file = (step - layout.folders) % layout.files;
	return a->folder < layout.folders;
}

bool day_mix_warm(struct day_ask *a, unsigned n)
{
	if (!day_mix_fill(a, n))
		return false;
	a->kind = a->kind == &first_file ? &look : &mix[LIST];
	return true;
}

void day_mix_login(struct day_ask *a)
{
	a->kind = &login;
}

/* ---- asking and judging ---- */

static void path_of(char out[64], const struct day_ask *a)
{
	switch (a->kind->on) {
	case FILE_THERE:
		snprintf(out, 64, "/d%02u/f%02u", a->folder, a->file);
		break;
	case FOLDER_THERE:
		snprintf(out, 64, "/d%02u/", a->folder);
		break;
	case NEW_FILE:
	case MADE_FILE:
		snprintf(out, 64, "/d%02u/n%u-%u", a->folder, layout.run, a->serial);
		break;
	case NEW_FOLDER:
		snprintf(out, 64, "/d%02u/m%u-%u/", a->folder, layout.run, a->serial);
		break;
	case ROOT:
		snprintf(out, 64, "/");
		break;
	}
}

size_t day_mix_render(const struct day_ask *a, char *buf)
{
	const struct day_kind *k = a->kind;
	const char *body = k->body ? k->body : content;
	const size_t body_len = !k->sends ? 0 : k->body ? strlen(k->body) : CONTENT;
	char path[64];
	int n;

	path_of(path, a);
	n = snprintf(buf, DAY_REQUEST_MAX - CONTENT, "%s %s%s HTTP/1.1\r\nHost: day\r\nAuthorization: Basic %s\r\n%s",
		     k->method, k->door, path, auth[a->tenant], k->headers);
	if (k->target)
		n += snprintf(buf + n, 128, "Destination: /dav/d%02u/n%u-%u\r\n", a->folder, layout.run, a->target);
	if (k->sends)
		n += snprintf(buf + n, 64, "Content-Length: %zu\r\n", body_len);
	memcpy(buf + n, "\r\n", 2);
	memcpy(buf + n + 2, body, body_len);
	return (size_t)n + 2 + body_len;
}

bool day_mix_answered(const struct day_ask *a, unsigned status, uint64_t body_bytes)
{
	const unsigned serial = a->target ? a->target : a->kind->on == NEW_FILE ? a->serial : 0;

	if (status != a->kind->status || body_bytes < a->kind->least)
		return false;
	if (serial && made_count < MADE_MAX)
		made[(made_first + made_count++) % MADE_MAX] = (struct made){ a->tenant, a->folder, serial };
	return true;
}

enum day_class day_mix_class(const struct day_ask *a)
{
	return a->kind->class;
}

const char *day_mix_name(const struct day_ask *a)
{
	return a->kind->name;
}

bool day_mix_bodyless(const struct day_ask *a)
{
	return !strcmp(a->kind->method, "HEAD");
}

void day_mix_tell(void)
{
	printf("[");
	for (unsigned i = 0; i < KINDS; i++)
		printf("%s{\"what\": \"%s\", \"class\": \"%s\", \"permille\": %u}", i ? ", " : "", mix[i].name,
		       day_class_name[mix[i].class], mix[i].permille);
	printf("]\n");
}
