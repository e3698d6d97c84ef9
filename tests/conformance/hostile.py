#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all pair:all
"""Hostile names, paths, headers and bodies over HTTP: what broke other servers, sent to this one. The names T-nn are
rows of the list of such bugs; each begins with whose it was. Rights are in hostile_rights.py, XML, locks and depth in
hostile_dav.py, logins in hostile_login.py, FTP in ftp_hostile.py, framing in http_guard.py.

Not here, because what they attack is not built: T-12 T-26 (links), T-43 (console), T-51 (forms), T-71 T-73 (TLS),
T-79 (quotas), T-90 (memcached), T-92 (PostgreSQL), T-94 (backends set by tenants), T-95 (upload links)."""
import base64
import os
import re
import resource
import socket
import subprocess
import sys
import time
import unicodedata
import xml.etree.ElementTree as ET
from urllib.parse import quote, unquote_to_bytes

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

t = gh.Checks()
LOCKINFO = ('<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype>'
            '<owner>%s</owner></lockinfo>')


def names_rest(s, path='/'):
    return [e['name'] for e in s.http('GET', '/api/v1/list' + path).json['entries']]


def names_dav(s, path='/'):
    r = s.http('PROPFIND', '/dav' + path, {'Depth': '1'})
    hrefs = [e.text for e in ET.fromstring(r.body).iter('{DAV:}href')]
    return [unquote_to_bytes(h[len('/dav' + path):]).decode().rstrip('/') for h in hrefs if h != '/dav' + path]


def t01_destination(s):
    """nginx CVE-2026-27654, CVE-2009-3898: Destination shorter than the prefix, or climbing out of it."""
    s.http('MKCOL', '/dav/t1')
    s.http('MKCOL', '/dav/t2')
    s.http('PUT', '/dav/t1/a', body=b'mine')
    host = '%s:%d' % s.address('http')
    for method in ('COPY', 'MOVE'):
        for dest, wants in (('http://h/', (502,)), ('http://h', (400, 502)), ('http://h/dav/x', (502,)), ('/d', (403,)),
                            ('http://%s' % host, (400,)), ('http://%s/' % host, (403,)), ('/', (403,)), ('', (400,)),
                            ('/dav', (403, 409, 412)), ('/dav/', (403, 409, 412)), ('/dav/t1', (403, 409, 412)),
                            ('/davx/b', (403,)), ('//h/dav/b', (400,)), ('dav/b', (400,)), ('/dav/b?x', (400,)),
                            ('/dav/b#x', (400,)), ('http:///dav/b', (400,)), ('/dav/t1/../t2/x', (400, 403)),
                            ('/dav/t1/%2e%2e/t2/x', (400, 403)), ('/dav/t1/%2e./t2/x', (400, 403)),
                            ('/dav/t1/..%2ft2%2fx', (400, 403)), ('/dav/..', (400, 403)), ('/dav/%00', (400,)),
                            ('/dav/x%', (400,)), ('/dav/x%zz', (400,)), ('/dav/%c0%af', (400,)), ('/dav/a%5cb', (400,))):
            r = s.http(method, '/dav/t1/a', {'Destination': dest})
            t.among(r.status, wants, 'T-01 %s to %r' % (method, dest))
        r = s.client().request(method, '/dav/t1/a', {'Destination': '/dav/' + 'x' * 65536})
        t.among(r.status, (400, 413, 414, 431), 'T-01 %s to 64 KiB' % method)
        t.among(s.http(method, '/dav/t1/a', {}).status, (400,), 'T-01 %s without a Destination' % method)
    t.eq(s.http('GET', '/dav/t1/a').body, b'mine', 'T-01 the file is where it was')
    t.eq((names_rest(s, '/t1'), names_rest(s, '/t2')), (['a'], []), 'T-02 nothing went elsewhere')
    t.eq(sorted(names_rest(s)), ['t1', 't2'], 'T-02 nothing at the root')


