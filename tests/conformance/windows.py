#!/usr/bin/python3
# suite: quick
# sanitizers: asan
# metadata: sqlite postgresql pair
"""What Windows' WebDAV redirector and Office send, in their order and with their headers, and what they must get for a
drive to map, a file to be copied with its times, renamed and deleted, and a document to be edited."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
from davtool import LOCK_BODY, D, multistatus, only  # noqa: E402

AGENT = 'Microsoft-WebDAV-MiniRedir/10.0.19045'
WIN = '{urn:schemas-microsoft-com:}'
PATCH = ('<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" '
         'xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop>%s</D:prop></D:set></D:propertyupdate>')
TIME = 'Sat, 05 Apr 2014 12:13:14 GMT'


def four(attributes='00000020'):
    return PATCH % ('<Z:Win32CreationTime>%s</Z:Win32CreationTime><Z:Win32LastAccessTime>%s</Z:Win32LastAccessTime>'
                    '<Z:Win32LastModifiedTime>%s</Z:Win32LastModifiedTime>'
                    '<Z:Win32FileAttributes>%s</Z:Win32FileAttributes>' % (TIME, TIME, TIME, attributes))


class Redirector:
    def __init__(self, s):
        self.s, self.host = s, '%s:%d' % s.address('http')

    def __call__(self, method, path, headers=None, body=None, auth=True):
        h = {'User-Agent': AGENT, 'translate': 'f', 'Connection': 'Keep-Alive'}
        if method in ('PROPFIND', 'LOCK', 'PUT') and body is None:
            h['Content-Length'] = '0'
        h.update(headers or {})
        return self.s.http(method, path, h, body, auth=auth)

    def find(self, path, depth='0'):
        return self('PROPFIND', path, {'Depth': depth})


def map_drive(w, t):
    for path in ('/', '/dav', '/dav/share'):
        r = w('OPTIONS', path, auth=False)
        t.eq((r.status, r.header('MS-Author-Via'), r.header('DAV')), (200, 'DAV', '1, 2, 3'), 'OPTIONS %s' % path)
    r = w('PROPFIND', '/', {'Depth': '0'}, auth=False)
    t.ok(r.status == 207 or (r.status == 401 and r.header('WWW-Authenticate', '').startswith('Basic')),
         'PROPFIND / without credentials asks for them', repr(r))
    for path in ('/', '/dav', '/dav/share'):
        r = w.find(path)
        t.eq(r.status, 207, 'PROPFIND %s' % path)
        e = only(r)
        t.ok(e.element('resourcetype').find(D + 'collection') is not None, 'it is a folder')
        t.hasnt(r.text, '> <', 'no whitespace between elements')
    for probe in ('desktop.ini', 'autorun.inf', 'folder.jpg', 'Thumbs.db', 'AutoRun.inf'):
        t.eq(w.find('/dav/share/' + probe).status, 404, 'the probe for %s' % probe)
    t.eq(list(multistatus(w.find('/dav/share', '1'))), ['/dav/share/'], 'an empty folder')


def copy_in(w, t, name, data):
    """Explorer copies a file into the drive. Returns nothing; everything is checked."""
    path = '/dav/share/' + name
    t.eq(w.find(path).status, 404, 'it is not there yet')
    t.eq(w('PUT', path).status, 201, 'an empty PUT makes it')
    r = w('LOCK', path, {'Timeout': 'Second-3600', 'Content-Type': 'text/xml; charset="utf-8"'},
          LOCK_BODY % ('exclusive', 'PC\\ann'))
    t.eq(r.status, 200, 'LOCK')
    token = r.header('Lock-Token', '')
    t.ok(re.fullmatch('<(opaquelocktoken|urn:uuid):[0-9a-f-]+>', token), 'Lock-Token: %s' % token)
    held = {'If': '(%s)' % token}
    r = w('PROPPATCH', path, dict(held, **{'Content-Type': 'text/xml; charset="utf-8"'}), four())
    e = only(r)
    t.eq([e.code(WIN + n) for n in ('Win32CreationTime', 'Win32LastAccessTime', 'Win32LastModifiedTime',
                                    'Win32FileAttributes')], [200] * 4, 'each of the four reports 200')
    t.eq(w('HEAD', path).status, 200, 'HEAD')
    t.eq(w('PUT', path, held, data).status, 204, 'PUT of the content with the token')
    t.eq(only(w('PROPPATCH', path, held, four('00000020'))).code(WIN + 'Win32FileAttributes'), 200, 'PROPPATCH again')
    t.eq(w('UNLOCK', path, {'Lock-Token': token}).status, 204, 'UNLOCK')
    e = only(w.find(path))
    t.eq((e.text('getcontentlength'), e.text('getlastmodified')), (str(len(data)), TIME), 'length and time are those of '
         'the source')
    t.eq(w('GET', path).body, data, 'and the content')


def work(w, t):
    r = w('MKCOL', '/dav/share/New%20folder')
    t.eq(r.status, 201, 'New folder')
    r = w('MOVE', '/dav/share/New%20folder', {'Destination': 'http://%s/dav/share/Papers' % w.host, 'Overwrite': 'F'})
    t.eq(r.status, 201, 'renamed')
    copy_in(w, t, 'n.txt', b'hello')
    copy_in(w, t, 'Papers/%C3%A9t%C3%A9.txt', os.urandom(200000))
    r = w('MOVE', '/dav/share/n.txt', {'Destination': 'http://%s/dav/share/m.txt' % w.host, 'Overwrite': 'F'})
    t.eq(r.status, 201, 'rename of a file')
    copy_in(w, t, 'n.txt', b'other')
    r = w('MOVE', '/dav/share/n.txt', {'Destination': 'http://%s/dav/share/m.txt' % w.host, 'Overwrite': 'F'})
    t.eq(r.status, 412, 'rename onto what exists')
    r = w('MOVE', '/dav/share/m.txt', {'Destination': 'http://%s/dav/share/M.TXT' % w.host, 'Overwrite': 'F'})
    t.among(r.status, (201, 204), 'a rename that changes only the case')
    t.has(''.join(multistatus(w.find('/dav/share', '1'))), 'M.TXT', 'shows')
    t.eq(w.find('/dav/share/m.txt').status, 207, 'names are found in any case')
    t.eq(w('DELETE', '/dav/share/n.txt').status, 204, 'delete')
    t.eq(w('DELETE', '/dav/share/Papers').status, 204, 'delete a folder')
    t.eq(sorted(multistatus(w.find('/dav/share', '1'))), ['/dav/share/', '/dav/share/M.TXT'], 'what is left')


def office(w, t):
    """Word opens, edits and saves a document; its saves go through temporary files that replace the document."""
    doc = '/dav/share/report.docx'
    t.eq(w('PUT', doc, {}, b'v1').status, 201, 'there is a document')
    office = {'User-Agent': 'Microsoft Office Existence Discovery'}
    t.eq(w('OPTIONS', '/dav/share/', office, auth=False).status, 200, 'OPTIONS of the folder without a login')
    t.eq(w('HEAD', '/dav/share/', office).status, 200, 'HEAD of the folder')
    t.eq(w('HEAD', doc, office).status, 200, 'HEAD of the document')
    word = {'User-Agent': 'Microsoft Office Word 2014'}
    r = w('LOCK', doc, dict(word, Timeout='Second-3600'), LOCK_BODY % ('exclusive', 'PC\\ann'))
    token = r.header('Lock-Token', '')
    t.ok(r.status == 200 and 'Second-3600' in r.text, 'LOCK for an hour', repr(r))
    held = dict(word, If='(%s)' % token)
    t.eq(w('GET', doc, word).body, b'v1', 'GET')
    t.eq(w('PUT', doc, held, b'v2').status, 204, 'save with the token')
    r = w('LOCK', doc, dict(held, Timeout='Second-3600'))
    t.ok(r.status == 200 and not r.header('Lock-Token'), 'refresh', repr(r))
    r = w('PROPPATCH', doc, word, four())
    t.eq(only(r).code(WIN + 'Win32LastModifiedTime'), 200, 'the four properties without the token')
    tag = w('HEAD', doc, word).header('ETag')
    t.eq(w('PUT', '/dav/share/~WRD0001.tmp', word, b'v3').status, 201, 'a temporary file')
    r = w('MOVE', '/dav/share/~WRD0001.tmp', dict(word, Destination='http://%s%s' % (w.host, doc), Overwrite='T'))
    t.eq(r.status, 423, 'does not replace the locked document without its token')
    r = w('MOVE', '/dav/share/~WRD0001.tmp', dict(word, Destination='http://%s%s' % (w.host, doc), Overwrite='T',
                                                  If='<http://%s%s> (%s)' % (w.host, doc, token)))
    t.eq(r.status, 204, 'and does with it')
    t.eq(w('GET', doc, word).body, b'v3', 'the document is the saved one')
    t.ok(w('HEAD', doc, word).header('ETag') != tag, 'with a new ETag')
    w('UNLOCK', doc, dict(word, **{'Lock-Token': token}))
    t.eq(w('PUT', doc, word, b'v4').status, 204, 'and free again')


def main():
    t = gh.Checks()
    with gh.Server() as s:
        s.http('MKCOL', '/dav/share')
        w = Redirector(s)
        for step in (map_drive, work, office):
            try:
                step(w, t)
            except Exception as e:
                t.ok(False, '%s: %s: %s' % (step.__name__, type(e).__name__, e))
    return t.done()


sys.exit(main())
