/* Connection counts: one table for the process, striped by address. Called by the doorstep (take) and by doors through
 * gh_ticket_return, from any thread.
 *
 * State: per stripe, under its lock, a hash table of addresses that hold at least one connection. The total is one
 * atomic word, raised before the address is looked at and lowered when that refuses. Addresses are hashed with a key of
 * this process, so that nobody can choose a network whose addresses share a chain.
 */
#include "core/run/tickets.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/metrics.h"

enum { STRIPES = 32, CHAINS = 128 };

struct address {
	struct address *next;
	unsigned char key[16];
	unsigned count, stripe;
};

struct stripe {
	pthread_mutex_t lock;
	struct address *chain[CHAINS];
};

struct tickets {
	atomic_uint refs, out;
	unsigned per_address, total;
	struct gh_sipkey sipkey;
	struct stripe stripe[STRIPES];
};

struct gh_ticket {
	struct tickets *table;
	struct address *address; /* NULL: not named */
	unsigned chain, door_label;
};

struct tickets *tickets_new(unsigned per_address, unsigned total)
{
	struct tickets *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	t->per_address = per_address;
	t->total = total;
	gh_random(&t->sipkey, sizeof(t->sipkey));
	for (int i = 0; i < STRIPES; i++)
		pthread_mutex_init(&t->stripe[i].lock, NULL);
	return t;
}

void tickets_unref(struct tickets *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (int i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&t->stripe[i].lock);
	free(t);
}

unsigned tickets_out(const struct tickets *t)
{
	return atomic_load(&t->out);
}

bool tickets_full(const struct tickets *t)
{
	return atomic_load(&t->out) >= t->total;
}

/* An IPv4 address in its v4-mapped form, whichever way it came; of IPv6 the /64, which is what one customer has. */
static void key_of(const struct sockaddr *sa, unsigned char key[16])
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	memset(key, 0, 16);
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		memcpy(key, &in6->sin6_addr, IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 16 : 8);
	} else if (sa->sa_family == AF_INET) {
		memcpy(key, mapped, sizeof(mapped));
		memcpy(key + 12, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	}
}

/* The address's entry with its count raised. Under the stripe's lock. */
static enum ticket_refusal address_take(struct address **chain, const unsigned char key[16], unsigned stripe,
					unsigned limit, struct address **ret_address)
{
	struct address *a;

	for (a = *chain; a; a = a->next)
		if (memcmp(a->key, key, sizeof(a->key)) == 0)
			break;
	if (a && a->count >= limit)
		return TICKET_ADDRESS_LIMIT;
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return TICKET_NO_MEMORY;
		memcpy(a->key, key, sizeof(a->key));
		a->stripe = stripe;
		a->next = *chain;
		*chain = a;
	}
	a->count++;
	*ret_address = a;
	return TICKET_GIVEN;
}

enum ticket_refusal ticket_name(struct gh_ticket *ticket, const struct sockaddr *sa)
{
	struct tickets *t = ticket->table;
	enum ticket_refusal refusal;
	unsigned char key[16];
	struct stripe *s;
	uint64_t hash;

	key_of(sa, key);
	hash = gh_siphash(&t->sipkey, key, sizeof(key));
	ticket->chain = hash / STRIPES % CHAINS;
	s = &t->stripe[hash % STRIPES];
	pthread_mutex_lock(&s->lock);
	refusal = address_take(&s->chain[ticket->chain], key, hash % STRIPES, t->per_address, &ticket->address);
	pthread_mutex_unlock(&s->lock);
	return refusal;
}

enum ticket_refusal tickets_take(struct tickets *t, const struct sockaddr *sa, unsigned door_label,
				 struct gh_ticket **ret_ticket)
{
	struct gh_ticket *ticket = calloc(1, sizeof(*ticket));
	enum ticket_refusal refusal = ticket ? TICKET_GIVEN : TICKET_NO_MEMORY;

	if (atomic_fetch_add(&t->out, 1) >= t->total)
		refusal = TICKET_TOTAL_LIMIT;
	if (refusal == TICKET_GIVEN) {
		ticket->table = t;
		if (sa)
			refusal = ticket_name(ticket, sa);
	}
	if (refusal != TICKET_GIVEN) {
		atomic_fetch_sub(&t->out, 1);
		free(ticket);
		return refusal;
	}
	atomic_fetch_add(&t->refs, 1);
	ticket->door_label = door_label;
	gh_metric_add(GH_M_CONNECTIONS, door_label, 1);
	*ret_ticket = ticket;
	return TICKET_GIVEN;
}

static void address_return(struct address *a, struct stripe *s, unsigned chain)
{
	struct address **p;

	pthread_mutex_lock(&s->lock);
	if (--a->count == 0) {
		for (p = &s->chain[chain]; *p != a; p = &(*p)->next)
			;
		*p = a->next;
		free(a);
	}
	pthread_mutex_unlock(&s->lock);
}

void gh_ticket_return(struct gh_ticket **ticket)
{
	struct gh_ticket *t = *ticket;

	if (!t)
		return;
	if (t->address)
		address_return(t->address, &t->table->stripe[t->address->stripe], t->chain);
	gh_metric_add(GH_M_CONNECTIONS, t->door_label, -1);
	atomic_fetch_sub(&t->table->out, 1);
	tickets_unref(t->table);
	free(t);
	*ticket = NULL;
}
