#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql pair
"""REST and the browser's pages against a real server: content, ranges, conditions, listings, refusals; the same file at
every door."""
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh

t = gh.Checks()
API = '/api/v1/'


def q(path):
    return urllib.parse.quote(path)


def content(s):
    r = s.http('PUT', API + 'content/a.txt', body=b'hello world')
    t.eq(r.status, 201, 'PUT makes a file')
    etag = r.header('ETag')
    t.ok(etag and etag.startswith('"'), 'PUT tells the ETag')
    r = s.http('GET', API + 'content/a.txt')
    t.eq((r.status, r.body), (200, b'hello world'), 'GET gives it back')
    t.eq(r.header('ETag'), etag, 'GET has the ETag of PUT')
    t.eq(r.header('Content-Type'), 'text/plain', 'a type by its name')
    t.eq(r.header('Cache-Control'), 'private, no-cache', 'private')
    t.eq(r.header('X-Content-Type-Options'), 'nosniff', 'nosniff')
    t.ok(r.header('X-Request-Id'), 'a request id')
    h = s.http('HEAD', API + 'content/a.txt')
    same = lambda x: [(k, v) for k, v in x.headers if k not in ('X-Request-Id', 'Date')]
    t.eq(same(h), same(r), 'HEAD has the headers of GET')
    t.eq(s.http('GET', '/dav/a.txt').header('ETag'), etag, 'WebDAV has the same ETag')
    r = s.http('PUT', API + 'content/a.txt', body=b'second')
    t.eq(r.status, 204, 'PUT replaces')
    t.ok(r.header('ETag') != etag, 'the ETag changes')
    t.eq(s.http('PUT', API + 'content/none/a.txt', body=b'x').status, 409, 'no parent')
    t.eq(s.http('PUT', API + 'content/empty', body=b'').status, 201, 'an empty file')
    r = s.http('GET', API + 'content/empty')
    t.eq((r.status, r.body, r.header('Content-Length')), (200, b'', '0'), 'is empty')
    r = s.http('PUT', API + 'content/chunked', body=iter([b'one ', b'two ', b'three']))
    t.eq(r.status, 201, 'a chunked PUT')
    t.eq(s.http('GET', API + 'content/chunked').body, b'one two three', 'is whole')
    r = s.http('PUT', API + 'content/old', body=b'x', headers={'X-OC-Mtime': '1000000000'})
    t.eq(r.header('X-OC-MTime'), 'accepted', 'a time is accepted')
    t.eq(s.http('GET', API + 'content/old').header('Last-Modified'), 'Sun, 09 Sep 2001 01:46:40 GMT', 'and kept')
    t.eq(s.http('PUT', API + 'content/a.txt', body=b'x', headers={'Content-Range': 'bytes 3-3/*'}).status, 400,
         'a partial PUT is refused')
    t.eq(s.http('GET', API + 'content/a.txt').body, b'second', 'and changes nothing')


