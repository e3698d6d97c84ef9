/* Faults of stores at run time, for tests: tests/faulty/gatehouse is the gateway with a layer before the metadata store
 * (meta_layer.c, put in by the linker) and one before the blob backend (blob_layer.c), both asking here. Nothing of it is
 * in the program that is installed.
 *
 * $GATEHOUSE_FAULTS names a file, read again whenever it changes (write a new one and rename it). A line is
 *
 *     SERVICE OP TENANT HOW [MS]
 *
 * SERVICE metadata or blobs; OP the name of a function of the contract ("list", "commit", "reader_read") or *; TENANT an
 * id or *; HOW fail, hang (until the line is gone) or slow (by MS). The first line that fits counts. When
 * $GATEHOUSE_FAULTS_LOG names a file, every call that fits a line of HOW fail, hang, slow or `log` leaves a line there
 * "SERVICE OP TENANT HOW": that is what has reached the store.
 */
#ifndef GH_TESTS_FAULTY_FAULTS_H
#define GH_TESTS_FAULTY_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* true: the call is to fail. Waits where it is to hang or to be slow; with may_wait false it answers true in *ret_again
 * instead, and the call belongs on a worker. Any thread. */
bool faults_ask(const char *service, const char *op, uint64_t tenant, bool may_wait, bool *ret_again);

#endif
