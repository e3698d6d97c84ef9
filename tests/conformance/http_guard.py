#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all pair:all
"""The request guard, byte for byte on a raw socket: each rule of frontends/http/guard.h, the smuggling shapes that
libmicrohttpd lets through, slow and broken clients. After every hostile request the server answers a good one."""
import concurrent.futures
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh

t = gh.Checks()
AUTH = b'Authorization: %s\r\n' % gh.basic('admin', gh.PASSWORD).encode()
HEAD = b'Host: x\r\n' + AUTH
# What a smuggled request would do: make this file.
PREY = b'PUT /api/v1/content/prey HTTP/1.1\r\n' + HEAD + b'Content-Length: 4\r\n\r\nprey'


class Talk:
    """What came back for these bytes: status codes in order, everything, whether it was closed."""

    def __init__(self, s, data, wait=1.0, pieces=()):
        self.closed = False
        self.bytes = b''
        with socket.create_connection(s.address('http'), timeout=wait * gh.SLOW) as c:
            try:
                c.sendall(data)
                for pause, piece in pieces:
                    time.sleep(pause)
                    c.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                while True:
                    part = c.recv(65536)
                    if not part:
                        self.closed = True
                        break
                    self.bytes += part
            except (TimeoutError, socket.timeout):
                pass
            except ConnectionResetError:
                self.closed = True
        self.codes = [int(c) for c in re.findall(rb'HTTP/1\.1 (\d\d\d) ', self.bytes)]


def refused(s, what, data, codes, may_be_silent=False, by_library=False):
    """One answer with one of these codes (or none, where the library closes without a word), then the end; nothing
    behind it was obeyed. by_library: its parser answers by itself; 0.9.75 says the header of such an answer twice."""
    talk = Talk(s, data + PREY)
    good = len(talk.codes) == 1 and talk.codes[0] in codes or may_be_silent and not talk.codes
    if by_library:
        good = good or len(set(talk.codes)) == 1 and talk.codes[0] in codes
    t.ok(good, what, '(got %r, want one of %r)' % (talk.codes, codes))
    t.ok(talk.closed, what + ': the connection ends')
    if not t.eq(s.http('GET', '/api/v1/content/prey').status, 404, what + ': what followed was not obeyed'):
        s.http('DELETE', '/api/v1/content/prey')


def passed(s, what, data, codes):
    """These answers and no other: one last request on the connection, if it was kept, is the only one answered after them."""
    talk = Talk(s, data + b'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', wait=20)
    t.ok(talk.closed and talk.codes in (codes + [200], codes), what, '(got %r, want %r)' % (talk.codes, codes))


def request(method, target, *lines, version=b'HTTP/1.1', head=HEAD, body=b''):
    return b'%s %s %s\r\n%s%s\r\n%s' % (method, target, version, head, b''.join(x + b'\r\n' for x in lines), body)


def put(*lines, body=b'hello', **more):
    return request(b'PUT', b'/api/v1/content/a', *lines, body=body, **more)


def get(*lines, **more):
    return request(b'GET', b'/api/v1/content/a', *lines, **more)


def rule_1_names_and_values(s):
    refused(s, 'a space in a name', get(b'X A: v'), [400])
    refused(s, 'a space before the colon', get(b'X-A : v'), [400])
    refused(s, 'a name with a byte above 127', get(b'X\xc3\xa4: v'), [400])
    refused(s, 'no colon', get(b'X-A'), [400])
    refused(s, 'a bare CR in a value', get(b'X-A: a\rb'), [400])
    refused(s, 'a control in a value', get(b'X-A: a\x01b'), [400])
    refused(s, 'DEL in a value', get(b'X-A: a\x7fb'), [400])


def rule_2_host(s):
    refused(s, 'no Host', get(head=AUTH), [400], by_library=True)
    refused(s, 'two Hosts', get(b'Host: y'), [400])
    refused(s, 'two equal Hosts', get(b'host: x'), [400])
    for bad in (b'', b'a b', b'a/b', b'u@h', b'h:99999', b'h:8x', b'[::1', b'h\xff'):
        refused(s, 'Host %r' % bad, get(head=b'Host: ' + bad + b'\r\n' + AUTH), [400])
    passed(s, 'a Host with a port', get(head=b'Host: [::1]:80\r\n' + AUTH), [200])
    passed(s, 'HTTP/1.0 without Host', get(head=AUTH, version=b'HTTP/1.0'), [200])


