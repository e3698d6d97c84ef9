/* Every command and every option, once. See cli.h. */
#include "frontends/main/cli.h"

enum {
	O_CASE = 1, O_HOST = 2, O_ABLE = 4, O_OWNER = 8, O_PASSWORD = 16, O_TOKEN = 32, O_PAGE = 64, O_VERIFY = 128,
	O_WATCH = 256, O_SERVE = 512, O_NOT_OWNER = 1024, O_SHARE = 1 << 20, O_POOL = 1 << 21, O_ALWAYS = 1u << 31,
	O_ROLE = 1u << 24, O_DAYS = 1u << 25,
};

const struct cli_option cli_options[] = {
	{ "-D", "DIR", CLI_GLOBAL, NULL, O_ALWAYS, "data directory (default ./gatehouse-data)" },
	{ "-c", "FILE", CLI_GLOBAL, NULL, O_ALWAYS, "configuration file" },
	{ "--admin", "ADDR", CLI_GLOBAL, "listen.admin", O_ALWAYS, "serve: listen there for probes and metrics" },
	{ "--json", NULL, CLI_GLOBAL, NULL, O_ALWAYS, "answer as JSON" },
	{ "--help", NULL, CLI_GLOBAL, NULL, O_ALWAYS, "this" },
	{ "-h", NULL, CLI_GLOBAL, NULL, O_ALWAYS, NULL },

	{ "--http", "ADDR:PORT", CLI_SERVE, "listen.http", O_SERVE, "listen there for HTTP; port 0 = a free one; off" },
	{ "--ftp", "ADDR:PORT", CLI_SERVE, "listen.ftp", O_SERVE, "listen there for FTP" },
	{ "--check", NULL, CLI_SPECIAL, NULL, O_SERVE, "only check the configuration" },

	{ "--case-sensitive", NULL, CLI_TRUE, "case_sensitive", O_CASE, "names that differ only in case are different" },
	{ "--host", "NAME", CLI_LIST, "hosts", O_HOST, "host name that leads to this tenant; may be repeated" },
	{ "--disable", NULL, CLI_TRUE, "disabled", O_ABLE, "no more logins" },
	{ "--enable", NULL, CLI_FALSE, "disabled", O_ABLE, "logins again" },
	{ "--owner", NULL, CLI_TRUE, "owner", O_OWNER, "has all rights in the tenant" },
	{ "--no-owner", NULL, CLI_FALSE, "owner", O_NOT_OWNER, "has only the rights that entries give" },
	{ "--password-stdin", NULL, CLI_SPECIAL, NULL, O_PASSWORD, "read the password as one line from standard input" },
	{ "--name", "NAME", CLI_STRING, "name", O_TOKEN, "what the token is for" },
	{ "--scope", "DOOR", CLI_LIST, "scope", O_TOKEN, "doors it opens: webdav, ftp, rest, web (default all)" },
	{ "--days", "N", CLI_NUMBER, "days", O_TOKEN | O_DAYS, "how long it is valid (default for ever)" },
	{ "--role", "ROLE", CLI_STRING, "role", O_ROLE, "viewer looks, operator works the gate, owner also has people in hand" },
	{ "--after", "ID", CLI_STRING, "after", O_PAGE, "only what came after this event" },
	{ "--limit", "N", CLI_NUMBER, "limit", O_PAGE, "at most so many" },
	{ "--verify", NULL, CLI_TRUE, "verify", O_VERIFY, "read all content and compare checksums" },
	{ "--watch", NULL, CLI_SPECIAL, NULL, O_WATCH, "once a second: a picture on a terminal, else lines; --json: samples" },
	{ "--weight", "N", CLI_NUMBER, "weight", O_SHARE, "its part in company, 1 to 1000; 100 is usual" },
	{ "--cap", "N", CLI_NUMBER, "cap", O_SHARE, "at most so many operations at once, even alone; 0 = no cap" },
	{ "--pool", "POOL", CLI_STRING, "pool", O_SHARE, "workers of its own, or shared" },
	{ "--slots", "N", CLI_NUMBER, "slots", O_POOL, "operations at once, 1 to 128 over all pools" },
	{ "--queue", "N", CLI_NUMBER, "queue", O_POOL, "operations that may wait (default 256)" },
	{ NULL, NULL, CLI_GLOBAL, NULL, 0, NULL },
};

