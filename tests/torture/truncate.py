#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql pair
"""The client vanishes, or sends less than it declared, at each stage, on each door: the old file stays whole and no new
one appears."""
import os
import re
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402

OLD = b'the old file, whole\n' * 50
JUDGES = 8  # mostly they wait
SIZES = {'small': 4000, 'staged': 400000, 'flushed': 10 << 20}


def connect(address):
    c = socket.create_connection(address, timeout=20 * gh.SLOW)
    return c


def fin(c):
    c.close()


def half(c):
    """Half-closed: nothing more will come, but the answer is still read."""
    try:
        c.shutdown(socket.SHUT_WR)
        c.settimeout(5)
        while c.recv(65536):
            pass
    except OSError:
        pass
    c.close()


def rst(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()


ENDS = {'fin': fin, 'half': half, 'rst': rst}


def send_all(c, data):
    try:
        c.sendall(data)
    except OSError:
        pass


def http_head(target, extra):
    return ('PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n%s\r\n' % (
        target, gh.basic('admin', gh.PASSWORD), extra)).encode()


def http_declared(s, target, size, sent, end):
    c = connect(s.address('http'))
    send_all(c, http_head(target, 'Content-Length: %d\r\n' % size))
    send_all(c, b'n' * sent)
    if sent > 1 << 20:
        time.sleep(0.2)
    ENDS[end](c)


def http_chunked(s, target, body, end):
    c = connect(s.address('http'))
    send_all(c, http_head(target, 'Transfer-Encoding: chunked\r\n'))
    send_all(c, body)
    ENDS[end](c)


def chunks(size):
    return b'%x\r\n%s\r\n' % (size, b'n' * size)


def ftp_login(s):
    c = connect(s.address('ftp'))
    rest = b''

    def say(line=None):
        nonlocal rest  # no makefile: it would keep the socket open behind close()
        if line:
            c.sendall(line.encode() + b'\r\n')
        while True:
            while b'\n' not in rest:
                part = c.recv(4096)
                if not part:
                    return ''
                rest += part
            got, _, rest = rest.partition(b'\n')
            if got[3:4] == b' ':
                return got.decode('utf-8', 'replace')

    say()
    say('USER admin')
    assert say('PASS ' + gh.PASSWORD).startswith('230')
    say('TYPE I')
    return c, say


def ftp_data(s, say):
    reply = say('EPSV')
    port = int(reply.split('|||')[1].split('|')[0])
    return connect((s.address('ftp')[0], port))


def ftp_cases(s, path, size):
    """(label, function) of everything that cuts a STOR short."""
    def no_data():
        c, say = ftp_login(s)
        say('EPSV')
        c.sendall(b'STOR %s\r\n' % path.encode())
        time.sleep(0.05)
        rst(c)

    def data_reset(sent):
        def run():
            c, say = ftp_login(s)
            d = ftp_data(s, say)
            c.sendall(b'STOR %s\r\n' % path.encode())
            time.sleep(0.05)
            send_all(d, b'n' * sent)
            time.sleep(0.05)
            rst(d)
            time.sleep(0.05)
            c.close()
        return run

    def control_gone(how, sent):
        def run():
            c, say = ftp_login(s)
            d = ftp_data(s, say)
            c.sendall(b'STOR %s\r\n' % path.encode())
            time.sleep(0.05)
            send_all(d, b'n' * sent)
            time.sleep(0.05)
            how(c)
            time.sleep(0.2)
            fin(d)
        return run

    def abor(sent):
        def run():
            c, say = ftp_login(s)
            d = ftp_data(s, say)
            c.sendall(b'STOR %s\r\n' % path.encode())
            time.sleep(0.05)
            send_all(d, b'n' * sent)
            time.sleep(0.05)
            c.sendall(b'ABOR\r\n')
            time.sleep(0.2)
            fin(d)
            c.close()
        return run

    return [('no data connection', no_data), ('data reset at once', data_reset(0)), ('data reset', data_reset(size)),
            ('control closed', control_gone(fin, size)), ('control reset', control_gone(rst, size)),
            ('control closed before a byte', control_gone(fin, 0)), ('ABOR', abor(size)), ('ABOR before a byte', abor(0))]


class Judge:
    """One case after another in a folder of its own, so that several may be judged at a time."""

    def __init__(self, s, t, folder):
        self.s, self.t, self.folder = s, t, folder
        self.client = s.client()

    def start(self):
        self.t.eq(self.client.request('MKCOL', '/dav' + self.folder).status, 201, self.folder + ' is made')
        self.put_old()

    def put_old(self):
        self.client.request('PUT', '/dav' + self.folder + '/old', body=OLD)

    def names(self):
        r = self.client.request('PROPFIND', '/dav' + self.folder, {'Depth': '1'})
        hrefs = re.findall(r'<D:href>[^<]*%s/([^<]*)</D:href>' % self.folder, r.text)
        return [n.strip('/') for n in hrefs if n.strip('/')]

    def run(self, label, act):
        for name in ('/old', '/new'):
            act(self.folder + name)
        time.sleep(0.15 * gh.SLOW)
        r = self.client.request('GET', '/dav' + self.folder + '/old')
        self.t.ok(r.status == 200 and r.body == OLD, label + ': the old file stays whole',
                  '(status %d, %d bytes)' % (r.status, len(r.body)))
        r = self.client.request('GET', '/dav' + self.folder + '/new')
        self.t.eq(r.status, 404, label + ': no new file appears')
        names = self.names()
        if not self.t.eq(names, ['old'], label + ': nothing else appears') or r.status != 404:
            for n in names:  # the next case is judged by itself
                self.client.request('DELETE', '/dav%s/%s' % (self.folder, n))
            self.put_old()


def http_cases(s, prefix):
    """(label, function of the path) of everything that cuts a PUT short."""
    for kind, size in SIZES.items():
        for end in ENDS:
            for label, sent in (('nothing', 0), ('one byte', 1), ('half', size // 2), ('all but one', size - 1)):
                if kind == 'flushed' and (label != 'all but one' or end == 'half'):
                    continue
                yield ('%s %s %s, %s' % (prefix, kind, label, end),
                       lambda p, size=size, sent=sent, end=end: http_declared(s, prefix + p, size, sent, end))
    for end in ENDS:
        for label, body in (('no chunk', b''), ('in a size line', b'1'), ('in a chunk', chunks(4000)[:-1000]),
                            ('after a chunk', chunks(4000)), ('after many', chunks(4000) * 60),
                            ('in the last chunk', chunks(4000) + b'0\r\n')):
            yield ('%s chunked, cut %s, %s' % (prefix, label, end),
                   lambda p, body=body, end=end: http_chunked(s, prefix + p, body, end))


def all_cases(s):
    for prefix in ('/dav', '/api/v1/content'):
        yield from http_cases(s, prefix)
    for kind, size in SIZES.items():
        for i, (label, _) in enumerate(ftp_cases(s, '/x', size)):
            yield 'ftp %s, %s' % (kind, label), lambda p, size=size, i=i: ftp_cases(s, p, size)[i][1]()


def judge_share(s, t, k, cases):
    try:
        j = Judge(s, t, '/judge%d' % k)
        j.start()
        for label, act in cases:
            j.run(label, act)
    except Exception as e:
        t.ok(False, 'judge %d came to its end' % k, repr(e))


def main():
    t = gh.Checks()
    with gh.Server() as s:
        cases = list(all_cases(s))
        judges = [threading.Thread(target=judge_share, args=(s, t, k, cases[k::JUDGES])) for k in range(JUDGES)]
        for j in judges:
            j.start()
        for j in judges:
            j.join()
        t.ok(t.passed >= 3 * len(cases) or t.failures, 'every case was judged')
        t.ok(s.alive(), 'the server lives')
        status, out, err = s.run('fsck')
        t.eq(status, 0, 'fsck is clean')
    sys.exit(t.done())


main()
