#!/usr/bin/python3
# suite: quick
# sanitizers: asan
# metadata: sqlite postgresql pair
"""WebDAV on the wire: RFC 4918, class 1, 2 and 3, RFC 4331, and what clients were found to depend on. Each function is
one topic; the sentences say what must hold."""
import os
import re
import sys
import time
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
from davtool import D, error_of, lock, multistatus, only, propfind_body, proppatch_body  # noqa: E402

ALL = 'OPTIONS GET HEAD PUT DELETE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK'.split()
WIN = '{urn:schemas-microsoft-com:}'


class Dav:
    """Short names for requests below one folder of one's own."""

    def __init__(self, s, name):
        self.s, self.base = s, '/dav/' + name
        assert s.http('MKCOL', self.base).status == 201, name

    def __call__(self, method, path='', headers=None, body=None, **kw):
        return self.s.http(method, self.base + path, headers, body, **kw)

    def put(self, path, body=b'x', headers=None, **kw):
        return self('PUT', path, headers, body, **kw)

    def find(self, path='', depth='0', body=None, **kw):
        return self('PROPFIND', path, {'Depth': depth} if depth else {}, body, **kw)

    def get(self, path):
        r = self('GET', path)
        return r.body if r.status == 200 else r.status

    def lock(self, path, **kw):
        return lock(self.s, self.base + path, **kw)


def options(s, t):
    for path, what in (('/dav/', 'the root'), ('/dav', 'the root without its slash'),
                       ('/dav/no/such/thing', 'nothing')):
        r = s.http('OPTIONS', path, auth=False)
        t.eq(r.status, 200, 'OPTIONS of %s is answered without a login' % what)
        t.eq(r.header('DAV'), '1, 2, 3', 'classes at %s' % what)
        t.eq(r.header('MS-Author-Via'), 'DAV', 'MS-Author-Via at %s' % what)
        t.eq(sorted(re.split(', *', r.header('Allow'))), sorted(ALL), 'Allow at %s' % what)
    r = s.http('OPTIONS', '*', auth=False)
    t.eq(r.status, 200, 'OPTIONS *')
    r = s.http('OPTIONS', '/', auth=False)
    t.ok(r.status == 200 and '1' in (r.header('DAV') or ''), 'OPTIONS / announces DAV')
    r = s.http('PROPFIND', '/dav/', {'Depth': '0'}, auth=False)
    t.ok(r.status == 401 and 'Basic' in r.header('WWW-Authenticate', ''), 'PROPFIND without a login is 401')
    t.eq(s.http('REPORT', '/dav/').status, 405, 'a method that is not built is 405')
    t.has(s.http('POST', '/dav/').header('Allow', ''), 'PROPFIND', 'with Allow')


def ancestors(s, t):
    e = multistatus(s.http('PROPFIND', '/', {'Depth': '0'}))
    t.eq(list(e), ['/'], 'PROPFIND / names itself')
    t.ok(e['/'].element('resourcetype').find(D + 'collection') is not None, 'as a collection')
    t.eq(list(multistatus(s.http('PROPFIND', '/', {'Depth': '1'}))), ['/', '/dav/'], 'Depth 1 shows the tree')
    t.eq(s.http('PROPFIND', '/', {'Depth': 'infinity'}).status, 403, 'infinity is refused there too')
    t.eq(s.http('MKCOL', '/x').status, 405, 'nothing can be made there')


