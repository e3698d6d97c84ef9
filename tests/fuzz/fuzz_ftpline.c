/* The bytes of an FTP control connection: the line reader with borders where the input says, and every parser of an
 * argument on what it finds. What must hold is asserted; crashes are the sanitizers'. First byte: size of the chunks.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/ftp/ascii.h"
#include "frontends/ftp/ftp.h"
#include "frontends/ftp/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void addresses(const char *arg)
{
	struct sockaddr_storage a, b;
	unsigned first, last;
	uint64_t v;

	if (ftp_parse_port(arg, &a) == GH_OK)
		GH_ASSERT(a.ss_family == AF_INET && ftp_same_host(&a, &a));
	if (ftp_parse_eprt(arg, &b) == GH_OK) {
		GH_ASSERT(b.ss_family == AF_INET || b.ss_family == AF_INET6);
		ftp_unmap(&b);
	}
	if (ftp_parse_ports(arg, &first, &last) == GH_OK)
		GH_ASSERT(first <= last && last <= 65535);
	if (ftp_parse_u64(arg, &v) == GH_OK)
		GH_ASSERT(v <= INT64_MAX);
	(void)ftp_parse_epsv(arg);
	(void)ftp_parse_type(arg);
	(void)ftp_host_valid(arg);
}

static void times(const char *arg, size_t len)
{
	char text[FTP_TIME_MAX];
	int64_t us, again;

	if (ftp_time_parse(arg, len, &us) != GH_OK)
		return;
	ftp_time_format(text, us);
	/* 23:59:60 of the last day of 9999 has no next second to become. */
	if (us < 253402300800 * 1000000) {
		GH_ASSERT(ftp_time_parse(text, strlen(text), &again) == GH_OK);
		GH_ASSERT(again / 1000000 - (again % 1000000 < 0) == us / 1000000 - (us % 1000000 < 0));
	}
}

static void facts(const char *arg)
{
	struct vfs_node n = { .type = VFS_FILE, .size = 1, .rights = ACL_FULL };
	struct gh_buf out;

	gh_buf_init(&out, 16384);
	ftp_facts_feat(&out, ftp_facts_parse(arg));
	ftp_facts_line(&out, &n, ftp_facts_parse(arg), arg);
	ftp_list_line(&out, &n, arg, 0);
	gh_buf_fini(&out);
}

static void line_is(const struct gh_buf *line)
{
	const struct ftp_command *c = ftp_command_find(line->data, line->len);
	const char *space = memchr(line->data, ' ', line->len), *arg = space ? space + 1 : line->data + line->len;

	GH_ASSERT(line->len <= FTP_PATH_LINE_MAX);
	GH_ASSERT(line->len <= ftp_line_cap(line->data, line->len));
	GH_ASSERT(line->data[line->len] == '\0');
	if (c)
		GH_ASSERT(strlen(c->verb) <= line->len);
	addresses(arg);
	times(arg, (size_t)(line->data + line->len - arg));
	facts(arg);
}

/* Both conversions give the same in one piece and in chunks. */
static void ascii(const uint8_t *data, size_t size, size_t step, bool in)
{
	struct ftp_ascii whole = { 0 }, cut = { 0 };
	char *a = malloc(2 * size + 2), *b = malloc(2 * size + 2);
	size_t n, m = 0;

	if (!a || !b)
		abort();
	n = in ? ftp_ascii_in(&whole, a, (const char *)data, size) : ftp_ascii_out(&whole, a, (const char *)data, size);
	for (size_t i = 0; i < size; i += step) {
		size_t len = size - i < step ? size - i : step;

		m += in ? ftp_ascii_in(&cut, b + m, (const char *)data + i, len)
			: ftp_ascii_out(&cut, b + m, (const char *)data + i, len);
	}
	GH_ASSERT(n == m && !memcmp(a, b, n) && whole.cr == cut.cr);
	free(a);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ftp_reader r;
	struct gh_buf answers;
	size_t step;

	if (!size)
		return 0;
	step = 1u + data[0] % 97u;
	data++;
	size--;
	ftp_reader_init(&r, ftp_line_cap);
	gh_buf_init(&answers, 4096);
	for (size_t i = 0; i < size;) {
		size_t len = size - i < step ? size - i : step, used = 0;

		switch (ftp_reader_feed(&r, data + i, len, &used, &answers)) {
		case FTP_FED_MORE:
			GH_ASSERT(used == len);
			break;
		case FTP_FED_LINE:
			line_is(&r.line);
			break;
		case FTP_FED_OVERLONG:
			break;
		}
		GH_ASSERT(used && used <= len);
		i += used;
	}
	/* At most one answer per option and direction. */
	GH_ASSERT(answers.len <= 3 * 512);
	ftp_reader_fini(&r);
	gh_buf_fini(&answers);
	ascii(data, size, step, true);
	ascii(data, size, step, false);
	return 0;
}
