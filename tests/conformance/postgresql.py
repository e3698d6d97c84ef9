#!/usr/bin/python3
# suite: default
# sanitizers: asan
"""Metadata in PostgreSQL, seen from outside: a day's work at every door, a server that goes away under load and comes back,
a connection that is cut between COMMIT and its answer (a proxy of this test's own does that), wrong passwords, and schemas
that are not this program's. What clients were answered is the oracle: each writes down what it was told, and afterwards that
has to be there, once."""
import io
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh
import pglib
import pgproxy

t = gh.Checks()


def config(conninfo, *more):
    return 'metadata: postgresql\npostgresql:\n  conninfo: "%s"\n%s' % (
        conninfo, ''.join(line + '\n' for line in more))


def names(ftp, folder):
    """What is in there; a store that was just given a rest is asked again."""
    end = time.monotonic() + 5 * gh.SLOW
    while True:
        try:
            return sorted(os.path.basename(n) for n in ftp.nlst(folder))
        except gh.ftplib.error_temp:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def days_work(s):
    """The same file at every door, and what people do with it."""
    t.eq(s.http('MKCOL', '/dav/in').status, 201, 'MKCOL makes a folder')
    t.eq(s.http('PUT', '/dav/in/a.txt', body=b'hello').status, 201, 'PUT makes a file')
    ftp = s.ftp()
    out = io.BytesIO()
    ftp.retrbinary('RETR /in/a.txt', out.write)
    t.eq(out.getvalue(), b'hello', 'FTP reads what WebDAV wrote')
    ftp.storbinary('STOR /in/b.bin', io.BytesIO(bytes(range(256)) * 4000))
    t.eq(s.http('GET', '/api/v1/content/in/b.bin').body, bytes(range(256)) * 4000, 'REST reads what FTP wrote')
    t.eq(s.http('PUT', '/api/v1/content/in/a.txt', body=b'second').status // 100, 2, 'REST replaces a file')
    r = s.http('GET', '/dav/in/a.txt')
    t.eq(r.body, b'second', 'WebDAV reads what REST wrote')
    t.eq(s.http('PUT', '/dav/in/a.txt', {'If-Match': '"nonsense"'}, b'x').status, 412, 'a condition that fails is told')
    lock = s.http('LOCK', '/dav/in/a.txt', {'Timeout': 'Second-60'},
                  '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>')
    token = lock.header('Lock-Token')
    t.eq(lock.status, 200, 'LOCK gives a lock')
    t.eq(s.http('PUT', '/dav/in/a.txt', body=b'x').status, 423, 'a locked file is locked')
    t.eq(s.http('UNLOCK', '/dav/in/a.txt', {'Lock-Token': token}).status, 204, 'UNLOCK gives it back')
    t.eq(s.http('PROPPATCH', '/dav/in/a.txt', {}, '<propertyupdate xmlns="DAV:"><set><prop><c xmlns="x">red</c></prop></set>'
                '</propertyupdate>').status, 207, 'PROPPATCH sets a property')
    t.ok('>red<' in s.http('PROPFIND', '/dav/in/', {'Depth': '1'}).text, 'PROPFIND finds it')
    ftp.rename('/in/a.txt', '/in/c.txt')
    t.eq(s.http('COPY', '/dav/in', {'Destination': s.url('/dav/out')}).status, 201, 'COPY copies a tree')
    t.eq(s.http('MOVE', '/dav/out/c.txt', {'Destination': s.url('/dav/moved.txt')}).status, 201, 'MOVE moves')
    t.eq(names(ftp, '/'), ['in', 'moved.txt', 'out'], 'FTP lists what is there')
    t.eq(s.http('DELETE', '/dav/in').status, 204, 'DELETE removes a tree')
    s.user('default/ann')
    s.cli('acl', 'grant', 'default', '/', 'user:ann', 'list,read')
    s.cli('acl', 'deny', 'default', '/out', 'user:ann', 'full')
    t.eq(s.http('GET', '/dav/moved.txt', user='ann').status, 200, 'another user reads what is granted')
    t.among(s.http('GET', '/dav/out/b.bin', user='ann').status, (403, 404), 'and not what is denied')
    ftp.quit()


def audit(s, words):
    status, out, err = s.run('fsck')
    t.eq(status, 0, 'fsck finds nothing ' + words)
    if status:
        print(out, err)


# ---- under load ----

class Writer(threading.Thread):
    """PUTs one file after another and writes down what it was told: 201 and 204 promise, 503 refuses, 500 is wrong, and what
    was answered that its outcome is not known may be either."""

    def __init__(self, s, name):
        super().__init__()
        self.s, self.name = s, name
        self.promised, self.refused, self.unknown, self.wrong, self.longest = [], 0, 0, [], 0
        self.first_after = None
        self.watch_from = None
        self.stop = False

    def run(self):
        c = self.s.client()
        i = 0
        while not self.stop:
            i += 1
            name = '%s-%05d' % (self.name, i)
            sent = time.monotonic()
            try:
                r = c.request('PUT', '/dav/' + name, body=name.encode())
            except OSError as e:
                self.wrong.append(repr(e))
                c.close()
                continue
            self.longest = max(self.longest, time.monotonic() - sent)
            if r.status in (201, 204):
                self.promised.append(name)
                if self.watch_from and not self.first_after:
                    self.first_after = time.monotonic()
            elif r.status == 503:
                self.refused += 1
                time.sleep(0.02)
            elif r.status == 500 and b'outcome' in r.body:
                self.unknown += 1
            else:
                self.wrong.append('%d %r' % (r.status, r.body[:100]))
                time.sleep(0.02)


def all_promised_are_there(s, writers):
    have = set(names(s.ftp(), '/'))
    lost = [n for w in writers for n in w.promised if n not in have]
    t.eq(lost, [], 'what was acknowledged is there')
    for w in random.sample(writers, 1):
        for n in random.sample(w.promised, min(5, len(w.promised))):
            t.eq(patiently(s, 'GET', '/dav/' + n).body, n.encode(), 'and has its bytes')


def server_goes_and_comes(s, pg):
    writers = [Writer(s, 'w%d' % i) for i in range(4)]
    for w in writers:
        w.start()
    time.sleep(0.7)
    ftp = s.ftp()  # while logins are to be had
    pg.stop()
    time.sleep(1.5)
    r = s.http('PUT', '/dav/while-away', body=b'x')
    t.eq(r.status, 503, 'WebDAV refuses with 503 while the server is away')
    try:
        ftp.storbinary('STOR /while-away', io.BytesIO(b'x'))
        t.ok(False, 'FTP refuses while the server is away')
    except gh.ftplib.error_temp as e:
        t.eq(str(e)[:3], '451', 'FTP refuses with 451 while the server is away')
    ftp.close()
    pg.start()
    back = time.monotonic()
    for w in writers:
        w.watch_from = back
    end = back + 10 * gh.SLOW
    while time.monotonic() < end and not all(w.first_after for w in writers):
        time.sleep(0.02)
    firsts = [w.first_after for w in writers if w.first_after]
    t.eq(len(firsts), len(writers), 'when it is back everybody works again (how soon: pg_faults.py)')
    time.sleep(0.5)
    for w in writers:
        w.stop = True
    for w in writers:
        w.join()
    # One whose commit was on its way when the server went waits for it, since only the server knows whether it was done.
    t.eq([w.name for w in writers if not w.refused and not w.unknown and w.longest < 1], [], 'each was refused meanwhile, or waited')
    t.eq([x for w in writers for x in w.wrong], [], 'and nothing but refused')
    all_promised_are_there(s, writers)
    t.ok(patiently(s, 'PUT', '/dav/while-away', body=b'now').status in (201, 204), 'what was refused can be done now')
    print('promised %d, refused %d, unknown %d, first after %s' % (
        sum(len(w.promised) for w in writers), sum(w.refused for w in writers), sum(w.unknown for w in writers),
        [round(f - back, 2) for f in firsts]))


# ---- a proxy that cuts ----

class Proxy:
    """Between gateway and server; knows messages. armed: the next answer to a COMMIT ("C" COMMIT) is not passed on, but
    both connections are cut, when the server has committed. deaf: nobody gets through."""

    def __init__(self, pg):
        self.pg = os.path.join(pg.dir, '.s.PGSQL.5432')
        self.dir = tempfile.mkdtemp(prefix='gh-px-')
        self.path = os.path.join(self.dir, '.s.PGSQL.5432')
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.dir, 0o755)
        os.chmod(self.path, 0o777)
        self.listener.listen(64)
        self.armed = threading.Event()
        self.deaf_for = 0
        self.deaf_until = 0
        self.cuts = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            if time.monotonic() < self.deaf_until:
                c.close()
                continue
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self.pg)
            except OSError:
                c.close()
                s.close()
                continue
            threading.Thread(target=self.forth, args=(c, s), daemon=True).start()
            threading.Thread(target=self.back, args=(s, c), daemon=True).start()

    @staticmethod
    def shut(*socks):
        for x in socks:
            try:
                x.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def forth(self, c, s):
        try:
            while True:
                part = c.recv(65536)
                if not part:
                    break
                s.sendall(part)
        except OSError:
            pass
        self.shut(c, s)

    def back(self, s, c):
        held = b''
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    break
                held += part
                out = b''
                while len(held) >= 5:
                    size = 1 + struct.unpack('>I', held[1:5])[0]
                    if len(held) < size:
                        break
                    if held[:1] == b'C' and held[5:size] == b'COMMIT\0' and self.may_cut():
                        return self.shut(c, s)
                    out += held[:size]
                    held = held[size:]
                c.sendall(out)
        except OSError:
            pass
        self.shut(c, s)

    def may_cut(self):
        with self.lock:
            if not self.armed.is_set():
                return False
            self.armed.clear()
            self.cuts += 1
            self.deaf_until = time.monotonic() + self.deaf_for
            return True

    def close(self):
        self.listener.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def patiently(s, method, target, headers=None, body=None):
    """What was refused has not happened, so it can be asked for again."""
    end = time.monotonic() + 8 * gh.SLOW
    while True:
        r = s.http(method, target, headers, body)
        if r.status != 503 or time.monotonic() > end:
            return r
        time.sleep(0.05)


