"""A gatehouse of one's own for a test: starts $GATEHOUSE on free ports in a temporary data directory, talks to it,
kills it, starts it again. Used by every Python test of tests/conformance, tests/torture and tests/bench:

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
    import gh

    with gh.Server() as s:
        t = gh.Checks()
        r = s.http('PUT', '/dav/a.txt', body=b'hello')
        t.eq(r.status, 201, 'PUT makes a file')
    sys.exit(t.done())

Exit status of a test: 0 passed, 1 failed, 77 skipped (gh.skip says why). Only the standard library is used.
TEST_METADATA=postgresql puts the metadata into a database of its own on the cluster of the run (pglib.py), unless the
configuration says something else about it. Two Servers on the same data directory are on the same database.
TEST_METADATA=pair starts two gateways on that database and sends connections to them by turns (pairlib.py).
GH_KEEP=1 leaves the data directory and its log behind. GH_SLOW=N multiplies every waiting time (sanitizers).
"""
import base64
import contextlib
import ftplib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PASSWORD = 'correct horse 9'
METADATA = os.environ.get('TEST_METADATA') or 'sqlite'
PAIR = METADATA == 'pair'
if PAIR:
    METADATA = 'postgresql'
SLOW = float(os.environ.get('GH_SLOW', '1'))
# What a promise of time is multiplied by where it is not judged: under a sanitizer, with other tests beside it.
EASE = 1 if os.environ.get('GATEHOUSE_VARIANT', 'test') == 'test' else 3


def skip(why):
    """Say aloud why this test cannot run here, and leave."""
    print('SKIP: %s' % why, flush=True)
    sys.exit(77)


def need(*programs):
    """Skip when one of the programs is not installed."""
    for p in programs:
        if not shutil.which(p):
            skip('%s is not installed' % p)


def binary():
    path = os.environ.get('GATEHOUSE')
    if not path:
        print('set GATEHOUSE to the executable to test', file=sys.stderr)
        sys.exit(1)
    return os.path.abspath(path)


