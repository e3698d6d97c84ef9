/* Inside the circuit breakers: what breakers.c (calls, judging), breaker_table.c (who has one) and breaker_flights.c (calls
 * under way) share.
 *
 * Locks: `lock` covers every struct breaker and which tenant has which entry; nothing is called out under it. What the
 * good path reads is mirrored in atomics by breaker_mirror. A flight belongs to its call, but for the moments in which
 * the watcher has borrowed it.
 */
#ifndef GH_CORE_BREAKERS_ROOM_H
#define GH_CORE_BREAKERS_ROOM_H

#include <pthread.h>

#include "core/breakers.h"
#include "core/house.h"

#define BREAKER_STRIPES 16
#define BREAKER_BUCKETS 256
#define BREAKER_WAYS 4 /* tenants in trouble that a bucket holds */
#define BREAKER_FLIGHTS 2048
#define BREAKER_STUCK_MAX 512 /* looked at in one pass of the watcher */
#define BREAKER_NEWS 16

/* One breaker and what stands around it. */
struct breaker_seat {
	struct breaker b;          /* under the lock */
	_Atomic uint64_t word;     /* generation and state of b */
	_Atomic uint64_t until_ms; /* of b */
	atomic_uint good;          /* went well and were not counted into b yet; a tenant's */
	atomic_uint scouts;
};

struct breaker_tenant {
	_Atomic uint64_t tenant; /* 0 = free */
	struct breaker_seat of[SERVICE_COUNT];
};

struct breaker_stripe {
	_Alignas(64) atomic_uint good[SERVICE_COUNT];
};

enum flight_state { FLIGHT_FREE, FLIGHT_FILLING, FLIGHT_OUT, FLIGHT_BORROWED };
struct flight {
	_Alignas(64) atomic_uint state;
	_Atomic uint64_t started_ms;
	/* its call's; the watcher's while it is borrowed */
	struct breaker_permit of_service, of_tenant;
	uint64_t tenant;
	uint32_t told;   /* how often it was counted as slow */
	uint8_t service;
	uint8_t pool;    /* whose thread it holds: gh_pool_here() */
	bool asked;
};

/* A change of state, to be told once the lock is free. */
struct breaker_news {
	enum service service;
	uint64_t tenant;
	enum breaker_state to;
	struct breaker_sums window;
	uint64_t wait_ms;
	const char *why;
};
struct breaker_paper {
	struct breaker_news of[BREAKER_NEWS];
	unsigned count;
};

struct breakers {
	struct gh_core *core;
	struct breaker_config cfg;
	pthread_mutex_t lock;
	uint64_t seed;
	struct breaker_seat service[SERVICE_COUNT];
	struct breaker_stripe stripe[BREAKER_STRIPES];
	atomic_uint tenants; /* entries in use */
	struct breaker_tenant of[BREAKER_BUCKETS][BREAKER_WAYS];
	struct flight flight[BREAKER_FLIGHTS];
	/* When a slow sync of content last ended, and whether one hangs now: it holds commits of metadata up, for which
	 * metadata is not to blame. */
	_Atomic uint64_t sync_slow_ns;
	atomic_bool sync_hangs;
	atomic_bool changed;
	/* the watcher */
	pthread_t watcher;
	bool watching;
	pthread_mutex_t nap_lock;
	pthread_cond_t nap;
	bool stopping;
	unsigned lent[2]; /* to the login pool, to the other */
	struct live_source live;
};

uint64_t breaker_now_ms(void);
uint32_t breaker_random(struct breakers *b); /* locked */

/* ---- breaker_table.c ---- */

static inline enum breaker_state breaker_word_state(uint64_t word)
{
	return (enum breaker_state)(word & 0xff);
}
static inline uint32_t breaker_word_generation(uint64_t word)
{
	return (uint32_t)(word >> 8);
}
void breaker_mirror(struct breaker_seat *s); /* locked, after every change */
/* Lock-free. NULL: it has no trouble. */
struct breaker_tenant *breaker_tenant_find(struct breakers *b, uint64_t tenant);
/* Locked. NULL: no place, all of its neighbours are open. */
struct breaker_tenant *breaker_tenant_make(struct breakers *b, uint64_t tenant, uint64_t now_ms);
/* Locked: another tenant's breaker for this service is not closed (and not by hand). */
bool breaker_others_open(const struct breakers *b, enum service s, uint64_t tenant);
/* Locked: it is everybody's trouble, so nobody's own. */
void breaker_tenants_close(struct breakers *b, enum service s, uint64_t now_ms);
/* Locked: there is a sign that the service is well again, at least for some. How many were waiting. */
unsigned breaker_hasten_all(struct breakers *b, enum service s, uint64_t now_ms);
/* Locked: counts what went well into the windows; entries without trouble are given back. */
void breaker_fold_service(struct breakers *b, enum service s, uint64_t now_ms);
void breaker_fold_tenant(struct breakers *b, struct breaker_tenant *t, enum service s, uint64_t now_ms);
void breaker_table_sweep(struct breakers *b, uint64_t now_ms);

/* ---- breakers.c ---- */

/* Locked: a call of a tenant went badly (or only slowly); opens what has to be opened. */
void breaker_judge(struct breakers *b, enum service s, uint64_t tenant, uint64_t now_ms, enum breaker_outcome outcome,
		   uint32_t took_ms, struct breaker_paper *paper);
/* Locked: opens on that blame. */
void breaker_convict(struct breakers *b, enum service s, struct breaker_tenant *t, enum breaker_blame blame,
		     uint64_t now_ms, const char *why, struct breaker_paper *paper);
/* Locked. Settles a probe's permit with whom it is. */
void breaker_settle_probe(struct breakers *b, enum service s, uint64_t tenant, struct breaker_permit p,
			  uint64_t now_ms, enum breaker_outcome outcome, uint32_t took_ms, struct breaker_paper *paper);
void breaker_tell(struct breakers *b, const struct breaker_paper *paper); /* not locked */

/* ---- breaker_flights.c ---- */

unsigned flight_begin(struct breakers *b, const struct breaker_pass *p);
/* How often it was counted as slow already. */
uint32_t flight_end(struct breakers *b, unsigned flight);
enum gh_status flights_watch(struct breakers *b);
void flights_stop(struct breakers *b);

#endif
