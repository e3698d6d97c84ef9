/* Do database and blob store belong together? Where several gateways share a database each brings its own path of the blobs,
 * and one that is wrong would take content that no other can read, and look for content that is not there. So both bear the
 * id of the installation: a setting of the house, and a mark in the store. They are made by the first gateway that finds neither
 * (a new installation, or one of a release before); from then on whoever finds them different, or one without the other,
 * does not start. Asked once, at the start, before anything is written; by the composition root. Embedded stores have one
 * process and one path, and none of this. */
#ifndef GH_CORE_INSTALLATION_H
#define GH_CORE_INSTALLATION_H

#include "core/blob.h"
#include "core/meta.h"

struct installation {
	struct meta_store *meta; /* shared */
	const struct blob_ops *ops;
	struct blob_backend *blobs;
	uint64_t holder;        /* token of this gateway */
	const char *where;      /* the store, for people */
};

/* Blocks. GH_CONFLICT: they do not belong together. err (512 bytes): in words, with what to do. */
GH_MUST_CHECK enum gh_status installation_check(const struct installation *in, char *err);

#endif