def rule_3_framing(s):
    chunks = b'0\r\n\r\n'
    length, chunked = b'Content-Length: 5', b'Transfer-Encoding: chunked'
    refused(s, 'Content-Length and chunked', put(length, chunked, body=chunks), [400])
    refused(s, 'chunked and Content-Length', put(chunked, length, body=chunks), [400])
    refused(s, 'two lengths', put(b'Content-Length: 5', b'Content-Length: 50'), [400])
    refused(s, 'two equal lengths', put(b'Content-Length: 5', b'Content-Length: 5'), [400])
    refused(s, 'a list of lengths', put(b'Content-Length: 5, 5'), [400], by_library=True)
    refused(s, 'a length with a space before its colon', put(b'Content-Length : 5'), [400])
    refused(s, 'a signed length', put(b'Content-Length: +5'), [400], by_library=True)
    refused(s, 'a negative length', put(b'Content-Length: -5'), [400], by_library=True)
    refused(s, 'a hexadecimal length', put(b'Content-Length: 0x5'), [400], by_library=True)
    refused(s, 'a length of 23 digits', put(b'Content-Length: ' + b'9' * 23), [400, 413], by_library=True)
    refused(s, 'gzip, chunked', put(b'Transfer-Encoding: gzip, chunked', body=chunks), [400, 501])
    refused(s, 'chunked twice', put(b'Transfer-Encoding: chunked', b'Transfer-Encoding: chunked', body=chunks), [400])
    refused(s, 'x, then chunked', put(b'Transfer-Encoding: x', b'Transfer-Encoding: chunked', body=chunks), [400, 501])
    refused(s, 'identity', put(b'Transfer-Encoding: identity'), [400, 501])
    refused(s, 'an unknown coding', put(b'Transfer-Encoding: xchunked', body=chunks), [501])
    refused(s, 'chunked on 1.0', put(b'Transfer-Encoding: chunked', body=chunks, version=b'HTTP/1.0'), [400])
    refused(s, 'a chunk size that is none', put(chunked, body=b'0x5\r\nhello\r\n' + chunks), [400],
            may_be_silent=True, by_library=True)
    passed(s, 'chunked alone', put(b'Transfer-Encoding: Chunked', body=b'5;x=y\r\nhello\r\n0\r\n\r\n'), [204])
    passed(s, 'a length alone', put(b'Content-Length: 005'), [204])


def rule_4_version_and_method(s):
    for version in (b'HTTP/1.2', b'HTTP/2.0', b'HTTP/0.9', b'http/1.1'):
        refused(s, 'version %r' % version, get(version=version), [400, 505], may_be_silent=True)
    for method in (b'get', b'CONNECT', b'TRACE', b'GETX', b'PRI'):
        refused(s, 'method %r' % method, request(method, b'/api/v1/content/a'), [501, 405, 400])


def rule_5_lookalikes(s):
    for name in (b'X-Content-Length', b'Content-Lengthy', b'X-Transfer-Encoding', b'X-Host', b'Hosts',
                 b'X-Authorization', b'Destinations'):
        refused(s, 'a name like %r' % name, get(name + b': 5'), [400])
    passed(s, 'names that proxies add', get(b'X-Forwarded-Host: y', b'X-Original-Host: y', b'Proxy-Authorization: z'),
           [200])


def rule_6_once(s):
    for name in (b'Destination', b'Depth', b'Overwrite', b'If', b'Lock-Token', b'Range', b'If-Match', b'If-None-Match',
                 b'If-Modified-Since', b'If-Range', b'Upload-Offset', b'Tus-Resumable', b'Content-Type', b'Expect'):
        refused(s, '%r twice' % name, get(name + b': 1', b'A: b', name.lower() + b': 1'), [400])
    refused(s, 'two logins', get(AUTH.strip()), [400])
    passed(s, 'a list header twice', get(b'Accept: a', b'Accept: b'), [200])


def rule_7_target(s):
    for target in (b'*', b'http://x', b'http://u:p@x/a', b'ftp://x/a', b'a', b'/a#b', b'/\x01', b'/\x7f', b'http:///a'):
        refused(s, 'target %r' % target, request(b'GET', target), [400], may_be_silent=True)
    refused(s, 'a space in the target', request(b'GET', b'/a b'), [400, 505], may_be_silent=True)
    refused(s, 'a target of 20,000 bytes', request(b'GET', b'/' + b'a' * 20000), [414])
    passed(s, 'absolute form', request(b'GET', b'http://elsewhere/api/v1/content/a'), [200])
    passed(s, 'OPTIONS *', request(b'OPTIONS', b'*', head=b'Host: x\r\n'), [200])
    passed(s, 'PROPFIND * is none', request(b'PROPFIND', b'*'), [400])
    # Decoded once, by the core: none of these is a way round a name.
    for target in (b'/api/v1/content/a%00', b'/api/v1/content/a%00b/../c', b'/api/v1/content/..%2fa',
                   b'/api/v1/content/%2e%2e/%2e%2e/etc/passwd', b'/api/v1/content/%c0%afa',
                   b'/api/v1/content/%ed%a0%80',
                   b'/api/v1/content/%zz', b'/api/v1/content/a%0d%0aX:y', b'/api/v1/content/a%5cb', b'/%c0%afpriv/x'):
        passed(s, 'target %r' % target, request(b'GET', target), [400])
    passed(s, 'double percent is a name', request(b'GET', b'/api/v1/content/%2520'), [404])


