#include "tests/unit/fake_live.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "core/base/crash.h"

#define GUESTS_MAX 4096
#define RULE 4711

/* The guests are the loop's; the rest is set by the test and read by the loop. */
static struct vfs_live *guests[GUESTS_MAX];
static unsigned guest_count;

struct stand {
	enum gh_status st;
	const char *message;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stand whole, shut, classes[VFS_CLASS_COUNT];
static int64_t flags[VFS_FLAG_COUNT];
static bool flags_set[VFS_FLAG_COUNT];

static void set(struct stand *at, enum gh_status st, const char *message)
{
	pthread_mutex_lock(&lock);
	*at = (struct stand){ st, message };
	pthread_mutex_unlock(&lock);
}

static struct stand get(const struct stand *at)
{
	struct stand s;

	pthread_mutex_lock(&lock);
	s = *at;
	pthread_mutex_unlock(&lock);
	return s;
}

void fake_live_reset(void)
{
	set(&whole, GH_OK, NULL);
	set(&shut, GH_OK, NULL);
	for (unsigned c = 0; c < VFS_CLASS_COUNT; c++)
		set(&classes[c], GH_OK, NULL);
	memset(flags_set, 0, sizeof(flags_set));
}

void fake_live_rule(enum gh_status st, const char *message)
{
	set(&whole, st, message);
}

void fake_live_class(enum vfs_class class, enum gh_status st, const char *message)
{
	set(&classes[class], st, message);
}

void fake_live_shut(enum gh_status st, const char *message)
{
	set(&shut, st, message);
}

void fake_live_flag(enum vfs_flag flag, int64_t value)
{
	pthread_mutex_lock(&lock);
	flags[flag] = value;
	flags_set[flag] = true;
	pthread_mutex_unlock(&lock);
}

/* ---- on the loop, for the test ---- */

struct job {
	struct gh_task task;
	sem_t done;
	enum { TELL, KILL, COUNT, LOOK } what;
	unsigned count;
	struct vfs_live_look look;
	char *path;
};

static struct vfs_verdict verdict(const struct stand *s)
{
	return (struct vfs_verdict){ .status = s->st, .drains = s->st == GH_DRAINING, .rule = s->st ? RULE : 0,
				     .retry_after_s = s->st ? 17 : 0, .message = s->message };
}

static void tell_all(bool by_name)
{
	static struct vfs_live *now[GUESTS_MAX];
	const unsigned n = guest_count; /* who is told may leave, nobody comes meanwhile */

	memcpy(now, guests, n * sizeof(now[0]));
	for (unsigned i = 0; i < n; i++) {
		struct vfs_verdict v = vfs_live_session(NULL, now[i]);

		if (by_name)
			v = (struct vfs_verdict){ .status = GH_OFF, .message = "Ended.", .by_name = true };
		if (!now[i]->leaving)
			now[i]->ops->told(now[i], &v);
	}
}

static void look(struct job *j)
{
	struct gh_arena *a = gh_arena_new(1 << 16);

	j->look.arena = a;
	if (guest_count)
		guests[0]->ops->look(guests[0], &j->look);
	if (j->path)
		snprintf(j->path, 256, "%s", j->look.path ? j->look.path : "");
	j->look.path = NULL;
	gh_arena_free(&a);
	j->look.arena = NULL;
}

static void run(struct gh_task *t)
{
	struct job *j = (struct job *)t;

	switch (j->what) {
	case TELL:
	case KILL:
		tell_all(j->what == KILL);
		break;
	case COUNT:
		j->count = guest_count;
		break;
	case LOOK:
		look(j);
		break;
	}
	sem_post(&j->done);
}

static void on_loop(struct gh_loop *l, struct job *j)
{
	j->task.fn = run;
	sem_init(&j->done, 0, 0);
	gh_loop_post(l, &j->task);
	while (sem_wait(&j->done) != 0)
		;
	sem_destroy(&j->done);
}

void fake_live_tell(struct gh_loop *l)
{
	on_loop(l, &(struct job){ .what = TELL });
}

void fake_live_kill(struct gh_loop *l)
{
	on_loop(l, &(struct job){ .what = KILL });
}

unsigned fake_live_count(struct gh_loop *l)
{
	struct job j = { .what = COUNT };

	on_loop(l, &j);
	return j.count;
}

struct vfs_live_look fake_live_look(struct gh_loop *l, char *path)
{
	struct job j = { .what = LOOK, .path = path };

	on_loop(l, &j);
	return j.look;
}

/* ---- core/fe_api.h and core/vfs.h ---- */

void vfs_live_enter(struct gh_core *core, struct gh_loop *loop, struct vfs_live *l)
{
	GH_ASSERT(guest_count < GUESTS_MAX);
	guests[guest_count++] = l;
}

void vfs_live_leave(struct vfs_live *l)
{
	unsigned i = 0;

	vfs_live_who(l, NULL);
	while (i < guest_count && guests[i] != l)
		i++;
	if (i == guest_count)
		return;
	guest_count--;
	memmove(guests + i, guests + i + 1, (guest_count - i) * sizeof(guests[0]));
}

void vfs_live_who(struct vfs_live *l, struct vfs_session *who)
{
	if (l->who)
		vfs_session_unref(&l->who);
	l->who = who ? vfs_session_ref(who) : NULL;
}

struct vfs_verdict vfs_live_session(struct gh_core *core, const struct vfs_live *l)
{
	const struct stand s = get(&whole);

	return verdict(&s);
}

struct vfs_verdict vfs_live_stand(struct gh_core *core, const struct vfs_live *l, enum vfs_class class)
{
	struct stand s = get(&classes[class]);

	if (s.st == GH_OK)
		s = get(&whole);
	return verdict(&s);
}

struct vfs_req *vfs_req_refused(struct gh_core *core, struct gh_loop *loop, enum vfs_proto proto,
				struct vfs_session *session, const struct vfs_verdict *v)
{
	struct vfs_req *r = vfs_req_new(core, loop, VFS_STAT, proto, session);

	r->status = v->status;
	r->message = v->message ? gh_strdup(r->arena, v->message) : NULL;
	r->retry_after_s = v->retry_after_s;
	r->rule = v->rule;
	return r;
}

struct vfs_req *vfs_req_shut(struct gh_core *core, struct gh_loop *loop, enum vfs_proto proto, bool secure,
			     const char *host)
{
	const struct stand s = get(&shut);
	const struct vfs_verdict v = verdict(&s);

	return s.st == GH_OK ? NULL : vfs_req_refused(core, loop, proto, NULL, &v);
}

const char *vfs_not_ready(struct gh_core *core)
{
	return NULL;
}

int64_t vfs_flag(struct gh_core *core, enum vfs_flag flag, enum vfs_proto proto, const struct vfs_session *s)
{
	int64_t v;

	pthread_mutex_lock(&lock);
	v = flags_set[flag] ? flags[flag] : 1;
	pthread_mutex_unlock(&lock);
	return v;
}
