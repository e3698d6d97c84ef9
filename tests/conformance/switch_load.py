#!/usr/bin/python3
# suite: default
# sanitizers: asan tsan
# timeout: 240
# metadata: sqlite postgresql:all
"""Rules toggled every 100 ms while every door is busy: ten seconds, a minute in the run of everything. Nothing crashes,
nothing leaks, every answer is one that a door has for a refusal, what was acknowledged is stored, and afterwards all is as
it was before."""
import ftplib
import http.client
import io
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
from doors import BIG, BIG_DATA, must, op, until  # noqa: E402

t = gh.Checks()
SECONDS = 60 if os.environ.get('TEST_SUITE') == 'all' or '--all' in sys.argv else 10
PLAIN = os.environ.get('GATEHOUSE_VARIANT', 'test') in ('test', 'clang')
HTTP_WORDS = {200, 201, 204, 206, 207, 403, 404, 503}
FTP_WORDS = {'421', '425', '426', '450', '550'}
CUT = (EOFError, OSError, http.client.HTTPException)


class Client(threading.Thread):
    """Does something over and over until told to stop; notes what surprises. path: its own file; sent: what it may hold:
    what was acknowledged last, and what was sent since."""

    def __init__(self, server, user, number):
        super().__init__(daemon=True)
        self.server, self.user, self.number = server, user, number
        self.over = False
        self.done = self.refused = 0
        self.strange = []
        self.path, self.sent = 'file-%d.bin' % number, [b'']

    def run(self):
        while not self.over:
            try:
                self.once()
            except CUT:
                self.refused += 1

    def content(self):
        return os.urandom(16) * random.choice((1, 64, 20000))

    def stored(self, data, acknowledged):
        self.sent = [data] if acknowledged else self.sent + [data]


class HttpClient(Client):
    prefix = '/dav/'

    def __init__(self, *args):
        super().__init__(*args)
        self.conn = self.server.client(self.user)

    def ask(self, *args, **kw):
        r = self.conn.request(*args, **kw)
        if r.status not in HTTP_WORDS:
            self.strange.append(r)
        if r.status in (503, 403):
            self.refused += 1
        else:
            self.done += 1
        return r

    def once(self):
        data = self.content()
        try:
            r = self.ask('PUT', self.prefix + self.path, body=data)
        except CUT:
            self.stored(data, False)
            raise
        self.stored(data, r.status in (201, 204))
        r = self.ask('GET', self.prefix + self.path)
        if r.status == 200 and r.body not in self.sent:
            self.strange.append('%s has bytes that nobody sent' % self.path)
        self.look()

    def look(self):
        self.ask('PROPFIND', '/dav/', headers={'Depth': '1'})


class RestClient(HttpClient):
    prefix = '/api/v1/content/'

    def look(self):
        r = self.ask('GET', '/api/v1/content/big.bin')
        if r.status == 200 and len(r.body) != BIG:
            self.strange.append('a short 200')


class FtpClient(Client):
    def once(self):
        try:
            f = self.server.ftp(self.user)
            try:
                for _ in range(20):
                    self.transfer(f)
            finally:
                f.close()
        except ftplib.Error as e:
            if str(e)[:3] not in FTP_WORDS:
                self.strange.append(str(e))
            self.refused += 1

    def transfer(self, f):
        data, got = self.content(), io.BytesIO()
        try:
            f.storbinary('STOR ' + self.path, io.BytesIO(data))
        except (ftplib.Error,) + CUT:
            self.stored(data, False)
            raise
        self.stored(data, True)
        f.retrbinary('RETR ' + self.path, got.write)
        if got.getvalue() not in self.sent:
            self.strange.append('%s has bytes that nobody sent' % self.path)
        f.voidcmd('NOOP')
        self.done += 1


SCOPES = [{'protocols': ['ftp']}, {'protocols': ['webdav']}, {'protocols': ['rest']}, {'everywhere': True},
          {'tenant': 'acme'}, {'tenant': 'acme', 'user': 'ann'}, {'classes': ['write']}, {'classes': ['login', 'read']}]