class Checks:
    """Counts what held and what did not; a test goes on after a failure and says all of them."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.lock = threading.Lock()  # tests judge on several threads

    def ok(self, condition, what, detail=''):
        if condition:
            with self.lock:
                self.passed += 1
            return True
        caller = sys._getframe(1)
        while os.path.basename(caller.f_code.co_filename) == 'gh.py' and caller.f_back:
            caller = caller.f_back
        line = '%s:%d: %s %s' % (os.path.basename(caller.f_code.co_filename), caller.f_lineno, what, detail)
        self.failures.append(line)
        print('FAIL ' + line, flush=True)
        return False

    def eq(self, got, want, what):
        return self.ok(got == want, what, '(got %r, want %r)' % (got, want))

    def among(self, got, wants, what):
        return self.ok(got in wants, what, '(got %r, want one of %r)' % (got, wants))

    def has(self, haystack, needle, what):
        return self.ok(needle in haystack, what, '(no %r in %r)' % (needle, haystack[:2000]))

    def hasnt(self, haystack, needle, what):
        return self.ok(needle not in haystack, what, '(found %r in %r)' % (needle, haystack[:2000]))

    def done(self):
        """Exit status."""
        print('%d held, %d did not' % (self.passed, len(self.failures)), flush=True)
        return 1 if self.failures or not self.passed else 0


class Response:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def header(self, name, default=None):
        """First header of that name, any case."""
        for k, v in self.headers:
            if k.lower() == name.lower():
                return v
        return default

    @property
    def text(self):
        return self.body.decode('utf-8', 'replace')

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return '<%d %r>' % (self.status, self.body[:300])


def basic(user, password):
    return 'Basic ' + base64.b64encode(('%s:%s' % (user, password)).encode()).decode()


class Client:
    """One keep-alive connection over HTTP that sends headers and target exactly as given. reconnect: a request on a
    connection that the server has closed meanwhile is sent once more on a new one."""

    def __init__(self, host, port, user=None, password=None, timeout=30):
        self.host, self.port, self.user, self.password = host, port, user, password
        self.timeout = timeout * SLOW
        self.conn = None
        self.one_each = PAIR  # a connection for each request: the next one is the other gateway's

    def request(self, method, target, headers=None, body=None, auth=True, reconnect=True):
        """headers: dict, or list of pairs (for repeated ones). body: bytes, str, or an iterable of bytes (chunked).
        A header whose value is None is left out, also of those that are sent by default (Host, Content-Length)."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        names = {k.lower() for k, _ in pairs}
        if isinstance(body, str):
            body = body.encode()
        fresh = self.conn is None
        for attempt in (0, 1):
            if self.conn is None:
                self.conn = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            try:
                c = self.conn
                c.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
                if 'host' not in names:
                    c.putheader('Host', '%s:%d' % (self.host, self.port))
                if auth and self.user is not None and 'authorization' not in names:
                    c.putheader('Authorization', basic(self.user, self.password))
                for k, v in pairs:
                    if v is not None:
                        c.putheader(k, v)
                chunked = body is not None and not isinstance(body, bytes)
                if chunked and 'transfer-encoding' not in names:
                    c.putheader('Transfer-Encoding', 'chunked')
                elif body is not None and not chunked and 'content-length' not in names:
                    c.putheader('Content-Length', str(len(body)))
                c.endheaders()
                if chunked:
                    for part in body:
                        if part:
                            c.send(b'%x\r\n%s\r\n' % (len(part), part))
                    c.send(b'0\r\n\r\n')
                elif body:
                    try:
                        c.send(body)
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # refused early: the answer may be there all the same
                r = c.getresponse()
                out = Response(r.status, r.reason, r.getheaders(), r.read())
                if r.will_close or self.one_each:
                    self.close()
                return out
            except (http.client.BadStatusLine, ConnectionError, http.client.CannotSendRequest):
                self.close()
                if attempt or fresh or not reconnect:
                    raise
        raise AssertionError('unreachable')

    def close(self):
        if self.conn:
            self.conn.close()
            self.conn = None


