/* The request arena: steps of memory that grow from 4 to 64 KiB, freed together. Called by everybody who holds a
 * request; one thread at a time.
 *
 * Under AddressSanitizer every allocation is a step of its own, so that a write past its end is seen; the cap counts
 * the same bytes either way (what is handed out, plus in normal builds the unused ends of steps).
 */
#include "core/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SPLIT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SPLIT 1
#endif
#endif
#ifndef ARENA_SPLIT
#define ARENA_SPLIT 0
#endif

enum { ALIGN = 16, FIRST_STEP = 4096, LAST_STEP = 65536, INLINE_DEFERS = 4 };

struct step {
	struct step *below;
	size_t size, used;
	_Alignas(ALIGN) char mem[];
};

struct defer {
	struct defer *below;
	void (*fn)(void *);
	void *arg;
};

struct gh_arena {
	size_t cap, held, used, next_size;
	struct step *top;   /* small allocations come from here */
	struct step *first; /* at the bottom of top's chain; reset keeps it */
	struct step *large; /* steps that hold one large allocation each */
	struct defer *defers;
	struct defer inline_defer[INLINE_DEFERS];
	unsigned inline_used;
	bool overflowed;
};

static struct step *step_new(size_t size)
{
	struct step *s = malloc(sizeof(*s) + size);

	if (s)
		*s = (struct step){ .size = size };
	return s;
}

static void steps_free(struct step *s, const struct step *until)
{
	while (s != until) {
		struct step *below = s->below;

		free(s);
		s = below;
	}
}

struct gh_arena *gh_arena_new(size_t cap_bytes)
{
	size_t first = cap_bytes < FIRST_STEP ? cap_bytes / ALIGN * ALIGN : FIRST_STEP;
	struct gh_arena *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (ARENA_SPLIT)
		first = 0;
	a->first = a->top = step_new(first);
	if (!a->top) {
		free(a);
		return NULL;
	}
	a->cap = cap_bytes;
	a->held = first;
	a->next_size = 2 * (size_t)FIRST_STEP;
	return a;
}

/* A deferred call may allocate, and may defer again. */
static void defers_run(struct gh_arena *a)
{
	struct defer *d;

	while ((d = a->defers)) {
		struct defer now = *d;

		a->defers = d->below;
		if (d >= a->inline_defer && d < a->inline_defer + INLINE_DEFERS)
			a->inline_used--;
		else
			free(d);
		now.fn(now.arg);
	}
}

void gh_arena_reset(struct gh_arena *a)
{
	defers_run(a);
	steps_free(a->top, a->first);
	steps_free(a->large, NULL);
	a->large = NULL;
	a->top = a->first;
	a->first->used = 0;
	a->held = a->first->size;
	a->used = 0;
	a->next_size = 2 * (size_t)FIRST_STEP;
	a->overflowed = false;
}

void gh_arena_free(struct gh_arena **a)
{
	if (!*a)
		return;
	gh_arena_reset(*a);
	free((*a)->first);
	free(*a);
	*a = NULL;
}

/* A step with room for need bytes, or NULL past the cap or out of memory. A large allocation gets a step of exactly its
 * size beside the chain, so that the rest of the top stays usable. */
static struct step *step_for(struct gh_arena *a, size_t need)
{
	size_t left = a->cap - a->held, size = a->next_size;
	bool large = ARENA_SPLIT || need > size / 4;
	struct step **chain = large ? &a->large : &a->top, *s;

	if (need > left)
		return NULL;
	if (large)
		size = need;
	else if (size > left)
		size = left / ALIGN * ALIGN;
	s = step_new(size);
	if (!s)
		return NULL;
	s->below = *chain;
	*chain = s;
	a->held += size;
	if (!large && a->next_size < LAST_STEP)
		a->next_size *= 2;
	return s;
}

void *gh_alloc(struct gh_arena *a, size_t size)
{
	struct step *s = a->top;
	size_t need;
	void *p;

	if (a->overflowed || size > a->cap) {
		a->overflowed = true;
		return NULL;
	}
	need = ARENA_SPLIT ? size : (size + ALIGN - 1) / ALIGN * ALIGN;
	if (need == 0)
		need = ARENA_SPLIT ? 1 : ALIGN; /* every allocation has an address of its own */
	if (s->size - s->used < need)
		s = step_for(a, need);
	if (!s) {
		a->overflowed = true;
		return NULL;
	}
	p = s->mem + s->used;
	s->used += need;
	a->used += need;
	return memset(p, 0, size);
}

void *gh_alloc_array(struct gh_arena *a, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		a->overflowed = true;
		return NULL;
	}
	return gh_alloc(a, total);
}

void *gh_memdup(struct gh_arena *a, const void *p, size_t len)
{
	void *copy = gh_alloc(a, len);

	if (copy && len)
		memcpy(copy, p, len);
	return copy;
}

char *gh_strndup(struct gh_arena *a, const char *s, size_t len)
{
	char *copy = len < SIZE_MAX ? gh_alloc(a, len + 1) : NULL;

	if (copy && len)
		memcpy(copy, s, len);
	return copy;
}

char *gh_strdup(struct gh_arena *a, const char *s)
{
	return gh_strndup(a, s, strlen(s));
}

char *gh_printf(struct gh_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *out;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	GH_ASSERT(len >= 0);
	out = gh_alloc(a, (size_t)len + 1);
	if (!out)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(out, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return out;
}

/* What was promised to run must run even when the arena is full, so the list is not in the arena. */
void gh_defer(struct gh_arena *a, void (*fn)(void *), void *arg)
{
	struct defer *d;

	/* The inline ones are used as a stack: none may be taken while a later one of the heap is above it, or the
	 * count would not tell which are free. */
	if (a->inline_used < INLINE_DEFERS && (!a->defers || a->defers == &a->inline_defer[a->inline_used - 1]))
		d = &a->inline_defer[a->inline_used++];
	else
		d = malloc(sizeof(*d));
	GH_ASSERT(d);
	*d = (struct defer){ .below = a->defers, .fn = fn, .arg = arg };
	a->defers = d;
}

bool gh_arena_overflowed(const struct gh_arena *a)
{
	return a->overflowed;
}

size_t gh_arena_used(const struct gh_arena *a)
{
	return a->used;
}
