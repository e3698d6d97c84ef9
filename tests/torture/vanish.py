#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql pair:all
"""Clients that vanish never make another client wait. Some threads begin requests of every kind and leave by FIN, by RST
or half-closed, before, within and after the body; others keep a connection each and expect an answer to every request.
Two workers only, so that requests are suspended. A request that gets no answer is a failure; with gdb at hand its
report holds where every thread of the server stood."""
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402

SECONDS = float(os.environ.get('VANISH_SECONDS', '12'))
SEED = int(os.environ.get('VANISH_SEED', '7'))
PATIENCE = 10
VANISHERS, GOOD = 6, 4
CONFIG = 'loops: 2\nworkers:\n  threads: 2\n'

stop = threading.Event()


def leave(c, how):
    if how == 'rst':
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    elif how == 'half':
        c.shutdown(socket.SHUT_WR)
        c.settimeout(0.5)
        try:
            while c.recv(65536):
                pass
        except OSError:
            pass
    c.close()


class Vanisher(threading.Thread):
    def __init__(self, s, n):
        super().__init__(daemon=True)
        self.s, self.r = s, random.Random(SEED * 100 + n)
        self.left = 0

    def head(self, method, target, extra=''):
        return ('%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n%s\r\n' % (
            method, target, gh.basic('admin', gh.PASSWORD), extra)).encode()

    def path(self):
        return '%s/v%d' % (self.r.choice(('/dav', '/api/v1/content')), self.r.randrange(20))

    def request(self):
        """(bytes to send, bytes of an answer to read first)"""
        r = self.r
        kind = r.randrange(8)
        if kind <= 2:
            size = r.choice((10, 4000, 70000, 400000, 3000000))
            sent = r.choice((0, 1, size // 2, size - 1, size))
            expect = r.choice(('', 'Expect: 100-continue\r\n'))
            return self.head('PUT', self.path(), 'Content-Length: %d\r\n%s' % (size, expect)) + b'n' * sent, 0
        if kind == 3:
            end = r.choice((b'', b'1', b'0\r\n', b'0\r\n\r\n'))
            body = b'fa0\r\n' + b'n' * 4000 + b'\r\n' + end
            return self.head('PUT', self.path(), 'Transfer-Encoding: chunked\r\n') + body, 0
        if kind == 4:
            return self.head('GET', r.choice((self.path(), '/dav/big', '/dav/packed', '/dav/'))), r.choice((0, 1, 100000))
        if kind == 5:
            return self.head('PROPFIND', '/dav/', 'Depth: 1\r\nContent-Length: 0\r\n'), r.choice((0, 1))
        if kind == 6:
            return self.head(r.choice(('COPY', 'MOVE', 'DELETE')), '/dav/v%d' % r.randrange(20),
                             'Destination: /dav/v%d\r\n' % r.randrange(20)), 0
        whole = self.head('GET', '/dav/big')
        return whole[:r.randrange(1, len(whole))], 0

    def run(self):
        while not stop.is_set():
            try:
                c = socket.create_connection(self.s.address('http'), timeout=5)
                data, want = self.request()
                c.sendall(data)
                if want:
                    c.settimeout(1)
                    c.recv(want)
                if self.r.random() < 0.3:
                    time.sleep(self.r.random() * 0.1)
                leave(c, self.r.choice(('fin', 'rst', 'half')))
                self.left += 1
            except OSError:
                pass


class Good(threading.Thread):
    def __init__(self, s, n):
        super().__init__(daemon=True)
        self.s, self.n, self.r = s, n, random.Random(SEED * 1000 + n)
        self.answers = 0
        self.trouble = None

    def one(self, c):
        what = self.r.randrange(6)
        if what == 0:
            return c.request('PUT', '/dav/g%d' % self.n, body=b'x' * self.r.choice((10, 5000, 200000)))
        if what == 1:
            return c.request('PROPFIND', '/dav/', {'Depth': '1'})
        if what == 2:
            return c.request('DELETE', '/dav/v%d' % self.r.randrange(20))
        return c.request('GET', ('/dav/small', '/dav/packed', '/dav/big')[what - 3])

    def run(self):
        c = self.s.client(timeout=PATIENCE)
        while not stop.is_set():
            try:
                r = self.one(c)
            except OSError as e:
                self.trouble = 'request %d: %r' % (self.answers, e)
                stop.set()
                return
            self.answers += 1
            if r.status not in (200, 201, 204, 207, 404):
                self.trouble = 'request %d: %r' % (self.answers, r)
                stop.set()
                return
            if self.r.random() < 0.2:
                time.sleep(self.r.random() * 0.2)  # its loop goes to sleep


def where_it_stands(pid):
    if not shutil.which('gdb'):
        return '(no gdb)'
    p = subprocess.run(['gdb', '-p', str(pid), '-batch', '-ex', 'thread apply all bt 12'], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return p.stdout[-15000:]


def connections(pid):
    """TCP connections that are open in a process; those to a database are others."""
    with open('/proc/%d/net/tcp' % pid) as f:
        rows = [line.split() for line in f.readlines()[1:]]
    inodes = {'socket:[%s]' % r[9] for r in rows if r[3] != '0A'}  # 0A: listens
    folder = '/proc/%d/fd' % pid
    links = []
    for fd in os.listdir(folder):
        try:
            links.append(os.readlink(os.path.join(folder, fd)))
        except OSError:
            pass  # closed meanwhile
    return len(inodes.intersection(links))


def settles(s, t):
    """What the vanished held is given back."""
    end = time.monotonic() + 20 * gh.SLOW
    while time.monotonic() < end:
        sockets = connections(s.proc.pid)
        if sockets <= 20:
            break
        time.sleep(0.2)
    t.ok(sockets <= 20, 'the connections of those who left are closed', '(%d sockets)' % sockets)


def main():
    t = gh.Checks()
    with gh.Server(config=CONFIG) as s:
        for name, size in (('small', 1000), ('packed', 120000), ('big', 8 << 20)):
            t.eq(s.http('PUT', '/dav/' + name, body=b'b' * size).status, 201, name)
        s.restart()  # so that nothing is in memory at first
        vanishers = [Vanisher(s, i) for i in range(VANISHERS)]
        good = [Good(s, i) for i in range(GOOD)]
        for th in vanishers + good:
            th.start()
        stop.wait(SECONDS)
        early = stop.is_set()
        if early:
            print(where_it_stands(s.proc.pid), flush=True)
        stop.set()
        for th in vanishers + good:
            th.join(30)
        for g in good:
            t.ok(g.trouble is None, 'every request of client %d is answered' % g.n, str(g.trouble))
        print('%d vanished, %d answers' % (sum(v.left for v in vanishers), sum(g.answers for g in good)), flush=True)
        t.ok(sum(v.left for v in vanishers) > 50 and sum(g.answers for g in good) > 50, 'there was something to see')
        settles(s, t)
        t.eq(s.run('fsck')[0], 0, 'fsck is clean')
    sys.exit(t.done())


main()
