#!/usr/bin/env python3
# suite: default
"""etc/haproxy/gatehouse.cfg, with addresses and ports of this test, in front of two gateways on one PostgreSQL database and
one folder of content: every door works through it, each gateway knows the real client, a forged header changes nothing, a killed gateway is taken out and
comes back, and one that is stopped gets nothing new while what runs on it ends whole."""
import ftplib
import hashlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
import pglib  # noqa: E402

PUBLIC, INSIDE = '127.0.0.10', '127.0.0.11'  # the balancer to clients, and to gateways
GATEWAYS = ('127.0.0.12', '127.0.0.13')
BIG = os.urandom(1 << 20) * 48
t = gh.Checks()


def until(what, condition, seconds=20):
    end = time.monotonic() + seconds * gh.SLOW
    while time.monotonic() < end:
        if condition():
            return t.ok(True, what)
        time.sleep(0.05)
    return t.ok(False, what, 'not within %d s' % seconds)


def free_ports(count):
    """A row of ports that nobody has on any of our addresses."""
    for base in range(20000 + os.getpid() % 5000, 32000, count):
        held = []
        try:
            for host in (PUBLIC,) + GATEWAYS:
                for port in range(base, base + count):
                    c = socket.socket()
                    held.append(c)
                    c.bind((host, port))
            return base
        except OSError:
            continue
        finally:
            for c in held:
                c.close()
    raise RuntimeError('no free ports')


class Gateway(gh.Server):
    """On an address of its own, which a restart keeps, behind the balancer."""

    def __init__(self, host, ports, first_passive, last_passive, store):
        self.host, self.ports = host, ports
        super().__init__(args=['--http', '%s:%d' % (host, ports[0]), '--ftp', '%s:%d' % (host, ports[1]),
                               '--admin', '%s:%d' % (host, ports[2])],
                         config='drain: 30s\nproxy:\n  trusted: %s\nftp:\n  passive_ports: %d-%d\n%s'
                         % (INSIDE, first_passive, last_passive, store))

    def served(self, what=''):
        """Peers of the lines of the access log that have this text."""
        return re.findall(r'peer="([^"]*)"', '\n'.join(line for line in self.log().splitlines()
                                                       if 'door=' in line and what in line))