def toggle(server, seconds):
    """A rule more or less every 100 ms; none is left at the end. How many changes there were."""
    end, changes = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        scope = random.choice(SCOPES)
        if random.random() < 0.5:
            # a drain is waited for, for a second: not here
            threading.Thread(target=op, args=(server, 'switch.set'), daemon=True, kwargs=dict(
                scope, mode=random.choice(('off', 'read-only', 'drain', 'on')), message='toggled', for_s=60)).start()
        else:
            op(server, 'switch.clear', **scope)
        changes += 1
        time.sleep(0.1)
    return changes


def clear_all(server):
    def none():
        for r in must(server, 'switch.list')['items']:
            op(server, 'switch.clear', id=r['id'])
        return not must(server, 'switch.list')['items']
    return until(none, 10)


def descriptors(server):
    return len(os.listdir('/proc/%d/fd' % server.proc.pid))


def memory_kib(server):
    with open('/proc/%d/status' % server.proc.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))


def busy_doors(server):
    clients = []
    for i, (kind, user) in enumerate([(HttpClient, 'acme/ann'), (HttpClient, 'admin'), (RestClient, 'acme/ann'),
                                      (FtpClient, 'acme/ann'), (FtpClient, 'acme/admin'), (FtpClient, 'admin')]):
        clients.append(kind(server, user, i))
    for c in clients:
        c.start()
    return clients


def stop(clients):
    for c in clients:
        c.over = True
    for c in clients:
        c.join(60 * gh.SLOW)
        t.ok(not c.is_alive(), 'no client hangs')


def everything_works(server, clients):
    for c in clients:
        r = server.http('GET', '/dav/' + c.path, user=c.user)
        t.ok(r.status == 404 and c.sent[0] == b'' or r.body in c.sent, '%s is what was acknowledged' % c.path,
             '%s, %d bytes, of %r' % (r.status, len(r.body), [len(x) for x in c.sent]))
    for user in ('acme/ann', 'admin'):
        f = server.ftp(user)
        t.eq(f.voidcmd('NOOP')[:3], '200', 'FTP works again')
        f.quit()
        for target in ('/api/v1/stat/big.bin', '/big.bin', '/dav/big.bin'):
            t.eq(server.http('GET', target, user=user).status, 200, 'HTTP works again')


def main():
    with gh.Server() as server:
        server.tenant('acme')
        server.user('acme/ann', '--owner')
        for user in ('admin', 'acme/admin'):
            server.http('PUT', '/dav/big.bin', body=BIG_DATA, user=user)
        before = descriptors(server)
        clients = busy_doors(server)
        changes = toggle(server, SECONDS / 3)
        warm = memory_kib(server)
        changes += toggle(server, SECONDS * 2 / 3)
        t.ok(clear_all(server), 'the rules can be cleared')
        done = [c.done for c in clients]
        t.ok(until(lambda: all(c.done > n for c, n in zip(clients, done)), 20), 'every client works again')
        stop(clients)
        for c in clients:
            t.eq(c.strange[:3], [], '%s of %s saw nothing strange' % (type(c).__name__, c.user))
            t.ok(c.refused and c.done, '%s of %s was let in and refused' % (type(c).__name__, c.user))
        everything_works(server, clients)
        server._drop_clients()
        for c in clients:
            if isinstance(c, HttpClient):
                c.conn.close()
        t.ok(until(lambda: must(server, 'session.list')['items'] == [], 10), 'no session is left in the register')
        more = 2 if gh.METADATA == 'sqlite' else 2 + 8  # the pool of readers is made as it is needed
        t.ok(until(lambda: descriptors(server) <= before + more, 10), 'no descriptor is left',
             '%d, %d before' % (descriptors(server), before))
        grown = memory_kib(server) - warm
        t.ok(not PLAIN or grown < 24 << 10, 'memory does not grow with time', '%d KiB' % grown)
        print('%d changes, %d done, %d refused, memory %+d KiB' % (
            changes, sum(c.done for c in clients), sum(c.refused for c in clients), grown))
        t.ok(server.alive(), 'it runs')
    sys.exit(t.done())


if __name__ == '__main__':
    main()