def sizes(s):
    """Around every limit between memory, pack, file and window."""
    for n in (1, 4095, 4096, 65535, 65536, 65537, 131071, 131072, 131073, 1 << 20, (8 << 20) + 3):
        data = bytes((i * 31 + (i >> 8)) & 255 for i in range(min(n, 65536))) * (n // 65536 + 1)
        data = data[:n]
        t.eq(s.http('PUT', API + 'content/sized', body=data).status in (201, 204), True, 'PUT of %d' % n)
        r = s.http('GET', API + 'content/sized')
        t.ok(r.status == 200 and r.body == data, 'GET of %d' % n)
        t.eq(s.http('HEAD', API + 'content/sized').header('Content-Length'), str(n), 'HEAD of %d' % n)
        for first, last in ((0, 0), (n // 2, n - 1), (n - 1, n + 5), (n // 3, 2 * n // 3)):
            r = s.http('GET', API + 'content/sized', headers={'Range': 'bytes=%d-%d' % (first, last)})
            t.ok(r.status == 206 and r.body == data[first:last + 1], 'bytes %d-%d of %d' % (first, last, n), r.status)
        r = s.http('GET', API + 'content/sized', headers={'Range': 'bytes=-%d' % min(n, 70000)})
        t.ok(r.status == 206 and r.body == data[-min(n, 70000):], 'the last bytes of %d' % n)


def ranges(s):
    s.http('PUT', API + 'content/r', body=b'0123456789')
    etag = s.http('HEAD', API + 'content/r').header('ETag')
    ask = lambda rng, **more: s.http('GET', API + 'content/r', headers=dict({'Range': rng}, **more))
    r = ask('bytes=2-4')
    t.eq((r.status, r.body, r.header('Content-Range')), (206, b'234', 'bytes 2-4/10'), 'a range')
    t.eq(r.header('ETag'), etag, '206 has the ETag')
    for rng, body in (('bytes=7-', b'789'), ('bytes=-2', b'89'), ('bytes=-99', b'0123456789'), ('bytes=8-99', b'89')):
        r = ask(rng)
        t.eq((r.status, r.body), (206, body), rng)
    for rng in ('bytes=10-', 'bytes=-0', 'bytes=99-100'):
        r = ask(rng)
        t.eq((r.status, r.header('Content-Range')), (416, 'bytes */10'), rng)
    for rng in ('bytes=4-2', 'bytes=x', 'lines=1-2', 'bytes=', 'bytes=1-2,4-5'):
        r = ask(rng)
        t.eq((r.status, r.body), (200, b'0123456789'), rng)
    t.eq(ask('bytes=0-0', **{'If-Range': etag}).status, 206, 'If-Range holds')
    t.eq(ask('bytes=0-0', **{'If-Range': '"0000000000000001"'}).status, 200, 'If-Range fails')
    t.eq(ask('bytes=0-0', **{'If-Range': 'W/' + etag}).status, 200, 'a weak If-Range fails')


def conditions(s):
    s.http('PUT', API + 'content/c', body=b'one')
    r = s.http('HEAD', API + 'content/c')
    etag, date = r.header('ETag'), r.header('Last-Modified')
    for headers, status in (({'If-None-Match': etag}, 304), ({'If-None-Match': 'W/' + etag}, 304),
                            ({'If-None-Match': '*'}, 304), ({'If-None-Match': '"x"'}, 200),
                            ({'If-None-Match': '"x", ' + etag}, 304), ({'If-Match': etag}, 200),
                            ({'If-Match': '*'}, 200), ({'If-Match': '"x"'}, 412), ({'If-Match': 'W/' + etag}, 412),
                            ({'If-Modified-Since': date}, 304), ({'If-Unmodified-Since': date}, 200),
                            ({'If-Modified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT'}, 200),
                            ({'If-Unmodified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT'}, 412),
                            ({'If-Modified-Since': 'yesterday'}, 200),
                            ({'If-None-Match': '"x"', 'If-Modified-Since': date}, 200)):
        r = s.http('GET', API + 'content/c', headers=headers)
        t.eq(r.status, status, 'GET with %r' % headers)
        if status == 304:
            t.eq((r.body, r.header('ETag')), (b'', etag), '304 has the ETag and no body')
    t.eq(s.http('PUT', API + 'content/c', body=b'x', headers={'If-None-Match': '*'}).status, 412, 'create only')
    t.eq(s.http('PUT', API + 'content/c', body=b'x', headers={'If-Match': '"x"'}).status, 412, 'a lost update')
    t.eq(s.http('PUT', API + 'content/new', body=b'x', headers={'If-Match': '*'}).status, 412, 'replace only')
    t.eq(s.http('DELETE', API + 'content/c', headers={'If-Match': '"x"'}).status, 412, 'DELETE of another version')
    t.eq(s.http('GET', API + 'content/c').body, b'one', 'nothing changed')
    t.eq(s.http('PUT', API + 'content/c', body=b'two', headers={'If-Match': etag}).status, 204, 'the right version')
    t.eq(s.http('DELETE', API + 'content/c', headers={'If-Match': etag}).status, 412, 'which is old now')
    t.eq(s.http('DELETE', API + 'content/c').status, 204, 'DELETE')


def listings(s):
    names = ['plain', 'with space', 'ümlaut', '漢字', 'q"uote', 'a&b<c>', '100%', 'a+b', 'a;b=c', '#hash?', '%41']
    s.http('MKCOL', '/dav/l')
    for n in names:
        t.eq(s.http('PUT', API + 'content/l/' + q(n), body=n.encode()).status, 201, 'PUT %r' % n)
    r = s.http('GET', API + 'list/l')
    t.eq(sorted(e['name'] for e in r.json['entries']), sorted(names), 'all names are listed')
    t.eq((r.json['path'], r.json['next']), ('/l', None), 'in one page')
    one = {e['name']: e for e in r.json['entries']}
    for n in names:
        r = s.http('GET', API + 'content/l/' + q(n))
        t.eq((r.status, r.body), (200, n.encode()), 'GET %r' % n)
        t.eq(one[n]['etag'], r.header('ETag'), 'the ETag in the listing')
        t.eq(s.http('GET', API + 'stat/l/' + q(n)).json, one[n], 'stat says what list says')
    e = one['plain']
    t.eq((e['type'], e['size'], isinstance(e['id'], str)), ('file', 5, True), 'type, size, id')
    t.ok(e['mtime'].endswith('Z') and abs(e['mtime_ms'] - e['created_ms']) < 60000, 'times')
    seen, after = [], ''
    for _ in range(20):
        r = s.http('GET', API + 'list/l?limit=5' + ('&after=' + after if after else '')).json
        seen += [e['name'] for e in r['entries']]
        after = r['next']
        if not after:
            break
    t.eq(sorted(seen), sorted(names), 'pages of five')
    s.http('MKCOL', '/dav/many')
    for i in range(1203):
        s.http('PUT', API + 'content/many/f%04d' % i, body=b'')
    r = s.http('GET', API + 'list/many').json
    t.eq((len(r['entries']), bool(r['next'])), (1000, True), 'a thousand by default')
    r = s.http('GET', API + 'list/many?limit=5000').json
    t.eq((len(r['entries']), r['next']), (1203, None), 'more is streamed')
    t.eq(s.http('GET', API + 'list/l/plain').status, 409, 'a file has no members')
    t.eq(s.http('GET', API + 'list/none').status, 404, 'a folder that is not there')
    t.eq(s.http('GET', API + 'list/l?limit=0').status, 400, 'limit 0')
    page = s.http('GET', '/l/')
    t.eq(page.status, 200, 'the page of the folder')
    for n in names:
        t.has(page.text, n.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;').replace('"', '&quot;'),
              'has %r' % n)
    t.hasnt(page.text, '<c>', 'and no markup of a name')
    t.eq(s.http('DELETE', API + 'content/many').status, 204, 'DELETE takes a folder whole')
    t.eq(s.http('GET', API + 'stat/many/f0000').status, 404, 'with its files')


def pages(s):
    r = s.http('GET', '/')
    t.eq((r.status, r.header('Content-Type')), (200, 'text/html; charset=utf-8'), 'the root is a page')
    policy = r.header('Content-Security-Policy', '')
    t.ok(policy.startswith("default-src 'none'") and 'unsafe' not in policy, 'with a strict policy')
    t.hasnt(r.text, '<script', 'without script')
    s.http('PUT', API + 'content/x.html', body=b'<script>alert(1)</script>')
    s.http('PUT', API + 'content/x.svg', body=b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    for name in ('x.html', 'x.svg'):
        for target in ('/' + name, API + 'content/' + name, '/dav/' + name):
            r = s.http('GET', target)
            t.has(r.header('Content-Security-Policy', ''), 'sandbox', '%s is sandboxed' % target)
            t.eq(r.header('X-Content-Type-Options'), 'nosniff', '%s is not sniffed' % target)
    r = s.http('GET', '/x.html?download')
    t.has(r.header('Content-Disposition', ''), 'attachment; filename="x.html"', '?download')
    s.http('MKCOL', '/dav/dav')
    s.http('PUT', '/dav/dav/in', body=b'x')
    r = s.http('GET', '/')
    t.has(r.text, 'href="/%64av/"', 'a folder named like a door')
    t.has(s.http('GET', '/%64av/').text, '>in</a>', 'is reachable')
    r = s.http('GET', '/', auth=False)
    t.eq(r.status, 401, 'a login is asked for')
    t.eq(r.header('WWW-Authenticate'), 'Basic realm="Gatehouse", charset="UTF-8"', 'by Basic')
    r = s.http('GET', '/none')
    t.eq((r.status, r.header('Content-Type')), (404, 'text/html; charset=utf-8'), 'a refusal is a page')


def refusals(s):
    r = s.http('GET', API + 'content/none')
    t.eq((r.status, r.header('Content-Type')), (404, 'application/problem+json'), 'a problem')
    p = r.json
    t.eq((p['status'], p['reason'], p['request_id']), (404, 'notfound', r.header('X-Request-Id')), 'told in full')
    r = s.http('GET', API + 'content/none', auth=False)
    t.eq((r.status, r.json['reason']), (401, 'unauth'), 'without a login')
    t.eq(s.http('GET', API + 'content/none', password='wrong').status, 401, 'with a wrong password')
    s.http('MKCOL', '/dav/folder')
    t.eq(s.http('PUT', API + 'content/folder', body=b'x').status, 405, 'PUT onto a folder')
    r = s.http('POST', API + 'content/folder', body=b'')
    t.eq(r.status, 405, 'POST')
    t.has(r.header('Allow', ''), 'GET', '405 has Allow')
    t.eq(s.http('GET', API + 'nothing').status, 404, 'no such place')
    lock = ('<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
            '<D:locktype><D:write/></D:locktype></D:lockinfo>')
    s.http('PUT', API + 'content/locked', body=b'x')
    t.eq(s.http('LOCK', '/dav/locked', body=lock).status, 200, 'LOCK over WebDAV')
    r = s.http('PUT', API + 'content/locked', body=b'y')
    t.eq(r.status, 423, 'is a lock for REST too')
    t.ok('holder' in r.json, 'and its holder is named', r.text)
    user = s.user('default/bob')
    s.cli('acl', 'grant', 'default', '/folder', 'user:bob', 'list,read')
    r = s.http('PUT', API + 'content/folder/b', body=b'x', user=user)
    t.eq((r.status, r.json['reason']), (403, 'denied'), 'a right that is missing')
    t.eq(s.http('GET', API + 'content/a.txt', user=user).status, 404, 'what may not be seen is not there')
    t.eq([e['name'] for e in s.http('GET', API + 'list', user=user).json['entries']], ['folder'],
         'and what leads to something is')


with gh.Server() as server:
    for check in (content, sizes, ranges, conditions, listings, pages, refusals):
        check(server)
        t.ok(server.alive(), 'alive after ' + check.__name__)
sys.exit(t.done())