class Haproxy:
    def __init__(self, gateways, base):
        self.top = tempfile.mkdtemp(prefix='gatehouse-haproxy-')
        self.http, self.ftp = base, base + 1
        with open(os.path.join(os.environ['GATEHOUSE_SOURCE'], 'etc/haproxy/gatehouse.cfg')) as f:
            text = f.read()
        changes = [('203.0.113.80:80\n', '%s:%d\n' % (PUBLIC, self.http)), ('203.0.113.80:21\n', '%s:%d\n' % (PUBLIC, self.ftp)),
                   ('203.0.113.80:2200-2249', '%s:%d-%d' % (PUBLIC, base + 10, base + 19)),
                   ('203.0.113.80:2250-2299', '%s:%d-%d' % (PUBLIC, base + 20, base + 29)),
                   ('/run/haproxy/admin.sock', os.path.join(self.top, 'admin.sock')), ('source 10.0.0.10', 'source ' + INSIDE)]
        for g, address in zip(gateways, ('10.0.0.11', '10.0.0.12')):
            for i, (port, word) in enumerate(((8080, 'http'), (2121, 'ftp'))):
                changes.append(('server gw%s %s:%d check port 8081' % (address[-1], address, port),
                                'server gw%s %s:%d check port %d' % (address[-1], g.host, g.ports[i], g.ports[2])))
            changes.append(('server gw%s %s no-check' % (address[-1], address), 'server gw%s %s no-check' % (address[-1], g.host)))
        if os.geteuid():
            changes += [('\tuser haproxy\n', ''), ('\tgroup haproxy\n', '')]
        for old, new in changes:
            t.ok(old in text, 'the example has %s' % old.strip())
            text = text.replace(old, new)
        os.chmod(self.top, 0o755)
        path = os.path.join(self.top, 'haproxy.cfg')
        with open(path, 'w') as f:
            f.write(text)
        self.log = open(os.path.join(self.top, 'log'), 'ab')
        self.proc = subprocess.Popen(['haproxy', '-db', '-f', path], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(os.path.join(self.top, 'admin.sock'))
            c.sendall(command.encode() + b'\n')
            out = b''
            while part := c.recv(65536):
                out += part
        return out.decode()

    def state(self, proxy, server):
        """'UP', 'DOWN', 'DRAIN', ... or '' while it does not answer."""
        try:
            for line in self.ask('show stat').splitlines():
                field = line.split(',')
                if field[:2] == [proxy, server]:
                    return field[17]
        except OSError:
            pass
        return ''

    def up(self, server):
        return self.state('http', server).startswith('UP') and self.state('ftp', server).startswith('UP')

    def close(self):
        self.proc.kill()
        self.proc.wait()
        self.log.close()
        if t.failures:
            with open(self.log.name, errors='replace') as f:
                print('the balancer said:\n' + f.read()[-2000:])
        shutil.rmtree(self.top, ignore_errors=True)


def get(h, path, client='127.0.0.1', first=b''):
    """One request on a connection of its own, from that address: (status, body)."""
    with socket.create_connection((PUBLIC, h.http), timeout=30 * gh.SLOW, source_address=(client, 0)) as c:
        c.sendall(first + b'GET ' + path.encode() + b' HTTP/1.1\r\nHost: files\r\nConnection: close\r\nAuthorization: '
                  + gh.basic('admin', gh.PASSWORD).encode() + b'\r\n\r\n')
        out = b''
        try:
            while part := c.recv(1 << 16):
                out += part
        except ConnectionResetError:
            pass
    head, _, body = out.partition(b'\r\n\r\n')
    return int(head.split(b' ')[1]) if head else 0, body


def ftp_login(h, client='127.0.0.1'):
    f = ftplib.FTP(timeout=30 * gh.SLOW, encoding='utf-8', source_address=(client, 0))
    f.connect(PUBLIC, h.ftp)
    f.login('admin', gh.PASSWORD)
    return f


def fill(gateways):
    """Past the balancer: what one has, both have."""
    for g, name, body in ((gateways[0], 'a.txt', b'hello'), (gateways[1], 'big.bin', BIG)):
        t.eq(g.http('PUT', '/dav/' + name, body=body).status, 201, 'PUT of %s past the balancer' % name)
    for g in gateways:
        until('both have both files', lambda: g.http('GET', '/dav/a.txt').status == g.http('HEAD', '/dav/big.bin').status == 200)


def addresses(h, gateways):
    for i in range(8):
        t.eq(get(h, '/dav/a.txt', '127.0.0.%d' % (100 + i % 2)), (200, b'hello'), 'a GET through the balancer')
    for g in gateways:
        until('both gateways get their share, and log the clients',
              lambda: {'127.0.0.100', '127.0.0.101'} & set(g.served('op=read')))
        t.ok(INSIDE not in g.served(), 'a gateway sees no request of the balancer itself')
    # one connection after the other, kept: none is lent to another client
    mine = [gh.Client(PUBLIC, h.http, 'admin', gh.PASSWORD) for _ in range(2)]
    for i, c in enumerate(mine):
        c.conn = gh.http.client.HTTPConnection(PUBLIC, h.http, timeout=30, source_address=('127.0.0.%d' % (110 + i), 0))
    for _ in range(5):
        for i, c in enumerate(mine):
            t.eq(c.request('GET', '/dav/a.txt?%d' % i).status, 200, 'a GET on a kept connection')
    until('kept connections stay their clients\'',
          lambda: sorted(p for g in gateways for p in g.served('op=read') if p in ('127.0.0.110', '127.0.0.111')) ==
          ['127.0.0.110'] * 5 + ['127.0.0.111'] * 5)
    for c in mine:
        c.close()


def webdav(h):
    c = gh.Client(PUBLIC, h.http, 'admin', gh.PASSWORD)
    host = '%s:%d' % (PUBLIC, h.http)
    t.eq(c.request('PUT', '/dav/new.txt', {'Expect': '100-continue'}, b'new').status, 201, 'PUT')
    t.eq(c.request('PUT', '/dav/chunked.txt', body=[b'in ', b'pieces']).status, 201, 'a PUT in chunks')
    t.eq(c.request('MOVE', '/dav/new.txt', {'Destination': 'http://%s/dav/moved.txt' % host}).status, 201, 'MOVE')
    t.eq(c.request('PROPFIND', '/dav/', {'Depth': '1'}).status, 207, 'PROPFIND')
    t.eq(c.request('GET', '/api/v1/content/moved.txt').body, b'new', 'what was moved is there')
    c.close()


def forged(h, gateways):
    header = b'PROXY TCP4 192.0.2.66 192.0.2.67 1 2\r\n'
    status, _ = get(h, '/dav/a.txt', first=header)
    t.among(status, (0, 400), 'a header that a client sends to the balancer is no request')
    for g in gateways:
        with socket.create_connection((g.host, g.ports[0]), timeout=20, source_address=('127.0.0.2', 0)) as c:
            c.sendall(header + b'GET /dav/a.txt HTTP/1.1\r\nHost: x\r\n\r\n')
            t.ok(not c.recv(100).startswith(b'HTTP/1.1 2'), 'nor is one that is sent past it')
        t.hasnt(g.log(), '192.0.2.66', 'and nobody of that name was there')


def ftp(h, gateways):
    for client in ('127.0.0.120', '127.0.0.121', '127.0.0.122', '127.0.0.123'):
        f = ftp_login(h, client)
        out = io.BytesIO()
        f.retrbinary('RETR a.txt', out.write)
        t.eq(out.getvalue(), b'hello', 'a passive transfer through the balancer (EPSV)')
        f.use_epsv = False
        f.af = socket.AF_INET
        f.storbinary('STOR by-%s.txt' % client, io.BytesIO(b'stored'))
        t.has(f.sendcmd('PASV'), '(127,0,0,10,', 'PASV names the balancer')
        f.quit()
        holders = [g for g in gateways if client in g.served('verb="STOR" code=226')]
        until('the gateway logs the client of a transfer',
              lambda: [g for g in gateways if client in g.served('verb="STOR" code=226')])
        holders = {g.host for g in gateways if client in g.served('door=ftp')}
        f = ftp_login(h, client)
        t.ok('by-%s.txt' % client in f.nlst(), 'the next connection of that client meets the same gateway', holders)
        f.quit()


def killed(h, gateways):
    c = gh.Client(PUBLIC, h.http, 'admin', gh.PASSWORD)
    for i in range(10):
        t.eq(c.request('PUT', '/dav/kept%d' % i, body=b'%d' % i).status, 201, 'a PUT through the balancer')
        c.close()  # the next one may come to the other gateway
    gateways[0].kill9()
    t.eq([c.request('GET', '/dav/kept%d' % i).body for i in range(10)], [b'%d' % i for i in range(10)],
         'what either gateway acknowledged is there when one is killed')
    c.close()
    failures = [s for s, _ in (get(h, '/dav/a.txt') for _ in range(20)) if s != 200]
    t.eq(failures, [], 'right after a kill every request finds the other gateway')
    until('the dead gateway is taken out', lambda: h.state('http', 'gw1').startswith('DOWN') and
          h.state('ftp', 'gw1').startswith('DOWN'))
    for i in range(4):
        f = ftp_login(h, '127.0.0.%d' % (120 + i))
        t.ok('a.txt' in f.nlst(), 'FTP goes on at the other one')
        f.quit()
    gateways[0].start()
    until('it is taken back when it is ready again', lambda: h.up('gw1'))


class Download(threading.Thread):
    """Slowly: it runs while its gateway is stopped."""

    def __init__(self, h):
        super().__init__()
        self.c = socket.create_connection((PUBLIC, h.http), timeout=60 * gh.SLOW, source_address=('127.0.0.130', 0))
        self.c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.c.sendall(b'GET /dav/big.bin HTTP/1.1\r\nHost: files\r\nAuthorization: '
                       + gh.basic('admin', gh.PASSWORD).encode() + b'\r\n\r\n')
        self.sum, self.got, self.fast = hashlib.sha256(), 0, threading.Event()

    def run(self):
        head = b''
        while b'\r\n\r\n' not in head:
            head += self.c.recv(4096)
        self.take(head.partition(b'\r\n\r\n')[2])
        while self.got < len(BIG):
            part = self.c.recv(1 << 16)
            if not part:
                break
            self.take(part)
            if not self.fast.is_set():
                time.sleep(0.05)
        self.c.close()

    def take(self, part):
        self.sum.update(part)
        self.got += len(part)


def drained(h, gateways):
    d = Download(h)
    d.start()
    until('a download runs', lambda: d.got > 200000)
    busy = next(i for i, g in enumerate(gateways) if '127.0.0.130' in g.cli('sessions', 'list'))
    g, other = gateways[busy], gateways[1 - busy]
    g._drop_clients()
    other_before = len(other.served())
    mark = len(g.served())
    g.proc.send_signal(signal.SIGTERM)
    failures = []
    for i in range(60):
        status, body = get(h, '/dav/a.txt', '127.0.0.%d' % (140 + i % 5))
        if (status, body) != (200, b'hello'):
            failures.append((i, status))
        if i % 10 == 0:
            f = ftp_login(h, '127.0.0.%d' % (120 + i // 10))
            t.ok('a.txt' in f.nlst(), 'FTP goes to the other gateway')
            f.quit()
        time.sleep(0.05)
    t.eq(failures, [], 'while one gateway is stopped no request fails')
    until('the balancer has seen it', lambda: h.state('http', 'gw%d' % (busy + 1)).startswith('DOWN'))
    t.ok(g.alive() and d.is_alive(), 'the download still runs')
    until('everything new went to the other one', lambda: len(other.served()) - other_before >= 66)
    d.fast.set()
    d.join(60 * gh.SLOW)
    t.eq((d.got, d.sum.hexdigest()), (len(BIG), hashlib.sha256(BIG).hexdigest()), 'the download ends whole')
    try:
        t.eq(g.proc.wait(20 * gh.SLOW), 0, 'and then the gateway ends')
    except subprocess.TimeoutExpired:
        t.ok(False, 'and then the gateway ends')
    g.proc = None
    t.eq([p for p in g.served()[mark:] if p != '127.0.0.130'], [], 'nothing new reached the one that was stopped')
    g.start()
    until('started again it is taken back', lambda: h.up('gw%d' % (busy + 1)))


def by_hand(h, gateways):
    h.ask('set server http/gw2 state drain; set server ftp/gw2 state drain')
    before = len(gateways[1].served())
    t.eq({get(h, '/dav/a.txt') for _ in range(8)}, {(200, b'hello')}, 'with one taken out by hand requests are answered')
    until('by the other one', lambda: len([p for p in gateways[0].served()]) > 0)
    t.eq(len(gateways[1].served()), before, 'and by none else')
    h.ask('set server http/gw2 state ready; set server ftp/gw2 state ready')
    until('and back', lambda: h.up('gw2'))


def main():
    gh.need('haproxy')
    base = free_ports(30)
    gateways = []
    h = None
    pg, database = pglib.shared(), 'haproxy_%d' % os.getpid()
    conninfo = pg.database(database)
    blobs = tempfile.mkdtemp(prefix='gatehouse-haproxy-blobs-')
    try:
        for i, host in enumerate(GATEWAYS):
            store = 'metadata: postgresql\npostgresql:\n  conninfo: "%s"\nblobs:\n  path: %s\ngateway:\n  name: gw%d\n' % (
                conninfo, blobs, i + 1)
            gateways.append(Gateway(host, (base + 2, base + 3, base + 4), base + 10 * (i + 1), base + 10 * (i + 1) + 9, store))
        fill(gateways)
        h = Haproxy(gateways, base)
        until('both gateways are found healthy', lambda: h.up('gw1') and h.up('gw2'))
        addresses(h, gateways)
        webdav(h)
        forged(h, gateways)
        ftp(h, gateways)
        by_hand(h, gateways)
        killed(h, gateways)
        drained(h, gateways)
    finally:
        if h:
            h.close()
        for g in gateways:
            g.close()
        shutil.rmtree(blobs, ignore_errors=True)
        pg.sql('DROP DATABASE IF EXISTS %s WITH (FORCE)' % database, 'postgres')
    return t.done()


if __name__ == '__main__':
    sys.exit(main())
