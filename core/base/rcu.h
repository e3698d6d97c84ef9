/* liburcu (QSBR) behind the annotations that ThreadSanitizer needs: the library is opaque to it, so every quiescent or
 * offline call releases and every grace period acquires. Publish with gh_rcu_publish, read with gh_rcu_read. */
#ifndef GH_CORE_BASE_RCU_H
#define GH_CORE_BASE_RCU_H

/* A thread that reads protected pointers registers first. Registered = online. */
void gh_rcu_register(void);
void gh_rcu_unregister(void);
void gh_rcu_online(void);  /* nesting is not allowed: offline -> online -> offline */
void gh_rcu_offline(void); /* before anything that waits; holds no protected pointer then */
void gh_rcu_quiescent(void);
/* Wait until all readers of now are through. Caller must be offline or unregistered. */
void gh_rcu_synchronize(void);
/* fn(arg) after a grace period, on a thread of its own (one reclaimer for the process, batches). Any thread. */
void gh_rcu_defer(void (*fn)(void *), void *arg);
/* Waits until everything deferred so far has run (at exit, in tests). */
void gh_rcu_barrier(void);

#define gh_rcu_publish(pp, v) __atomic_store_n((pp), (v), __ATOMIC_RELEASE)
#define gh_rcu_read(pp) __atomic_load_n((pp), __ATOMIC_ACQUIRE)

#endif
