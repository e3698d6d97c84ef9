/* Open descriptors of packs, so that a small read costs one preadv2. Called by readers and the pack writer, any thread.
 *
 * State: an entry is cached (in the table, and in the list from newest to oldest use) or detached. At most `max` are
 * cached; the oldest make room. An entry that somebody refers to when it is detached is closed by the last unref.
 * Everything moves under `lock`; opening and closing happen outside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/blob/beneath.h"
#include "backends/blob/local.h"

void pack_fds_init(struct pack_fds *f, unsigned max)
{
	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	f->max = max;
}

static void entry_free(struct pack_fd *p)
{
	close(p->fd);
	free(p);
}

void pack_fds_fini(struct pack_fds *f)
{
	struct pack_fd *next;

	for (struct pack_fd *p = f->newest; p; p = next) {
		next = p->older;
		GH_ASSERT(p->refs == 0);
		entry_free(p);
	}
	pthread_mutex_destroy(&f->lock);
}

static struct pack_fd **bucket_of(struct pack_fds *f, uint64_t pack)
{
	return &f->bucket[(pack * 0x9e3779b97f4a7c15ull) >> 55]; /* 9 bits: PACK_FDS_BUCKETS */
}

static void list_out(struct pack_fds *f, struct pack_fd *p)
{
	*(p->newer ? &p->newer->older : &f->newest) = p->older;
	*(p->older ? &p->older->newer : &f->oldest) = p->newer;
	p->newer = p->older = NULL;
}

static void list_in(struct pack_fds *f, struct pack_fd *p)
{
	p->newer = NULL;
	p->older = f->newest;
	*(f->newest ? &f->newest->newer : &f->oldest) = p;
	f->newest = p;
}

/* Out of the cache. Returns the entry when nobody refers to it: to be freed outside the lock. */
static struct pack_fd *detach(struct pack_fds *f, struct pack_fd *p)
{
	struct pack_fd **at = bucket_of(f, p->pack);

	while (*at != p)
		at = &(*at)->hash_next;
	*at = p->hash_next;
	list_out(f, p);
	f->count--;
	p->cached = false;
	return p->refs ? NULL : p;
}

static struct pack_fd *find_ref(struct pack_fds *f, uint64_t pack)
{
	struct pack_fd *p = *bucket_of(f, pack);

	while (p && p->pack != pack)
		p = p->hash_next;
	if (!p)
		return NULL;
	p->refs++;
	if (p != f->newest) {
		list_out(f, p);
		list_in(f, p);
	}
	return p;
}

enum gh_status pack_fds_add(struct pack_fds *f, uint64_t pack, int fd, bool sealed, struct pack_fd **ret)
{
	struct pack_fd *p = calloc(1, sizeof(*p)), *evicted = NULL, *other;

	if (!p) {
		close(fd);
		return GH_NOMEM;
	}
	pthread_mutex_lock(&f->lock);
	other = find_ref(f, pack); /* another thread was as quick */
	if (!other) {
		if (f->count >= f->max)
			evicted = detach(f, f->oldest);
		*p = (struct pack_fd){ .pack = pack, .fd = fd, .refs = 1, .cached = true };
		p->hash_next = *bucket_of(f, pack);
		atomic_init(&p->sealed, sealed);
		*bucket_of(f, pack) = p;
		list_in(f, p);
		f->count++;
	}
	pthread_mutex_unlock(&f->lock);
	if (evicted)
		entry_free(evicted);
	if (other) {
		close(fd);
		free(p);
	}
	*ret = other ? other : p;
	return GH_OK;
}

enum gh_status pack_fds_get(struct blob_backend *be, uint64_t pack, bool may_block, struct pack_fd **ret)
{
	struct pack_fds *f = &be->fds;
	struct pack_fd *p;
	bool sealed = false;
	int fd;

	pthread_mutex_lock(&f->lock);
	p = find_ref(f, pack);
	pthread_mutex_unlock(&f->lock);
	if (p) {
		*ret = p;
		return GH_OK;
	}
	if (!may_block)
		return GH_AGAIN;
	fd = pack_open(be, pack, &sealed);
	if (fd < 0)
		return errno == ELOOP ? GH_DAMAGED : gh_status_of_errno(errno);
	return pack_fds_add(f, pack, fd, sealed, ret);
}

void pack_fds_unref(struct pack_fds *f, struct pack_fd **pp)
{
	struct pack_fd *p = *pp;
	bool last;

	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&f->lock);
	last = --p->refs == 0 && !p->cached;
	pthread_mutex_unlock(&f->lock);
	if (last)
		entry_free(p);
}

void pack_fds_forget(struct pack_fds *f, uint64_t pack)
{
	struct pack_fd *p;

	pthread_mutex_lock(&f->lock);
	p = find_ref(f, pack);
	if (p) {
		p->refs--;
		p = detach(f, p);
	}
	pthread_mutex_unlock(&f->lock);
	if (p)
		entry_free(p);
}

void pack_name(char out[LOCAL_NAME_MAX], uint64_t pack, bool sealed)
{
	snprintf(out, LOCAL_NAME_MAX, "%016" PRIx64 ".%s", pack, sealed ? "pack" : "open");
}

bool pack_name_parse(const char *name, uint64_t *ret_pack, bool *ret_sealed)
{
	char again[LOCAL_NAME_MAX];
	char *end;
	uint64_t pack = strtoull(name, &end, 16);
	bool sealed = strcmp(end, ".pack") == 0;

	pack_name(again, pack, sealed); /* strtoull takes signs, blanks, 0x: only our own spelling is a pack */
	if (strcmp(again, name))
		return false;
	*ret_pack = pack;
	*ret_sealed = sealed;
	return true;
}

int pack_open(struct blob_backend *be, uint64_t pack, bool *ret_sealed)
{
	const int flags = (be->read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK; /* O_NONBLOCK: somebody put a fifo here */
	char name[LOCAL_NAME_MAX];
	struct stat sb;
	int fd = -1;

	for (int attempt = 0; fd < 0 && attempt < 3; attempt++) { /* sealed, open, sealed while we looked */
		const bool sealed = attempt != 1;

		pack_name(name, pack, sealed);
		fd = beneath_open(be->packs, name, flags, 0);
		if (fd >= 0)
			*ret_sealed = sealed;
		if (fd < 0 && errno != ENOENT)
			return -1;
	}
	if (fd >= 0 && (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode))) {
		close(fd);
		errno = EIO;
		return -1;
	}
	return fd;
}