def commit_is_cut(pg):
    proxy = Proxy(pg)
    conninfo = pg.database('cut').replace('host=' + pg.dir, 'host=' + proxy.dir)
    try:
        with gh.Server(config=config(conninfo)) as s:
            s.http('MKCOL', '/dav/cut')
            for i in range(12):
                proxy.deaf_for = 0.4 if i % 4 == 3 else 0
                proxy.armed.set()
                # MKCOL and MOVE can't be repeated: a second time would be told as 405 or 404
                r = patiently(s, 'MKCOL', '/dav/cut/d%d' % i)
                t.eq(r.status, 201, 'MKCOL whose COMMIT was cut off is done, once')
                proxy.armed.set()
                r = patiently(s, 'PUT', '/dav/cut/f%d' % i, body=b'%d' % i)
                t.eq(r.status, 201, 'PUT whose COMMIT was cut off is done, once')
                proxy.armed.set()
                r = patiently(s, 'MOVE', '/dav/cut/f%d' % i, {'Destination': s.url('/dav/cut/d%d/g' % i)})
                t.eq(r.status, 201, 'MOVE whose COMMIT was cut off is done, once')
                proxy.armed.clear()
            t.ok(proxy.cuts >= 30, 'commits were cut off', '(%d)' % proxy.cuts)
            t.eq(pg_count('cut', pg, "SELECT count(*) FROM event WHERE what NOT IN ('login') AND path LIKE '/cut/d%'") >= 12, True,
                 'events tell of them')
            t.eq(pg_count('cut', pg, 'SELECT count(*) - count(DISTINCT (tenant, op)) FROM event'), 0, 'each of them once')
            for i in range(12):
                t.eq(patiently(s, 'GET', '/dav/cut/d%d/g' % i).body, b'%d' % i, 'and everything is where it should be')
            many = [Writer(s, 'm%d' % i) for i in range(6)]
            for w in many:
                w.start()
            for i in range(10):
                proxy.deaf_for = 0.2 if i == 5 else 0
                proxy.armed.set()
                time.sleep(0.15)
            for w in many:
                w.stop = True
            for w in many:
                w.join()
            proxy.armed.clear()
            t.eq([x for w in many for x in w.wrong], [], 'under load nothing but promises and refusals')
            all_promised_are_there(s, many)
            usage = pg_count('cut', pg, 'SELECT count(*) FROM node WHERE type = 1 AND tenant <> 0')
            t.ok(usage >= sum(len(w.promised) for w in many) + 12, 'no promise is missing in the database')
            audit(s, 'after commits were cut off')
    finally:
        proxy.close()


