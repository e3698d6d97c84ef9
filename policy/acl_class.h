/* Classes of equal rights: callers who are the same to every entry of a trie may do the same everywhere, so that what was
 * decided for one of them holds for all. A caller is to a trie what of it some entry names: itself, its groups; that it is
 * an owner outweighs all of it. Pure; immutable once built, any number of readers.
 */
#ifndef GH_POLICY_ACL_CLASS_H
#define GH_POLICY_ACL_CLASS_H

#include "policy/acl_trie.h"

struct acl_classes;

/* Of callers[0..count), whose arrays need not stay. NULL: out of memory. */
struct acl_classes *acl_classes_new(const struct acl_trie *t, const struct acl_caller *callers, unsigned count);
void acl_classes_free(struct acl_classes **c); /* leaves NULL */
/* The class of callers[i]: below acl_classes_count. */
unsigned acl_class_of(const struct acl_classes *c, unsigned i);
unsigned acl_classes_count(const struct acl_classes *c);
/* Is who is of class i here named alike by the entries there, where it is of class k? Whether an entry lies somewhere else,
 * or says something else, is not asked. */
bool acl_class_same(const struct acl_classes *c, unsigned i, const struct acl_classes *there, unsigned k);
size_t acl_classes_bytes(const struct acl_classes *c);

#endif
