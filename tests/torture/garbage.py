#!/usr/bin/python3
# suite: default
# alone: yes
# sanitizers: asan
# metadata: sqlite postgresql:all pair:all
"""Garbage, halves of requests and one byte at a time, on every port: each is closed within its deadline, leaves one line
in the log, and a good client beside it notices nothing."""
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402

SEED = int(os.environ.get('GARBAGE_SEED', '11'))
PLAIN = os.environ.get('GATEHOUSE_VARIANT', 'test') == 'test'
HEADER_S, IDLE_S, BODY_S, LOGIN_S, ADMIN_S = 1, 2, 2, 2, 10
CONFIG = """\
http:
  header_timeout: %ds
  idle_timeout: %ds
  body_timeout: %ds
ftp:
  login_timeout: %ds
  idle_timeout: %ds
""" % (HEADER_S, IDLE_S, BODY_S, LOGIN_S, IDLE_S)
AUTH = 'Authorization: %s\r\n' % gh.basic('admin', gh.PASSWORD)
t = gh.Checks()
rng = random.Random(SEED)


class Slow:
    """A connection that gets first at once, then the bytes of rest one at a time, and notes when it is closed."""

    def __init__(self, s, listener, label, first=b'', rest=b'', limit_s=10.0):
        self.label, self.rest, self.limit_s = label, rest, limit_s
        self.sock = socket.create_connection(s.address(listener), timeout=5)
        self.port = self.sock.getsockname()[1]
        self.begun, self.closed_s, self.got, self.at = time.monotonic(), None, b'', 0
        self.sock.setblocking(False)
        self.send(first)

    def send(self, data):
        try:
            while data:
                data = data[self.sock.send(data):]
        except BlockingIOError:
            pass
        except OSError:
            self.end()

    def end(self):
        if self.closed_s is None:
            self.closed_s = time.monotonic() - self.begun
            self.sock.close()

    def step(self):
        """Once in a while: what came, and the next byte."""
        if self.closed_s is not None:
            return
        try:
            part = self.sock.recv(65536)
            self.got += part
            if not part:
                self.end()
                return
        except BlockingIOError:
            pass
        except OSError:
            self.end()
            return
        if self.rest:
            self.send(self.rest[self.at % len(self.rest):][:1])
            self.at += 1


def watch(slows, step_s=0.25):
    """Drives them until all are closed or the longest limit is far behind."""
    end = time.monotonic() + (max(x.limit_s for x in slows) + 3) * gh.SLOW
    while time.monotonic() < end and any(x.closed_s is None for x in slows):
        start = time.monotonic()
        for x in slows:
            x.step()
        time.sleep(max(0.0, step_s - (time.monotonic() - start)))
    for x in slows:
        took = x.closed_s
        t.ok(took is not None and took <= x.limit_s * gh.SLOW, '%s is closed in time' % x.label,
             '(after %s s, limit %.1f; said %r)' % (took and '%.1f' % took, x.limit_s, x.got[-80:]))
        x.end()