def t04_names_of_people(s):
    """SFTPGo CVE-2026-30915: names that are paths."""
    for name in ('..', '.', 'a/../b', 'a%2fb', 'x' * 300, 'a b', 'ä', '-x', '', 'a\nb', 'a\\b'):
        t.ok(s.run('tenant', 'add', name)[0] != 0, 'T-04 tenant %r is refused' % name[:20])
    for name in ('..', '.', 'a/../b', 'a/b', 'x' * 300, '', 'a\nb', 'a\\b', 'a:b', 'a$b', ' a', 'a '):
        status, _, _ = s.run('user', 'add', 'default/' + name, '--password-stdin', stdin='some pass 99\n')
        t.ok(status != 0, 'T-04 user %r is refused' % name[:20])
        t.ok(s.run('group', 'add', 'default/' + name)[0] != 0, 'T-04 group %r is refused' % name[:20])
    t.eq(len(s.cli_json('user', 'list', 'default')['items']), 1, 'T-04 there is one user still')


def t07_decode_once(s):
    """Tomcat CVE-2025-55752: normalised before decoded. IIS CVE-2009-1535: overlong UTF-8, Translate: f."""
    t.eq(s.http('PUT', '/dav/%2541', body=b'1').status, 201, 'T-07 %2541 is the name %41')
    t.eq(s.http('GET', '/dav/A').status, 404, 'T-07 and is not decoded again')
    t.ok('%41' in names_rest(s), 'T-07 it is listed as %41', str(names_rest(s)))
    for path in ('/%c0%afpriv/x', '/%e0%80%af', '/%ed%a0%80', '/%80', '/a%80b', '/%f8%88%80%80%80', '/%ff', '/%f4%90%80%80',
                 '/%c0%ae%c0%ae/x', '/%ef%bf%be', '/%00', '/a%00b', '/%0d', '/%1f', '/%7f', '/%c2%80', '/a%5cb', '/a%2fb',
                 '/%', '/%4', '/%zz', '/..', '/x/..', '/../x', '/x/%2e%2e/y', '/.%2e/y', '/%25%00'):
        for prefix in ('/dav', '/api/v1/content', '/api/v1/stat', ''):
            for method in ('GET', 'PUT', 'DELETE') if prefix in ('/dav', '/api/v1/content') else ('GET',):
                body = b'x' if method == 'PUT' else None
                r = s.http(method, prefix + path, {'Translate': 'f'}, body)
                if prefix == '' and path.startswith(('/..', '/x/..')):
                    t.among(r.status, (400, 403, 404), 'T-08 %s %s' % (method, path))
                else:
                    t.eq(r.status, 400, 'T-08 %s %s%s' % (method, prefix, path))
    r = s.http('GET', '/dav/%2541', {'Translate': 'f'}, auth=False)
    t.eq(r.status, 401, 'T-08 Translate: f opens nothing')
    s.http('DELETE', '/dav/%2541')
    # Whatever spelling is accepted: the name that is shown leads to the same place and is shown again.
    for spelling in ('/./p', '//p', '/p/', '/p//.', '/%70', '/./%2e/p'):
        s.http('MKCOL', '/dav' + spelling)
        t.eq(names_rest(s), ['p', 't1', 't2'], 'T-07 %s is /p' % spelling)