def listing(s, t):
    d = Dav(s, 'listing')
    d.put('/a.txt', b'hello')
    d('MKCOL', '/sub')
    d.put('/sub/deep.txt')
    e = multistatus(d.find('/', '1'))
    t.eq(list(e)[0], '/dav/listing/', 'the collection itself comes first')
    t.eq(sorted(e), ['/dav/listing/', '/dav/listing/a.txt', '/dav/listing/sub/'], 'one level, folders with a slash')
    t.eq(sorted(multistatus(d.find('', '1'))), sorted(e), 'the same without the slash in the request')
    t.eq(list(multistatus(d.find('/', '0'))), ['/dav/listing/'], 'Depth 0')
    t.eq(list(multistatus(d.find('/', '1,noroot'))), ['/dav/listing/a.txt', '/dav/listing/sub/'], '1,noroot')
    for depth in ('infinity', None):
        r = d.find('/', depth)
        t.eq((r.status, error_of(r)[:1]), (403, ['propfind-finite-depth']), 'Depth %s is refused' % depth)
    for depth in ('0', '1', 'infinity', None):
        t.eq(list(multistatus(d.find('/a.txt', depth))), ['/dav/listing/a.txt'],
             'Depth %s of a file is that file' % depth)
    t.eq(d.find('/', '2').status, 400, 'Depth 2')
    t.eq(d.find('/none').status, 404, 'what is not there')
    t.eq(d.find('/a.txt/below').status, 404, 'below a file')
    r = d.find('/', '1')
    t.hasnt(r.text, '>\n<', 'no whitespace between elements')
    f = e['/dav/listing/a.txt']
    t.eq(f.text('getcontentlength'), '5', 'length')
    t.eq(f.text('displayname'), 'a.txt', 'displayname is the last segment')
    t.eq(f.text('getetag'), d('HEAD', '/a.txt').header('ETag'), 'ETag is that of GET')
    t.ok(re.fullmatch(r'"[0-9a-f]{16}"', f.text('getetag')), 'strong and quoted')
    t.ok(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', f.text('creationdate')), 'creationdate is RFC 3339')
    t.ok(re.fullmatch(r'[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT', f.text('getlastmodified')),
         'getlastmodified is IMF-fixdate')
    t.eq(f.element('getlastmodified').attrib, {}, 'without attributes')
    t.eq(f.text('getlastmodified'), d('HEAD', '/a.txt').header('Last-Modified'), 'the same as Last-Modified')
    t.eq(f.text('getcontenttype').split(';')[0], 'text/plain', 'type by name')
    t.eq(list(f.element('resourcetype')), [], 'a file has an empty resourcetype')
    t.eq(len(f.element('supportedlock')), 2, 'exclusive and shared locks')
    t.eq(list(f.element('lockdiscovery')), [], 'and none now')
    c = e['/dav/listing/sub/']
    t.eq((c.code('getcontentlength'), c.code('getetag')), (None, None), 'folders have neither length nor ETag')


def names(s, t):
    d = Dav(s, 'names')
    odd = ["a b", "100%", "q?", "h#", "(x)!'*~", "a&b<c>", 'dq"', "é", "日本", "a+b=c;d", "😀", "[b]",
           "semi;colon", "_.~-"]
    for n in odd:
        path = '/' + ''.join(c if c.isalnum() and ord(c) < 128 else ''.join('%%%02x' % b for b in c.encode())
                             for c in n)
        t.eq(d.put(path, n.encode()).status, 201, 'PUT of %r' % n)
        t.eq(d.get(path), n.encode(), 'GET of %r' % n)
    e = multistatus(d.find('/', '1'))
    t.eq(len(e), len(odd) + 1, 'all are listed')
    shown = {v.text('displayname'): k for k, v in e.items()}
    for n in odd:
        href = shown.get(n)
        if not t.ok(href is not None, '%r is shown by its name' % n):
            continue
        t.eq(s.http('GET', href).body, n.encode(), 'and its href leads to it: %s' % href)
        t.ok(not re.search('%([a-f].|.[a-f])', href), 'hex digits are upper-case: %s' % href)
    t.ok("(x)!'*~" in ''.join(e), 'readable characters stay readable')
    t.eq(d.put('/%2520').status, 201, 'a doubly encoded name')
    t.has(''.join(multistatus(d.find('/', '1'))), '%2520', 'stays what it is')
    t.eq(d.put('/e%CC%81').status, 204, 'NFD names the file that NFC made')
    for bad in ('/%00', '/a%2fb', '/%5c', '/%ff', '/%c0%af', '/%0a', '/%7f', '/%', '/%zz', '/%ed%a0%80'):
        t.eq(d.put(bad).status, 400, 'PUT %s' % bad)
    t.eq(d.put('/' + 'n' * 255).status, 201, 'a name of 255 bytes')
    t.among(d.put('/' + 'n' * 256).status, (400, 414), 'a name of 256 bytes')


def propfind_forms(s, t):
    d = Dav(s, 'forms')
    d.put('/f')
    body = propfind_body('getetag', 'nothing', '{urn:x}gone', '{}bare', 'resourcetype')
    e = only(d.find('/f', '0', body))
    t.eq([e.code(n) for n in ('getetag', 'resourcetype', 'nothing', '{urn:x}gone')], [200, 200, 404, 404],
         'unknown properties are 404 inside the response')
    t.eq(e.props.get('bare', (0,))[0], 404, 'also one without a namespace')
    t.eq(len(e.props), 5, 'and nothing else is told')
    e = only(d.find('/f', '0', '<propfind xmlns="DAV:"><propname/></propfind>'))
    t.ok(e.code('getetag') == 200 and all(not (x[1].text or len(x[1])) for x in e.props.values()),
         'propname: no values')
    e = only(d.find('/', '0', '<propfind xmlns="DAV:"><allprop/><include><quota-used-bytes/></include></propfind>'))
    t.eq((e.code('quota-used-bytes'), e.code('resourcetype')), (200, 200), 'allprop with include')
    e = only(d.find('/f', '0', '<propfind xmlns="DAV:"><x xmlns="urn:y"><z/></x><prop><getetag/></prop></propfind>'))
    t.eq(e.code('getetag'), 200, 'unknown elements are ignored')
    for kind in ('text/xml', 'application/xml', None, 'application/octet-stream'):
        r = d('PROPFIND', '/f', {'Depth': '0', 'Content-Type': kind}, body)
        t.eq(r.status, 207, 'Content-Type %s' % kind)
    for name, data in (('UTF-16 with a mark', body.replace('utf-8', 'utf-16').encode('utf-16')),
                       ('UTF-16BE', body.replace('utf-8', 'utf-16').encode('utf-16-be')),
                       ('UTF-8 with a mark', b'\xef\xbb\xbf' + body.encode()),
                       ('without a prolog', body.split('?>')[1].encode())):
        r = d.find('/f', '0', data)
        t.ok(r.status == 207 and only(r).code('getetag') == 200, name, repr(r))
    r = d('PROPFIND', '/f', {'Depth': '0'}, (c.encode() for c in body))
    t.ok(r.status == 207 and only(r).code('getetag') == 200, 'chunked, byte by byte')
    for bad in ('x', '<propfind xmlns="DAV:">', '<propfind xmlns="DAV:"/>', '<prop xmlns="DAV:"/>', '<a/>',
                '<D:propfind xmlns:D="DAV:"><D:prop><x:y xmlns:x=""/></D:prop></D:propfind>'):
        t.eq(d.find('/f', '0', bad).status, 400, 'PROPFIND with %s' % bad)
    t.eq(d.find('', '1', '').status, 207, 'no body is allprop')


def quota(s, t):
    d = Dav(s, 'quota')
    d.put('/f', b'x' * 1000)
    e = only(d.find('/', '0', propfind_body('quota-used-bytes', 'quota-available-bytes')))
    t.ok(int(e.text('quota-used-bytes') or -1) >= 1000, 'used bytes')
    t.ok(int(e.text('quota-available-bytes') or 0) > 0, 'available bytes')
    t.eq(only(d.find('/', '0')).code('quota-used-bytes'), None, 'not part of allprop')
    m = multistatus(d.find('/', '1', propfind_body('quota-available-bytes')))
    t.eq(m['/dav/quota/'].code('quota-available-bytes'), 200, 'in listings too')
    r = d('PROPPATCH', '/', {}, proppatch_body([('set', '{DAV:}quota-used-bytes', '0')]))
    t.eq(only(r).code('quota-used-bytes'), 403, 'protected')


def proppatch(s, t):
    d = Dav(s, 'patch')
    d.put('/f')

    def patch(*changes, path='/f', headers=None):
        return d('PROPPATCH', path, headers or {}, proppatch_body(list(changes)))

    def value(name, path='/f'):
        return only(d.find(path, '0', propfind_body(name)))

    r = patch(('set', '{urn:a}p', 'one'), ('set', '{urn:a}q', ' two '), ('set', '{}bare', 'three'))
    e = only(r)
    t.eq([e.code('{urn:a}p'), e.code('{urn:a}q'), e.props.get('bare', (0,))[0]], [200] * 3, 'set three')
    t.eq(value('{urn:a}q').text('{urn:a}q'), ' two ', 'whitespace is kept')
    t.eq(only(d.find('/f', '0')).text('{urn:a}p'), 'one', 'allprop tells dead properties')
    patch(('set', '{urn:a}p', 'x'), ('remove', '{urn:a}p'))
    t.eq(value('{urn:a}p').code('{urn:a}p'), 404, 'set, then remove')
    patch(('remove', '{urn:a}p'), ('set', '{urn:a}p', 'y'))
    t.eq(value('{urn:a}p').text('{urn:a}p'), 'y', 'remove, then set')
    patch(('set', '{urn:a}p', '1'), ('set', '{urn:a}p', '2'))
    t.eq(value('{urn:a}p').text('{urn:a}p'), '2', 'the last one in document order holds')
    r = patch(('remove', '{urn:a}never'))
    t.eq(only(r).code('{urn:a}never'), 200, 'removing what is not there succeeds')

    r = patch(('set', '{urn:a}p', 'new'), ('set', '{DAV:}getetag', '"0"'), ('remove', '{urn:a}q'))
    e = only(r)
    t.eq([e.code('{urn:a}p'), e.code('getetag'), e.code('{urn:a}q')], [424, 403, 424], 'one refused, the others depend')
    t.has(r.text, 'cannot-modify-protected-property', 'and why')
    t.eq((value('{urn:a}p').text('{urn:a}p'), value('{urn:a}q').code('{urn:a}q')), ('2', 200), 'nothing was changed')
    for live in ('creationdate', 'getcontentlength', 'getcontenttype', 'getlastmodified', 'resourcetype',
                 'supportedlock', 'lockdiscovery', 'displayname'):
        t.eq(only(patch(('set', D + live, 'x'))).code(live), 403, '%s is protected' % live)

    mixed = 'a<b:c xmlns:b="urn:b" b:at="1 &amp; 2">d<e xmlns="urn:e"/></b:c>f&lt;g&#13;'
    t.eq(patch(('set', '{urn:a}mixed', mixed)).status, 207, 'mixed content')
    got = value('{urn:a}mixed').element('{urn:a}mixed')
    t.eq((got.text, got[0].tag, got[0].attrib, got[0].text, got[0][0].tag, got[0].tail),
         ('a', '{urn:b}c', {'{urn:b}at': '1 & 2'}, 'd', '{urn:e}e', 'f<g\r'), 'comes back as it was')
    outer = ('<D:propertyupdate xmlns:D="DAV:" xmlns:o="urn:o" xml:lang="de"><D:set><D:prop><o:p><o:in o:at="v"/></o:p>'
             '</D:prop></D:set></D:propertyupdate>')
    t.eq(d('PROPPATCH', '/f', {}, outer).status, 207, 'prefixes declared outside')
    got = value('{urn:o}p').element('{urn:o}p')
    t.eq((got[0].tag, got[0].attrib), ('{urn:o}in', {'{urn:o}at': 'v'}), 'are kept with the value')
    t.eq(got.get('{http://www.w3.org/XML/1998/namespace}lang'), 'de', 'and so is the language in scope')
    patch(('set', '{urn:a}high', '\U0001F600 é'))
    t.eq(value('{urn:a}high').text('{urn:a}high'), '\U0001F600 é', 'characters beyond 16 bits')
    patch(('set', '{urn:schemas-x:}odd', 'z'), ('set', '{not a uri}odd', 'z'))
    t.eq(value('{not a uri}odd').text('{not a uri}odd'), 'z', 'a namespace that is no URI')

    t.eq(patch(('set', '{urn:a}p', '1'), path='/none').status, 404, 'of nothing')
    t.eq(patch(('set', '{DAV:}getetag', '1'), path='/none').status, 404, 'of nothing, protected')
    t.eq(d('PROPPATCH', '/f', {}, '<D:propertyupdate xmlns:D="DAV:"><D:remove><D:prop/></D:remove></D:propertyupdate>')
         .status, 207, 'an empty change (Cyberduck)')
    for bad in ('', '<a/>', '<D:propertyupdate xmlns:D="DAV:">'):
        t.eq(d('PROPPATCH', '/f', {}, bad).status, 400, 'PROPPATCH with %r' % bad)
    d('MKCOL', '/c')
    patch(('set', '{urn:a}p', 'folder'), path='/c/')
    t.eq(value('{urn:a}p', '/c').text('{urn:a}p'), 'folder', 'folders have properties')
    etag = d('HEAD', '/f').header('ETag')
    patch(('set', '{urn:a}p', 'again'))
    t.eq(d('HEAD', '/f').header('ETag'), etag, 'properties leave the ETag alone')


def win32(s, t):
    d = Dav(s, 'win32')
    d.put('/f')
    when = 'Tue, 04 Mar 2014 05:06:07 GMT'
    four = [('set', WIN + 'Win32CreationTime', 'Mon, 03 Mar 2014 00:00:00 GMT'),
            ('set', WIN + 'Win32LastAccessTime', when), ('set', WIN + 'Win32LastModifiedTime', when),
            ('set', WIN + 'Win32FileAttributes', '00000020')]
    e = only(d('PROPPATCH', '/f', {}, proppatch_body(four)))
    t.eq({e.code(c[1]) for c in four}, {200}, 'all four are taken')
    t.eq(d('HEAD', '/f').header('Last-Modified'), when, 'Win32LastModifiedTime is the time of the file')
    t.eq(only(d.find('/f')).text('getlastmodified'), when, 'and its getlastmodified')
    t.eq(only(d.find('/f')).text(WIN + 'Win32FileAttributes'), '00000020', 'and all are kept')
    _, token = d.lock('/f')
    e = only(d('PROPPATCH', '/f', {}, proppatch_body(four)))
    t.eq({e.code(c[1]) for c in four}, {200}, "the lock's owner may set these four without the token (Office)")
    r = d('PROPPATCH', '/f', {}, proppatch_body(four + [('set', '{urn:a}p', 'x')]))
    t.eq(r.status, 423, 'but no others')
    s.user('default/wendy', '--owner')
    r = d('PROPPATCH', '/f', {}, proppatch_body(four), user='wendy')
    t.eq(r.status, 423, 'and nobody else may')
    t.eq(d('UNLOCK', '/f', {'Lock-Token': '<%s>' % token}).status, 204, 'unlock')


def mkcol(s, t):
    d = Dav(s, 'mkcol')
    t.eq(d('MKCOL', '/a').status, 201, 'MKCOL')
    t.eq(d('MKCOL', '/b/').status, 201, 'MKCOL with a slash')
    t.eq(d('MKCOL', '/a').status, 405, 'of what exists')
    t.ok(d('MKCOL', '/a').header('Allow'), '405 says what is allowed')
    t.eq(d('MKCOL', '/x/y').status, 409, 'without its parent')
    d.put('/f')
    t.eq(d('MKCOL', '/f').status, 405, 'where a file is')
    t.eq(d('MKCOL', '/f/y').status, 409, 'below a file')
    t.eq(d('MKCOL', '/z', {'Content-Type': 'x/y'}, 'body').status, 415, 'with a body')
    t.eq(d.find('/z').status, 404, 'which makes nothing')
    t.eq(d('MKCOL', '/..').status, 400, 'MKCOL ..')


def put_get(s, t):
    d = Dav(s, 'put')
    r = d.put('/f', b'one')
    t.eq(r.status, 201, 'PUT makes')
    first = r.header('ETag')
    t.ok(re.fullmatch('"[0-9a-f]{16}"', first or ''), 'and answers with an ETag')
    r = d.put('/f', b'two')
    t.eq(r.status, 204, 'PUT replaces')
    t.ok(r.header('ETag') != first, 'with another ETag')
    t.eq(d.get('/f'), b'two', 'GET')
    t.eq(d.put('/no/f').status, 409, 'without its parent')
    t.eq(d.put('/f/g').status, 409, 'below a file')
    d('MKCOL', '/c')
    t.eq(d.put('/c').status, 405, 'onto a folder')
    t.ok(d.put('/c').header('Allow'), '405 says what is allowed')
    t.eq(d.put('/f', b'x', {'Content-Range': 'bytes 0-0/3'}).status, 400, 'with Content-Range')
    t.eq(d.get('/f'), b'two', 'which changes nothing')
    t.eq(d.put('/chunked', iter([b'a' * 10, b'b' * 100000])).status, 201, 'chunked')
    t.eq(d.get('/chunked'), b'a' * 10 + b'b' * 100000, 'and whole')
    t.eq(d('PUT', '/empty').status, 201, 'with neither body nor length (gvfs)')
    t.eq(d.get('/empty'), b'', 'is empty')
    big = os.urandom(3 << 20)
    t.eq(d.put('/big', big).status, 201, '3 MiB')
    t.ok(d.get('/big') == big, 'read back')
    r = d('GET', '/big', {'Range': 'bytes=1000000-1000009'})
    t.eq((r.status, r.body), (206, big[1000000:1000010]), 'a range')
    r = d('HEAD', '/big')
    t.eq((r.status, r.header('Content-Length'), r.body), (200, str(3 << 20), b''), 'HEAD')
    for m in ('GET', 'HEAD'):
        r = d(m, '/c/')
        t.eq((r.status, r.header('Content-Type', '').split(';')[0]), (200, 'text/html'), '%s of a folder' % m)
    tag = d('HEAD', '/f').header('ETag')
    t.eq(d('GET', '/f', {'If-None-Match': tag}).status, 304, '304')
    t.eq(d.put('/f', b'x', {'If-None-Match': '*'}).status, 412, 'If-None-Match: * on what exists')
    t.eq(d.put('/f', b'x', {'If-Match': '"0000000000000001"'}).status, 412, 'If-Match with another')
    t.eq(d.put('/f', b'three', {'If-Match': tag}).status, 204, 'If-Match with the right one')
    t.eq(d.put('/new', b'x', {'If-Match': '*'}).status, 412, 'If-Match: * on nothing')


def delete(s, t):
    d = Dav(s, 'delete')
    d('MKCOL', '/c')
    d('MKCOL', '/c/d')
    d.put('/c/d/f')
    d.put('/f')
    for depth in ('0', '1'):
        t.eq(d('DELETE', '/c', {'Depth': depth}).status, 400, 'a folder with Depth %s' % depth)
    t.eq(d.get('/c/d/f'), b'x', 'stays')
    t.eq(d('DELETE', '/f', {'Depth': '0'}).status, 204, 'a file with Depth 0')
    t.eq(d('DELETE', '/f').status, 404, 'again')
    t.eq(d('DELETE', '/c', {'Depth': 'infinity'}).status, 204, 'a folder')
    t.eq(d.find('/c/d').status, 404, 'with all in it')
    d.put('/keep')
    t.eq(d('DELETE', '/keep', {'If-Match': '"0000000000000001"'}).status, 412, 'with a condition that fails')
    raw = s.raw(('DELETE /dav/delete/keep#frag HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: %s\r\n\r\n' %
                 gh.basic('admin', gh.PASSWORD)).encode())
    t.ok(raw.startswith(b'HTTP/1.1 400'), 'a fragment is not a request', repr(raw[:60]))
    t.eq(d.get('/keep'), b'x', 'and deletes nothing')
    d('MKCOL', '/l')
    d.put('/l/f')
    _, token = d.lock('/l/f')
    t.eq(d('DELETE', '/l').status, 423, 'a folder with a locked member')
    t.eq(d('DELETE', '/l/f', {'If': '(<%s>)' % token}).status, 204, 'the member with its token')
    t.eq(d.put('/l/f').status, 201, 'its lock went with it')


def copymove(s, t):
    d = Dav(s, 'cm')
    host = '%s:%d' % s.address('http')

    def go(method, source, dest, **headers):
        h = {'Destination': dest if dest.startswith(('/', 'h')) else d.base + '/' + dest}
        h.update({k.capitalize(): v for k, v in headers.items()})
        return d(method, source, h).status

    d.put('/a', b'A')
    d.put('/b', b'B')
    d('MKCOL', '/c')
    d.put('/c/in', b'IN')
    d('PROPPATCH', '/a', {}, proppatch_body([('set', '{urn:a}p', 'v')]))
    t.eq(go('COPY', '/a', 'a2'), 201, 'COPY to a new name')
    t.eq(only(d.find('/a2')).text('{urn:a}p'), 'v', 'dead properties travel')
    t.eq(go('COPY', '/a', 'b', overwrite='F'), 412, 'Overwrite: F onto what exists')
    t.eq(d.get('/b'), b'B', 'leaves it')
    t.eq(go('COPY', '/a', 'b'), 204, 'COPY replaces by default')
    t.eq(d.get('/b'), b'A', 'the content')
    t.eq(go('COPY', '/a', 'b', overwrite='X'), 400, 'Overwrite: X')
    t.eq(go('COPY', '/a', 'b', depth='1'), 400, 'Depth 1')
    t.eq(go('MOVE', '/a', 'b', depth='0'), 400, 'MOVE with Depth 0')
    t.eq(go('COPY', '/a', 'a'), 403, 'onto itself')
    t.eq(go('MOVE', '/a', 'a'), 403, 'MOVE onto itself')
    t.eq(go('COPY', '/a', 'no/x'), 409, 'without a parent')
    t.eq(go('MOVE', '/a', 'no/x'), 409, 'MOVE without a parent')
    t.eq(go('COPY', '/none', 'x'), 404, 'of nothing')
    t.eq(go('COPY', '/c', 'c/sub'), 403, 'a folder into itself')
    t.eq(go('MOVE', '/c', 'c/sub'), 403, 'MOVE of a folder into itself')
    t.eq(go('COPY', '/c', 'c2'), 201, 'a folder')
    t.eq(d.get('/c2/in'), b'IN', 'with its members')
    t.eq(go('COPY', '/c', 'c0', depth='0'), 201, 'a folder alone')
    t.eq(d.find('/c0/in').status, 404, 'without its members')
    d.put('/c2/extra')
    t.eq(go('COPY', '/c', 'c2'), 204, 'a folder onto a folder')
    t.eq(d.find('/c2/extra').status, 404, 'replaces, never merges')
    t.eq(go('MOVE', '/c/', 'c3'), 201, 'MOVE with a slash at the source alone')
    t.eq(go('MOVE', '/c3', 'c/'), 201, 'and at the destination alone')
    t.eq(d.get('/c/in'), b'IN', 'keeps the members')
    for n, dest in enumerate(('http://%s/dav/cm/n0' % host, '/dav/cm/n1', 'https://%s/dav/cm/n2' % host.split(':')[0],
                              'http://u:p@%s/dav/cm/n3' % host, 'http://%s:1/dav/cm/n4' % host.split(':')[0])):
        t.eq((go('COPY', '/a', dest), d.get('/n%d' % n)), (201, b'A'), 'Destination %s' % dest)
    for dest, want in (('http://h/', 502), ('http://h', 502), ('http://other.example/dav/x', 502), ('/d', 403),
                       ('/davx/y', 403), ('/elsewhere', 403), ('http://%s' % host, 400), ('http://%s/' % host, 403),
                       ('', 400), ('x', 400), ('//h/dav/x', 400), ('/dav/cm/../x', 400), ('/dav/cm/%2e%2e/x', 400),
                       ('/dav/cm/%00', 400), ('/dav/cm/%', 400), ('/dav/cm/..%2fx', 400), ('/dav/cm/q?x', 400),
                       ('ftp://h/dav/x', 502), ('/dav/cm/' + 'y' * 5000, (400, 414))):
        r = d('COPY', '/a', {'Destination': dest})
        t.among(r.status, want if isinstance(want, tuple) else (want,), 'Destination %r' % dest[:60])
    t.eq(d('COPY', '/a').status, 400, 'without a Destination')
    public = {'Destination': 'https://files.example:444/dav/cm/public'}
    t.eq(d('COPY', '/a', public).status, 502, 'a host that is nobody\'s')
    s.cli('tenant', 'set', 'default', '--host', 'files.example')
    t.eq(d('COPY', '/a', public).status, 201, "a host of the tenant's, as a proxy in front leaves it")
    t.among(d('MOVE', '/a', {'Destination': '/dav'}).status, (403, 409), 'onto the root')
    r = d('HEAD', '/a')
    go('MOVE', '/a', 'moved')
    t.eq(d('HEAD', '/moved').header('ETag'), r.header('ETag'), 'MOVE leaves the ETag')
    t.eq(d.find('/a').status, 404, 'and nothing behind')
    _, token = d.lock('/moved')
    t.eq(go('MOVE', '/moved', 'm2'), 423, 'MOVE of what is locked needs the token')
    t.eq(go('COPY', '/moved', 'm2'), 201, 'COPY does not')
    t.eq(list(only(d.find('/m2')).element('lockdiscovery')), [], 'and the lock stays behind')
    t.eq(go('COPY', '/b', 'moved'), 423, 'onto what is locked')
    t.eq(go('MOVE', '/moved', 'm3', **{'if': '(<%s>)' % token}), 201, 'MOVE with the token')
    t.eq(list(only(d.find('/m3')).element('lockdiscovery')), [], 'leaves the lock behind too')


def locks(s, t):
    d = Dav(s, 'locks')
    s.user('default/lockbob', '--owner')
    d.put('/f')
    owner = '<D:href>mailto:a@b</D:href> &amp; <x xmlns="urn:x">y</x>'
    body = ('<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
            '<D:owner>%s</D:owner></D:lockinfo>' % owner)
    r = d('LOCK', '/f', {'Timeout': 'Second-300, Infinite'}, body)
    token = (r.header('Lock-Token') or '').strip('<>')
    t.eq(r.status, 200, 'LOCK of a file')
    t.ok(re.match('urn:uuid:|opaquelocktoken:', token), 'a token that is unique for ever: %s' % token)
    root = ET.fromstring(r.body)
    a = root.find('%slockdiscovery/%sactivelock' % (D, D))
    t.ok(root.tag == D + 'prop' and a is not None, 'prop/lockdiscovery/activelock')
    t.eq(a.find(D + 'locktoken').find(D + 'href').text, token, 'locktoken')
    t.eq(a.find(D + 'lockroot').find(D + 'href').text, '/dav/locks/f', 'lockroot')
    t.eq(a.find(D + 'timeout').text, 'Second-300', 'timeout')
    o = a.find(D + 'owner')
    t.eq((o[0].text, o[0].tail, o[1].tag, o[1].text), ('mailto:a@b', ' & ', '{urn:x}x', 'y'), 'owner as it was sent')
    e = only(d.find('/f', '0', propfind_body('lockdiscovery')))
    t.has(ET.tostring(e.element('lockdiscovery')).decode(), token, 'lockdiscovery tells it')

    for who in ('admin', 'lockbob'):
        for m, h, b in (('PUT', {}, b'y'), ('DELETE', {}, None),
                        ('PROPPATCH', {}, proppatch_body([('set', '{u:}p', '')])),
                        ('MOVE', {'Destination': '/dav/locks/g'}, None)):
            r = d(m, '/f', h, b, user=who)
            t.eq((r.status, error_of(r)[:1]), (423, ['lock-token-submitted']), '%s by %s without the token' % (m, who))
    t.has(r.text, '/dav/locks/f', '423 names the root of the lock')
    t.eq(d.put('/f', b'z', {'If': '(<%s>)' % token}).status, 204, 'PUT with it')
    t.eq(d.put('/f', b'q', {'If': '(<%s>)' % token}, user='lockbob').status, 423, "another's token is worth nothing")
    t.eq(d.get('/f'), b'z', 'GET needs none')
    r, none = d.lock('/f')
    t.eq((r.status, error_of(r)[:1], none), (423, ['no-conflicting-lock'], None), 'LOCK of what is locked')
    t.eq(d.lock('/f', scope='shared')[0].status, 423, 'also a shared one')
    t.eq(d('UNLOCK', '/f').status, 400, 'UNLOCK without a header')
    t.eq(d('UNLOCK', '/f', {'Lock-Token': '<'}).status, 400, 'with rubbish')
    r = d('UNLOCK', '/f', {'Lock-Token': '<urn:uuid:0>'})
    t.eq((r.status, error_of(r)[:1]), (409, ['lock-token-matches-request-uri']), 'with another token')
    t.eq(d('UNLOCK', '/', {'Lock-Token': '<%s>' % token}).status, 409, 'outside its scope')
    s.user('default/reader')
    s.cli('acl', 'grant', 'default', '/locks', 'user:reader', 'list,read,write')
    t.eq(d('UNLOCK', '/f', {'Lock-Token': '<%s>' % token}, user='reader').status, 403, 'UNLOCK by somebody else')
    t.eq(d('UNLOCK', '/f', {'Lock-Token': token}).status, 204, 'UNLOCK takes a token without brackets')
    t.eq(d('UNLOCK', '/f', {'Lock-Token': '<%s>' % token}).status, 409, 'once')

    r, token = d.lock('/new')
    t.eq(r.status, 201, 'LOCK of nothing makes')
    t.eq(d.get('/new'), b'', 'an empty file')
    t.eq(only(d.find('/new')).text('getcontentlength'), '0', 'an ordinary one')
    t.eq(d.put('/new', b'q', {'If': '(<%s>)' % token}).status, 204, 'that can be written')
    t.eq(d.lock('/no/such')[0].status, 409, 'LOCK without a parent')
    t.eq(d('UNLOCK', '/new', {'Lock-Token': '<%s>' % token}).status, 204, 'unlock')
    t.eq(d.get('/new'), b'q', 'it stays')

    _, one = d.lock('/f', scope='shared')
    _, two = d.lock('/f', scope='shared', user='lockbob')
    t.ok(one and two and one != two, 'shared locks stand side by side')
    t.eq(d.lock('/f')[0].status, 423, 'exclusive meets shared')
    t.eq(d.put('/f', b'1', {'If': '(<%s>)' % one}).status, 204, 'one of them is enough')
    t.eq(d.put('/f', b'1').status, 423, 'none is not')
    e = only(d.find('/f'))
    t.eq(len(e.element('lockdiscovery')), 2, 'both are told')
    d('UNLOCK', '/f', {'Lock-Token': '<%s>' % one})
    d('UNLOCK', '/f', {'Lock-Token': '<%s>' % two}, user='lockbob')

    for depth, want in (('1', 400), ('x', 400), (None, 200)):
        r, token = d.lock('/f', depth=depth)
        t.eq(r.status, want, 'LOCK with Depth %s' % depth)
        if token:
            d('UNLOCK', '/f', {'Lock-Token': '<%s>' % token})
    for bad in ('<a/>', '<D:lockinfo xmlns:D="DAV:"/>', 'x',
                '<D:lockinfo xmlns:D="DAV:"><D:lockscope/><D:locktype><D:write/></D:locktype></D:lockinfo>'):
        t.eq(d('LOCK', '/f', {}, bad).status, 400, 'LOCK with %s' % bad)
    t.eq(d('LOCK', '/f', {'Timeout': 'Second-5'}, body).status, 200, 'a short timeout')
    r, token = d.lock('/forever', timeout='Infinite')
    secs = int(re.search(r'Second-(\d+)', r.text).group(1))
    t.ok(secs <= 3600, 'Infinite is clamped to an hour at most (%d)' % secs)


def lock_trees(s, t):
    d = Dav(s, 'trees')
    d('MKCOL', '/c')
    d.put('/c/f')
    r, deep = d.lock('/c')
    t.ok(r.status == 200 and '<D:depth>infinity</D:depth>' in r.text, 'LOCK of a folder is deep by default', repr(r))
    t.has(r.text, '<D:href>/dav/trees/c/</D:href>', 'its root ends with a slash')
    with_token = {'If': '(<%s>)' % deep}
    for m, p, h, b in (('PUT', '/c/f', {}, b'x'), ('PUT', '/c/new', {}, b'x'), ('MKCOL', '/c/d', {}, None),
                       ('DELETE', '/c/f', {}, None), ('DELETE', '/c', {}, None),
                       ('MOVE', '/c/f', {'Destination': '/dav/trees/out'}, None)):
        t.eq(d(m, p, h, b).status, 423, '%s %s under a deep lock' % (m, p))
    t.eq(d('LOCK', '/c/f', {}, None).status, 400, 'LOCK with neither body nor If')
    t.eq(d.lock('/c/f')[0].status, 423, 'a member cannot be locked apart')
    tagged = {'If': '</dav/trees/c/> (<%s>)' % deep}
    t.eq(d.put('/c/f', b'1', with_token).status, 204, 'PUT below with its token')
    t.eq(d.put('/c/f', b'1', tagged).status, 204, 'the same with a tag')
    t.eq(d.put('/c/new', b'1', tagged).status, 201, 'a new member')
    e = only(d.find('/c/f', '0', propfind_body('lockdiscovery')))
    t.has(ET.tostring(e.element('lockdiscovery')).decode(), deep, 'members tell the lock above')
    r = d('LOCK', '/c/f', {'If': '(<%s>)' % deep, 'Timeout': 'Second-100'})
    t.ok(r.status == 200 and 'Second-100' in r.text and not r.header('Lock-Token'), 'refresh through a member', repr(r))
    r = d('LOCK', '/c', {'If': '(<%s>)' % deep, 'Timeout': 'Second-200', 'Depth': '1'})
    t.ok(r.status == 200 and 'Second-200' in r.text, 'refresh itself; Depth means nothing', repr(r))
    t.eq(d('LOCK', '/c', {'If': '(<urn:uuid:1>)'}).status, 412, 'refresh with another token')
    t.eq(d('LOCK', '/c', {'If': '(<%s>) (<urn:uuid:1>)' % deep}).status, 400, 'refresh with two')
    t.eq(d('UNLOCK', '/c/f', {'Lock-Token': '<%s>' % deep}).status, 204, 'UNLOCK through a member')

    r, flat = d.lock('/c', depth='0')
    t.eq(r.status, 200, 'LOCK of a folder alone')
    t.eq(d.put('/c/f', b'2').status, 204, 'members can be written')
    t.eq(d.put('/c/another', b'2').status, 423, 'but none added')
    t.eq(d('DELETE', '/c/f').status, 423, 'and none removed')
    t.eq(d('MOVE', '/c/f', {'Destination': '/dav/trees/out'}).status, 423, 'or moved away')
    t.eq(d('PROPPATCH', '/c', {}, proppatch_body([('set', '{u:}p', '')])).status, 423, 'nor its properties changed')
    d.put('/loose')
    t.eq(d('MOVE', '/loose', {'Destination': '/dav/trees/c/loose'}).status, 423, 'or moved in')
    t.eq(d('MOVE', '/loose', {'Destination': '/dav/trees/c/loose', 'If': '</dav/trees/c> (<%s>)' % flat}).status, 201,
         'unless its token is there')
    d('UNLOCK', '/c', {'Lock-Token': '<%s>' % flat})

    _, member = d.lock('/c/f')
    r, _ = d.lock('/c')
    t.eq(r.status, 207, 'a deep LOCK above a locked member')
    m = multistatus(r)
    t.eq((m['/dav/trees/c/f'].status, m['/dav/trees/c/'].status), (423, 424), 'names it, and the folder failed by it')
    r, flat = d.lock('/c', depth='0')
    t.eq(r.status, 200, 'a flat one stands beside it')


def if_header(s, t):
    d = Dav(s, 'if')
    d.put('/f', b'1')
    d.put('/g', b'1')
    tag = d('HEAD', '/f').header('ETag')
    _, token = d.lock('/f')

    def put(header, path='/f'):
        nonlocal tag
        r = d.put(path, b'n', {'If': header})
        if path == '/f':
            tag = d('HEAD', '/f').header('ETag')
        return r.status

    t.eq(put('(<%s> [%s])' % (token, tag)), 204, 'token and ETag')
    t.eq(put('(<%s> ["0000000000000001"])' % token), 412, 'AND within a list')
    t.eq(put('(["0000000000000001"]) (<%s>)' % token), 204, 'OR between lists')
    t.eq(put('(<%s> [W/%s])' % (token, tag)), 412, 'a weak ETag does not match')
    t.eq(put('(<%s>) (Not <DAV:no-lock>)' % token), 204, 'Not <DAV:no-lock> is always true')
    t.eq(put('(<DAV:no-lock>) (<%s>)' % token), 204, 'one true list is enough')
    t.among(put('(<DAV:no-lock>)'), (412, 423), '<DAV:no-lock> never is')
    t.eq(put('(Not <DAV:no-lock>)'), 423, 'true, but the token was not submitted')
    t.eq(put('(Not <%s>)' % token), 412, 'Not with a token that holds')
    t.eq(put('(Not <%s>) ([%s])' % (token, tag)), 204, 'a token anywhere counts as submitted')
    t.eq(put('(<%s> Not ["0000000000000001"])' % token), 204, 'Not with an ETag')
    t.eq(put('</dav/if/f> (<%s>)' % token), 204, 'tagged')
    t.eq(put('<http://%s:%d/dav/if/f> (<%s>)' % (*s.address('http'), token)), 204, 'tagged with a URL')
    t.eq(put('</dav/if/g> (<%s>)' % token), 412, 'tagged with another resource')
    t.eq(put('</dav/if/g> (Not <%s>)' % token), 204, 'which is evaluated on that one')
    t.eq(put('</dav/if/none> (<%s>)' % token), 412, 'tagged with nothing')
    t.eq(put('<http://elsewhere.example/x> (<%s>)' % token), 412, 'tagged with a foreign URL')
    t.eq(put('<http://elsewhere.example/x> (<%s>) </dav/if/f> (<%s>)' % (token, token)), 204, 'and another tag')
    t.eq(put('(<urn:uuid:unknown>)', '/g'), 412, 'a token that is unknown, on what is not locked')
    t.eq(put('(<opaquelocktoken:bogus>) (Not <DAV:no-lock>)'), 423, 'a misspelt token is 423, never 400')
    for bad in ('(', '(<', '([', '(Not', '()', 'x', '((<a:b>))', '<http://', '(<a:b>', '([W/a])', '(<a:b>) x', ''):
        if bad:
            t.eq(put(bad), 400, 'If: %s' % bad)
    t.eq(put('(<a:b>) ' * 1200), 431, 'more than 8 KiB')
    t.eq(put('<http://h/' + 'x' * 8200), 431, 'also in a tag')
    t.eq(put('(<a:b>)' * 1100 + '(<%s>)' % token), 204, 'a long list is fine')
    t.eq(d('GET', '/f', {'If': '(<DAV:no-lock>)'}).status, 412, 'GET is conditional too')
    t.eq(d.find('/f', '0').status, 207, 'PROPFIND')
    t.eq(d('PROPFIND', '/f', {'Depth': '0', 'If': '(<DAV:no-lock>)'}).status, 412, 'PROPFIND as well')


def durable(s, t):
    d = Dav(s, 'durable')
    d.put('/f')
    _, token = d.lock('/f', timeout='Second-3000')
    d('PROPPATCH', '/f', {'If': '(<%s>)' % token}, proppatch_body([('set', '{urn:a}p', 'kept')]))
    s.kill9()
    s.start()
    t.eq(d.put('/f', b'2').status, 423, 'a lock survives kill -9')
    t.eq(only(d.find('/f')).text('{urn:a}p'), 'kept', 'and so do properties')
    t.eq(d.put('/f', b'2', {'If': '(<%s>)' % token}).status, 204, 'its token still opens it')
    t.eq(d('UNLOCK', '/f', {'Lock-Token': '<%s>' % token}).status, 204, 'and ends it')


def rights(s, t):
    """By effect, on every path an operation touches."""
    d = Dav(s, 'acl')
    s.user('default/eve')
    for p in ('/ro', '/rw', '/hid'):
        d('MKCOL', p)
        d.put(p + '/f', b'secret')
    s.cli('acl', 'grant', 'default', '/acl/ro', 'user:eve', 'list,read')
    s.cli('acl', 'grant', 'default', '/acl/rw', 'user:eve', 'list,read,create,write')

    def eve(m, p, h=None, b=None):
        return d(m, p, h, b, user='eve').status

    t.eq(eve('GET', '/ro/f'), 200, 'reads')
    t.eq(eve('GET', '/hid/f'), 404, 'what may not be seen is not there')
    t.eq(eve('PROPFIND', '/hid', {'Depth': '1'}), 404, 'nor its folder')
    for m, h, b in (('PUT', {}, b'x'), ('DELETE', {}, None), ('PROPPATCH', {}, proppatch_body([('set', '{u:}p', '')])),
                    ('MOVE', {'Destination': '/dav/acl/rw/m'}, None)):
        t.eq(eve(m, '/ro/f', h, b), 403, '%s with read alone' % m)
    t.eq(lock(s, d.base + '/ro/f', user='eve')[0].status, 403, 'LOCK with read alone')
    t.eq(lock(s, d.base + '/ro/new', user='eve')[0].status, 403, 'LOCK that would create')
    t.eq(eve('MKCOL', '/ro/d'), 403, 'MKCOL')
    t.eq(eve('COPY', '/rw/f', {'Destination': '/dav/acl/ro/g'}), 403, 'COPY into what is read-only')
    t.eq(eve('COPY', '/rw/f', {'Destination': '/dav/acl/ro/f'}), 403, 'COPY over what is read-only')
    t.eq(eve('COPY', '/ro/f', {'Destination': '/dav/acl/rw/g'}), 201, 'COPY from there is reading')
    t.eq(eve('MOVE', '/rw/g', {'Destination': '/dav/acl/rw/h'}), 403, 'MOVE is deleting')
    t.eq(eve('COPY', '/hid/f', {'Destination': '/dav/acl/rw/h'}), 404, 'COPY of what may not be seen')
    t.among(eve('COPY', '/rw/f', {'Destination': '/dav/acl/hid/h'}), (403, 404, 409), 'COPY to there')
    m = multistatus(d.find('/', '1', user='eve'))
    t.eq(sorted(m), ['/dav/acl/', '/dav/acl/ro/', '/dav/acl/rw/'], 'a folder on the way shows what may be seen')
    t.eq(m['/dav/acl/'].code('creationdate'), None, 'and tells only name and type of itself')
    t.eq(d.get('/ro/f'), b'secret', 'nothing has changed')


def hostile(s, t):
    """Rows T-30 to T-43 of the list of hostile inputs, on the wire."""
    d = Dav(s, 'hostile')
    d.put('/f')
    lol = '<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">' + ''.join(
        '<!ENTITY %s "%s">' % (chr(98 + i), ('&%s;' % chr(97 + i)) * 10) for i in range(9)) + ']>'
    bodies = {
        'billion laughs': lol + '<propfind xmlns="DAV:"><prop><x>&j;</x></prop></propfind>',
        'an external entity': '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
                              '<propfind xmlns="DAV:">&x;</propfind>',
        'a parameter entity': '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://169.254.169.254/">%x;]>'
                              '<propfind xmlns="DAV:"/>',
        'an external subset': '<!DOCTYPE a SYSTEM "http://169.254.169.254/">'
                              '<propfind xmlns="DAV:"><allprop/></propfind>',
        'attributes': '<propfind xmlns="DAV:"><prop ' + ' '.join('a%d=""' % i for i in range(20000)) + '/></propfind>',
        'siblings': '<propfind xmlns="DAV:"><prop>' + '<a/>' * 50000 + '</prop></propfind>',
        'depth': '<a>' * 60000,
        'many names': '<propfind xmlns="DAV:"><prop>' + ''.join('<a%d/>' % i for i in range(4000)) +
                      '</prop></propfind>',
    }
    for what, body in bodies.items():
        for m in ('PROPFIND', 'PROPPATCH', 'LOCK'):
            began = time.monotonic()
            r = d(m, '/f', {'Depth': '0'}, body)
            t.among(r.status, (400, 413), '%s with %s' % (m, what))
            t.hasnt(r.body, b'root:', 'nothing of the machine is told')
            t.ok(time.monotonic() - began < 1 * gh.SLOW, 'and soon: %s, %s' % (m, what))
    for m, size in (('PROPFIND', 256 << 10), ('LOCK', 256 << 10), ('PROPPATCH', 1 << 20)):
        t.eq(d(m, '/f', {'Depth': '0'}, b'<a>' + b'x' * size).status, 413, '%s larger than allowed' % m)
        t.eq(d(m, '/f', {'Depth': '0'}, iter([b'<a>'] + [b'x' * 65536] * (size // 65536))).status, 413,
             '%s larger than allowed, chunked' % m)
    t.eq(d.find('/', '0', '<propfind xmlns="DAV:"><prop>' + ''.join('<a%d/>' % i for i in range(200)) +
                '</prop></propfind>').status, 207, 'two hundred names are answered')
    for owner in ('\r\nX-Injected: 1', ']]&gt;', '&lt;script&gt;'):
        r, token = d.lock('/owner', owner=owner)
        t.ok(r.status in (200, 201) and r.header('X-Injected') is None, 'an odd owner %r' % owner, repr(r))
        ET.fromstring(r.body)
        d('UNLOCK', '/owner', {'Lock-Token': '<%s>' % token})
    r = d.lock('/owner', owner='x' * 5000)[0]
    t.eq(r.status, 413, 'a long owner')
    d.put('/%3Cimg%20src=x%20onerror=alert(1)%3E.html', b'<script>')
    r = d.find('/', '1')
    t.hasnt(r.text, '<img', 'markup in names is escaped')
    r = d('GET', '/%3Cimg%20src=x%20onerror=alert(1)%3E.html')
    t.eq(r.header('X-Content-Type-Options'), 'nosniff', 'active content: nosniff')
    t.has(r.header('Content-Security-Policy', ''), 'sandbox', 'and sandboxed')
    t.hasnt(d('GET', '/%3Cscript%3E').text, '<script>', 'a 404 does not repeat markup')
    raw = s.raw(b'PROPFIND * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    t.ok(raw.startswith(b'HTTP/1.1 4'), 'PROPFIND *', repr(raw[:40]))
    t.ok(s.alive(), 'the server lives')


def many(s, t):
    """A listing of more than one page."""
    d = Dav(s, 'many')
    count = 2500
    names = ['%05d-%s' % (i, 'n' * 60) for i in range(count)]
    conn = s.client()
    for n in names:
        r = conn.request('PUT', '%s/%s' % (d.base, n), {'Content-Length': '0'})
        if r.status != 201:
            t.eq(r.status, 201, n)
            return
    r = d.find('/', '1')
    m = multistatus(r)
    t.eq(sorted(m), [d.base + '/'] + [d.base + '/' + n for n in names], '%d members, each once' % count)
    d('PROPPATCH', '/' + names[1700], {}, proppatch_body([('set', '{u:}p', 'here')]))
    m = multistatus(d.find('/', '1', propfind_body('{u:}p')))
    t.eq([k for k, v in m.items() if v.code('{u:}p') == 200], [d.base + '/' + names[1700]], 'properties on later pages')
    _, token = d.lock('/' + names[2400])
    m = multistatus(d.find('/', '1', propfind_body('lockdiscovery')))
    t.eq([k for k, v in m.items() if len(v.element('lockdiscovery'))], [d.base + '/' + names[2400]],
         'and locks')
    raw = s.raw(('PROPFIND %s/ HTTP/1.0\r\nDepth: 1\r\nAuthorization: %s\r\n\r\n' %
                 (d.base, gh.basic('admin', gh.PASSWORD))).encode(), timeout=30)
    head, _, body = raw.partition(b'\r\n\r\n')
    t.ok(b'chunked' not in head.lower(), 'HTTP/1.0 gets it without chunks')
    t.eq(len(ET.fromstring(body)), count + 1, 'and whole')


TOPICS = [options, ancestors, listing, names, propfind_forms, quota, proppatch, win32, mkcol, put_get, delete, copymove,
          locks, lock_trees, if_header, rights, hostile, many, durable]


def main():
    t = gh.Checks()
    wanted = sys.argv[1:]
    with gh.Server() as s:
        for topic in TOPICS:
            if wanted and topic.__name__ not in wanted:
                continue
            try:
                topic(s, t)
            except Exception as e:  # a topic that falls over is a failure; the others still run
                t.ok(False, '%s: %s: %s' % (topic.__name__, type(e).__name__, e))
                if not s.alive():
                    print(s.log()[-3000:])
                    break
    return t.done()


sys.exit(main())