class Good(threading.Thread):
    """Somebody who works meanwhile."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.client, self.stop, self.times, self.bad = s.client(), threading.Event(), [], []

    def run(self):
        i = 0
        while not self.stop.is_set():
            i += 1
            start = time.monotonic()
            try:
                r = self.client.request('GET', '/dav/good') if i % 4 else self.client.request('PUT', '/dav/put', body=b'x')
                if r.status not in (200, 201, 204):
                    self.bad.append(r)
            except OSError as e:
                self.bad.append(e)
            self.times.append(time.monotonic() - start)
            time.sleep(0.003)

    def p99(self):
        self.stop.set()
        self.join(30)
        times = sorted(self.times)
        return times[len(times) * 99 // 100]


def garbage(s):
    """Bytes that are no protocol at all: closed, or refused and closed; with a line in the log."""
    blobs = [rng.randbytes(n) for n in (1, 2, 17, 300, 5000, 70000)]
    blobs += [b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + rng.randbytes(508), b'SSH-2.0-OpenSSH_9.2\r\n', b'\0' * 1000,
              b'\xff\xfb\x01' * 50, b'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n', b'\r\n' * 50, b'GET /', b'EHLO x\r\n', b'*1\r\n$4\r\nPING\r\n',
              b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'\x03\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0', b'a' * 100000]
    slows = []
    for listener, limit in (('http', HEADER_S + 2), ('ftp', LOGIN_S + 2), ('admin', ADMIN_S + 2)):
        slows += [Slow(s, listener, '%s: garbage %r' % (listener, b[:12]), b, limit_s=limit) for b in blobs]
    watch(slows)
    log = s.log()
    for x in slows:
        if x.label.startswith('http') and len(x.label) and not x.label.startswith('http: garbage b\'\\r\\n'):
            lines = [line for line in log.splitlines() if 'peer="127.0.0.1:%d"' % x.port in line]
            x.lines = len(lines)
    told = sum(log.count(event) for event in ('http_garbage', 'http_unread', 'http_refused'))
    http = 2 * len(blobs)  # the administrators' door speaks it too
    t.ok(http - 6 <= told <= http + 2, 'each on HTTP leaves one line', '(%d lines for %d)' % (told, http))


def halves(s):
    """A request that stops somewhere; and one that never ends."""
    get = ('GET /dav/good HTTP/1.1\r\nHost: x\r\n%s\r\n' % AUTH).encode()
    slows = [Slow(s, 'http', 'HTTP that stops after %d bytes' % n, get[:n], limit_s=HEADER_S + 2)
             for n in (0, 1, 4, 15, 24, 30, 60, len(get) - 2, len(get) - 1)]
    slows += [Slow(s, 'http', 'a header by bytes', b'G', b'ET /dav/good HTTP/1.1\r\nX-A: ' + b'b' * 1000, HEADER_S + 2) for _ in range(40)]
    slows += [Slow(s, 'http', 'empty lines by bytes', b'', b'\r\n', HEADER_S + 2) for _ in range(5)]
    put = ('PUT /dav/slow%d HTTP/1.1\r\nHost: x\r\n%s%s\r\n')
    slows += [Slow(s, 'http', 'a body by bytes', (put % (i, AUTH, 'Content-Length: 100000\r\n')).encode(), b'x', BODY_S + 4)
              for i in range(20)]
    slows += [Slow(s, 'http', 'a body that stops', (put % (i, AUTH, 'Content-Length: 1000\r\n')).encode() + b'half', limit_s=BODY_S + 4)
              for i in range(5)]
    slows += [Slow(s, 'http', 'chunks by bytes', (put % (i, AUTH, 'Transfer-Encoding: chunked\r\n')).encode(), b'1\r\nx\r\n', BODY_S + 4)
              for i in range(5)]
    slows += [Slow(s, 'http', 'XML by bytes', ('PROPFIND /dav/ HTTP/1.1\r\nHost: x\r\nDepth: 0\r\n%sContent-Length: 5000\r\n\r\n' %
                                               AUTH).encode(), b'<a>', BODY_S + 4) for i in range(5)]
    slows += [Slow(s, 'http', 'a kept connection without a further request', get, limit_s=IDLE_S + 3) for _ in range(5)]
    slows += [Slow(s, 'http', 'a second header by bytes', get, b'GET /dav/good HTTP/1.1\r\nX: ' + b'y' * 500, IDLE_S + HEADER_S + 4)
              for _ in range(5)]
    slows += [Slow(s, 'ftp', 'FTP that says nothing', limit_s=LOGIN_S + 2) for _ in range(5)]
    slows += [Slow(s, 'ftp', 'a command by bytes', b'', b'USER ' + b'a' * 1000, LOGIN_S + 2) for _ in range(20)]
    slows += [Slow(s, 'ftp', 'USER over and over', b'', b'USER x\r\n', LOGIN_S + 2) for _ in range(5)]
    slows += [Slow(s, 'ftp', 'FTP without a command after its login', b'USER admin\r\nPASS %s\r\n' % gh.PASSWORD.encode(), limit_s=IDLE_S + 3)
              for _ in range(5)]
    slows += [Slow(s, 'admin', 'admin that says nothing', limit_s=ADMIN_S + 2) for _ in range(5)]
    slows += [Slow(s, 'admin', 'admin that stops', b'GET /metrics HTTP/1.1\r\nHos', limit_s=ADMIN_S + 2) for _ in range(5)]
    slows += [Slow(s, 'admin', 'an admin header by bytes', b'G', b'ET /metrics HTTP/1.1\r\nX-A: ' + b'b' * 1000, 2 * ADMIN_S + 2)
              for _ in range(80)]
    probe_while(s, slows)


def probe_while(s, slows):
    """The admin port answers while it is held by slow ones."""
    import http.client
    result = []

    def probe():
        time.sleep(1)
        try:
            c = http.client.HTTPConnection(*s.address('admin'), timeout=8 * gh.SLOW)
            c.request('GET', '/healthz')
            result.append(c.getresponse().status)
        except (OSError, http.client.HTTPException) as e:
            result.append(repr(e))

    th = threading.Thread(target=probe)
    th.start()
    watch(slows)
    th.join()
    t.eq(result, [200], 'a probe is answered beside eighty slow ones')


def main():
    with gh.Server(config=CONFIG) as s:
        t.eq(s.http('PUT', '/dav/good', body=b'good' * 100).status, 201, 'a good file')
        alone = Good(s)
        alone.start()
        time.sleep(1.5)
        quiet = alone.p99()
        beside = Good(s)
        beside.start()
        garbage(s)
        halves(s)
        loud = beside.p99()
        print('p99 %.1f ms alone, %.1f ms beside' % (quiet * 1e3, loud * 1e3), flush=True)
        t.eq(beside.bad[:3], [], 'a good client beside them is answered')
        t.ok(loud < max(10 * quiet, 0.1 if PLAIN else 0.5), 'and as quickly', '(%.1f ms, alone %.1f ms)' % (loud * 1e3, quiet * 1e3))
        with s.ftp() as f:
            names = [n.strip('/') for n in f.nlst()]
        t.eq(sorted(n for n in names if n not in ('good', 'put')), [], 'no half of a file appeared')
        t.ok(s.alive(), 'the server lives')
        t.eq(s.run('fsck')[0], 0, 'fsck is clean')
    sys.exit(t.done())


main()