def t09_nul(s):
    """Wing FTP CVE-2025-47812: what follows a NUL."""
    for user in ('admin\0]]..', 'admin\0', '\0admin', 'admin%00', 'admin\r\nX: y', 'default/admin\0x', 'admin$\0'):
        r = s.http('GET', '/dav/', {'Authorization': gh.basic(user, gh.PASSWORD)}, auth=False)
        t.among(r.status, (400, 401), 'T-09 user %r' % user)
    r = s.http('GET', '/dav/', {'Authorization': gh.basic('admin', gh.PASSWORD + '\0x')}, auth=False)
    t.among(r.status, (400, 401), 'T-09 a password with NUL')
    out = s.raw(b'GET /dav/ HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\nConnection: close\r\n\r\n')
    t.ok(not out or out.split()[1] in (b'400', b'401'), 'T-09 a header with NUL', repr(out[:60]))
    out = s.raw(b'GET /dav/\0x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    # libmicrohttpd ends the target there and does not say so: it is that name, with all that is asked of it, or none.
    t.ok(not out or out.split()[1] in (b'400', b'401'), 'T-09 a target with NUL', repr(out[:60]))


def t10_same_name(s):
    """Names that are one to some system and two to another: never two files that alias."""
    s.http('MKCOL', '/dav/alias')

    def put(name):
        return s.http('PUT', '/dav/alias/' + quote(name), body=name.encode()).status

    for one, other in (('\u00e9', 'e\u0301'), ('\u212b', '\u00c5'), ('A', 'a'), ('\u00c4', 'a\u0308'), ('\u03a3', '\u03c3'),
                       ('Stra\u00dfe', 'STRA\u00dfE'), ('\uff21', '\uff41')):
        t.eq((put(one), put(other)), (201, 204), 'T-10 %r and %r are one' % (one, other))
        t.eq(s.http('GET', '/dav/alias/' + quote(one)).body, other.encode(), 'T-10 %r shows what came last' % one)
    for one, other in (('strasse', 'stra\u00dfe.'), ('b', 'b.'), ('b', 'b '), ('b', ' b'), ('con', 'con.txt'), ('\u0130', 'i')):
        first, second = put(one), put(other)
        t.among(second, (201, 204, 400), 'T-10 %r' % other)
        want = one if second != 204 else other
        t.eq(s.http('GET', '/dav/alias/' + quote(one)).body, want.encode(), 'T-10 %r beside %r' % (one, other))
    names = names_rest(s, '/alias')
    keys = [unicodedata.normalize('NFC', n.lower()) for n in names]
    t.eq(len(set(keys)), len(keys), 'T-10 no two names alias')
    t.eq(sorted(names), sorted(names_dav(s, '/alias/')), 'T-10 both listings agree')
    for n in names:
        t.eq(s.http('GET', '/dav/alias/' + quote(n)).status, 200, 'T-10 %r is found by its own name' % n)
        t.eq(n, unicodedata.normalize('NFC', n), 'T-10 %r is NFC' % n)


def t14_bytes_and_lengths(s):
    """ProFTPD 2146, 2030, pure-ftpd CVE-2024-48208: every byte and length, in every listing."""
    s.http('MKCOL', '/dav/bytes')
    there = []
    for b in range(1, 256):
        r = s.http('PUT', '/dav/bytes/a%%%02xz' % b, body=b'x')
        good = 0x20 <= b < 0x7f and b not in (0x2f, 0x5c)
        name = 'a%sz' % chr(b)
        fresh = good and name.lower() not in [n.lower() for n in there]
        t.eq(r.status, 201 if fresh else 204 if good else 400, 'T-14 byte %02x' % b)
        if fresh:
            there.append(name)
    t.eq(sorted(names_rest(s, '/bytes')), sorted(there), 'T-14 REST lists them')
    t.eq(sorted(names_dav(s, '/bytes/')), sorted(there), 'T-14 WebDAV lists them')
    html = s.http('GET', '/bytes/').text
    links = re.findall(r'href="([^"]*)"', html)
    shown = {unquote_to_bytes(h.split('?')[0].split('/')[-1]).decode() for h in links}
    t.eq(set(there) - shown, set(), 'T-14 the page links them')
    with s.ftp() as f:
        t.eq(sorted(n.split('/')[-1] for n in f.nlst('/bytes')), sorted(there), 'T-14 FTP lists them')
    s.http('MKCOL', '/dav/long')
    for n, wants in ((254, (201,)), (255, (201,)), (256, (400, 414)), (4095, (400, 414)), (4096, (400, 414)),
                     (65535, (400, 414, 431))):
        for prefix in ('/dav', '/api/v1/content'):
            r = s.client().request('PUT', prefix + '/long/' + ('n' if prefix == '/dav' else 'm') * n, body=b'x')
            t.among(r.status, wants, 'T-14 a name of %d bytes' % n)
    t.eq(sorted(len(n) for n in names_rest(s, '/long')), [254, 254, 255, 255], 'T-14 and none was cut')
    r = s.http('PUT', '/dav/long/' + '%C3%A4' * 128, body=b'x')
    t.among(r.status, (400, 414), 'T-14 256 bytes in 128 characters')
    r = s.client().request('PUT', '/dav' + '/d' * 200, body=b'x')
    t.among(r.status, (400, 409, 414), 'T-14 200 folders deep')
    r = s.http('GET', '/api/v1/list/long?after=' + 'x' * 3000)
    t.among(r.status, (200, 400, 414), 'T-14 a long cursor')


def t40_targets(s):
    """Apache CVE-2010-1452: a request without a path."""
    base = b' HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    for line, wants in ((b'OPTIONS *', (b'200',)), (b'PROPFIND *', (b'400',)), (b'GET *', (b'400',)),
                        (b'GET http://h', (b'400', b'401', b'200')), (b'GET http://', (b'400',)), (b'GET http:///x', (b'400',)),
                        (b'GET x', (b'400',)), (b'GET ?', (b'400',)), (b'PROPFIND http://x', (b'400', b'401', b'207')),
                        (b'GET ftp://x/y', (b'400',)), (b'CONNECT x:80', (b'400', b'501', b'405')), (b'TRACE /', (b'501', b'405'))):
        out = s.raw(line + base)
        t.ok(out and out.split()[1] in wants, 'T-40 %r' % line, repr(out[:60]))
    for raw in (b'GET  HTTP/1.1\r\nHost: x\r\n\r\n', b'GET\r\n\r\n', b'\r\n\r\n', b' / HTTP/1.1\r\n\r\n', b'GET /\r\n\r\n'):
        out = s.raw(raw, timeout=1, shut=True)
        t.ok(not out or out.split()[1][:1] in b'45', 'T-40 %r' % raw, repr(out[:60]))
    t.eq(s.http('GET', '/healthz').status, 200, 'T-40 still there')