class Server:
    """A running gatehouse. Tenant `default` with owner `admin` is there; its password is gh.PASSWORD.

    args: further arguments of serve; config: text of a configuration file; env: further environment."""

    def __init__(self, args=(), config=None, env=None, start=True, data=None):
        self.own_data = data is None
        self.top = tempfile.mkdtemp(prefix='gatehouse-test-') if data is None else os.path.dirname(data)
        self.data = data or os.path.join(self.top, 'data')
        self.args = list(args)
        self.env = dict(os.environ, GATEHOUSE_ADMIN_PASSWORD=PASSWORD, **(env or {}))
        self.log_path = os.path.join(self.top, 'serve.log')
        self.proc = None
        self.cluster = None  # where its metadata is, if that is not a file
        self.pair = None
        self.addresses = {}
        self.clients = {}
        if config is not None:
            self.config_path = os.path.join(self.top, 'gatehouse.conf')
            with open(self.config_path, 'w') as f:
                f.write(config)
            self.args += ['-c', self.config_path]
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    # ---- metadata in PostgreSQL ----

    def database(self):
        """The name of this data directory's database."""
        return 'gh_' + hashlib.sha256(os.path.realpath(self.data).encode()).hexdigest()[:16]

    def _choose_metadata(self):
        """Adds the database to the configuration that this server is about to be started with."""
        if METADATA != 'postgresql':
            return
        import pglib
        if '-c' in self.args:
            path = self.args[self.args.index('-c') + 1]
        else:
            path = os.path.join(self.top, 'gatehouse.conf')
            self.args += ['-c', path]
        text = ''
        if os.path.exists(path):
            with open(path) as f:
                text = f.read()
        if any(line.startswith(('metadata:', 'postgresql:')) for line in text.splitlines()):
            return
        self.cluster = pglib.shared()
        if not self.cluster.sql("SELECT 1 FROM pg_database WHERE datname = '%s'" % self.database(), 'postgres'):
            self.cluster.database(self.database())
        with open(path, 'a') as f:
            f.write('%smetadata: postgresql\npostgresql:\n  conninfo: "%s"\n' % (
                '' if not text or text.endswith('\n') else '\n', self.cluster.conninfo_of(self.database())))

    def sql(self, text):
        """Asks the metadata's database directly, whichever it is: lines, columns with | between."""
        if self.cluster:
            return self.cluster.sql(text, self.database())
        import sqlite3
        with sqlite3.connect(os.path.join(self.data, 'meta.db')) as c:
            rows = c.execute(text).fetchall()
        c.close()
        return '\n'.join('|'.join('' if v is None else str(v) for v in row) for row in rows)

    # ---- life ----

    def start(self, wait_s=20):
        """Start and wait until it is ready; again after stop or kill9 on the same data."""
        assert self.proc is None
        self._choose_metadata()
        ready = os.path.join(self.data, 'run', 'addresses.json')
        if os.path.exists(ready):
            os.unlink(ready)
        cmd = [binary(), 'serve', '-D', self.data, '--http', '127.0.0.1:0', '--ftp', '127.0.0.1:0',
               '--admin', '127.0.0.1:0'] + self.args
        with open(self.log_path, 'ab') as log:
            self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
                                         cwd=self.top)
        end = time.monotonic() + wait_s * SLOW
        while time.monotonic() < end:
            if self.proc.poll() is not None:
                status, self.proc = self.proc.returncode, None
                raise RuntimeError('serve ended with status %d:\n%s' % (status, self.log()[-4000:]))
            try:
                with open(ready) as f:
                    self.addresses = json.load(f)
                break
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.01)
        else:
            raise RuntimeError('serve was not ready within %d s:\n%s' % (wait_s * SLOW, self.log()[-4000:]))
        self.clients = {}
        if PAIR and self.cluster:
            import pairlib
            self.pair = self.pair or pairlib.Pair(self)
            self.pair.start()
        return self

    def stop(self, wait_s=20):
        """SIGTERM; returns the exit status (0 expected)."""
        self._drop_clients()
        second = self.pair.stop() if self.pair else 0
        if self.proc is None:
            return second
        self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(wait_s * SLOW)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            self.proc = None
            raise RuntimeError('SIGTERM did not end it within %d s:\n%s' % (wait_s * SLOW, self.log()[-4000:]))
        self.proc = None
        return status or second

    def kill9(self):
        self._drop_clients()
        if self.proc is not None:
            self.proc.kill()
            self.proc.wait()
            self.proc = None

    def restart(self):
        status = self.stop()
        if status != 0:
            raise RuntimeError('serve ended with status %d:\n%s' % (status, self.log()[-4000:]))
        return self.start()

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def close(self):
        """Stop and remove everything (unless GH_KEEP). Raises when it did not end cleanly (sanitizers speak so)."""
        status = self.proc.poll() if self.proc else None
        try:
            if status is None:
                status = self.stop()
        finally:
            log = self.log()
            if self.proc:
                self.proc.kill()
                self.proc.wait()
                self.proc = None
            if self.pair:
                self.pair.close()
            if os.environ.get('GH_KEEP'):
                print('kept: %s' % self.top)
            elif self.own_data:
                shutil.rmtree(self.top, ignore_errors=True)
                if self.cluster:
                    self.cluster.sql('DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.database(), 'postgres')
        if status not in (0, None):
            raise RuntimeError('serve ended with status %d:\n%s' % (status, log[-6000:]))
        for word in ('ERROR: AddressSanitizer', 'runtime error:', 'WARNING: ThreadSanitizer', 'LeakSanitizer'):
            if word in log:
                raise RuntimeError('sanitizer report:\n%s' % log[log.index(word) - 200:][:8000])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.close()
        except RuntimeError as e:
            if kind is None:
                raise
            print('also: %s' % e)

    def log(self):
        try:
            with open(self.log_path, errors='replace') as f:
                return f.read() + (self.pair.second.log() if self.pair else '')
        except FileNotFoundError:
            return ''

    def _drop_clients(self):
        for c in self.clients.values():
            c.close()
        self.clients = {}

    # ---- administration ----

    def run(self, *args, stdin=None, timeout=60):
        """A client command against this gatehouse: (exit status, stdout, stderr)."""
        with self._at_first():
            p = subprocess.run([binary(), '-D', self.data] + [str(a) for a in args], input=stdin, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * SLOW, env=self.env,
                               stdin=None if stdin is not None else subprocess.DEVNULL)
        return p.returncode, p.stdout, p.stderr

    def _at_first(self):
        """Around what is asked of the first of a pair past the relay."""
        return self.pair.at_first() if self.pair else contextlib.nullcontext()

    def cli(self, *args, stdin=None):
        """As run, but it must succeed; returns stdout."""
        status, out, err = self.run(*args, stdin=stdin)
        if status != 0:
            raise RuntimeError('gatehouse %s: exit %d\n%s%s' % (' '.join(map(str, args)), status, out, err))
        return out

    def cli_json(self, *args, stdin=None):
        return json.loads(self.cli(*args, '--json', stdin=stdin))

    def tenant(self, name, *flags):
        """A tenant with owner NAME/admin (password gh.PASSWORD). Returns the login name "NAME/admin"."""
        self.cli('tenant', 'add', name, *flags)
        return self.user(name + '/admin', '--owner')

    def user(self, who, *flags, password=PASSWORD):
        """A user "tenant/user"; returns who, which is also its login name at every door."""
        self.cli('user', 'add', who, '--password-stdin', *flags, stdin=password + '\n')
        return who

    # ---- doors ----

    def address(self, listener):
        host, _, port = self.addresses[listener].rpartition(':')
        return host.strip('[]'), int(port)

    def admins(self):
        """The admin address of every gateway that works here."""
        return [self.address('admin')] + ([self.pair.second.address('admin')] if self.pair else [])

    def url(self, path='/', listener='http'):
        return 'http://%s%s' % (self.addresses[listener], path)

    def control(self, name, **args):
        """A control operation over the admin socket: (True, its result) or (False, the message)."""
        with self._at_first(), socket.socket(socket.AF_UNIX) as c:
            c.connect(os.path.join(self.data, 'admin.sock'))
            c.sendall(json.dumps({'op': name, 'args': args}).encode() + b'\n')
            with c.makefile('rb') as f:
                reply = json.loads(f.readline())
        return (True, reply['result']) if reply['ok'] else (False, reply['message'])

    def client(self, user='admin', password=PASSWORD, timeout=30):
        host, port = self.address('http')
        return Client(host, port, user, password, timeout)

    def http(self, method, target, headers=None, body=None, user='admin', password=PASSWORD, auth=True):
        """One request on a kept connection of that user."""
        key = (user, password)
        if key not in self.clients:
            self.clients[key] = self.client(user, password)
        return self.clients[key].request(method, target, headers, body, auth=auth)

    def raw(self, data, listener='http', timeout=10, shut=False):
        """Exact bytes on a new connection; everything that comes back until it closes or falls silent."""
        with socket.create_connection(self.address(listener), timeout=timeout * SLOW) as c:
            c.sendall(data)
            if shut:
                c.shutdown(socket.SHUT_WR)
            out = b''
            try:
                while True:
                    part = c.recv(65536)
                    if not part:
                        break
                    out += part
            except (TimeoutError, socket.timeout, ConnectionResetError):
                pass
            return out

    def ftp(self, user='admin', password=PASSWORD, timeout=30):
        """A logged-in ftplib.FTP, UTF-8, passive."""
        f = ftplib.FTP(timeout=timeout * SLOW, encoding='utf-8')
        f.connect(*self.address('ftp'))
        f.login(user, password)
        return f
