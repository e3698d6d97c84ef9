/* Structured log: one line a fact, key=value, written to stderr or a file with one write(2).
 * Strings that a client sent go through gh_log_quote (or the %Q rule below) so that no value can forge a line. */
#ifndef GH_CORE_BASE_LOG_H
#define GH_CORE_BASE_LOG_H

#include <stddef.h>

#include "core/base/status.h"

enum gh_log_level { GH_LOG_ERROR, GH_LOG_WARN, GH_LOG_INFO, GH_LOG_DEBUG };

/* path NULL = stderr. GH_OK or GH_IO (message on stderr). Reopens on a second call (log rotation). */
GH_MUST_CHECK enum gh_status gh_log_open(const char *path, enum gh_log_level max);
/* ts=... level=... event=EVENT and then the formatted key=value pairs. Lines are cut at 4 KiB. */
void gh_log(enum gh_log_level level, const char *event, const char *fmt, ...) GH_PRINTF(3, 4);
/* Quoted, escaped copy of s (at most size-1 bytes, always closed) in out; returns out. NULL s gives "-". */
const char *gh_log_quote(char *out, size_t size, const char *s);

#endif
