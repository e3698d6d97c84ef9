#!/usr/bin/env python3
# suite: default
# sanitizers: asan
"""The PROXY protocol at every door. 127.0.0.9 is a balancer, 127.0.0.1 (whence everything else here comes) is not: whom a
balancer names is the client for access log, sessions, limits and failed logins; who is none cannot name anybody; FTP data
connections come through the balancer with a header that names the same client, or from the client itself."""
import os
import re
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

BALANCER = '127.0.0.9'
CONFIG = 'proxy:\n  trusted: "127.0.0.9, 2001:db8::/32"\nlimits:\n  per_address: 5\nftp:\n  passive_ports: 20000-29999\n'


def v1(client, port=4711, to='198.51.100.2'):
    return b'PROXY TCP%d %s %s %d 80\r\n' % (6 if ':' in client else 4, client.encode(), to.encode(), port)


def v2(client, tlv=b'', to='198.51.100.2'):
    family = socket.AF_INET6 if ':' in client else socket.AF_INET
    body = socket.inet_pton(family, client) + socket.inet_pton(family, to) + struct.pack('>HH', 4711, 80) + tlv
    return b'\r\n\r\n\0\r\nQUIT\n' + struct.pack('>BBH', 0x21, 0x21 if ':' in client else 0x11, len(body)) + body


LOCAL = b'\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00'


def dial(address, first=b'', source=BALANCER):
    c = socket.create_connection(address, timeout=20 * gh.SLOW, source_address=(source, 0))
    c.sendall(first)
    return c


def read_all(c):
    out = b''
    try:
        while part := c.recv(65536):
            out += part
    except ConnectionResetError:
        pass
    c.close()
    return out


def get(s, header, target='/api/v1/content/a.txt', listener='http', source=BALANCER):
    auth = gh.basic('admin', gh.PASSWORD).encode()
    return read_all(dial(s.address(listener), header + b'GET ' + target.encode() + b' HTTP/1.1\r\nHost: x\r\nAuthorization: '
                         + auth + b'\r\nConnection: close\r\n\r\n', source))


def peers(s, what, count):
    """Of the lines of the access log that have this text; they are written a little later, in any order."""
    end = time.monotonic() + 10 * gh.SLOW
    while True:
        found = re.findall(r'peer="([^"]*)"', '\n'.join(line for line in s.log().splitlines() if what in line))
        if len(found) >= count or time.monotonic() > end:
            return sorted(found)
        time.sleep(0.05)


def http(t, s):
    s.http('PUT', '/dav/a.txt', body=b'hello')
    for header, who in ((v1('192.0.2.7'), '192.0.2.7'), (v2('192.0.2.8'), '192.0.2.8'),
                        (v2('2001:db8:5::1', b'\x05\x00\x02id', to='2001:db8::2'), '2001:db8:5::1'), (LOCAL, BALANCER),
                        (b'PROXY UNKNOWN\r\n', BALANCER)):
        got = get(s, header, '/api/v1/content/a.txt')
        t.has(got, b'HTTP/1.1 200', 'a request through the balancer for %s is answered' % who)
        t.ok(got.endswith(b'hello'), 'with its content', got)
    t.eq(peers(s, 'op=read', 5), sorted(['192.0.2.7', '192.0.2.8', '2001:db8:5::1', BALANCER, BALANCER]),
         'the access log names the clients, and the balancer where it names nobody')
    t.eq(get(s, b''), b'', 'without a header a balancer gets nothing')
    t.eq(get(s, b'PROXY TCP4 192.0.2.7\r\n'), b'', 'nor with half a one')
    t.has(s.log(), 'proxy_header peer=%s why=malformed' % BALANCER, 'which is logged')
    got = get(s, v1('192.0.2.66'), source='127.0.0.1')
    t.ok(not got.startswith(b'HTTP/1.1 2'), 'from elsewhere a header is garbage', got)
    got = get(s, v2('192.0.2.66'), source='127.0.0.1')
    t.ok(not got.startswith(b'HTTP/1.1 2'), 'and so is the other version', got)
    t.hasnt(s.log(), '192.0.2.66', 'and whom it names appears nowhere')


def admin(t, s):
    got = get(s, LOCAL, '/readyz', 'admin')
    t.has(got, b'HTTP/1.1 200', 'a health check with a header is answered at the admin listener')
    t.has(get(s, v2('192.0.2.7'), '/readyz', 'admin'), b'HTTP/1.1 200', 'and so is a client')
    t.eq(get(s, b'', '/readyz', 'admin'), b'', 'without a header a balancer gets nothing there either')
    t.has(get(s, b'', '/readyz', 'admin', '127.0.0.1'), b'HTTP/1.1 200', 'who is none needs none')
    metrics = get(s, b'', '/metrics', 'admin', '127.0.0.1').decode()
    t.ok(re.search(r'gatehouse_connections_refused_total\{reason="proxy_header"\} [1-9]', metrics),
         'what was closed for its header is counted')


def limits(t, s):
    held = [dial(s.address('ftp'), v1('192.0.2.20')) for _ in range(5)]
    for c in held:
        t.has(c.recv(100), b'220', 'as many as one address may have are let in')
    t.eq(read_all(dial(s.address('ftp'), v1('192.0.2.20'))), b'', 'one more is not')
    other = dial(s.address('ftp'), v1('192.0.2.21'))
    t.has(other.recv(100), b'220', 'others behind the same balancer are')
    for c in held + [other]:
        c.close()


