#!/usr/bin/python3
# suite: quick
# sanitizers: asan
# metadata: sqlite postgresql pair:all
"""What the macOS Finder sends when it mounts a volume and copies files: empty PUT, LOCK, chunked PUT without a length,
the same for the AppleDouble twin, names in NFD."""
import os
import sys
import unicodedata
from urllib.parse import quote

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
from davtool import LOCK_BODY, multistatus, only, propfind_body  # noqa: E402

AGENT = 'WebDAVFS/3.0.0 (03008000) Darwin/22.6.0 (x86_64)'
STAT = propfind_body('getlastmodified', 'getcontentlength', 'creationdate', 'resourcetype')
QUOTA = propfind_body('quota-available-bytes', 'quota-used-bytes', '{DAV:}quota', '{DAV:}quotaused')


class Finder:
    def __init__(self, s):
        self.s = s

    def __call__(self, method, path, headers=None, body=None):
        h = {'User-Agent': AGENT, 'Accept': '*/*', 'Connection': 'keep-alive'}
        h.update(headers or {})
        return self.s.http(method, path, h, body)

    def find(self, path, depth='0', body=STAT):
        return self('PROPFIND', path, {'Depth': depth, 'Content-Type': 'text/xml'}, body)


def mount(f, t):
    r = f('OPTIONS', '/dav/vol/')
    t.ok('2' in r.header('DAV', ''), 'class 2, or it mounts read-only')
    t.eq(f.find('/dav/vol/').status, 207, 'PROPFIND of the volume')
    e = only(f.find('/dav/vol/', '0', QUOTA))
    t.ok(int(e.text('quota-available-bytes') or 0) > 0, 'the volume has room')
    t.eq(e.code('{DAV:}quota'), 404, 'properties of old servers are told to be missing')
    for probe in ('._.', '.DS_Store', '.Spotlight-V100', '.metadata_never_index', 'mach_kernel', 'Contents',
                  'Backups.backupdb', '.hidden'):
        t.eq(f.find('/dav/vol/' + probe).status, 404, 'the probe for %s' % probe)


def take_lock(f, path):
    r = f('LOCK', path, {'Depth': '0', 'Timeout': 'Second-600', 'Content-Type': 'text/xml; charset="utf-8"'},
          LOCK_BODY % ('exclusive', 'http://www.apple.com/webdav_fs/'))
    return r.status, r.header('Lock-Token', '')


def copy_in(f, t, name, data):
    path = '/dav/vol/' + quote(unicodedata.normalize('NFD', name))
    t.eq(f.find(path).status, 404, '%s is not there yet' % name)
    t.eq(f('PUT', path, {'Content-Length': '0'}).status, 201, 'an empty PUT')
    status, token = take_lock(f, path)
    t.eq(status, 200, 'LOCK')
    t.eq(f.find(path).status, 207, 'PROPFIND')
    pieces = [data[i:i + 65536] for i in range(0, len(data), 65536)] or [b'']
    r = f('PUT', path, {'If': '(%s)' % token, 'X-Expected-Entity-Length': str(len(data)), 'Expect': None}, iter(pieces))
    t.eq(r.status, 204, 'PUT in chunks, without a length')
    t.eq(only(f.find(path)).text('getcontentlength'), str(len(data)), 'all of it arrived')
    t.eq(f('UNLOCK', path, {'Lock-Token': token}).status, 204, 'UNLOCK')

    double = '/dav/vol/' + quote(unicodedata.normalize('NFD', '._' + name))
    status, token = take_lock(f, double)
    t.eq(status, 201, 'LOCK of its twin makes it')
    t.eq(f('GET', double).status, 200, 'GET of the empty twin')
    t.eq(f('PUT', double, {'If': '(%s)' % token}, iter([b'\0\5\x16\7' + b'x' * 4092])).status, 204, 'PUT of the twin')
    t.eq(f('UNLOCK', double, {'Lock-Token': token}).status, 204, 'UNLOCK of the twin')

    r = f('GET', path)
    t.ok(r.body == data, 'what is read back is the same')
    t.eq(r.header('Content-Length'), str(len(data)), 'with its length')
    if len(data) > 100:
        r = f('GET', path, {'Range': 'bytes=50-99'})
        t.eq((r.status, r.body), (206, data[50:100]), 'a range')
    t.eq(f('DELETE', double).status, 204, 'the twin is removed')


def work(f, t):
    copy_in(f, t, 'f.bin', os.urandom(300000))
    copy_in(f, t, 'Größe é.txt', b'small')
    copy_in(f, t, 'empty', b'')
    shown = ''.join(multistatus(f.find('/dav/vol/', '1')))
    t.has(shown, quote(unicodedata.normalize('NFC', 'Größe é.txt')), 'names are listed in one spelling, NFC')
    t.eq(f.find('/dav/vol/' + quote('Größe é.txt')).status, 207, 'and found in NFC')
    t.eq(f.find('/dav/vol/' + quote(unicodedata.normalize('NFD', 'Größe é.txt'))).status, 207, 'and in NFD')
    t.eq(f('PUT', '/dav/vol/' + quote('Größe é.txt'), {}, b'again').status, 204, 'they are one file')
    # a second save right after the first must not meet a lock of its own
    for _ in range(3):
        status, token = take_lock(f, '/dav/vol/f.bin')
        t.eq(status, 200, 'LOCK again')
        t.eq(f('PUT', '/dav/vol/f.bin', {'If': '(%s)' % token}, iter([b'new'])).status, 204, 'PUT again')
        t.eq(f('UNLOCK', '/dav/vol/f.bin', {'Lock-Token': token}).status, 204, 'UNLOCK again')


def main():
    t = gh.Checks()
    with gh.Server() as s:
        s.http('MKCOL', '/dav/vol')
        f = Finder(s)
        for step in (mount, work):
            try:
                step(f, t)
            except Exception as e:
                t.ok(False, '%s: %s: %s' % (step.__name__, type(e).__name__, e))
    return t.done()


sys.exit(main())