def pg_count(db, pg, sql):
    return int(pg.sql(sql, db))


# ---- refused at the start ----

def refused(conninfo, words, what):
    """words: strings that have to be in one line of what it says."""
    try:
        with gh.Server(config=config(conninfo)) as s:
            t.ok(False, what, '(it started)')
            s.log()
    except RuntimeError as e:
        words = (words,) if isinstance(words, str) else words
        t.ok(any(all(w in x for w in words) for x in str(e).splitlines()) and 'secret' not in str(e), what,
             '(%r)' % str(e)[-600:])


def bad_starts(pg):
    refused(pg.conninfo.replace('dbname=gatehouse', 'dbname=nothing'), 'does not exist', 'no such database: named')
    refused('host=%s/none user=gatehouse dbname=gatehouse' % pg.dir, ('No such file', 'check that the server runs'),
            'no server: named')
    pg.sql("CREATE USER guest PASSWORD 'secret'")
    hba = os.path.join(pg.dir, 'data', 'pg_hba.conf')
    with open(hba) as f:
        old = f.read()
    with open(hba, 'w') as f:
        f.write('local all guest scram-sha-256\n' + old)
    pg.sql('SELECT pg_reload_conf()')
    time.sleep(0.3)
    refused(pg.conninfo.replace('user=gatehouse', 'user=guest password=secretly'), ('password authentication failed',
                                                                                       'check user, password and passfile'),
            'a wrong password: said, and not shown')
    refused(pg.conninfo.replace('user=gatehouse', 'user=guest'), ('no password supplied', 'give a passfile or a password'),
            'no password: said, and what to do')
    conninfo = pg.database('frozen')
    pg.sql('ALTER DATABASE frozen SET default_transaction_read_only = on', 'postgres')
    refused(conninfo, ('frozen', 'read-only', 'promote it, or name the primary'), 'a database that takes no writes: named')
    conninfo = pg.database('half')
    with gh.Server(config=config(conninfo)):
        pass
    pg.sql('DELETE FROM schema_version WHERE version = 7; DROP TABLE route_clock', 'half')
    refused(conninfo, 'already exists', 'a schema that somebody has half undone: named')
    pg.sql("INSERT INTO schema_version VALUES (7, 'x', 0), (9999, '9999_later', 0)", 'half')
    refused(conninfo, 'schema 9999', 'a schema that is too new: named')
    for text, words, what in ((config('host=x dbname=y colour=red'), 'colour', '--check refuses a conninfo that is none'),
                              (config('host=x user=y'), 'dbname', '--check misses the name of the database'),
                              ('metadata: postgresql\n', 'says nothing', '--check misses a conninfo that is not there')):
        path = os.path.join(pg.dir, 'check.conf')
        with open(path, 'w') as f:
            f.write(text)
        check = subprocess.run([gh.binary(), 'serve', '--check', '-c', path], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
        t.ok(check.returncode != 0 and 'postgresql.conninfo' in check.stdout and words in check.stdout, what,
             '(%r)' % check.stdout)


# ---- over TLS ----

def certificate(pg, name):
    key, cert = (os.path.join(pg.dir, name + end) for end in ('.key', '.crt'))
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
                   check=True, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    os.chmod(cert, 0o644)
    if os.geteuid() == 0:
        shutil.chown(key, user='postgres')
    return key, cert


def over_tls():
    """A server that takes only TLS, its certificate verified; a certificate or a name that is not its own is refused."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    os.environ['PGPORT'] = str(port)  # to the server and its programs; there is no TLS on a unix socket
    pg = pglib.Cluster()
    try:
        pg.stop()
        key, cert = certificate(pg, 'server')
        with open(os.path.join(pg.dir, 'data', 'pg_hba.conf'), 'w') as f:
            f.write('local all all trust\nhostssl all all 127.0.0.1/32 trust\n')
        pg.start('listen_addresses=127.0.0.1', 'ssl=on', 'ssl_cert_file=' + cert, 'ssl_key_file=' + key)
        conninfo = 'host=localhost hostaddr=127.0.0.1 port=%d user=gatehouse dbname=gatehouse sslmode=verify-full sslrootcert=%s' % (
            port, cert)
        with gh.Server(config=config(conninfo)) as s:
            t.eq(s.http('PUT', '/dav/a', body=b'over TLS').status, 201, 'a file over TLS')
            t.eq(s.http('GET', '/dav/a').body, b'over TLS', 'and back')
            ours = pg.sql("SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                          " WHERE application_name LIKE 'gatehouse%'")
            t.ok(ours.split('|')[0] == ours.split('|')[1] != '0', 'every connection is encrypted', ours)
        _, other = certificate(pg, 'other')
        refused(conninfo.replace(cert, other), 'certificate verify failed', 'a certificate that nobody vouches for: refused')
        refused(conninfo.replace('host=localhost', 'host=elsewhere'), 'does not match host name', "somebody else's certificate: refused")
        refused(conninfo.replace('verify-full', 'disable'), 'no encryption', 'in clear: refused by the server')
    finally:
        pg.close()
        del os.environ['PGPORT']


# ---- how often it asks ----

def several_hosts(pg):
    """One that takes connections and says nothing keeps nobody from the next one, whatever it costs; nor does one that is not
    there, or a name with several addresses."""
    mute = socket.create_server(('127.0.0.1', 0), backlog=128)
    unused = socket.create_server(('127.0.0.1', 0))
    ports = [str(x.getsockname()[1]) for x in (mute, unused)]
    unused.close()
    conninfo = pg.database('hosts').replace('host=' + pg.dir, 'host=127.0.0.1,localhost,%s port=%s,%s,5432' % (pg.dir, *ports))
    with gh.Server(config=config(conninfo, '  connect_timeout: 2s')) as s:
        t.eq(s.http('PUT', '/dav/hosts', body=b'x').status, 201, 'the third of three hosts is found')
    mute.close()


def round_trips(pg):
    """What an operation costs, counted between gateway and server. A NOTIFY goes out beside it, and nobody waits for it."""
    proxy = pgproxy.Proxy(pg)
    pg.database('trips')
    try:
        with gh.Server(config=config(proxy.conninfo('trips'))) as s:
            def cost(method, target, headers=None, body=None):
                best = None
                for i in range(5):  # upkeep and signs of life go on meanwhile, seldom
                    time.sleep(0.12)  # notes of what was before
                    proxy.reset()
                    s.http(method, target % i, headers, body)
                    c = proxy.counted()
                    trips = c.trips - c.messages.get((True, b'Q'), 0)
                    best = trips if best is None else min(best, trips)
                return best

            for i in range(5):
                s.http('MKCOL', '/dav/warm%d' % i)
                s.http('PUT', '/dav/warm%d/f' % i, body=b'x')
                s.http('PUT', '/dav/warm%d/f' % i, body=b'y')
                s.http('DELETE', '/dav/warm%d/f' % i)
                s.http('GET', '/dav/warm%d/f' % i)
                s.http('GET', '/dav/none%d' % i)
            for i in range(5):
                s.http('PUT', '/dav/f%d' % i, body=b'x')
            s.restart()
            for i in range(8):  # rights, settings, statements of all connections
                s.http('GET', '/dav/none-at-all%d' % i)
                s.http('PUT', '/dav/more%d' % i, body=b'x')
            t.eq(cost('GET', '/dav/nothing%d'), 1, 'what is not there is asked for once')
            t.eq(cost('GET', '/dav/f%d'), 1, 'a file that memory does not know is one round trip')
            t.eq(cost('GET', '/dav/f%d'), 0, 'one that it knows is none')
            t.eq(cost('PUT', '/dav/f%d', body=b'other'), 1, 'a file is replaced in one round trip')
            t.ok(cost('PUT', '/dav/new%d', body=b'new') <= 2, 'a new one takes a look at its name and a commit, at most')
            t.ok(cost('MKCOL', '/dav/d%d') <= 3, 'a folder looks twice: that a name is free is never remembered')
            t.ok(cost('DELETE', '/dav/new%d') <= 2, 'and a removal')
    finally:
        proxy.close()


gh.need('psql', 'openssl')
over_tls()
pg = pglib.Cluster()
try:
    with gh.Server(config=config(pg.conninfo)) as s:
        days_work(s)
        audit(s, "after a day's work")
        s.restart()
        t.eq(s.http('GET', '/dav/moved.txt').body, b'second', 'a gateway that starts again finds everything')
        server_goes_and_comes(s, pg)
        audit(s, 'after the server was away')
        s.kill9()
        s.start()
        audit(s, 'after the gateway was killed')
    round_trips(pg)
    several_hosts(pg)
    commit_is_cut(pg)
    bad_starts(pg)
finally:
    pg.close()
sys.exit(t.done())