def t41_scripts(s):
    """Stored script in names and content (NC-SA-2021-005)."""
    evil = '<img src=x onerror=alert(1)>"\'&.html'
    s.http('MKCOL', '/dav/' + quote('js'))
    t.eq(s.http('PUT', '/dav/js/' + quote(evil), body=b'<script>alert(1)</script>').status, 201, 'T-41 it is a name')
    s.http('PUT', '/dav/js/x.svg', body=b'<svg onload="alert(1)"/>')
    r = s.http('GET', '/js/')
    t.hasnt(r.text, '<img', 'T-41 the listing escapes it')
    t.has(r.header('Content-Security-Policy', ''), "default-src 'none'", 'T-41 the listing has a policy')
    r = s.http('PROPFIND', '/dav/js/', {'Depth': '1'})
    t.hasnt(r.text, '<img', 'T-41 the multistatus escapes it')
    t.ok(any('onerror' in (e.text or '') for e in ET.fromstring(r.body).iter()), 'T-41 and holds it')
    for path in (quote(evil), 'x.svg'):
        for prefix in ('/dav/js/', '/api/v1/content/js/', '/js/'):
            r = s.http('GET', prefix + path)
            t.eq(r.header('X-Content-Type-Options'), 'nosniff', 'T-41 %s nosniff' % prefix)
            csp, cd = r.header('Content-Security-Policy', ''), r.header('Content-Disposition', '')
            t.ok('sandbox' in csp or cd.startswith('attachment'), 'T-41 %s%s cannot run' % (prefix, path), csp + cd)
    for prefix in ('/dav/', '/api/v1/content/', '/', '/api/v1/list/'):
        r = s.http('GET', prefix + quote('nothing/<script>alert(1)</script>'))
        t.eq(r.status, 404, 'T-41 no such thing')
        t.hasnt(r.text, '<script>alert', 'T-41 %s the refusal does not run it' % prefix)
    for prefix in ('/dav/', '/'):
        r = s.http('GET', prefix + '<script>alert(1)</script>')
        t.hasnt(r.text, '<script>alert', 'T-41 %s nor the refusal of a raw target' % prefix)


