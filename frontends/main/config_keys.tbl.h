/* Every configuration key, once: X("name", KIND, "default", min, max, RELOAD or RESTART, "help")
 *
 * KIND says how the value is written and what config_number and config_text give:
 *   TEXT      any text                                  text
 *   PATH      file or folder; relative to where serve was started   text
 *   ADDRESS   ADDR:PORT, [ADDR]:PORT, :PORT, or "off"   text ("" = off)
 *   CHOICE    one of the words in help's leading [a b]  text
 *   USER      a system user, must exist                 text
 *   SIZE      64KiB; B KiB MiB GiB TiB; or 0            bytes
 *   DURATION  10s; ms s m h d; or 0                     milliseconds
 *   COUNT     a whole number                            the number
 *   BOOL      true or false                             1 or 0
 *   PORTS     FIRST-LAST                                text; FIRST * 65536 + LAST as number
 * min and max are in bytes, milliseconds or counts. RELOAD: SIGHUP applies it; RESTART: it needs a restart.
 * Each key is described in gatehouse.conf(5); tests/conformance/config.sh holds the two together.
 */
#define KIB 1024ll
#define MIB (1024ll * KIB)
#define GIB (1024ll * MIB)
#define TIB (1024ll * GIB)
#define SEC 1000ll
#define MIN (60ll * SEC)
#define HOUR (60ll * MIN)
#define DAY (24ll * HOUR)

X("data", PATH, "./gatehouse-data", 0, 0, RESTART, "data directory")
X("user", USER, "", 0, 0, RESTART, "system user to become after the listeners are open, when started as root")
X("loops", COUNT, "0", 0, 256, RESTART, "event loops; 0 = one per CPU the process may use")
X("drain", DURATION, "10s", 0, HOUR, RELOAD, "how long SIGTERM lets transfers end")
X("gateway.name", TEXT, "", 0, 0, RESTART, "name of this gateway; empty = generated and kept in the data directory")
X("gateway.host", TEXT, "", 0, 0, RESTART, "host for rules of the switchboard; empty = the system's name")
X("gateway.pod", TEXT, "", 0, 0, RESTART, "pod for rules of the switchboard")
X("gateway.dc", TEXT, "", 0, 0, RESTART, "data centre for rules of the switchboard")

X("listen.http", ADDRESS, "127.0.0.1:8080", 0, 0, RESTART, "HTTP: WebDAV, REST and pages")
X("listen.ftp", ADDRESS, "127.0.0.1:2121", 0, 0, RESTART, "FTP")
X("listen.admin", ADDRESS, "127.0.0.1:8081", 0, 0, RESTART, "admin API, console, probes and metrics")

X("admin.host_names", TEXT, "", 0, 0, RESTART, "names, with commas, by which browsers may reach the console; addresses and localhost always may")
X("admin.session_idle", DURATION, "30m", MIN, 30 * DAY, RESTART, "a console that is not used this long signs out")
X("admin.session_max", DURATION, "12h", MIN, 30 * DAY, RESTART, "longest time that an operator stays signed in")

X("proxy.trusted", TEXT, "", 0, 0, RESTART, "addresses and networks, with commas, of balancers, which begin each connection with a PROXY header; empty = none")

X("limits.per_address", COUNT, "2048", 1, 1000000, RESTART, "connections from one IPv4 address or IPv6 /64")
X("limits.total", COUNT, "0", 0, 10000000, RESTART, "connections at once; 0 = what the descriptor limit allows")
X("limits.reserve_descriptors", COUNT, "64", 16, 65536, RESTART, "descriptors kept free for stores and logs")

X("metadata", CHOICE, "sqlite", 0, 0, RESTART, "[sqlite postgresql] where metadata is kept")
X("sqlite.readers", COUNT, "8", 1, 64, RESTART, "database connections for reading")
X("postgresql.conninfo", TEXT, "", 0, 0, RESTART, "which database, as libpq wants it told: host=db1,db2 dbname=gatehouse ...")
X("postgresql.readers", COUNT, "8", 1, 256, RESTART, "most connections for reading; one more writes")
X("postgresql.connect_timeout", DURATION, "5s", 2 * SEC, MIN, RESTART, "longest wait for a connection, for each host")
X("postgresql.statement_timeout", DURATION, "10s", 100, HOUR, RESTART, "longest time of one statement; also for a network that is silent")
X("postgresql.lock_timeout", DURATION, "5s", 10, HOUR, RESTART, "longest wait for what another gateway holds")
X("blobs.kind", CHOICE, "local", 0, 0, RESTART, "[local] where content is kept")
X("blobs.path", PATH, "", 0, 0, RESTART, "folder of the content; empty = blobs in the data directory")
X("blobs.pack_size", SIZE, "64MiB", MIB, 4 * GIB, RESTART, "size of a pack file")
X("blobs.pack_max_blob", SIZE, "128KiB", 4 * KIB, MIB, RESTART, "larger content becomes a file of its own")

