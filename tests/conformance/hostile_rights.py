#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql pair:all
"""Rights by effect, at every door. The matrix is made from core/ops.tbl.h: each operation, at each door that can say it,
works with exactly the rights that its row names and is refused without any one of them. Then what broke other servers:
T-05 T-20 T-21 T-25 T-27 T-28 T-29."""
import ftplib
import io
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

t = gh.Checks()
RIGHTS = ('list', 'read', 'create', 'write', 'delete')
LOCKINFO = ('<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>')
PROPS = ('<propertyupdate xmlns="DAV:"><set><prop><x xmlns="urn:x">%s</x></prop></set></propertyupdate>')
REFUSED_HTTP, REFUSED_FTP = (403, 404, 409, 207), ('550', '553', '450', '501', '502')


def table():
    """Operation -> {'path', 'parent', 'dest', 'destparent'}: sets of rights, as the sources have them."""
    top = os.environ.get('GATEHOUSE_SOURCE', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
    rows = {}
    with open(os.path.join(top, 'core', 'ops.tbl.h')) as f:
        for m in re.finditer(r'^X\((\w+),\s*"[^"]*",\s*\w+,([^,]*),([^,]*),([^,]*),([^,]*),', f.read(), re.M):
            cells = [{w.lower() for w in re.findall(r'ACL_(\w+)', cell)} for cell in m.groups()[1:]]
            rows[m.group(1)] = dict(zip(('path', 'parent', 'dest', 'destparent'), cells))
    return rows


class Ftp:
    """FTP connections kept by user; a command that is refused gives its code."""

    def __init__(self, s):
        self.s, self.kept = s, {}

    def do(self, user, fn):
        if user not in self.kept:
            self.kept[user] = self.s.ftp(user)
        try:
            fn(self.kept[user])
            return True
        except ftplib.error_perm as e:
            return str(e)[:3] not in REFUSED_FTP and 'unexpected ' + str(e)
        except ftplib.error_temp as e:
            return str(e)[:3] not in REFUSED_FTP and 'unexpected ' + str(e)


def store(verb, path, data=b'new', rest=None):
    return lambda f: f.storbinary('%s %s' % (verb, path), io.BytesIO(data), rest=rest)


def fetch(f, path):
    f.retrbinary('RETR ' + path, lambda b: None)


def rename(a, b):
    def run(f):
        f.rename(a, b)
    return run


def http(method, target, headers=None, body=None):
    def run(s, ftp, user):
        r = s.http(method, target, headers, body, user=user)
        if r.status in (200, 201, 204, 206) or (r.status == 207 and b'403' not in r.body and b'404' not in r.body):
            return True
        return r.status not in REFUSED_HTTP and 'unexpected %r' % r
    return run


def ftp_do(fn):
    return lambda s, ftp, user: ftp.do(user, fn)


def forms(ops):
    """(operation, door's words, needed rights, action, proof that it happened or None). Each runs in /m, freshly laid:
    f = file "old", g = file "other", d/ = empty folder, full/in = file, e/ = empty folder."""
    dav, api = '/dav/m/', '/api/v1/content/m/'
    new, over = ('path', 'destparent'), ('path', 'dest')

    def need(op, *columns, file_onto_file=False):
        out = set()
        for c in columns:
            out |= {'write'} if c == 'dest' and file_onto_file else ops[op][c]
        return out

    def to(name, **more):
        return dict({'Destination': dav + name}, **more)

    yield 'LIST', 'PROPFIND', need('LIST', 'path'), lambda s, ftp, u: _lists(s.http('PROPFIND', dav, {'Depth': '1'}, user=u))
    yield 'LIST', 'list', need('LIST', 'path'), lambda s, ftp, u: _lists(s.http('GET', '/api/v1/list/m', user=u))
    yield 'LIST', 'page', need('LIST', 'path'), lambda s, ftp, u: _lists(s.http('GET', '/m/', user=u))
    for verb in ('NLST', 'LIST', 'MLSD'):
        yield 'LIST', verb, need('LIST', 'path'), lambda s, ftp, u, v=verb: _ftp_lists(ftp, u, v)
    yield 'READ', 'GET', need('READ', 'path'), http('GET', dav + 'f')
    yield 'READ', 'GET range', need('READ', 'path'), http('GET', dav + 'f', {'Range': 'bytes=0-0'})
    yield 'READ', 'HEAD', need('READ', 'path'), http('HEAD', dav + 'f')
    yield 'READ', 'content', need('READ', 'path'), http('GET', api + 'f')
    yield 'READ', 'page', need('READ', 'path'), http('GET', '/m/f')
    yield 'READ', 'RETR', need('READ', 'path'), ftp_do(lambda f: fetch(f, '/m/f'))
    for prefix in (dav, api):
        yield 'WRITE_COMMIT', 'PUT new ' + prefix, need('WRITE_COMMIT', 'parent'), http('PUT', prefix + 'new', None, b'new')
        yield 'WRITE_COMMIT', 'PUT over ' + prefix, need('WRITE_COMMIT', 'path'), http('PUT', prefix + 'f', None, b'new')
        yield ('WRITE_COMMIT', 'PUT chunked ' + prefix, need('WRITE_COMMIT', 'path'),
               http('PUT', prefix + 'f', None, [b'ne', b'w']))
        yield 'REMOVE', 'DELETE ' + prefix, need('REMOVE', 'path'), http('DELETE', prefix + 'f')
        yield 'REMOVE', 'DELETE tree ' + prefix, need('REMOVE', 'path'), http('DELETE', prefix + 'full')
    yield 'WRITE_COMMIT', 'STOR new', need('WRITE_COMMIT', 'parent'), ftp_do(store('STOR', '/m/new'))
    yield 'WRITE_COMMIT', 'APPE new', need('WRITE_COMMIT', 'parent'), ftp_do(store('APPE', '/m/new'))
    yield 'WRITE_COMMIT', 'STOR over', need('WRITE_COMMIT', 'path'), ftp_do(store('STOR', '/m/f'))
    yield 'WRITE_COMMIT', 'APPE', need('WRITE_COMMIT', 'path'), ftp_do(store('APPE', '/m/f'))
    yield 'WRITE_COMMIT', 'REST STOR', need('WRITE_COMMIT', 'path'), ftp_do(store('STOR', '/m/f', rest=1))
    yield 'MKDIR', 'MKCOL', need('MKDIR', 'parent'), http('MKCOL', dav + 'new')
    yield 'MKDIR', 'MKD', need('MKDIR', 'parent'), ftp_do(lambda f: f.mkd('/m/new'))
    yield 'REMOVE', 'DELE', need('REMOVE', 'path'), ftp_do(lambda f: f.delete('/m/f'))
    yield 'REMOVE', 'RMD', need('REMOVE', 'path'), ftp_do(lambda f: f.rmd('/m/d'))
    yield 'MOVE', 'MOVE new', need('MOVE', *new), http('MOVE', dav + 'f', to('new'))
    yield 'MOVE', 'MOVE tree', need('MOVE', *new), http('MOVE', dav + 'full', to('new'))
    yield 'MOVE', 'MOVE over', need('MOVE', *over, file_onto_file=True), http('MOVE', dav + 'f', to('g'))
    yield 'MOVE', 'MOVE tree over', need('MOVE', *over, 'destparent'), http('MOVE', dav + 'full', to('d'))
    yield 'MOVE', 'RNTO new', need('MOVE', *new), ftp_do(rename('/m/f', '/m/new'))
    yield 'MOVE', 'RNTO over', need('MOVE', *over, file_onto_file=True), ftp_do(rename('/m/f', '/m/g'))
    yield 'COPY', 'COPY new', need('COPY', *new), http('COPY', dav + 'f', to('new'))
    yield 'COPY', 'COPY tree', need('COPY', *new), http('COPY', dav + 'full', to('new'))
    yield 'COPY', 'COPY over', need('COPY', *over, file_onto_file=True), http('COPY', dav + 'f', to('g'))
    yield 'COPY', 'COPY tree over', need('COPY', *over, 'destparent'), http('COPY', dav + 'full', to('d'))
    yield 'SET_PROPS', 'PROPPATCH', need('SET_PROPS', 'path'), http('PROPPATCH', dav + 'f', None, PROPS % 'y')
    yield 'SET_TIMES', 'MFMT', need('SET_TIMES', 'path'), ftp_do(lambda f: f.sendcmd('MFMT 20200102030405 /m/f'))
    yield 'LOCK', 'LOCK', need('LOCK', 'path'), http('LOCK', dav + 'f', {'Timeout': 'Second-60'}, LOCKINFO)
    yield 'LOCK', 'LOCK new', need('LOCK', 'parent'), http('LOCK', dav + 'new', {'Timeout': 'Second-60'}, LOCKINFO)
    for prefix in ('/dav/m/f', '/api/v1/stat/m/f'):
        method, headers = ('PROPFIND', {'Depth': '0'}) if 'dav' in prefix else ('GET', {})
        yield 'STAT', method, need('STAT', 'path'), http(method, prefix, headers)


def _lists(r):
    if r.status in (403, 404):
        return False
    return b'full' in r.body


def _ftp_lists(ftp, user, verb):
    lines = []
    done = ftp.do(user, lambda f: f.retrlines(verb + ' /m', lines.append))
    return done if done is not True else any('full' in line for line in lines)


class Tree:
    """/m as every form expects it; laid again only when the one before changed something."""

    def __init__(self, s):
        self.s, self.print_laid = s, None

    def fingerprint(self):
        out = []
        for path in ('/m', '/m/full'):
            r = self.s.http('GET', '/api/v1/list' + path)
            out += [(e['name'], e.get('etag'), e['type'], e['id'], e['mtime']) for e in r.json['entries']] if r.status == 200 else [path]
        r = self.s.http('PROPFIND', '/dav/m/f', {'Depth': '0'}, '<propfind xmlns="DAV:"><prop><x xmlns="urn:x"/></prop></propfind>')
        return out + [b'200 OK' in r.body, self.s.cli_json('locks', 'list', 'default')['items']]

    def lay(self):
        if self.print_laid is not None and self.fingerprint() == self.print_laid:
            return
        for lock in self.s.cli_json('locks', 'list', 'default')['items']:
            self.s.cli('locks', 'break', 'default', lock['token'])
        r = self.s.http('GET', '/api/v1/list/m')
        for e in r.json['entries']:
            self.s.http('DELETE', '/dav/m/' + e['name'])
        for name in ('d', 'e', 'full'):
            self.s.http('MKCOL', '/dav/m/' + name)
        for name, body in (('f', b'old'), ('g', b'other'), ('full/in', b'inside')):
            self.s.http('PUT', '/dav/m/' + name, body=body)
        self.print_laid = self.fingerprint()


def matrix(s):
    """T-23"""
    ops = table()
    t.eq(set(ops), {'LOGIN', 'STAT', 'LIST', 'READ', 'WRITE_BEGIN', 'WRITE_COMMIT', 'MKDIR', 'REMOVE', 'MOVE', 'COPY', 'SET_TIMES',
                    'SET_PROPS', 'LOCK', 'REFRESH', 'UNLOCK', 'QUOTA', 'EVENTS'}, 'the table has the operations that this test knows')
    s.http('MKCOL', '/dav/m')
    everybody = ['none'] + ['no-' + r for r in RIGHTS]
    for user in everybody:
        s.user('default/' + user)
    for r in RIGHTS:
        s.cli('acl', 'grant', 'default', '/m', 'user:no-' + r, ','.join(x for x in RIGHTS if x != r))
    ftp, tree = Ftp(s), Tree(s)
    covered = set()
    for op, words, needs, act in forms(ops):
        covered.add(op)
        label = 'T-23 %s (%s)' % (op, words)
        for user in everybody:
            missing = user[3:] if user != 'none' else None
            tree.lay()
            did = act(s, ftp, user)
            if user == 'none' or missing in needs:
                t.eq(did, False, '%s as %s is refused' % (label, user))
                if did is False:
                    t.eq(tree.fingerprint(), tree.print_laid, '%s as %s changed nothing' % (label, user))
            else:
                t.eq(did, True, '%s needs %s, so %s may' % (label, '+'.join(sorted(needs)) or 'to see it', user))
    # EVENTS needs no right and tells what rights lead to: feed.py.
    t.eq(set(ops) - covered, {'LOGIN', 'WRITE_BEGIN', 'REFRESH', 'UNLOCK', 'QUOTA', 'EVENTS'}, 'T-23 all others were tried')


def t05_dot_segments(s):
    """hacdias GHSA-chxv-mvjv-f92j: rules asked before the path is what it will be."""
    for p in ('/pub', '/priv', '/priv/sub'):
        s.http('MKCOL', '/dav' + p)
    s.http('PUT', '/dav/priv/x', body=b'secret')
    s.http('PUT', '/dav/pub/a', body=b'public')
    s.user('default/bob')
    s.cli('acl', 'grant', 'default', '/', 'user:bob', 'full')
    s.cli('acl', 'deny', 'default', '/priv', 'user:bob', 'full')
    for spelling in ('/priv', '/priv/', '/priv/x', '/./priv/x', '//priv//x', '/PRIV/x', '/Priv/X', '/pr%69v/x', '/%70riv/x', '/priv/./x',
                     '/pub/../priv/x', '/pub/%2e%2e/priv/x', '/priv/sub/../x', '/priv/%78', '/priv%2fx', '/priv//', '/pub/..//priv/x'):
        for prefix in ('/dav', '/api/v1/content', '/api/v1/list', '/api/v1/stat', ''):
            r = s.http('GET', prefix + spelling, user='bob')
            t.ok(r.status in (400, 403, 404) and b'secret' not in r.body, 'T-05 GET %s%s' % (prefix, spelling), repr(r))
        for method in ('PUT', 'DELETE', 'MKCOL', 'PROPFIND', 'PROPPATCH', 'LOCK'):
            body = {'PUT': b'x', 'PROPPATCH': PROPS % 'y', 'LOCK': LOCKINFO}.get(method)
            r = s.http(method, '/dav' + spelling, {'Depth': '0'} if method == 'PROPFIND' else None, body, user='bob')
            t.among(r.status, (400, 403, 404, 405, 409), 'T-05 %s %s' % (method, spelling))
        for method in ('COPY', 'MOVE'):
            r = s.http(method, '/dav/pub/a', {'Destination': '/dav' + spelling}, user='bob')
            t.among(r.status, (400, 403, 404, 409), 'T-05 %s to %s' % (method, spelling))
            r = s.http(method, '/dav' + spelling, {'Destination': '/dav/pub/stolen'}, user='bob')
            t.among(r.status, (400, 403, 404, 409), 'T-05 %s from %s' % (method, spelling))
    t.hasnt(s.http('GET', '/api/v1/list/', user='bob').text, 'priv', 'T-05 and it is not listed')
    t.eq(s.http('GET', '/dav/priv/x').body, b'secret', 'T-05 it is as it was')


def t20_copy_tree(s):
    """Nextcloud CVE-2016-9461, and trees with a member that may not be read: all or nothing, nothing leaked."""
    for p in ('/tree', '/tree/open', '/tree/shut', '/ro', '/rw'):
        s.http('MKCOL', '/dav' + p)
    s.http('PUT', '/dav/tree/open/a', body=b'open')
    s.http('PUT', '/dav/tree/shut/b', body=b'hidden text')
    s.http('PUT', '/dav/ro/b', body=b'read only')
    s.user('default/reader')
    s.cli('acl', 'grant', 'default', '/tree', 'user:reader', 'full')
    s.cli('acl', 'grant', 'default', '/rw', 'user:reader', 'full')
    s.cli('acl', 'grant', 'default', '/ro', 'user:reader', 'list,read')
    s.cli('acl', 'deny', 'default', '/tree/shut', 'user:reader', 'read')
    for overwrite in ('T', 'F'):
        for dest in ('/dav/ro/b', '/dav/ro/new'):
            for method in ('COPY', 'MOVE'):
                r = s.http(method, '/dav/tree/open/a', {'Destination': dest, 'Overwrite': overwrite}, user='reader')
                t.among(r.status, (403, 412), 'T-20 %s to %s, Overwrite: %s' % (method, dest, overwrite))
    r = s.http('COPY', '/dav/tree', {'Destination': '/dav/rw/stolen'}, user='reader')
    t.eq(r.status, 403, 'T-20 a tree with an unreadable member')
    t.hasnt(r.body, b'shut', 'T-20 which is not named')
    t.eq(s.http('GET', '/dav/rw/stolen').status, 404, 'T-20 nothing was copied')
    s.cli('acl', 'deny', 'default', '/tree/shut', 'user:reader', 'delete')
    for method, headers in (('DELETE', {}), ('MOVE', {'Destination': '/dav/rw/moved'})):
        t.eq(s.http(method, '/dav/tree', headers, user='reader').status, 403, 'T-20 %s of it' % method)
    t.eq((s.http('GET', '/dav/tree/open/a').body, s.http('GET', '/dav/ro/b').body), (b'open', b'read only'), 'T-20 all is there')


def t25_hrefs(s):
    """Apache CVE-2013-1896: a URI in a body is data. Nothing connects to where it points."""
    with socket.create_server(('127.0.0.1', 0)) as trap:
        trap.settimeout(0.2)
        uri = 'http://127.0.0.1:%d/' % trap.getsockname()[1]
        for method, path in (('REPORT', '/dav/'), ('POST', '/dav/pub/a'), ('MKCOL', '/dav/new'), ('PROPFIND', '/dav/'),
                             ('PROPPATCH', '/dav/pub/a'), ('LOCK', '/dav/pub/a'), ('PATCH', '/dav/pub/a')):
            for href in (uri, 'file:///etc/passwd', '/dav/../x', 'http://169.254.169.254/'):
                r = s.http(method, path, {'Depth': '0'},
                           '<version-tree xmlns="DAV:"><href>%s</href><prop><href/></prop></version-tree>' % href)
                t.among(r.status, (400, 403, 405, 415, 422, 501), 'T-25 %s with %s' % (method, href))
        try:
            trap.accept()
            t.ok(False, 'T-25 somebody connected')
        except (TimeoutError, socket.timeout):
            t.ok(True, 'T-25 nobody connected')


def t27_revoked_meanwhile(s):
    """Rights, and the place, are looked at again when it counts."""
    s.user('default/carl')
    s.http('MKCOL', '/dav/in')
    s.http('PUT', '/dav/in/f', body=b'old')

    def begin(path):
        c = socket.create_connection(s.address('http'), timeout=10 * gh.SLOW)
        c.sendall(('PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 8\r\n\r\nhalf' % (
            path, gh.basic('carl', gh.PASSWORD))).encode())
        time.sleep(0.2)
        return c

    def end(c):
        c.sendall(b'rest')
        out = c.recv(65536)
        c.close()
        return int(out.split()[1]) if out else 0

    for prefix in ('/dav', '/api/v1/content'):
        for name in ('f', 'new'):
            s.cli('acl', 'grant', 'default', '/in', 'user:carl', 'full')
            c = begin('%s/in/%s' % (prefix, name))
            s.cli('acl', 'revoke', 'default', '/in', 'user:carl')
            t.among(end(c), (403, 404, 409), 'T-27 rights revoked within a PUT %s of %s' % (prefix, name))
    s.cli('acl', 'grant', 'default', '/in', 'user:carl', 'full')
    c = begin('/dav/in/f')
    s.http('MOVE', '/dav/in', {'Destination': '/dav/elsewhere'})
    t.among(end(c), (403, 404, 409), 'T-27 the folder was renamed within a PUT')
    t.eq(s.http('GET', '/dav/elsewhere/f').body, b'old', 'T-27 the old content stays')
    t.eq(s.http('GET', '/dav/in').status, 404, 'T-27 and no folder comes back')
    s.http('MOVE', '/dav/elsewhere', {'Destination': '/dav/in'})
    c = begin('/dav/in/f')
    s.cli('user', 'set', 'default/carl', '--disable')
    t.among(end(c), (401, 403, 404), 'T-27 the user was disabled within a PUT')
    t.eq(s.http('GET', '/dav/in/f').body, b'old', 'T-27 and nothing of it was stored')
    s.cli('user', 'set', 'default/carl', '--enable')
    f = s.ftp('carl')
    f.voidcmd('TYPE I')
    d = f.transfercmd('STOR /in/f')
    d.sendall(b'half')
    time.sleep(0.2)
    s.cli('acl', 'revoke', 'default', '/in', 'user:carl')
    d.close()
    try:
        f.voidresp()
        t.ok(False, 'T-27 revoked within STOR')
    except ftplib.Error as e:
        t.ok(str(e)[:3] in ('550', '553', '451', '452'), 'T-27 revoked within STOR', str(e))
    for command in ('RETR /in/f', 'STOR /in/f'):
        try:
            f.transfercmd(command)
            t.ok(False, 'T-27 an open session has no old rights: ' + command)
        except ftplib.Error as e:
            t.eq(str(e)[:3], '550', 'T-27 an open session has no old rights: ' + command)
    f.close()
    t.eq(s.http('GET', '/dav/in/f').body, b'old', 'T-27 the old content stays after all')
    t.eq(s.http('GET', '/dav/in/new').status, 404, 'T-27 and nothing new came')


def t28_stale_answers(s):
    """Entries travel with their folder; a group's change counts at once."""
    s.user('default/dora')
    s.cli('acl', 'grant', 'default', '/', 'user:dora', 'full')
    s.http('MKCOL', '/dav/vault')
    s.http('PUT', '/dav/vault/x', body=b'secret')
    s.cli('acl', 'deny', 'default', '/vault', 'user:dora', 'full')
    for i in range(10):
        old, new = ('/vault', '/pub/vault') if i % 2 == 0 else ('/pub/vault', '/vault')
        t.among(s.http('GET', '/dav%s/x' % old, user='dora').status, (403, 404), 'T-28 before the move')
        t.eq(s.http('MOVE', '/dav' + old, {'Destination': '/dav' + new}).status, 201, 'T-28 moved')
        t.among(s.http('GET', '/dav%s/x' % new, user='dora').status, (403, 404), 'T-28 at the new place')
        t.eq(s.http('GET', '/dav%s/x' % old, user='dora').status, 404, 'T-28 at the old place')
        t.eq(s.http('GET', '/dav%s/x' % new).status, 200, 'T-28 the owner sees it')
    s.user('default/emil')
    s.cli('group', 'add', 'default/staff')
    s.http('MKCOL', '/dav/office')
    s.http('PUT', '/dav/office/x', body=b'work')
    s.cli('acl', 'grant', 'default', '/office', 'group:staff', 'list,read')
    for i in range(5):
        t.eq(s.http('GET', '/dav/office/x', user='emil').status, 404, 'T-28 not of the group')
        s.cli('group', 'join', 'default/staff', 'emil')
        t.eq(s.http('GET', '/dav/office/x', user='emil').status, 200, 'T-28 of the group at once')
        s.cli('group', 'leave', 'default/staff', 'emil')
    s.cli('group', 'join', 'default/staff', 'emil')
    s.cli('user', 'passwd', 'default/emil', '--password-stdin', stdin='another one 7\n')
    t.eq(s.http('GET', '/dav/office/x', user='emil').status, 401, 'T-28 the old password is worth nothing at once')
    t.eq(s.http('GET', '/dav/office/x', user='emil', password='another one 7').status, 200, 'T-28 the new one counts')
    s.cli('user', 'remove', 'default/emil')
    t.eq(s.http('GET', '/dav/office/x', user='emil', password='another one 7').status, 401, 'T-28 nor has one who is gone')


def t29_foreign_tokens(s):
    """Somebody else's lock token, read from lockdiscovery, opens nothing."""
    s.user('default/anna')
    s.user('default/bert')
    s.http('MKCOL', '/dav/shared')
    s.cli('acl', 'grant', 'default', '/shared', 'everyone', 'list,read,create,write,delete')
    s.http('PUT', '/dav/shared/x', body=b'old')
    r = s.http('LOCK', '/dav/shared/x', {'Timeout': 'Second-600'}, LOCKINFO, user='anna')
    t.eq(r.status, 200, 'T-29 anna locks')
    token = r.header('Lock-Token')
    headers = {'If': '(%s)' % token, 'Lock-Token': token}
    for what, r in (('PUT', s.http('PUT', '/dav/shared/x', headers, b'new', user='bert')),
                    ('PUT tagged', s.http('PUT', '/dav/shared/x', {'If': '</dav/shared/x> (%s)' % token}, b'new', user='bert')),
                    ('DELETE', s.http('DELETE', '/dav/shared/x', headers, user='bert')),
                    ('PROPPATCH', s.http('PROPPATCH', '/dav/shared/x', headers, PROPS % 'y', user='bert')),
                    ('MOVE', s.http('MOVE', '/dav/shared/x', dict(headers, Destination='/dav/shared/y'), user='bert')),
                    ('REST PUT', s.http('PUT', '/api/v1/content/shared/x', headers, b'new', user='bert')),
                    ('REST DELETE', s.http('DELETE', '/api/v1/content/shared/x', headers, user='bert')),
                    ('refresh', s.http('LOCK', '/dav/shared/x', headers, user='bert')),
                    ('UNLOCK', s.http('UNLOCK', '/dav/shared/x', headers, user='bert')),
                    ('UNLOCK by the owner of the tenant', s.http('UNLOCK', '/dav/shared/nothing', headers))):
        t.among(r.status, (403, 409, 412, 423, 404), 'T-29 %s with another one\'s token' % what)
    ftp = Ftp(s)
    for what, fn in (('STOR', store('STOR', '/shared/x')), ('DELE', lambda f: f.delete('/shared/x')),
                     ('RNTO', rename('/shared/x', '/shared/y'))):
        t.eq(ftp.do('bert', fn), False, 'T-29 %s past a lock' % what)
        t.eq(ftp.do('anna', fn), False, 'T-29 %s without saying the token' % what)
    t.eq(s.http('GET', '/dav/shared/x').body, b'old', 'T-29 it is as it was')
    t.eq(s.http('PUT', '/dav/shared/x', {'If': '(%s)' % token}, b'new', user='anna').status, 204, 'T-29 anna may')
    t.eq(s.http('UNLOCK', '/dav/shared/x', {'Lock-Token': token}, user='anna').status, 204, 'T-29 and unlocks')


def t21_without_delete(s):
    """goshs CVE-2026-64863: who may not replace a file does not get there by another way."""
    s.user('default/adder')
    s.http('MKCOL', '/dav/box')
    s.http('MKCOL', '/dav/box/folder')
    s.http('PUT', '/dav/box/old', body=b'old')
    s.cli('acl', 'grant', 'default', '/box', 'user:adder', 'list,read,create')
    t.eq(s.http('PUT', '/dav/box/mine', body=b'mine', user='adder').status, 201, 'T-21 adding is allowed')
    for where in ('/', '/dav/'):
        r = s.http('GET' if where == '/' else 'PROPFIND', where, {'Depth': '1'} if where != '/' else None, user='adder')
        t.ok(r.status in (200, 207) and b'box' in r.body and b'pub' not in r.body, 'T-21 %s shows the way to it' % where, repr(r))
    for what, r in (('PUT', s.http('PUT', '/dav/box/old', body=b'n', user='adder')),
                    ('REST PUT', s.http('PUT', '/api/v1/content/box/old', body=b'n', user='adder')),
                    ('PUT If-None-Match', s.http('PUT', '/dav/box/old', {'If-None-Match': '*'}, b'n', user='adder')),
                    ('COPY', s.http('COPY', '/dav/box/mine', {'Destination': '/dav/box/old'}, user='adder')),
                    ('COPY folder', s.http('COPY', '/dav/box/folder', {'Destination': '/dav/box/old'}, user='adder')),
                    ('COPY onto folder', s.http('COPY', '/dav/box/mine', {'Destination': '/dav/box/folder'}, user='adder')),
                    ('MOVE', s.http('MOVE', '/dav/box/mine', {'Destination': '/dav/box/old'}, user='adder')),
                    ('MOVE away', s.http('MOVE', '/dav/box/old', {'Destination': '/dav/box/else'}, user='adder')),
                    ('MKCOL', s.http('MKCOL', '/dav/box/old', user='adder')),
                    ('DELETE', s.http('DELETE', '/dav/box/old', user='adder')),
                    ('LOCK', s.http('LOCK', '/dav/box/old', {}, LOCKINFO, user='adder'))):
        t.among(r.status, (403, 405, 412), 'T-21 %s over a file' % what)
    ftp = Ftp(s)
    for what, fn in (('STOR', store('STOR', '/box/old')), ('APPE', store('APPE', '/box/old')),
                     ('REST STOR', store('STOR', '/box/old', rest=3)), ('RNTO', rename('/box/mine', '/box/old')),
                     ('RNFR', rename('/box/old', '/box/else')), ('DELE', lambda f: f.delete('/box/old')),
                     ('MKD', lambda f: f.mkd('/box/old')), ('RMD', lambda f: f.rmd('/box/folder'))):
        t.eq(ftp.do('adder', fn), False, 'T-21 %s over a file' % what)
    t.eq(s.http('GET', '/dav/box/old').body, b'old', 'T-21 it is as it was')


def main():
    with gh.Server() as s:
        for row in (matrix, t05_dot_segments, t20_copy_tree, t21_without_delete, t25_hrefs, t27_revoked_meanwhile,
                    t28_stale_answers, t29_foreign_tokens):
            start = time.monotonic()
            row(s)
            print('%s %.1f s' % (row.__name__, time.monotonic() - start), flush=True)
            t.ok(s.alive(), '%s: the server lives' % row.__name__)
        t.eq(s.run('fsck')[0], 0, 'fsck is clean')
    sys.exit(t.done())


main()
