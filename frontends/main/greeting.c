/* Where the house is: for programs (addresses.json) and for people. See serve.h. */
#include "frontends/main/serve.h"

#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"

static void address_add(struct gh_buf *b, const char *listener, const char *address)
{
	if (!*address)
		return;
	gh_buf_printf(b, "%s\"%s\": \"%s\"", b->len > 1 ? ", " : "", listener, address);
}

enum gh_status greeting_publish(const struct serve *s, char *err)
{
	enum gh_status st = GH_NOMEM;
	struct gh_buf b;

	gh_buf_init(&b, 4096);
	gh_buf_char(&b, '{');
	for (unsigned i = 0; i < s->door_count; i++)
		address_add(&b, s->doors[i].row->listener, s->doors[i].address);
	address_add(&b, "admin", s->admin_address);
	gh_buf_str(&b, "}\n");
	if (!b.failed)
		st = datadir_publish(&s->dir, "run/addresses.json", b.data, err);
	gh_buf_fini(&b);
	return st;
}

/* An address that a client on this machine can use: "all" becomes the loopback. */
static const char *reachable(const char *address, char *out)
{
	const char *port = strrchr(address, ':');

	if (!strncmp(address, "0.0.0.0:", 8) || !strncmp(address, "[::]:", 5) || port == address)
		snprintf(out, SERVE_ADDRESS_MAX, "127.0.0.1%s", port);
	else
		snprintf(out, SERVE_ADDRESS_MAX, "%s", address);
	return out;
}

static void hints_print(const char *http, const char *ftp)
{
	puts("How to open it:");
	if (*http) {
		const char *port = strrchr(http, ':');

		printf("  Windows  net use * \\\\%.*s@%s\\DavWWWRoot\\dav /user:admin   (over plain http once: reg add "
		       "HKLM\\SYSTEM\\CurrentControlSet\\Services\\WebClient\\Parameters /v BasicAuthLevel /t REG_DWORD /d 2 /f)\n",
		       (int)(port - http), http, port + 1);
		printf("  macOS    Finder, Go, Connect to Server: http://%s/dav/\n", http);
		printf("  Linux    gio mount dav://admin@%s/dav/\n", http);
	}
	if (*ftp)
		printf("  FTP      lftp -u admin ftp://%s/\n", ftp);
	if (*http)
		printf("  curl     curl -u admin -T FILE http://%s/dav/FILE\n", http);
}

/* Who signs in to the console is nobody's user. */
static void operator_print(const struct serve *s)
{
	if (s->password_given)
		puts("Operator admin for the console, password as in GATEHOUSE_ADMIN_PASSWORD.");
	else if (!strcmp(s->operator_password, s->password))
		printf("Operator admin for the console, the same password   (to change it: gatehouse operator set admin "
		       "--password-stdin -D %s)\n",
		       s->dir.path);
	else
		printf("Operator admin for the console, password %s   (told only now; to change it: gatehouse operator set "
		       "admin --password-stdin -D %s)\n",
		       s->operator_password, s->dir.path);
}

void greeting_print(const struct serve *s)
{
	char http[SERVE_ADDRESS_MAX] = "", ftp[SERVE_ADDRESS_MAX] = "", admin[SERVE_ADDRESS_MAX] = "";

	for (unsigned i = 0; i < s->door_count; i++) {
		if (!*s->doors[i].address)
			continue;
		if (!strcmp(s->doors[i].row->listener, "http"))
			reachable(s->doors[i].address, http);
		if (!strcmp(s->doors[i].row->listener, "ftp"))
			reachable(s->doors[i].address, ftp);
	}
	if (*s->admin_address)
		reachable(s->admin_address, admin);
	printf("Gatehouse " PACKAGE_VERSION " is ready: pid %ld, data in %s\n", (long)getpid(), s->dir.path);
	if (*http) {
		printf("  Browser  http://%s/\n", http);
		printf("  WebDAV   http://%s/dav/\n", http);
		printf("  REST     http://%s/api/v1/content/\n", http);
	}
	if (*ftp)
		printf("  FTP      ftp://%s/\n", ftp);
	if (*admin) {
		printf("  Console  http://%s/\n", admin);
		printf("  Metrics  http://%s/metrics\n", admin);
	}
	if (*s->password && s->password_given)
		puts("User admin, password as in GATEHOUSE_ADMIN_PASSWORD.");
	else if (*s->password)
		printf("User admin, password %s   (told only now; to change it: gatehouse user passwd default/admin -D %s)\n",
		       s->password, s->dir.path);
	if (*s->operator_password && *admin)
		operator_print(s);
	hints_print(http, ftp);
	fflush(stdout);
}