def t42_header_injection(s):
    """copyparty GHSA-f54q-j679-p9hh: CR and LF on their way into headers; rclone GHSA-8c48-q9wj-3w37: into FTP."""
    for name in ('a%0d%0aX-Evil:%20y', 'a%0aX-Evil:%20y', 'a%0dX-Evil:%20y', 'x%0d%0aDELE%20x', '%e2%80%a8x%0a'):
        for method, target in (('PUT', '/dav/' + name), ('PUT', '/api/v1/content/' + name), ('MKCOL', '/dav/' + name),
                               ('GET', '/' + name), ('GET', '/api/v1/list/' + name)):
            r = s.http(method, target, body=b'x' if method == 'PUT' else None)
            t.ok(r.status == 400 and not r.header('X-Evil'), 'T-42 T-80 %s %s' % (method, target), repr(r))
        r = s.http('COPY', '/dav/t1/a', {'Destination': '/dav/' + name})
        t.ok(r.status == 400 and not r.header('X-Evil'), 'T-42 COPY to ' + name, repr(r))
    r = s.http('LOCK', '/dav/t1/a', {'Timeout': 'Second-60'}, LOCKINFO % 'a&#13;&#10;X-Evil: y')
    t.ok(not r.header('X-Evil'), 'T-42 an owner is no header')
    if r.status == 200:
        s.http('UNLOCK', '/dav/t1/a', {'Lock-Token': r.header('Lock-Token')})
    out = s.raw(b'GET /dav/ HTTP/1.1\r\nHost: x\r\nX-A: b\rX-Evil: y\r\nConnection: close\r\n\r\n')
    t.hasnt(out, b'X-Evil', 'T-42 a bare CR is not echoed')
    with s.ftp() as f:
        listing = f.nlst('/') + [line for line in _lines(f, 'LIST')] + [line for line in _lines(f, 'MLSD')]
        t.ok(not any('DELE' in n or 'Evil' in n for n in listing), 'T-80 FTP lists none of them')


def _lines(f, command):
    out = []
    f.retrlines(command + ' /', out.append)
    return out


def t55_partial_put(s):
    """Tomcat CVE-2025-24813: a partial PUT taken for something else. Bodies with a coding: T-56."""
    s.http('PUT', '/dav/part', body=b'0123456789')
    for value in ('bytes 3-6/10', 'bytes 3-6/*', 'bytes */10', '', 'x', 'bytes 0-3/4'):
        for prefix in ('/dav', '/api/v1/content'):
            r = s.http('PUT', prefix + '/part', {'Content-Range': value}, b'abcd')
            t.among(r.status, (400, 501), 'T-55 Content-Range: %r' % value)
            t.eq(s.http('PUT', prefix + '/part.new', {'Content-Range': value}, b'abcd').status, r.status, 'T-55 a new file')
    t.eq(s.http('GET', '/dav/part').body, b'0123456789', 'T-55 the file is whole')
    for coding in ('gzip', 'deflate', 'br', 'x-gzip', 'gzip, identity', 'zstd'):
        for method, target in (('PUT', '/dav/part'), ('PUT', '/api/v1/content/part'), ('PROPFIND', '/dav/'), ('LOCK', '/dav/z')):
            r = s.http(method, target, {'Content-Encoding': coding}, b'\x1f\x8b\x08\0\0\0\0\0')
            t.eq(r.status, 415, 'T-56 %s with %s' % (method, coding))
    t.eq(s.http('GET', '/dav/part').body, b'0123456789', 'T-56 the file is whole')
    t.eq(s.http('GET', '/dav/part.new').status, 404, 'T-55 nothing appeared')


