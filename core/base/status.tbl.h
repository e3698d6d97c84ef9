/* Every status the core can give, once: X(NAME, CLASS, "what it means to a person").
 *
 * Classes say who is to blame, and therefore who may count it:
 *   FLOW        not an error, steers the caller
 *   CALLER      the request was wrong or refused; repeating it unchanged does not help
 *   TENANT      the tenant is shut, full or over its share; later may help
 *   DEPENDENCY  a store failed; the only class a circuit breaker counts
 *   INTERNAL    our own deadline, memory, or a bug
 *
 * A new row does not compile until every door has decided how it sounds there
 * (their switches have no default).
 */
X(OK, FLOW, "done")
X(PENDING, FLOW, "the answer comes later")
X(WAIT, FLOW, "nothing was taken; offer the same again when told")
X(AGAIN, FLOW, "memory does not hold it; ask again from a worker")
X(STALE, FLOW, "what was resolved has changed meanwhile; resolve again")
X(END, FLOW, "nothing further")
X(NOTMODIFIED, FLOW, "the client's copy is current")

X(INVALID, CALLER, "the request is malformed")
X(BADNAME, CALLER, "the name or path is not allowed")
X(TOOLONG, CALLER, "the name or path is too long")
X(NOTFOUND, CALLER, "no such file or folder")
X(NOPARENT, CALLER, "the folder it should go into does not exist")
X(EXISTS, CALLER, "something of that name exists already")
X(NOTDIR, CALLER, "it is a file, not a folder")
X(ISDIR, CALLER, "it is a folder, not a file")
X(NOTEMPTY, CALLER, "the folder is not empty")
X(SAMEFILE, CALLER, "source and destination are the same")
X(LOOP, CALLER, "a folder cannot go into itself")
X(UNAUTH, CALLER, "log in first, or the password is wrong")
X(DENIED, CALLER, "the right to do this is missing")
X(PROTECTED, CALLER, "this property is the server's to set")
X(PRECONDITION, CALLER, "a condition of the request does not hold")
X(LOCKED, CALLER, "somebody else holds a lock")
X(NOLOCK, CALLER, "no such lock here")
X(RANGE, CALLER, "the range lies outside the file")
X(TOOLARGE, CALLER, "larger than allowed")
X(SHORT, CALLER, "fewer bytes arrived than were declared")
X(DIGEST, CALLER, "the bytes do not match their checksum")
X(LIMIT, CALLER, "a limit on the number of such things is reached")
X(CONFLICT, CALLER, "others kept changing the same thing; try again")
X(UNSUPPORTED, CALLER, "not supported")
X(GONE, CALLER, "the client left")

X(THROTTLED, TENANT, "too many failed logins; wait")
X(QUOTA, TENANT, "the quota is used up")
X(OFF, TENANT, "switched off by an administrator")
X(DRAINING, TENANT, "being emptied by an administrator: what runs is finished, nothing new is begun")
X(SUSPENDED, TENANT, "this kind of operation is switched off by an administrator")
X(READONLY, TENANT, "read-only for now")
X(FROZEN, TENANT, "read-only")
X(BUSY, TENANT, "overloaded; try again shortly")
X(PACED, TENANT, "as much at a time, or in a time, as is allowed; try again later")
X(CROWDED, TENANT, "as many sessions as allowed are open")
X(OVERSHARE, TENANT, "more than this tenant's share is waiting; try again later")

X(IO, DEPENDENCY, "the storage reported an error")
X(NOSPACE, DEPENDENCY, "the storage is full")
X(DAMAGED, DEPENDENCY, "stored data is damaged")
X(DATABASE, DEPENDENCY, "the database reported an error")
X(TRIPPED, DEPENDENCY, "a failing service is being given a rest")

X(DEADLINE, INTERNAL, "it took too long and was given up")
X(UNKNOWN, INTERNAL, "the outcome of the write is not known; look before repeating it")
X(STOPPING, INTERNAL, "the server is stopping")
X(NOMEM, INTERNAL, "out of memory")
X(BUG, INTERNAL, "internal error")
