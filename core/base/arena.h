/* Request memory: everything a request allocates dies with it, at once.
 *
 * Hard cap, sticky overflow: past the cap gh_alloc returns NULL and every later call does too, so a
 * chain of allocations is checked once at its end with gh_arena_overflowed(). Single-owner: one
 * thread at a time. Allocations are zeroed and aligned to 16 bytes.
 */
#ifndef GH_CORE_BASE_ARENA_H
#define GH_CORE_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "core/base/status.h"

struct gh_arena;

/* cap_bytes: the most it may ever hold. Memory is taken in steps (first one 4 KiB). NULL when out of memory. */
struct gh_arena *gh_arena_new(size_t cap_bytes);
/* Runs the deferred calls, last first, frees everything, leaves NULL behind. Accepts NULL inside. */
void gh_arena_free(struct gh_arena **a);
/* As free and new with the same cap, keeping the first step. */
void gh_arena_reset(struct gh_arena *a);

void *gh_alloc(struct gh_arena *a, size_t size);
void *gh_alloc_array(struct gh_arena *a, size_t count, size_t size); /* checks the multiplication */
char *gh_strdup(struct gh_arena *a, const char *s);
char *gh_strndup(struct gh_arena *a, const char *s, size_t len); /* copies len bytes, adds NUL; bytes may hold NUL */
void *gh_memdup(struct gh_arena *a, const void *p, size_t len);
char *gh_printf(struct gh_arena *a, const char *fmt, ...) GH_PRINTF(2, 3);
/* Call fn(arg) when the arena is freed or reset. */
void gh_defer(struct gh_arena *a, void (*fn)(void *), void *arg);
bool gh_arena_overflowed(const struct gh_arena *a);
size_t gh_arena_used(const struct gh_arena *a);

#endif