def t59_early_refusal(s):
    """A client that sends much is told why it is refused."""
    body = b'x' * (20 << 20)
    told = 0
    for i in range(8):
        with socket.create_connection(s.address('http'), timeout=20 * gh.SLOW) as c:
            c.sendall(b'PUT /dav/refused HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % len(body))
            try:
                c.sendall(body)
            except OSError:
                pass
            try:
                told += c.recv(4096).startswith(b'HTTP/1.1 401')
            except OSError:
                pass
    t.eq(told, 8, 'T-59 everybody hears 401')


def t65_quoting(s):
    """ProFTPD CVE-2026-42167: SQL in names. Nothing here is anything but text."""
    for text in ("'", '"', "';DROP TABLE node;--", '$$', '?1', "\\'", '%s%n', "a' OR '1'='1", '`', '/**/x', '\u0130', '\U0001f600'):
        for user in (text, 'default/' + text, 'admin$' + text, text + '/admin'):
            r = s.http('GET', '/dav/', {'Authorization': gh.basic(user, 'x')}, auth=False)
            t.among(r.status, (401, 429), 'T-65 user %r' % user)
        path = '/dav/' + quote(text.replace('\\', ''), safe='')
        wants = (201,) if '/' not in text else (400, 409)
        t.among(s.http('PUT', path, body=text.encode()).status, wants, 'T-65 path %r' % text)
        if wants == (201,):
            t.eq(s.http('GET', path).body, text.encode(), 'T-65 and back')
            xml = ('<?xml version="1.0" encoding="utf-8"?><propertyupdate xmlns="DAV:" xmlns:n="urn:x"><set><prop><n:p>%s'
                   '</n:p></prop></set></propertyupdate>' % text.replace('&', '&amp;').replace('<', '&lt;'))
            t.eq(s.http('PROPPATCH', path, body=xml).status, 207, 'T-65 property %r' % text)
            r = s.http('PROPFIND', path, {'Depth': '0'}, '<propfind xmlns="DAV:" xmlns:n="urn:x"><prop><n:p/></prop></propfind>')
            t.eq([e.text for e in ET.fromstring(r.body).iter('{urn:x}p')], [text], 'T-65 property %r and back' % text)
            t.eq(s.http('DELETE', path).status, 204, 'T-65 and away')
        r = s.http('GET', '/api/v1/list/?after=' + quote(text, safe=''))
        t.among(r.status, (200, 400), 'T-65 cursor %r' % text)
    for bad in (b'\xbf\x27', b'\x81\x5c', b'\xff\xfe'):
        r = s.http('GET', '/dav/', {'Authorization': 'Basic ' + base64.b64encode(bad + b':x').decode()}, auth=False)
        t.among(r.status, (400, 401, 429), 'T-65 user %r' % bad)
    t.ok('default' in s.cli('tenant', 'list'), 'T-65 the tables are there')


def t58_descriptors():
    """Apache CVE-2026-48913: out of descriptors. No spinning, and it recovers by itself."""
    soft = 96

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))

    real = subprocess.Popen

    def limited(*a, **k):
        return real(*a, preexec_fn=limit, **k)

    try:
        subprocess.Popen = limited
        s = gh.Server()
    finally:
        subprocess.Popen = real
    with s:
        t.eq(s.http('PUT', '/dav/a', body=b'hello').status, 201, 'T-58 it starts with %d descriptors' % soft)
        held = []
        for i in range(3 * soft):
            try:
                held.append(socket.create_connection(s.address('http' if i % 2 else 'ftp'), timeout=5))
            except OSError:
                pass
        time.sleep(0.3)
        before = cpu_s(s.proc.pid)
        time.sleep(1.5)
        used = (cpu_s(s.proc.pid) - before) / 1.5
        t.ok(used < 0.2, 'T-58 no spinning while descriptors are out', '(%.0f %% of a CPU)' % (used * 100))
        t.ok(s.alive(), 'T-58 it lives')
        for c in held:
            c.close()
        end, status = time.monotonic() + 10 * gh.SLOW, None
        while time.monotonic() < end and status != 200:
            try:
                status = s.client(timeout=5).request('GET', '/dav/a').status
            except OSError:
                time.sleep(0.1)
        t.eq(status, 200, 'T-58 it recovers without a restart')
        for i in range(20):
            t.eq(s.client().request('PUT', '/dav/b%d' % i, body=b'x' * 200000).status, 201, 'T-58 and writes files')


def cpu_s(pid):
    with open('/proc/%d/stat' % pid) as f:
        parts = f.read().rsplit(')', 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf('SC_CLK_TCK')


def main():
    with gh.Server() as s:
        for row in (t01_destination, t04_names_of_people, t07_decode_once, t09_nul, t10_same_name, t14_bytes_and_lengths,
                    t40_targets, t41_scripts, t42_header_injection, t55_partial_put, t59_early_refusal, t65_quoting):
            start = time.monotonic()
            row(s)
            print('%s %.1f s' % (row.__name__, time.monotonic() - start), flush=True)
            t.ok(s.alive(), '%s: the server lives' % row.__name__)
        t.eq(s.run('fsck')[0], 0, 'fsck is clean')
    t58_descriptors()
    sys.exit(t.done())


main()