X("workers.threads", COUNT, "32", 1, 1024, RESTART, "threads for what waits on disk or database")
X("workers.queue", COUNT, "1024", 16, 1000000, RESTART, "operations waiting for a worker before new ones are refused")
X("workers.queue_wait", DURATION, "10s", 100, 10 * MIN, RESTART, "longest wait for a worker before an operation is refused")
X("workers.fair_share", BOOL, "true", 0, 0, RESTART, "tenants get workers and loops by shares; false: first come, first served")
X("breaker.window", DURATION, "10s", 100, HOUR, RESTART, "how far back calls to a store are evidence")
X("breaker.min_calls", COUNT, "20", 1, 1000000, RESTART, "fewer calls in the window are no evidence")
X("breaker.fail_percent", COUNT, "50", 1, 100, RESTART, "share of failed calls that opens a breaker")
X("breaker.slow", DURATION, "2s", 0, HOUR, RESTART, "a call that takes so long is slow; 0 = none is")
X("breaker.slow_percent", COUNT, "80", 1, 100, RESTART, "share of slow calls that opens a breaker")
X("breaker.stuck", COUNT, "8", 0, 1000, RESTART, "so many calls that are slow and still under way open it; 0 = never")
X("breaker.base", DURATION, "1s", 10, HOUR, RESTART, "first pause; doubled with each opening in a row")
X("breaker.max", DURATION, "60s", 10, DAY, RESTART, "longest pause")
X("breaker.probes", COUNT, "2", 1, 1000, RESTART, "calls at once that try whether a store is well again")
X("breaker.probes_needed", COUNT, "3", 1, 1000, RESTART, "probes in a row that have to go well")
X("logins.queue", COUNT, "64", 1, 100000, RESTART, "logins waiting for a password check before new ones are refused")
X("logins.threads", COUNT, "0", 0, 256, RESTART, "password hashes at once; 0 = one per CPU")
X("logins.credential_ttl", DURATION, "5m", 0, DAY, RESTART, "how long a verified password is remembered in memory")
X("cache.nodes", SIZE, "64MiB", MIB, 64 * GIB, RESTART, "memory for the node cache")
X("cache.memcached", TEXT, "", 0, 0, RESTART, "memcached servers that all gateways share, with commas; empty = none")
X("cache.sessions", TEXT, "", 0, 0, RESTART, "servers for verified passwords; empty = cache.memcached, off = none")
X("cache.rights", TEXT, "", 0, 0, RESTART, "servers for snapshots of rights; empty = cache.memcached, off = none")
X("cache.tree", TEXT, "", 0, 0, RESTART, "servers for what is at a name; empty, off = none")
X("cache.budget", DURATION, "40ms", 5, SEC, RESTART, "longest wait for an answer of the shared cache")
X("cache.keep", DURATION, "1h", 10 * SEC, 7 * DAY, RESTART, "how long the shared cache keeps an entry")
X("uploads.max_size", SIZE, "1TiB", KIB, 1024 * TIB, RESTART, "largest file")
X("locks.max_timeout", DURATION, "1h", MIN, DAY, RESTART, "longest life of a WebDAV lock without a refresh")
X("collector.every", DURATION, "60s", SEC, DAY, RESTART, "pause between two runs of the collector")
X("collector.grace", DURATION, "1h", SEC, 30 * DAY, RESTART, "age of dead content before it is removed")
X("quota.lease", DURATION, "30s", 200, HOUR, RESTART, "how long room that a gateway holds under a limit stays its own")
X("events.keep", DURATION, "90d", DAY, 3650 * DAY, RESTART, "how long the event log is kept")

X("log.path", PATH, "-", 0, 0, RELOAD, "log file; - = standard error")
X("log.level", CHOICE, "info", 0, 0, RELOAD, "[error warn info debug] what is logged")
X("log.access", PATH, "-", 0, 0, RESTART, "access log; - = standard error, empty = none")

X("http.pool", SIZE, "64KiB", 32 * KIB, MIB, RESTART, "memory of one HTTP connection")
X("http.idle_memory", SIZE, "64MiB", MIB, 64 * GIB, RESTART, "memory of idle connections; beyond it the oldest is shut")
X("http.strict_hosts", BOOL, "false", 0, 0, RESTART, "refuse host names that no tenant has")
X("http.header_timeout", DURATION, "10s", 100, HOUR, RESTART, "for the whole header of a request")
X("http.idle_timeout", DURATION, "75s", 100, DAY, RESTART, "a kept connection without a request")
X("http.body_timeout", DURATION, "30s", 100, DAY, RESTART, "silence in a body or answer; below 1 KiB/s, half of it")
X("http.total_timeout", DURATION, "0", 0, 30 * DAY, RESTART, "for a whole exchange; 0 = no limit")

X("ftp.passive_ports", PORTS, "2200-2299", 1, 65535, RESTART, "ports for passive data connections")
X("ftp.passive_address", TEXT, "", 0, 0, RESTART, "address told in PASV answers; empty = the connection's own")
X("ftp.idle_timeout", DURATION, "5m", SEC, DAY, RESTART, "a control connection without a command")
X("ftp.login_timeout", DURATION, "60s", SEC, HOUR, RESTART, "from the greeting to a login")
X("ftp.data_timeout", DURATION, "30s", SEC, DAY, RESTART, "waiting for a data connection to be made")
X("ftp.stall_timeout", DURATION, "60s", SEC, DAY, RESTART, "a transfer that stands still")
X("ftp.min_rate", SIZE, "128B", 1, GIB, RESTART, "a transfer slower than this, per second, is cut")

#undef KIB
#undef MIB
#undef GIB
#undef TIB
#undef SEC
#undef MIN
#undef HOUR
#undef DAY
