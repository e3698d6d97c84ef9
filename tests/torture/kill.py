#!/usr/bin/python3
# suite: default
# sanitizers: asan
# timeout: 1500
# metadata: sqlite postgresql pair:all
"""kill -9 under load. Eight clients over three doors write, replace, move, copy and delete; the server is killed at
random, and once at every named crash point of the sources (gh_crash_point). The clients' journal is the oracle:

  * what was acknowledged is there, whole, until something later took its place
  * a path shows one version that somebody sent, never a prefix, a mixture or an empty file that nobody sent
  * a move shows before or after, never both or neither
  * fsck finds no loss; the first answer comes within 2 s of the restart (best of three)

Usage: kill.py [CYCLES] [SEED]; KILL_CYCLES, KILL_SEED do the same.
"""
import ftplib
import hashlib
import io
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402

CLIENTS = 8
NAMES = 6
SHARED = 4
NEVER = float('inf')
CONFIG = """\
collector:
  every: 1s
  grace: 1s
"""


def body_of(tag, size):
    """Bytes that tell who wrote them and whether they are whole."""
    seed = ('%s/%d|' % (tag, size)).encode()
    block = seed + hashlib.sha256(seed).hexdigest().encode() + b'\n'
    return (block * (size // len(block) + 1))[:size]


class Write:
    """One value that a path may have: bytes, or None for "nothing there"."""

    def __init__(self, value, start):
        self.value, self.start, self.end = value, start, NEVER


class Journal:
    """Per path, every value sent since the last verified state, with when it was sent and acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.paths = {}
        self.moves = []

    def begin(self, path, value):
        with self.lock:
            w = Write(value, time.monotonic())
            self.paths.setdefault(path, [self.nothing()]).append(w)
            return w

    @staticmethod
    def nothing():
        w = Write(None, -NEVER)
        w.end = -NEVER
        return w

    def ack(self, *writes):
        now = time.monotonic()
        with self.lock:
            for w in writes:
                w.end = now

    def forget(self, path, write):
        """The server refused it: it has no effect."""
        with self.lock:
            self.paths[path].remove(write)

    def allowed(self, path):
        """Values that the path may show now: none that an acknowledged later one has replaced."""
        h = self.paths[path]
        latest_start = max([w.start for w in h if w.end != NEVER], default=-NEVER)
        return [w for w in h if w.end >= latest_start]

    def settle(self, path, value):
        w = self.nothing()
        w.value = value
        self.paths[path] = [w]


class Died(Exception):
    pass


class Worker(threading.Thread):
    def __init__(self, server, journal, number, seed, login='admin'):
        super().__init__(daemon=True)
        self.s, self.j, self.n, self.login = server, journal, number, login
        self.r = random.Random(seed)
        self.stop = threading.Event()
        self.count = self.acked = 0
        self.errors = []
        self.http = self.ftp = None

    # ---- the three doors; each returns True (done), False (refused), or raises Died ----

    def call(self, method, target, headers=None, body=None):
        if self.http is None:
            self.http = self.s.client(timeout=20)
        try:
            r = self.http.request(method, target, headers, body, reconnect=False)
        except Exception:
            self.http.close()
            self.http = None
            raise Died
        if r.status in (200, 201, 204):
            return True
        if r.status in (404, 409, 412, 423, 503, 507, 429, 500):
            if r.status == 500:
                self.errors.append('%s %s: 500 %s' % (method, target, r.text[:200]))
            if r.status == 503 and ('unknown' in r.text or 'outcome' in r.text):
                raise Died
            return False
        self.errors.append('%s %s: %d %s' % (method, target, r.status, r.text[:200]))
        return False

    def ftp_call(self, fn):
        try:
            if self.ftp is None:
                self.ftp = self.s.ftp(timeout=20)
            fn(self.ftp)
            return True
        except ftplib.error_perm:
            return False
        except ftplib.error_temp as e:
            if str(e)[:3] in ('421', '426', '425', '451'):
                self.ftp = None
                raise Died
            return False
        except Exception:
            self.ftp = None
            raise Died

    def put(self, path, value):
        door = self.r.randrange(3)
        if door == 0:
            return self.call('PUT', '/dav' + path, body=value)
        if door == 1:
            return self.call('PUT', '/api/v1/content' + path, body=value)
        return self.ftp_call(lambda f: f.storbinary('STOR ' + path, io.BytesIO(value)))

    def delete(self, path):
        door = self.r.randrange(3)
        if door == 0:
            return self.call('DELETE', '/dav' + path)
        if door == 1:
            return self.call('DELETE', '/api/v1/content' + path)
        return self.ftp_call(lambda f: f.delete(path))

    def move(self, a, b):
        if self.r.randrange(2):
            return self.call('MOVE', '/dav' + a, {'Destination': '/dav' + b})
        return self.ftp_call(lambda f: f.rename(a, b))

    def copy(self, a, b):
        return self.call('COPY', '/dav' + a, {'Destination': '/dav' + b})

    # ---- one step ----

    def own(self):
        return '/c%d/f%d' % (self.n, self.r.randrange(NAMES))

    def known(self, path):
        """The one value an own path has, when nothing is in flight there."""
        allowed = self.j.allowed(path) if path in self.j.paths else []
        return allowed[0].value if len(allowed) == 1 else None

    def size(self):
        kind = self.r.random()
        if kind < 0.05:
            return 0
        if kind < 0.7:
            return self.r.randrange(1, 9000)
        if kind < 0.95:
            return self.r.randrange(9000, 200000)
        return self.r.randrange(200000, 3000000)

    def step(self):
        self.count += 1
        dice = self.r.random()
        path = self.own()
        if dice < 0.5:
            self.one(path, body_of('%d.%d' % (self.n, self.count), self.size()), lambda v: self.put(path, v))
        elif dice < 0.65:
            path = '/shared/s%d' % self.r.randrange(SHARED)
            self.one(path, body_of('%d.%d' % (self.n, self.count), self.size()), lambda v: self.put(path, v))
        elif dice < 0.8 and self.known(path) is not None:
            self.one(path, None, lambda v: self.delete(path))
        elif dice < 0.95 and self.known(path) is not None:
            to = self.own()
            if to != path:
                self.two(path, to)
        elif self.known(path) is not None:
            to = self.own()
            if to != path:
                value = self.known(path)
                self.one(to, value, lambda v: self.copy(path, to))
        elif self.count % 40 == 0:
            self.tree()

    def one(self, path, value, act):
        w = self.j.begin(path, value)
        if act(value):
            self.j.ack(w)
            self.acked += 1
        else:
            self.j.forget(path, w)

    def two(self, a, b):
        value = self.known(a)
        if b in self.j.paths and any(w.value == value for w in self.j.allowed(b)):
            return  # a copy of it lies there already: before and after could not be told apart
        wa, wb = self.j.begin(a, None), self.j.begin(b, value)
        with self.j.lock:
            self.j.moves.append((a, wa, b, wb))
        if self.move(a, b):
            self.j.ack(wa, wb)
            self.acked += 1
        else:
            self.j.forget(a, wa)
            self.j.forget(b, wb)
            with self.j.lock:
                self.j.moves.pop([m[1] for m in self.j.moves].index(wa))

    def tree(self):
        """A folder copied and removed: its own crash points; its content is what the source had."""
        if self.call('COPY', '/dav/c%d' % self.n, {'Destination': '/dav/copy%d' % self.n}):
            self.call('DELETE', '/dav/copy%d' % self.n)

    def run(self):
        while not self.stop.is_set():
            try:
                self.step()
            except Died:
                return


class Verify:
    def __init__(self, server, journal, checks, rng):
        self.s, self.j, self.t, self.r = server, journal, checks, rng
        self.http = server.client()
        self.ftp = server.ftp()

    def read(self, path):
        door = self.r.randrange(3)
        if door == 2:
            out = io.BytesIO()
            try:
                self.ftp.retrbinary('RETR ' + path, out.write)
            except ftplib.error_perm:
                return None
            return out.getvalue()
        r = self.http.request('GET', ('/dav' if door else '/api/v1/content') + path)
        if r.status == 404:
            return None
        if r.status != 200:
            self.t.ok(False, 'read of %s' % path, 'status %d' % r.status)
            return None
        return r.body

    @staticmethod
    def name(value):
        return 'nothing' if value is None else '%d bytes %r' % (len(value), value[:24])

    def all(self):
        seen = {}
        for path in sorted(self.j.paths):
            seen[path] = value = self.read(path)
            ok = any(w.value == value for w in self.j.allowed(path))
            self.t.ok(ok, path, 'shows %s; allowed: %s' % (
                self.name(value), [self.name(w.value) for w in self.j.allowed(path)]))
        for a, wa, b, wb in self.j.moves:
            if wa.end != NEVER or wb.value is None:
                continue
            gone, arrived = seen[a] is None, seen[b] == wb.value
            later = any(w.start > wb.start for w in self.j.paths[b] + self.j.paths[a])
            if not later:
                self.t.ok(gone == arrived, 'move %s -> %s is one step' % (a, b), '(gone %s, arrived %s)' % (gone, arrived))
        for path, value in seen.items():
            self.j.settle(path, value)
        self.j.moves.clear()


def fsck(server, t):
    status, out, err = server.run('fsck')
    t.ok(status == 0, 'fsck is clean', out[-2000:] + err[-2000:])


def prepare(server):
    for i in range(CLIENTS):
        server.http('MKCOL', '/dav/c%d' % i)
    server.http('MKCOL', '/dav/shared')


def churn(server, journal, seed, seconds=None, until_dead_s=None):
    """Runs the clients for some time and kills, or until the server dies by itself. How many steps, and acknowledged."""
    workers = [Worker(server, journal, i, seed * 100 + i) for i in range(CLIENTS)]
    for w in workers:
        w.start()
    died = True
    if seconds is not None:
        time.sleep(seconds)
    else:
        end = time.monotonic() + until_dead_s
        while server.proc.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        died = server.proc.poll() is not None
    server.proc.kill()
    server.proc.wait()
    for w in workers:
        w.stop.set()
    for w in workers:
        w.join(40)
    server.proc = None
    server._drop_clients()
    errors = [e for w in workers for e in w.errors]
    return died, sum(w.count for w in workers), sum(w.acked for w in workers), errors


def restart(server):
    start = time.monotonic()
    server.start()
    r = server.http('GET', '/dav/', headers={'Depth': '0'})
    if r.status != 200:
        raise RuntimeError('first answer after the restart: %d' % r.status)
    return time.monotonic() - start


def crash_points():
    """Of the program, but for those that only the other database's driver has."""
    points = set()
    others = 'pgsql' if gh.METADATA == 'sqlite' else 'sqlite'
    top = os.environ.get('GATEHOUSE_SOURCE', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
    for room in ('core', 'backends', 'frontends'):
        for folder, _, files in os.walk(os.path.join(top, room)):
            for f in files:
                if f.endswith('.c') and not f.startswith(others):
                    with open(os.path.join(folder, f)) as src:
                        points.update(re.findall(r'gh_crash_point\("([^"]+)"\)', src.read()))
    return sorted(points)


def main():
    asan = os.environ.get('GATEHOUSE_VARIANT') == 'asan'
    few = asan or (gh.METADATA != 'sqlite' and os.environ.get('TEST_SUITE') != 'all')
    cycles = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get('KILL_CYCLES', '3' if asan else '5' if few else '20'))
    seed = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get('KILL_SEED', str(int(time.time()) % 100000)))
    print('cycles %d, seed %d' % (cycles, seed), flush=True)
    rng = random.Random(seed)
    t = gh.Checks()
    journal = Journal()
    restarts = []
    steps = acked = 0
    with gh.Server(config=CONFIG) as s:
        prepare(s)

        def after(label, errors):
            restarts.append(restart(s))
            for e in errors[:5]:
                t.ok(False, label, e)
            v = Verify(s, journal, t, rng)
            v.all()
            v.http.close()
            v.ftp.close()

        for c in range(cycles):
            _, n, a, errors = churn(s, journal, seed + c, seconds=rng.uniform(0.3, 1.5) * gh.SLOW)
            steps, acked = steps + n, acked + a
            after('cycle %d' % c, errors)
            if c % 5 == 4:
                fsck(s, t)
        fsck(s, t)
        print('%d steps, %d acknowledged' % (steps, acked), flush=True)
        t.ok(acked > cycles * 20, 'the clients got something done')

        points = crash_points()
        t.ok(len(points) >= 10, 'crash points are found', str(points))
        for i, point in enumerate(points if not asan else points[::3]):
            s.stop()
            # With a shared database a gateway commits by itself when it starts, and again with each sign of life.
            first = 1 if gh.METADATA == 'sqlite' else 8
            s.env['GATEHOUSE_CRASH_AT'] = '%s:%d' % (point, rng.randrange(first, first + 3))
            s.start()
            died, _, _, errors = churn(s, journal, seed + 1000 + i, until_dead_s=(90 if gh.PAIR else 30) * gh.SLOW)
            del s.env['GATEHOUSE_CRASH_AT']
            t.ok(died, 'crash point %s is reached' % point)
            after(point, errors)
            fsck(s, t)
    print('restart to first answer: %s' % ' '.join('%.2f' % x for x in restarts), flush=True)
    for i in range(0, len(restarts) - 2, 3):
        t.ok(min(restarts[i:i + 3]) <= 2.0 * gh.SLOW, 'first answer within 2 s', str(restarts[i:i + 3]))
    sys.exit(t.done())


main()