def rule_8_codings(s):
    refused(s, 'a gzip body', put(b'Content-Encoding: gzip', b'Content-Length: 5'), [415])
    refused(s, 'another expectation', put(b'Expect: 200-ok', b'Content-Length: 5'), [417])
    refused(s, 'a gzip body that waits', put(b'Content-Encoding: gzip', b'Expect: 100-continue', b'Content-Length: 5',
                                             body=b''), [415])
    passed(s, 'identity is none', put(b'Content-Encoding: identity', b'Content-Length: 5'), [204])
    passed(s, '100 comes before the body', put(b'Expect: 100-continue', b'Content-Length: 5'), [100, 204])
    passed(s, 'no 100 to 1.0', put(b'Expect: 100-continue', b'Content-Length: 5', version=b'HTTP/1.0'), [204])
    talk = Talk(s, request(b'PUT', b'/api/v1/content/a', b'Expect: 100-continue', b'Content-Length: 5',
                           head=b'Host: x\r\n'))
    t.eq(talk.codes, [401], 'no 100 without a login')


def rule_9_bodies(s):
    for method in (b'GET', b'HEAD', b'OPTIONS', b'UNLOCK'):
        refused(s, 'a body with %r' % method, request(method, b'/dav/a', b'Content-Length: 5', body=b'hello'), [400])
        refused(s, 'chunks with %r' % method, request(method, b'/dav/a', b'Transfer-Encoding: chunked',
                                                      body=b'5\r\nhello\r\n0\r\n\r\n'), [400])
    for method in (b'DELETE', b'MKCOL', b'COPY', b'MOVE'):
        refused(s, 'a body with %r' % method, request(method, b'/dav/a', b'Content-Length: 5', body=b'hello'), [415])
    t.eq(s.http('GET', '/api/v1/content/a').status, 200, 'DELETE with a body removed nothing')


