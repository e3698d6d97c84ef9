#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all pair:all
"""Hostile XML, If headers, locks and depths over WebDAV: T-30 to T-37 of the list of what broke other servers."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

t = gh.Checks()
PLAIN = os.environ.get('GATEHOUSE_VARIANT', 'test') == 'test'
CHILDREN = 20000 if PLAIN else 2000
LOCKINFO = ('<lockinfo xmlns="DAV:"><lockscope><%s/></lockscope><locktype><write/></locktype><owner>%s</owner></lockinfo>')
FIND = '<propfind xmlns="DAV:">%s</propfind>'
PATCH = '<propertyupdate xmlns="DAV:"><set><prop>%s</prop></set></propertyupdate>'
ENTITIES = '<!DOCTYPE x [%s]>'
LAUGHS = ''.join('<!ENTITY l%d "%s">' % (i, '&l%d;' % (i - 1) * 10 if i else 'ha') for i in range(10))


def cpu_s(pid):
    with open('/proc/%d/stat' % pid) as f:
        parts = f.read().rsplit(')', 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf('SC_CLK_TCK')


def memory_kib(pid, key):
    with open('/proc/%d/status' % pid) as f:
        return int(re.search(r'%s:\s+(\d+)' % key, f.read()).group(1))


def sockets_of(pid):
    """Of clients: connections to the database are none."""
    with open('/proc/net/unix') as f:
        other = {'socket:[%s]' % line.split()[6] for line in f.readlines()[1:]}
    n = 0
    for fd in os.listdir('/proc/%d/fd' % pid):
        try:
            to = os.readlink('/proc/%d/fd/%s' % (pid, fd))
            n += to.startswith('socket:') and to not in other
        except FileNotFoundError:
            pass
    return n


def ask(s, method, path, body, headers=None):
    """One request on a connection of its own: a body that is refused early costs the connection."""
    return s.client().request(method, path, headers or {'Depth': '0'}, body)


def t30_entities(s):
    """apr-util CVE-2009-1955, expat CVE-2013-0340: no document type is ever read."""
    bodies = {
        'billion laughs': '<?xml version="1.0"?>' + ENTITIES % LAUGHS + FIND % '<prop><x>&l9;</x></prop>',
        'quadratic': ENTITIES % ('<!ENTITY a "%s">' % ('a' * 50000)) + FIND % ('&a;' * 1000),
        'parameter entities': ENTITIES % '<!ENTITY % a "x"> %a;' + FIND % '<allprop/>',
        'internal subset': '<!DOCTYPE propfind []>' + FIND % '<allprop/>',
        'external subset': '<!DOCTYPE propfind SYSTEM "http://127.0.0.1:9/x">' + FIND % '<allprop/>',
        'an undeclared entity': FIND % '&nothing;',
        'after a comment': '<!-- x --><!DOCTYPE x><!-- y -->' + FIND % '<allprop/>',
    }
    for what, body in bodies.items():
        for method in ('PROPFIND', 'PROPPATCH', 'LOCK'):
            for encoding in ('utf-8', 'utf-16'):
                r = ask(s, method, '/dav/a', body.encode(encoding))
                t.among(r.status, (400, 413), 'T-30 %s with %s in %s' % (method, what, encoding))
    for method, limit in (('PROPFIND', 256 << 10), ('LOCK', 256 << 10), ('PROPPATCH', 1 << 20)):
        big = FIND % ('<x a="%s"/>' % ('a' * (8 << 20)))
        t.eq(ask(s, method, '/dav/a', big.encode()).status, 413, 'T-30 %s with 8 MiB of attribute' % method)
        parts = [b'<propfind xmlns="DAV:"><!--'] + [b'x' * 65536] * (limit // 65536 + 1)
        t.among(ask(s, method, '/dav/a', parts).status, (400, 413), 'T-30 %s in chunks without end' % method)
    body = (FIND % '<prop><displayname/><getetag/></prop>').encode()
    r = ask(s, 'PROPFIND', '/dav/a', [bytes([b]) for b in body])
    t.eq(r.status, 207, 'T-30 byte by byte is read like any other')
    r = ask(s, 'PROPFIND', '/dav/a', [bytes([b]) for b in bodies['internal subset'].encode()])
    t.eq(r.status, 400, 'T-30 and refused like any other')
    for body in (b'', b'<', b'<a', b'<a>', b'</a>', b'<a/><b/>', b'\xff\xfe', b'\0' * 100, b'<?xml version="1.0" encoding="x"?><a/>',
                 b'<?xml version="1.0" encoding="utf-7"?>+ADw-a/+AD4-', b'<a xmlns:x=""/>', b'<x:a/>', b'<a b="1" b="2"/>',
                 b'\xef\xbb\xbf<a>\xc0\xaf</a>', b'<a>&#0;</a>', b'<a>&#xD800;</a>'):
        for method in ('PROPFIND', 'PROPPATCH', 'LOCK'):
            r = ask(s, method, '/dav/a', body)
            t.among(r.status, (400, 415) if body or method != 'PROPFIND' else (207,), 'T-30 %s with %r' % (method, body[:40]))


def t31_external(s):
    """Tomcat CVE-2007-5461, Jackrabbit CVE-2015-1833: external entities. Nothing is opened and nobody is called."""
    with socket.create_server(('127.0.0.1', 0)) as trap:
        trap.settimeout(0.3)
        port = trap.getsockname()[1]
        tracer, trace = trace_begin(s)
        for uri in ('file:///etc/passwd', 'http://127.0.0.1:%d/' % port, 'http://169.254.169.254/', '/etc/passwd', 'php://x'):
            for declaration in ('<!ENTITY e SYSTEM "%s">' % uri, '<!ENTITY %% e SYSTEM "%s"> %%e;' % uri,
                                '<!ENTITY e PUBLIC "-//x//y" "%s">' % uri):
                for method, body in (('LOCK', LOCKINFO % ('exclusive', '&e;')), ('PROPPATCH', PATCH % '<x xmlns="u">&e;</x>'),
                                     ('PROPFIND', FIND % '<prop>&e;</prop>')):
                    r = ask(s, method, '/dav/a', (ENTITIES % declaration + body).encode())
                    t.ok(r.status == 400 and b'root:' not in r.body, 'T-31 %s of %s' % (method, uri), repr(r))
            include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="%s"/>' % uri
            r = ask(s, 'PROPPATCH', '/dav/a', (PATCH % '<x xmlns="u">%s</x>' % include).encode())
            r = ask(s, 'PROPFIND', '/dav/a', (FIND % '<prop><x xmlns="u"/></prop>').encode())
            t.hasnt(r.body, b'root:', 'T-31 an inclusion is not followed')
        try:
            trap.accept()
            t.ok(False, 'T-31 somebody connected')
        except (TimeoutError, socket.timeout):
            t.ok(True, 'T-31 nobody connected')
        calls = trace_end(tracer, trace)
    if calls is not None:
        t.has(calls, 'accept', 'T-31 the trace saw the server at work')
        for call in re.findall(r'(?:connect|open|openat|openat2)\([^\n]*', calls):
            t.ok('passwd' not in call and 'sa_family=AF_INET' not in call and '.dtd' not in call, 'T-31 not called', call)


def trace_begin(s):
    if not PLAIN or not shutil.which('strace'):
        print('strace oracle left out', flush=True)
        return None, None
    path = os.path.join(s.top, 'strace.out')
    p = subprocess.Popen(['strace', '-f', '-p', str(s.proc.pid), '-e', 'trace=connect,open,openat,openat2,accept,accept4',
                          '-o', path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 5
    while time.monotonic() < end and p.poll() is None:
        s.client().request('GET', '/healthz')
        if os.path.exists(path) and os.path.getsize(path):
            return p, path
        time.sleep(0.05)
    p.kill()
    p.wait()
    print('strace cannot attach here', flush=True)
    return None, None


def trace_end(p, path):
    if p is None:
        return None
    p.send_signal(signal.SIGINT)
    p.wait(10)
    with open(path, errors='replace') as f:
        return f.read()


def t32_many(s):
    """IIS CVE-2003-0718: very many attributes, elements, levels. Refused, and cheaply."""
    n = 100000
    cases = {
        'attributes': FIND % ('<prop><x %s/></prop>' % ' '.join('a%d=""' % i for i in range(20000))),
        'namespaces': FIND % ('<prop><x %s/></prop>' % ' '.join('xmlns:a%d="u"' % i for i in range(10000))),
        'properties': FIND % ('<prop>%s</prop>' % '<x/>' * 1 + '<x/>' * (n // 2)),
        'levels': '<a>' * (n // 2),
        'text': FIND % ('&#65;' * 40000),
    }
    for what, body in cases.items():
        for method in ('PROPFIND', 'PROPPATCH', 'LOCK'):
            before = cpu_s(s.proc.pid)
            for _ in range(4):
                r = ask(s, method, '/dav/a', body.encode())
            used = (cpu_s(s.proc.pid) - before) / 4
            if what != 'text' or method != 'PROPFIND':
                t.among(r.status, (400, 413), 'T-32 %s with many %s' % (method, what))
            if PLAIN:
                t.ok(used <= 0.05, 'T-32 %s with many %s costs little' % (method, what), '(%.3f s of CPU)' % used)
    for count, wants in ((30, (207,)), (33, (400, 413))):
        r = ask(s, 'PROPFIND', '/dav/a', (FIND % ('<prop>' + '<x>' * (count - 2) + '</x>' * (count - 2) + '</prop>')).encode())
        t.among(r.status, wants, 'T-32 %d levels' % count)


def t34_if(s):
    """Apache CVE-2006-20001, IIS CVE-2017-7269: the If header."""
    s.http('PUT', '/dav/if', body=b'old')
    etag = s.http('HEAD', '/dav/if').header('ETag')
    bad = ['(', '(<', '([', '(Not', '<a>', '()', '(Not)', '(<a>', '(<a>]', '([a])', '(["a])', '(["a"', '([W/a])', '(<>)', '((<a>))',
           '<http://', '<http://x', '<http://x>', '(<a b>)', 'x', '(x)', '(<a>) x', '<a> <b> (<c>)', '(<a>) </dav/if> (<b>)', ',', '(,)',
           '(<a>),(<b>)', 'Not (<a>)', '(Not Not <a>)', ')(', '["a"]', '(<a>)<', '(<a>)(', '[', '<', '"', '("a")']
    for value in bad:
        r = s.http('PUT', '/dav/if', {'If': value}, b'new')
        t.among(r.status, (400, 412), 'T-34 If: %s' % value)
    for value, wants in (('(<urn:uuid:nothing>)', (412, 423)), ('(<opaquelocktoken:x>)', (412, 423)), ('(<a>)', (412, 423)),
                         ('(["x"])', (412,)), ('([W/%s])' % etag, (412,)), ('(Not <a>)', (204,)), ('(%s)' % ('[%s]' % etag), (412, 204)),
                         ('</dav/if> (Not <a>)', (204,)), ('<http://elsewhere/> (<a>) <http://elsewhere/> (<b>)', (412, 423)),
                         ('(<DAV:no-lock>)', (412,)), ('(Not <DAV:no-lock>)', (204,)), ('(<a>)' * 1000, (412, 423)),
                         ('(<a>' + ' <a>' * 1000 + ')', (412, 423)), ('(Not <a>' + ' Not <a>' * 800 + ')', (204,))):
        t.among(s.http('PUT', '/dav/if', {'If': value}, b'new').status, wants, 'T-34 If: %s' % value[:60])
    for size in (8193, 20000, 60000):
        for shape in ('(<%s>)' % ('a' * size), '(<a>)' * (size // 5 + 1), '<http://%s>(<a>)' % ('a' * size), '(' * size):
            r = s.client().request('PUT', '/dav/if', {'If': shape}, b'new')
            t.among(r.status, (431, 413), 'T-34 an If of %d bytes' % size)
    for method in ('GET', 'DELETE', 'PROPFIND', 'LOCK', 'UNLOCK', 'MKCOL', 'COPY', 'MOVE', 'PROPPATCH'):
        r = s.http(method, '/dav/if', {'If': '(<a', 'Depth': '0', 'Destination': '/dav/b', 'Lock-Token': '<a>'})
        t.among(r.status, (400, 405, 412, 200, 207, 409), 'T-34 %s with half a token' % method)
    t.eq(s.http('GET', '/dav/if').status, 200, 'T-34 it is still there')


def t35_locks(s):
    """Apache CVE-2026-42528: many shared locks; refreshes and unlocks of what is none."""
    s.http('PUT', '/dav/locked', body=b'x')
    body = LOCKINFO % ('shared', 'x')
    tokens, status = [], 0
    for i in range(100):
        r = s.http('LOCK', '/dav/locked', {'Timeout': 'Second-600'}, body)
        status = r.status
        if status != 200:
            break
        tokens.append(r.header('Lock-Token'))
    t.ok(len(tokens) == 64 and status in (423, 507), 'T-35 shared locks of one file are bounded', '(%d, %d)' % (len(tokens), status))
    r = s.http('PROPFIND', '/dav/locked', {'Depth': '0'}, FIND % '<prop><lockdiscovery/></prop>')
    t.eq(r.body.count(b'<D:activelock>'), 64, 'T-35 and all are shown')
    ifs = ' '.join(tokens[:2])
    for what, headers, wants in (('no token', {}, (400,)), ('two tokens', {'If': '(%s)' % ifs}, (400,)),
                                 ('an unknown token', {'If': '(<urn:uuid:x>)'}, (412, 409, 423)), ('garbage', {'If': 'x'}, (400,))):
        t.among(s.http('LOCK', '/dav/locked', headers).status, wants, 'T-35 refresh with ' + what)
    for token, wants in ((None, (400,)), ('', (400,)), ('x', (400, 409)), ('<>', (400,)), ('<x>', (409,)), ('<urn:uuid:x>', (409,)),
                         ('x' * 9000, (400, 409, 431)), ('<' + 'x' * 9000 + '>', (400, 409, 431)), ("<'>", (409,)), ('<a><b>', (400,))):
        r = s.client().request('UNLOCK', '/dav/locked', {'Lock-Token': token})
        t.among(r.status, wants, 'T-35 UNLOCK with %r' % (token and token[:20]))
    t.eq(s.http('DELETE', '/dav/locked').status, 423, 'T-35 the locks hold')
    for token in tokens:
        t.eq(s.http('UNLOCK', '/dav/locked', {'Lock-Token': token}).status, 204, 'T-35 each can be given back')
    t.eq(s.http('DELETE', '/dav/locked').status, 204, 'T-35 and none is left')
    for bad in ('<lockscope><exclusive/></lockscope>', '<lockscope/><locktype><write/></locktype>', '',
                '<lockscope><exclusive/><shared/></lockscope><locktype><write/></locktype>',
                '<lockscope><exclusive/></lockscope><locktype><read/></locktype>'):
        r = s.http('LOCK', '/dav/locked', {}, '<lockinfo xmlns="DAV:">%s</lockinfo>' % bad)
        t.among(r.status, (400, 422), 'T-35 LOCK with %r' % bad[:40])
    t.eq(s.http('GET', '/dav/locked').status, 404, 'T-35 and made nothing')


def t36_squatting(s):
    """Locks for ever, on everything, on very many names."""
    s.user('default/squatter')
    s.cli('acl', 'grant', 'default', '/', 'user:squatter', 'list,read,create,write,delete')
    r = s.http('LOCK', '/dav/squat', {'Timeout': 'Infinite, Second-4100000000'}, LOCKINFO % ('exclusive', 'x'), user='squatter')
    t.eq(r.status, 201, 'T-36 LOCK makes an empty file')
    m = re.search(rb'Second-(\d+)', r.body)
    t.ok(m and int(m.group(1)) <= 3600, 'T-36 no lock is for ever', repr(r.body))
    t.eq(s.http('DELETE', '/dav/squat').status, 423, 'T-36 it holds')
    s.cli('locks', 'break', 'default', r.header('Lock-Token').strip('<>'))
    t.eq(s.http('DELETE', '/dav/squat').status, 204, 'T-36 an administrator can break it')
    r = s.http('LOCK', '/dav/', {'Depth': 'infinity'}, LOCKINFO % ('exclusive', 'x'), user='squatter')
    t.among(r.status, (200, 403), 'T-36 a lock on everything')
    if r.status == 200:
        s.http('UNLOCK', '/dav/', {'Lock-Token': r.header('Lock-Token')}, user='squatter')
    if not PLAIN:
        return
    s.http('MKCOL', '/dav/squats')
    body, made, status = LOCKINFO % ('exclusive', 'x'), 0, 0
    for i in range(1100):
        status = s.http('LOCK', '/dav/squats/%d' % i, {'Timeout': 'Second-600'}, body, user='squatter').status
        if status != 201:
            break
        made += 1
    t.ok(900 <= made <= 1000 and status in (423, 507), 'T-36 one person has so many locks', '(%d, then %d)' % (made, status))
    t.eq(s.http('GET', '/dav/squats/%d' % made).status, 404, 'T-36 what could not be locked was not made')
    t.eq(s.http('PUT', '/dav/other', body=b'x').status, 201, 'T-36 others work')
    t.eq(s.http('LOCK', '/dav/other', {}, body).status, 200, 'T-36 and lock')


def many_children(s, folder, n):
    """Empty files, pipelined over a few connections."""
    def fill(first):
        with socket.create_connection(s.address('http'), timeout=60 * gh.SLOW) as c:
            f = c.makefile('rb')
            for at in range(first, n, 400):
                names = range(at, min(at + 50, n))
                c.sendall(b''.join(b'PUT %s/child-%06d HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 0\r\n\r\n' % (
                    folder.encode(), i, gh.basic('admin', gh.PASSWORD).encode()) for i in names))
                for _ in names:
                    while f.readline() not in (b'\r\n', b''):
                        pass

    threads = [threading.Thread(target=fill, args=(i * 50,)) for i in range(8)]
    for th in threads:
        th.start()
    for th in threads:
        th.join()


def t37_depth(s):
    """lighttpd 1a02cd7e: depth without end; and a wide folder in bounded memory."""
    for depth in ('infinity', 'Infinity', None, '2', '-1', '1,2', 'x', ''):
        r = s.http('PROPFIND', '/dav/', {'Depth': depth})
        t.among(r.status, (403,) if depth in ('infinity', 'Infinity', None) else (400,), 'T-37 Depth: %s' % depth)
        if r.status == 403:
            t.has(r.body, b'propfind-finite-depth', 'T-37 says why')
    s.http('MKCOL', '/dav/wide')
    start = time.monotonic()
    many_children(s, '/dav/wide', CHILDREN)
    print('%d children in %.1f s' % (CHILDREN, time.monotonic() - start), flush=True)

    def list_all():
        r = s.client(timeout=120).request('PROPFIND', '/dav/wide/', {'Depth': '1'})
        t.eq(r.status, 207, 'T-37 Depth 1')
        t.eq(r.body.count(b'<D:response>'), CHILDREN + 1, 'T-37 holds every child')
        return len(r.body)

    length = list_all()
    before = memory_kib(s.proc.pid, 'VmRSS')
    with open('/proc/%d/clear_refs' % s.proc.pid, 'w') as f:
        f.write('5')  # VmHWM starts again from here
    threads = [threading.Thread(target=list_all) for _ in range(4)]
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    grown = memory_kib(s.proc.pid, 'VmHWM') - before
    if PLAIN:
        t.ok(grown < 4 * 4096 + 8192, 'T-37 four at once are streamed', '(grew by %d KiB for %d bytes each)' % (grown, length))
        print('four listings at once: %d KiB' % grown, flush=True)
    # One who does not read holds little.
    t.eq(s.http('GET', '/dav/a').status, 200, 'T-37 on a connection that stays')
    before = memory_kib(s.proc.pid, 'VmRSS')
    held, base = [], sockets_of(s.proc.pid)
    for _ in range(30):
        c = socket.create_connection(s.address('http'))
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.sendall(b'PROPFIND /dav/wide/ HTTP/1.1\r\nHost: x\r\nDepth: 1\r\nContent-Length: 0\r\nAuthorization: %s\r\n\r\n' %
                  gh.basic('admin', gh.PASSWORD).encode())
        held.append(c)
    time.sleep(0.5)
    grown = memory_kib(s.proc.pid, 'VmRSS') - before
    if PLAIN:
        t.ok(grown < 30 * 4096, 'T-37 thirty that do not read are held back', '(grew by %d KiB)' % grown)
    t.eq(s.http('GET', '/dav/a').status, 200, 'T-37 others are answered')
    for c in held:
        c.close()
    end = time.monotonic() + 5 * gh.SLOW
    while sockets_of(s.proc.pid) > base and time.monotonic() < end:
        time.sleep(0.05)
    t.ok(sockets_of(s.proc.pid) <= base, 'T-37 and let go when they leave', '(%d of %d)' % (sockets_of(s.proc.pid), base))
    t.among(s.http('DELETE', '/dav/wide').status, (204,), 'T-37 and it goes')


def main():
    with gh.Server() as s:
        s.http('PUT', '/dav/a', body=b'hello')
        for row in (t30_entities, t31_external, t32_many, t34_if, t35_locks, t36_squatting, t37_depth):
            start = time.monotonic()
            row(s)
            print('%s %.1f s' % (row.__name__, time.monotonic() - start), flush=True)
            t.ok(s.alive(), '%s: the server lives' % row.__name__)
        t.eq(s.run('fsck')[0], 0, 'fsck is clean')
    sys.exit(t.done())


main()