class Ftp:
    """A control connection that ftplib would not make: with a header before it."""

    def __init__(self, s, header, source=BALANCER):
        self.c = dial(s.address('ftp'), header, source)
        self.f = self.c.makefile('rb')
        self.reply()

    def reply(self):
        while True:
            line = self.f.readline().decode()
            if not line or (line[:3].isdigit() and line[3:4] == ' '):
                return line.rstrip()

    def say(self, line):
        self.c.sendall(line.encode() + b'\r\n')
        return self.reply()

    def login(self):
        self.say('USER admin')
        return self.say('PASS ' + gh.PASSWORD)

    def close(self):
        self.c.close()


def ftp_data(t, s):
    port = s.address('ftp')[1]
    f = Ftp(s, v2('127.0.0.1', to='203.0.113.80'))
    t.has(f.login(), '230', 'a login over FTP through the balancer')
    t.has(s.cli('sessions', 'list'), '127.0.0.1', 'the list of sessions names the client')
    reply = f.say('PASV')
    t.has(reply, '(203,0,113,80,', 'PASV tells where the client went')
    numbers = re.search(r'\((.*)\)', reply)[1].split(',')
    data = ('127.0.0.1', int(numbers[4]) * 256 + int(numbers[5]))

    f.c.sendall(b'RETR a.txt\r\n')
    refused = [read_all(dial(data, first)) for first in (v1('192.0.2.9'), LOCAL, b'garbage\r\n')]
    t.eq(refused, [b''] * 3, 'through the balancer nobody else gets a data connection')
    t.eq(read_all(dial(data, source='127.0.0.2')), b'', 'nor past it')
    idle = dial(data)  # has not said whom it is for, so that the next one has to wait for it
    late = dial(data, v1('127.0.0.1'))
    idle.close()
    t.eq(read_all(late), b'hello', 'the client does, through the balancer')
    t.has(f.reply(), '150', 'it was announced')
    t.has(f.reply(), '226', 'and the transfer ends well')

    reply = f.say('EPSV')
    data = ('127.0.0.1', int(re.search(r'\|\|\|(\d+)\|', reply)[1]))
    f.c.sendall(b'RETR a.txt\r\n')
    t.eq(read_all(dial(data, source='127.0.0.1')), b'hello', 'and past it')
    f.reply()
    f.reply()
    f.say('EPSV')
    f.c.sendall(b'RETR a.txt\r\n')
    t.has(f.reply(), '150', 'one more is announced')
    f.close()  # while a balancer's data connection could still come: nothing is left behind

    f = Ftp(s, v1('2001:db8:7::9', to='2001:db8::80'))
    f.login()
    t.has(f.say('PASV'), '425', 'a client that went to an IPv6 address is not told an IPv4 one')
    t.has(f.say('EPSV 2'), '229', 'but gets a port')
    t.has(f.say('EPSV 1'), '522', 'and not one of another protocol')
    f.close()
    f = Ftp(s, b'', '127.0.0.1')
    t.has(f.say(v1('192.0.2.66').decode().strip()), '500', 'from elsewhere a header is no command')
    f.close()
    t.eq(peers(s, 'verb="RETR" code=226', 2), ['127.0.0.1'] * 2, 'the access log names the client of a transfer')
    t.eq(s.address('ftp')[1], port, 'the server is still the same')


def failed_logins(t, s):
    """Whoever fails behind the balancer keeps nobody else out."""
    target = s.address('http')

    def attempt(who, password):
        r = read_all(dial(target, v1(who) + b'GET /api/v1/content/a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
                          b'Authorization: ' + gh.basic('admin', password).encode() + b'\r\n\r\n'))
        return int(r.split(b' ', 2)[1]) if r else 0

    seen = []
    for i in range(60):
        seen.append(attempt('192.0.2.30', 'wrong %d' % i))
        if seen[-1] == 429 or seen[-1] == 503:
            break
    t.ok(seen[-1] in (429, 503), 'who keeps failing has to wait', seen)
    t.eq(attempt('203.0.113.30', gh.PASSWORD), 200, 'another client behind the same balancer has not')


def late(t, s):
    started = time.monotonic()
    c = dial(s.address('http'), b'PROXY TCP4 ')
    t.eq(read_all(c), b'', 'a header that does not come is not waited for')
    t.ok(time.monotonic() - started > 3, 'though for some seconds')
    t.has(s.log(), 'proxy_header peer=%s why=late' % BALANCER, 'and that is logged')


def main():
    t = gh.Checks()
    with gh.Server(config=CONFIG) as s:
        http(t, s)
        admin(t, s)
        limits(t, s)
        ftp_data(t, s)
        failed_logins(t, s)
        late(t, s)
        half = dial(s.address('http'), b'PROXY')
        started = time.monotonic()
        t.eq(s.stop(), 0, 'the server ends')
        t.ok(time.monotonic() - started < 3 * gh.SLOW, 'without waiting for a header')
        half.close()
    return t.done()


if __name__ == '__main__':
    sys.exit(main())