def rule_10_residue(s):
    """What the parser below hides: answered somehow, by one parser, and nothing breaks."""
    refused(s, '101 headers', get(*[b'A: b'] * 101), [431])
    refused(s, '80 KiB of one header', get(b'A: ' + b'b' * 81920), [431, 413], may_be_silent=True, by_library=True)
    for what, data in (('NUL in the request line', b'GET /a\0b HTTP/1.1\r\n' + HEAD + b'\r\n'),
                       ('NUL in a header', get(b'Destination: /ok\0/../evil')),
                       ('bare LF', b'GET /healthz HTTP/1.1\nHost: x\n\n'),
                       ('an empty name', get(b': v')),
                       ('a fold', get(b'X-A: one', b' two')),
                       ('a folded name', put(b'Content-Leng: 5', b' th')),
                       ('TLS', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\xaa' * 500),
                       ('garbage', os.urandom(4096)),
                       ('an empty line, over and over', b'\r\n' * 5000)):
        talk = Talk(s, data, wait=0.3)
        t.ok(all(c < 600 for c in talk.codes), what)
    t.eq(s.http('GET', '/api/v1/content/a').status, 200, 'the server goes on')


def logins(s):
    b64 = lambda raw: b'Authorization: Basic ' + __import__('base64').b64encode(raw)
    for what, line, codes in (('NUL in a password', b64(b'admin:a\0b'), [400]),
                              ('NUL in a user', b64(b'ad\0min:x'), [400]),
                              ('no colon', b64(b'admin'), [400]),
                              ('no base64', b'Authorization: Basic !!!!', [400]),
                              ('64 KiB of it', b'Authorization: Basic ' + b'QUFB' * 12000, [400, 431]),
                              ('another scheme', b'Authorization: Bearer x', [401])):
        talk = Talk(s, get(line, b'Connection: close', head=b'Host: x\r\n'), wait=20)
        t.ok(len(talk.codes) == 1 and talk.codes[0] in codes, 'login: ' + what, '(got %r)' % talk.codes)
    talk = Talk(s, get(b'Connection: close', head=b'Host: x\r\n'), wait=20)
    t.has(talk.bytes, b'\r\nWWW-Authenticate: Basic realm="Gatehouse", charset="UTF-8"\r\n', 'the challenge')


def keeping(s):
    """A connection is kept where nothing is wrong with its framing."""
    small = request(b'PUT', b'/api/v1/content/x', b'Content-Length: 5', head=b'Host: x\r\n', body=b'hello')
    passed(s, 'a small body without a login, then a request', small + get(), [401, 200])
    passed(s, 'three in a row', get() + request(b'GET', b'/api/v1/content/none') + get(), [200, 404, 200])
    passed(s, 'HEAD has no body', request(b'HEAD', b'/api/v1/content/a') + get(), [200, 200])


def early_answers(s):
    """A large body that is refused early: every client reads why."""
    heard = []

    def one():
        with socket.create_connection(s.address('http'), timeout=20 * gh.SLOW) as c:
            size = 20 << 20
            try:
                c.sendall(request(b'PUT', b'/api/v1/content/x', b'Content-Length: %d' % size, head=b'Host: x\r\n'))
                block = b'z' * 65536
                for _ in range(size // len(block)):
                    c.sendall(block)
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                heard.append(c.recv(65536)[:12])
            except OSError as e:
                heard.append(str(e))

    for _ in range(5):
        threads = [threading.Thread(target=one) for _ in range(4)]
        for th in threads:
            th.start()
        for th in threads:
            th.join()
    t.eq(heard.count(b'HTTP/1.1 401'), 20, 'of 20 refused uploads of 20 MiB all were told so: %r' % heard)


def slow_clients():
    conf = 'http:\n  header_timeout: 1s\n  idle_timeout: 2s\n  body_timeout: 2s\n'
    with gh.Server(config=conf) as s:
        def lasts(first, step=b'', every=0.3):
            with socket.create_connection(s.address('http'), timeout=20 * gh.SLOW) as c:
                c.sendall(first)
                began = time.monotonic()
                c.settimeout(every)
                while time.monotonic() - began < 15 * gh.SLOW:
                    try:
                        if not c.recv(65536):
                            break
                    except (TimeoutError, socket.timeout):
                        try:
                            if step:
                                c.sendall(step)
                        except OSError:
                            break
                    except ConnectionResetError:
                        break
                return time.monotonic() - began

        rows = (
                ('silence', b'', b'', 0.8, 4),
                ('headers, a byte at a time', b'GET / HTTP/1.1\r\nX: ', b'a', 0.8, 4),
                ('a request line, a byte at a time', b'G', b'E', 0.8, 4),
                ('garbage', b'\x16\x03\x01\x02', b'\x00', 0.8, 4),
                ('a body, a byte at a time', put(b'Content-Length: 100000', body=b''), b'x', 1.5, 9),
                ('an idle connection', get(), b'', 1.8, 6),
                ('the next request, a byte at a time', get(), b'G', 1.0, 8))
        with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:  # all at once
            for (what, _, _, least, most), took in zip(rows, pool.map(lambda row: lasts(row[1], row[2]), rows)):
                t.ok(least <= took <= most * gh.SLOW, 'slow: %s is cut' % what, '(after %.1f s)' % took)
        t.eq(s.http('GET', '/healthz', auth=False).status, 200, 'others are served')


def strict_hosts():
    """Rule 2, where the administrator wants it so: only names of tenants, and probes."""
    with gh.Server(config='http:\n  strict_hosts: true\n') as s:
        s.run('tenant', 'set', 'default', '--host', 'files.example.org')
        s.http('PUT', '/api/v1/content/a', {'Host': 'files.example.org'}, body=b'hello')
        for host, code in ((b'files.example.org', 200), (b'FILES.example.org:8080', 200), (b'evil.example.org', 421),
                           (b'127.0.0.1', 421), (b'files.example.org.evil.org', 421)):
            talk = Talk(s, get(head=b'Host: ' + host + b'\r\n' + AUTH), wait=0.5)
            t.eq(talk.codes, [code], 'strict hosts: %s' % host.decode())
            t.eq(talk.closed, code == 421, 'strict hosts: %s: closed' % host.decode())
        talk = Talk(s, request(b'GET', b'/healthz', head=b'Host: evil.example.org\r\n'), wait=0.5)
        t.eq(talk.codes, [200], 'strict hosts: probes know no names')


with gh.Server() as server:
    server.http('PUT', '/api/v1/content/a', body=b'hello')
    for check in (rule_1_names_and_values, rule_2_host, rule_3_framing, rule_4_version_and_method, rule_5_lookalikes,
                  rule_6_once, rule_7_target, rule_8_codings, rule_9_bodies, rule_10_residue, logins, keeping,
                  early_answers):
        check(server)
        t.ok(server.alive(), 'alive after ' + check.__name__)
    t.eq(server.http('GET', '/api/v1/content/a').body, b'hello', 'the file is what it was')
    t.has(server.log(), 'event=http_refused', 'refusals are logged')
slow_clients()
strict_hosts()
sys.exit(t.done())
