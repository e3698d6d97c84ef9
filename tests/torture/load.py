#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all
"""Ending, reloading and idling under load.

  * SIGTERM under load ends within the drain time with status 0; a transfer that can end does; what was acknowledged
    reads back after the restart, what was not is whole or absent
  * SIGTERM to an idle server ends it within 1 s (best of three), idle connections or not
  * SIGHUP under load drops no connection and opens the log files anew
  * 500 idle connections beside a busy client: no errors, and the descriptors come back afterwards
"""
import ftplib
import hashlib
import http.client
import io
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402

SEED = int(os.environ.get('LOAD_SEED', '3'))
DRAIN_S = 3
ROUNDS = 2
IDLE = 500
t = gh.Checks()


def body_of(path, size):
    block = (path + '|' + hashlib.sha256(path.encode()).hexdigest() + '\n').encode()
    return (block * (size // len(block) + 1))[:size]


class Sender(threading.Thread):
    """Puts files of ever new names through one door until it is told to stop or the server is gone."""

    def __init__(self, s, n, door, errors_end=True):
        super().__init__(daemon=True)
        self.s, self.n, self.door, self.errors_end = s, n, door, errors_end
        self.r = random.Random(SEED * 100 + n)
        self.acked, self.sent, self.errors = {}, {}, []
        self.stop = threading.Event()
        self.client = s.client(timeout=20) if door != 'ftp' else s.ftp(timeout=20)

    def put(self, path, data):
        """True: acknowledged; False: refused because it stops. Raises when the connection breaks."""
        if self.door == 'ftp':
            try:
                return self.client.storbinary('STOR ' + path, io.BytesIO(data)).startswith('226')
            except ftplib.error_temp as e:
                if str(e)[:3] in ('421', '426', '450', '451', '425'):
                    return False
                raise
        r = self.client.request('PUT', ('/dav' if self.door == 'webdav' else '/api/v1/content') + path, body=data,
                                reconnect=False)
        if r.status not in (201, 204, 503):
            self.errors.append('%s: %r' % (path, r))
        return r.status in (201, 204)

    def run(self):
        i = 0
        while not self.stop.is_set():
            i += 1
            path = '/load/%s-%d-%d' % (self.door, self.n, i)
            size = self.r.choice((0, 1, 100, 4096, 50000, 200000, 1 << 20))
            data = body_of(path, size)
            self.sent[path] = data
            try:
                if self.put(path, data):
                    self.acked[path] = data
                else:
                    if not self.errors_end:
                        self.errors.append('%s was refused' % path)
                    return
            except (OSError, EOFError, http.client.HTTPException, ftplib.Error) as e:
                if not self.errors_end:
                    self.errors.append('%s: %r' % (path, e))
                return

    def end(self):
        self.stop.set()
        self.join(30 * gh.SLOW)
        self.client.close()


def senders(s, errors_end=True):
    # Each a name of its own over all rounds, so that nobody overwrites what another round has to find.
    all_of = []
    for n, door in enumerate(('webdav', 'webdav', 'rest', 'rest', 'ftp', 'ftp')):
        senders.made += 1
        all_of.append(Sender(s, senders.made * 10 + n, door, errors_end))
    for w in all_of:
        w.start()
    return all_of


senders.made = 0


class Slow(threading.Thread):
    """A PUT whose body takes that long; keeps the answer's status."""

    def __init__(self, s, path, seconds):
        super().__init__(daemon=True)
        self.s, self.path, self.seconds, self.status, self.body = s, path, seconds, None, body_of(path, 400000)
        self.sock = socket.create_connection(s.address('http'), timeout=30 * gh.SLOW)
        self.sock.sendall(('PUT /dav%s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n' % (
            path, gh.basic('admin', gh.PASSWORD), len(self.body))).encode() + self.body[:100000])

    def run(self):
        steps, rest = 20, self.body[100000:]
        try:
            for i in range(steps):
                time.sleep(self.seconds / steps)
                self.sock.sendall(rest[i * len(rest) // steps:(i + 1) * len(rest) // steps])
            self.status = self.sock.recv(4096).split(b' ')[1]
        except (OSError, IndexError):
            pass
        self.sock.close()


def read_back(s, workers, label):
    c = s.client()
    acked = {p: d for w in workers for p, d in w.acked.items()}
    sent = {p: d for w in workers for p, d in w.sent.items() if p not in acked}
    lost = [p for p, d in acked.items() if c.request('GET', '/dav' + p).body != d]
    t.eq(lost[:5], [], '%s: all that was acknowledged reads back' % label)
    torn = []
    for p, d in sent.items():
        r = c.request('GET', '/dav' + p)
        if r.status != 404 and r.body != d:
            torn.append(p)
    t.eq(torn[:5], [], '%s: what was not is whole or absent' % label)
    c.close()
    return len(acked)


def term_under_load(s):
    for i in range(ROUNDS):
        label = 'SIGTERM under load, round %d' % i
        workers = senders(s)
        time.sleep(1.5 * gh.SLOW)
        quick = Slow(s, '/load/quick%d' % i, 1.0)
        never = Slow(s, '/load/never%d' % i, 60.0 * gh.SLOW)
        time.sleep(0.2 * gh.SLOW)
        quick.start()
        never.start()
        begun = time.monotonic()
        s.proc.send_signal(signal.SIGTERM)
        try:
            status = s.proc.wait((DRAIN_S + 15) * gh.SLOW)
        except subprocess.TimeoutExpired:
            status = None
        took = time.monotonic() - begun
        t.eq(status, 0, '%s: ends with status 0' % label)
        t.ok(took <= DRAIN_S + 2 * gh.EASE * gh.SLOW, '%s: ends within the drain time' % label, '(%.2f s)' % took)
        if status is None:
            s.kill9()
        s.proc = None
        s._drop_clients()
        for w in workers:
            w.end()
        quick.join(30)
        s.start()
        n = read_back(s, workers, label)
        print('%s: %d acknowledged, ended after %.2f s' % (label, n, took), flush=True)
        t.ok(n > 50, '%s: the clients got something done' % label, '(%d)' % n)
        t.eq([e for w in workers for e in w.errors][:3], [], '%s: every answer was 201 or 503' % label)
        t.eq(quick.status, b'201', '%s: a transfer that can end does' % label)
        t.ok(s.http('GET', '/dav/load/quick%d' % i).body == quick.body, '%s: and is whole' % label)
        t.eq(s.http('GET', '/dav/load/never%d' % i).status, 404, '%s: one that cannot leaves nothing' % label)


def term_idle(s):
    for idle_clients in (False, True):
        times = []
        for _ in range(3):
            held = []
            if idle_clients:
                held = [s.client(), s.ftp(), socket.create_connection(s.address('http')), socket.create_connection(s.address('ftp'))]
                held[0].request('GET', '/dav/')
            time.sleep(0.2)
            begun = time.monotonic()
            t.eq(s.stop(), 0, 'SIGTERM to an idle server: status 0')
            times.append(time.monotonic() - begun)
            for h in held:
                h.close()
            s.start()
        t.ok(min(times) <= 1.0 * gh.EASE * gh.SLOW, 'an idle server%s ends within 1 s' % (' with idle clients' if idle_clients else ''), str(times))


def hup_under_load(s, files):
    workers = senders(s, errors_end=False)
    time.sleep(0.5)
    for i in range(5):
        for f in files:
            os.rename(f, f + '.%d' % i)
        s.proc.send_signal(signal.SIGHUP)
        end = time.monotonic() + 5 * gh.SLOW
        while time.monotonic() < end and not all(os.path.exists(f) and os.path.getsize(f) for f in files):
            time.sleep(0.02)
        t.ok(all(os.path.exists(f) and os.path.getsize(f) for f in files), 'SIGHUP %d opens the logs anew' % i)
        time.sleep(0.2)
    for w in workers:
        w.end()
    t.eq([e for w in workers for e in w.errors][:3], [], 'SIGHUP drops no connection')
    t.ok(all(len(w.acked) > 10 for w in workers), 'everybody worked on', str([len(w.acked) for w in workers]))
    lines = 0
    for f in [files[1]] + [files[1] + '.%d' % i for i in range(5)]:
        with open(f, 'rb') as log:
            lines += sum(1 for line in log if b' op=write status=ok ' in line)
    acked = sum(len(w.acked) for w in workers)
    t.ok(lines >= acked, 'no access line went with the old file', '(%d lines, %d acknowledged)' % (lines, acked))


def descriptors(s):
    return len(os.listdir('/proc/%d/fd' % s.proc.pid))


def idle_beside_busy(s):
    c = s.client()
    c.request('PUT', '/dav/idle', body=b'x' * 5000)
    for i in range(200):  # pools of connections and packs are as full as they get
        c.request('GET', '/dav/idle')
    time.sleep(0.5)
    before = descriptors(s)
    held = []
    for i in range(IDLE):
        if i % 5 == 4:
            held.append(s.ftp())
        elif i % 5 == 3:
            held.append(socket.create_connection(s.address('ftp' if i % 2 else 'http'), timeout=30 * gh.SLOW))
        else:
            held.append(s.client())
            t.eq(held[-1].request('GET', '/dav/idle').status, 200, 'an idle one gets its first answer')
    t.ok(descriptors(s) >= before + IDLE, 'all of them are connected', '(%d, %d before)' % (descriptors(s), before))
    begun, bad, n = time.monotonic(), [], 0
    while time.monotonic() - begun < 2 * gh.SLOW:
        n += 1
        r = c.request('PUT', '/dav/busy%d' % (n % 20), body=b'y' * 2000, reconnect=False) if n % 3 == 0 else \
            c.request('GET', '/dav/idle', reconnect=False)
        if r.status not in (200, 201, 204):
            bad.append(r)
    t.eq(bad[:3], [], 'the busy one sees no error')
    t.ok(n > 100, 'and gets something done', '(%d)' % n)
    for h in held[::50]:
        if isinstance(h, gh.Client):
            t.eq(h.request('GET', '/dav/idle', reconnect=False).status, 200, 'an idle one is served when it comes back')
        elif isinstance(h, ftplib.FTP):
            t.eq(h.voidcmd('NOOP')[:3], '200', 'and so over FTP')
    for h in held:
        h.close()
    end = time.monotonic() + 10 * gh.SLOW
    while descriptors(s) > before and time.monotonic() < end:
        time.sleep(0.05)
    t.ok(descriptors(s) <= before, 'the descriptors come back', '(%d, %d before)' % (descriptors(s), before))
    c.close()


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < IDLE + 200 and hard != resource.RLIM_INFINITY and hard < IDLE + 200:
        gh.skip('only %d descriptors are allowed here' % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 200), hard))
    with gh.Server(start=False, config='x') as s:
        files = [os.path.join(s.top, 'gatehouse.log'), os.path.join(s.top, 'access.log')]
        with open(s.config_path, 'w') as f:
            f.write('drain: %ds\nlog:\n  path: %s\n  access: %s\n' % (DRAIN_S, files[0], files[1]))
        s.start()
        t.eq(s.http('MKCOL', '/dav/load').status, 201, 'a folder')
        term_under_load(s)
        term_idle(s)
        hup_under_load(s, files)
        idle_beside_busy(s)
        t.ok(s.alive(), 'the server lives')
        t.eq(s.run('fsck')[0], 0, 'fsck is clean')
    sys.exit(t.done())


main()
