/* A core of the test's own behind core/vfs.h: a few files in memory, and every answer under the test's hand: refused,
 * held back until released, or late by a turn of the loop. It counts what the door holds, so that a test sees a leak.
 *
 * The door calls it on the loop's thread, the test from its own: one lock around everything. */
#ifndef GH_TESTS_UNIT_FTP_FAKE_VFS_H
#define GH_TESTS_UNIT_FTP_FAKE_VFS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/vfs.h"

void fake_reset(void);
void fake_loop(struct gh_loop *l); /* the one that late streams are told on */

/* The next requests of this operation end so, until told otherwise (GH_OK: as the files say). */
void fake_status(enum vfs_op op, enum gh_status st, const char *message);
/* Requests of this operation stay pending until fake_release. */
void fake_hold(enum vfs_op op, bool on);
bool fake_wait_held(unsigned count); /* until so many are held; false after 5 s */
void fake_release(struct gh_loop *l);
/* Every n-th push and pull says WAIT and is ready a turn of the loop later; 0 = never. Held: as above. */
void fake_wait_every(unsigned n);
void fake_hold_streams(bool on);
/* After so many bytes of an upload, push says this. */
void fake_push_fails(size_t after, enum gh_status st);
/* Reads: whether a descriptor is given; how many bytes shorter than its size the file really is; largest inline. */
void fake_reading(bool give_fd, size_t missing, bool inline_too);

void fake_file(const char *path, const void *data, size_t len);
void fake_folder(const char *path);
bool fake_is(const char *path, const void *data, size_t len); /* exists with this content */
bool fake_exists(const char *path);

/* Requests, sessions, uploads, contents that were not given back. */
unsigned fake_live(void);
/* The most rows any LIST was asked for, and how many LISTs there were. */
unsigned fake_lists(void);
/* Verb and code of the last access line. */
void fake_last_log(char *verb, size_t size, int *code, uint64_t *bytes);

#endif
