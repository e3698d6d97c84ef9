/* The HTTP door on one real loop over a fake core, and a client of few words to talk to it. */
#ifndef GH_TESTS_UNIT_HTTP_HOUSE_H
#define GH_TESTS_UNIT_HTTP_HOUSE_H

#include "core/fe_api.h"
#include "tests/unit/fake_live.h"
#include "tests/unit/http/fake_vfs.h"

struct house {
	struct gh_core *core;
	struct gh_loop *loop, *loops[1];
	struct fe_door *door;
	struct fe_env env;
	int listen_fd, port;
};

/* A setting for the next house_open; the others are the door's defaults. */
void house_set(const char *key, int64_t value);
void house_open(struct house *h); /* the core is new and may be filled before the first connection */
void house_close(struct house *h); /* drain, quiesce, stop; checks that nothing is left in the core */
/* Quiesces on the loop's thread, once; true when nothing is left. */
bool house_quiesce(struct house *h);
void house_sleep(unsigned ms);

int house_connect(struct house *h);
void say(int fd, const char *text);
void say_bytes(int fd, const void *p, size_t len);

struct heard {
	int status; /* 0: closed or silent before a whole answer */
	char head[8192];
	char *body; /* what came of it, NUL-terminated */
	size_t len;
	bool cut;   /* fewer bytes than promised */
};
/* The next answer on fd, to a request of this method ("HEAD" has no body). Free with unhear. Waits for at most 5 s. */
void hear(int fd, const char *method, struct heard *a);
void unhear(struct heard *a);
/* The value of a header in a->head, static storage; NULL if absent. */
const char *heard_field(const struct heard *a, const char *name);
bool closed_within(int fd, unsigned ms); /* nothing but the end comes */

#define AS_ANN "Host: h\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n"

#endif