const struct cli_command cli_commands[] = {
	{ "serve", NULL, "", O_SERVE, "run the gateway", cli_serve },

	{ "tenant add", "tenant.add", "NAME", O_CASE | O_HOST, "make a tenant: a namespace of its own", NULL },
	{ "tenant list", "tenant.list", "", 0, "all tenants", NULL },
	{ "tenant set", "tenant.set", "NAME", O_HOST | O_ABLE, "change its host names, switch it off or on", NULL },

	{ "user add", "user.add", "TENANT/USER", O_PASSWORD | O_OWNER, "make a user", NULL },
	{ "user list", "user.list", "TENANT", 0, "users of a tenant", NULL },
	{ "user set", "user.set", "TENANT/USER", O_OWNER | O_NOT_OWNER | O_ABLE, "change what a user is", NULL },
	{ "user passwd", "user.passwd", "TENANT/USER", O_PASSWORD, "change the password", NULL },
	{ "user remove", "user.remove", "TENANT/USER", 0, "remove a user, tokens and entries with it", NULL },
	{ "user token add", "token.add", "TENANT/USER", O_TOKEN, "make an app password; it is shown once", NULL },
	{ "user token list", "token.list", "TENANT/USER", 0, "a user's app passwords", NULL },
	{ "user token revoke", "token.revoke", "TENANT/USER ID", 0, "end an app password", NULL },

	{ "group add", "group.add", "TENANT/GROUP [MEMBER...]", 0, "make a group", NULL },
	{ "group list", "group.list", "TENANT", 0, "groups of a tenant and their members", NULL },
	{ "group remove", "group.remove", "TENANT/GROUP", 0, "remove a group", NULL },
	{ "group join", "group.join", "TENANT/GROUP MEMBER...", 0, "add members", NULL },
	{ "group leave", "group.leave", "TENANT/GROUP MEMBER...", 0, "take members out", NULL },

	{ "acl grant", "acl.grant", "TENANT PATH WHO RIGHTS", 0, "allow; WHO is user:ann, group:staff or everyone", NULL },
	{ "acl deny", "acl.deny", "TENANT PATH WHO RIGHTS", 0, "deny; RIGHTS like read,write,create or full", NULL },
	{ "acl revoke", "acl.revoke", "TENANT PATH WHO", 0, "remove entries of WHO there", NULL },
	{ "acl inherit", "acl.inherit", "TENANT PATH ON|OFF", 0, "whether rights come down from the folder above", NULL },
	{ "acl list", "acl.list", "TENANT [PATH]", 0, "entries there, or all of the tenant", NULL },
	{ "acl explain", "acl.explain", "TENANT/USER PATH RIGHT", 0, "may this user, and which entry decides", NULL },

	{ "locks list", "locks.list", "[TENANT]", 0, "locks that are held", NULL },
	{ "locks break", "locks.break", "TENANT TOKEN", 0, "take a lock away", NULL },
	{ "events list", "events.list", "[TENANT]", O_PAGE, "who changed what: the audit trail", NULL },
	{ "defender clear", "defender.clear", "TENANT [USER]", 0, "forget failed logins", NULL },

	{ "share list", "share.list", "", 0, "what each tenant is due of workers and loops, and has", NULL },
	{ "share set", "share.set", "TENANT", O_SHARE, "change a tenant's weight, cap or pool, at once", NULL },
	{ "pool list", "pool.list", "", 0, "dedicated pools of workers", NULL },
	{ "pool set", "pool.set", "NAME", O_POOL, "make a dedicated pool, or change its size", NULL },
	{ "pool remove", "pool.remove", "NAME", 0, "remove it; its tenants share with all", NULL },
	{ "operator add", "operator.add", "NAME", O_ROLE | O_PASSWORD, "let somebody work the gate; password made if not given",
	  NULL },
	{ "operator list", "operator.list", "", 0, "who works the gate", NULL },
	{ "operator set", "operator.set", "NAME", O_ROLE | O_PASSWORD | O_ABLE, "change an operator; also a lost password",
	  NULL },
	{ "operator remove", "operator.remove", "NAME", 0, "remove an operator", NULL },
	{ "operator codes", "operator.totp", "NAME ON|OFF", 0, "one-time codes at sign-in; the secret is shown once", NULL },
	{ "operator token add", "operator.token.add", "NAME", O_ROLE | O_DAYS, "make a token for a program; shown once", NULL },
	{ "operator token list", "operator.token.list", "", 0, "tokens of programs", NULL },
	{ "operator token revoke", "operator.token.revoke", "ID", 0, "end a token", NULL },

	{ "status", "status", "", O_WATCH, "what a running gateway is doing", cli_status },
	{ "doctor", "doctor", "", 0, "is all well: configuration, ports, clocks, disk, schema; running or not", cli_doctor },
	{ "fsck", "fsck", "", O_VERIFY, "check everything that is stored; also on a directory nobody serves", cli_fsck },
	{ NULL, NULL, NULL, 0, NULL, NULL },
};
