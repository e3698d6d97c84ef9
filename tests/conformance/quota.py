#!/usr/bin/python3
# suite: default
# metadata: sqlite postgresql pair:all
"""Limits of tenants and users: eight clients at three doors stop exactly at the limit, kill -9 leaks nothing, and each
limit sounds right at each door, for those that it bounds and for nobody else."""
import ftplib
import io
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

t = gh.Checks()
LEASE_S = 1.0
CONFIG = 'quota:\n  lease: 1s\nlog:\n  access: ""\n'
QUOTA = ('<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>')


def op(s, name, **args):
    """A control operation over the admin socket: (ok, result or message)."""
    return s.control(name, **args)


def limit(s, tenant, user=None, **limits):
    ok, said = op(s, 'limit.set', tenant=tenant, **({'user': user} if user else {}), **limits)
    t.ok(ok, 'limit.set %s %s %r' % (tenant, user, limits), said)
    if gh.PAIR:
        time.sleep(1 * gh.SLOW)  # the other hears of it


def used(s, tenant, user=None):
    items = op(s, 'quota.list', tenant=tenant)[1]['items']
    return next((i for i in items if i['user'] == user), None)


def in_the_end(what, want):
    """What it is within five seconds: at once with one gateway, of two the other hears of it."""
    end = time.monotonic() + 5 * gh.SLOW
    while (got := what()) != want and time.monotonic() < end:
        time.sleep(0.02)
    return got


def ftp_stor(f, name, data):
    """Reply code of a STOR."""
    try:
        return int(f.storbinary('STOR ' + name, io.BytesIO(data))[:3])
    except ftplib.all_errors as e:
        return int(str(e)[:3])


def ftp_reply(f, command):
    try:
        return f.sendcmd(command)
    except ftplib.all_errors as e:
        return str(e)


def ftp_end(f):
    """The last reply of a transfer."""
    try:
        return f.voidresp()
    except ftplib.all_errors as e:
        return str(e)


# ---- eight clients at three doors ----

class Uploader(threading.Thread):
    """Uploads files of random sizes until nothing that it has fits any more; remembers what was acknowledged."""

    def __init__(self, s, user, door, number, smallest, together=None, prefix=''):
        super().__init__(daemon=True)
        self.together, self.prefix = together, prefix
        self.s, self.user, self.door, self.number, self.smallest = s, user, door, number, smallest
        self.acked, self.refusals, self.odd, self.stop = {}, [], [], False

    def put(self, name, data):
        if self.door == 'ftp':
            return ftp_stor(self.conn, name, data)
        if self.door == 'dav':
            return self.conn.request('PUT', '/dav/' + name, body=data).status
        body = iter([data[:1000], data[1000:]]) if self.number % 2 else data
        return self.conn.request('PUT', '/api/v1/content/' + name, body=body).status

    def run(self):
        try:
            self.conn = self.s.ftp(self.user) if self.door == 'ftp' else self.s.client(self.user)
            if self.together:
                self.together.wait(30 * gh.SLOW)
            self.upload()
        except Exception as e:  # the gateway was killed, or something is wrong: the test looks
            self.odd.append(repr(e))

    def upload(self):
        dice = random.Random(self.number)
        most, n = 60000, 0
        while most >= self.smallest and not self.stop:
            size = dice.randint(most // 2, most)
            name = '%s%s%d-%d' % (self.prefix, self.door, self.number, n)
            n += 1
            code = self.put(name, bytes(size))
            if code in (201, 204, 226):
                self.acked[name] = size
            elif code in (507, 552):
                self.refusals.append(size)
                most //= 2
            else:
                self.odd.append('%s answered %d' % (self.door, code))
                return


def crowd(s, user, smallest=2000, prefix=''):
    doors = ['dav', 'dav', 'dav', 'ftp', 'ftp', 'ftp', 'rest', 'rest']
    together = threading.Barrier(len(doors))
    all_of = [Uploader(s, user, door, i, smallest, together, prefix) for i, door in enumerate(doors)]
    for u in all_of:
        u.start()
    return all_of


def stored(s, user):
    files, after = {}, ''
    while after is not None:
        body = s.http('GET', '/api/v1/list/' + (after and '?after=' + after), user=user).json
        files.update({n['name']: n['size'] for n in body['entries'] if n['type'] == 'file'})
        after = body['next']
    return files


def fills_up_exactly(s, user, tenant, bound):
    """What is left fits to the byte, and not a byte more, at any door."""
    room = bound - used(s, tenant)['used']['bytes']
    t.eq(s.http('PUT', '/dav/over', body=bytes(room + 1), user=user).status, 507, 'one byte more than is left')
    t.eq(s.http('PUT', '/api/v1/content/over', body=iter([bytes(room + 1)]), user=user).status, 507, 'in chunks')
    with s.ftp(user) as f:
        t.eq(ftp_stor(f, 'over', bytes(room + 1)), 552, 'over FTP')
        t.eq(ftp_stor(f, 'last', bytes(room)), 226, 'and exactly what is left (%d)' % room)
        t.eq(ftp_stor(f, 'more', b'x'), 552, 'then nothing')
        t.eq(ftp_reply(f, 'AVBL'), '213 0', 'AVBL says so')
    t.eq(used(s, tenant)['used']['bytes'], bound, 'the limit is reached')


def eight_clients_stop_at_the_limit(s):
    bound = 3000000
    acme, other = s.tenant('acme'), s.tenant('other')
    limit(s, 'acme', bytes=bound)
    neighbour = Uploader(s, other, 'dav', 99, 0)
    neighbour.start()
    clients = crowd(s, acme)
    highest = 0
    while any(c.is_alive() for c in clients):
        highest = max(highest, used(s, 'acme')['used']['bytes'])
        time.sleep(0.02)
    neighbour.stop = True
    neighbour.join()
    for c in clients:
        t.eq(c.odd, [], '%s%d ended as it should' % (c.door, c.number))
        t.ok((c.acked or gh.PAIR) and c.refusals, 'it got something in and was refused something')  # the other may lease all
    acked = {}
    for c in clients:
        acked.update(c.acked)
    t.eq(stored(s, acme), acked, 'what was acknowledged is what is stored')
    t.eq(used(s, 'acme')['used']['bytes'], sum(acked.values()), 'and what is counted')
    t.eq(used(s, 'acme')['used']['files'], len(acked), 'files too')
    t.ok(max(highest, sum(acked.values())) <= bound, 'never above', str(highest))
    t.ok(bound - sum(acked.values()) < 2 * min(min(c.refusals) for c in clients), 'nearly full', str(sum(acked.values())))
    t.eq((neighbour.odd, neighbour.refusals), ([], []), 'the other tenant noticed nothing')
    fills_up_exactly(s, acme, 'acme', bound)
    prop = s.http('PROPFIND', '/dav/', headers={'Depth': '0'}, body=QUOTA, user=acme).text
    t.has(prop, '<D:quota-available-bytes>0<', 'RFC 4331')
    t.has(prop, '<D:quota-used-bytes>%d<' % bound, 'RFC 4331')
    t.eq(s.http('GET', '/api/v1/stat/', user=acme).json['quota']['available_bytes'], 0, 'stat')
    t.has(s.http('GET', '/api/v1/stat/?quota', user=other).text, '"quota"', 'stat of a tenant without limits, when asked')
    t.hasnt(s.http('GET', '/api/v1/stat/', user=other).text, '"quota"', 'and not otherwise')
    t.eq(used(s, 'other')['used']['sessions'], None, 'nobody counts what nobody bounds')


def words_of_a_full_quota(s):
    acme = 'acme/admin'
    r = s.http('PUT', '/dav/x', body=b'x', user=acme)
    t.has(r.text, 'quota-not-exceeded', 'RFC 4331 section 6')
    problem = s.http('PUT', '/api/v1/content/x', body=b'x', user=acme).json
    t.eq((problem['reason'], problem['status'], problem['available_bytes']), ('quota', 507, 0), 'problem+json')
    t.has(problem['detail'], 'quota of this tenant', 'who is full')
    name = next(iter(stored(s, acme)))
    size = stored(s, acme)[name]
    t.eq(s.http('PUT', '/dav/' + name, body=bytes(size + 1), user=acme).status, 507, 'a file cannot grow')
    t.eq(s.http('PUT', '/dav/' + name, body=b'1' * size, user=acme).status, 204, 'it can be replaced')
    r = s.http('PUT', '/dav/' + name, body=iter([b'2' * (size + 1)]), user=acme)
    t.eq(r.status, 507, 'refused midway')
    t.has(r.text, 'quota of this tenant', 'and told why')
    r = s.http('PUT', '/api/v1/content/' + name, body=iter([b'2' * (size + 1)]), user=acme)
    t.eq((r.status, r.json['available_bytes']), (507, 0), 'REST')
    with s.ftp(acme) as f:
        f.voidcmd('TYPE I')
        data = f.transfercmd('STOR ' + name)
        data.sendall(b'3' * (size + 1))
        data.close()
        t.has(str(ftp_end(f)), '552 The quota of this tenant is used up: of 3000000 bytes', 'FTP')
    t.eq(s.http('GET', '/dav/' + name, user=acme).body, b'1' * size, 'what was there stays')
    t.eq(s.http('COPY', '/dav/' + name, headers={'Destination': s.url('/dav/twin')}, user=acme).status, 507, 'COPY')
    t.eq(s.http('MOVE', '/dav/' + name, headers={'Destination': s.url('/dav/moved')}, user=acme).status, 201, 'MOVE')
    t.eq(s.http('MKCOL', '/dav/folder', user=acme).status, 201, 'folders are free')
    with s.ftp(acme) as f:
        t.eq(ftp_reply(f, 'APPE moved')[:3], '425', 'APPE needs a data connection')
        t.has(ftp_reply(f, 'FEAT'), ' AVBL', 'FEAT names AVBL')
    t.eq(s.http('DELETE', '/dav/moved', user=acme).status, 204, 'what is removed')
    t.eq(s.http('PUT', '/dav/moved', body=bytes(size), user=acme).status, 201, 'makes room at once')


def kill_in_the_midst(s, user, tenant, at, bound, prefix=''):
    """Eight clients upload; the gateway is killed when so much is used; it is started again."""
    clients = crowd(s, user, prefix=prefix)
    while used(s, tenant)['used']['bytes'] < at and any(c.is_alive() for c in clients):
        time.sleep(0.01)
    s.kill9()
    for c in clients:
        c.join()
    s.start()
    acked = {}
    for c in clients:
        acked.update(c.acked)
    there = stored(s, user)
    t.ok(acked.items() <= there.items(), 'nothing that was acknowledged is lost')
    t.eq(used(s, tenant)['used']['bytes'], sum(there.values()), 'what is there is counted')
    t.ok(sum(there.values()) <= bound, 'and never above')


def leases_end(s, tenant):
    end = time.monotonic() + 10 * gh.SLOW
    while used(s, tenant)['leased']['bytes'] and time.monotonic() < end:
        time.sleep(0.05)
    t.eq(used(s, tenant)['leased']['bytes'], 0, 'leases of the dead gateway end')


def kill_leaks_nothing(s):
    bound = 4000000
    user = s.tenant('killed')
    limit(s, 'killed', bytes=bound)
    kill_in_the_midst(s, user, 'killed', bound // 4, bound)
    leases_end(s, 'killed')
    fills_up_exactly(s, user, 'killed', bound)


# ---- the other limits, at each door ----

def files_are_counted(s):
    user = s.tenant('files')
    limit(s, 'files', files=3)
    for name in ('a', 'b', 'c'):
        t.eq(s.http('PUT', '/dav/' + name, body=b'x', user=user).status, 201, 'three files')
    t.eq(s.http('PUT', '/dav/d', body=b'', user=user).status, 507, 'a fourth, however small')
    r = s.http('PUT', '/api/v1/content/d', body=b'x', user=user)
    t.eq(r.status, 507, 'REST')
    t.has(r.json['detail'], 'of 3 files, 0 are left', 'REST says why')
    t.eq(s.http('COPY', '/dav/a', headers={'Destination': s.url('/dav/d')}, user=user).status, 507, 'COPY')
    lock = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    t.eq(s.http('LOCK', '/dav/d', body=lock, user=user).status, 507, 'a lock that would make a file')
    with s.ftp(user) as f:
        t.eq(ftp_stor(f, 'd', b'x'), 552, 'STOR')
        t.eq(ftp_stor(f, 'a', b'longer'), 226, 'STOR onto a file')
        f.mkd('folder')
    t.eq(s.http('MOVE', '/dav/a', headers={'Destination': s.url('/dav/b')}, user=user).status, 204, 'two become one')
    t.eq(s.http('PUT', '/dav/d', body=b'x', user=user).status, 201, 'which makes room')


def appending_counts(s):
    user = s.tenant('appends')
    limit(s, 'appends', bytes=10000)
    with s.ftp(user) as f:
        t.eq(ftp_stor(f, 'a', bytes(6000)), 226, 'STOR')

        def appe(n):
            try:
                return int(f.storbinary('APPE a', io.BytesIO(bytes(n)))[:3])
            except ftplib.all_errors as e:
                return int(str(e)[:3])

        def rest(at, n):
            try:
                return int(f.storbinary('STOR a', io.BytesIO(bytes(n)), rest=at)[:3])
            except ftplib.all_errors as e:
                return int(str(e)[:3])

        t.eq(appe(3000), 226, 'APPE')
        t.eq(appe(1001), 552, 'APPE beyond it')
        t.eq(f.size('a'), 9000, 'leaves the file as it was')
        t.eq(rest(5000, 4000), 226, 'what is kept counts once')
        t.eq(rest(8000, 2001), 552, 'REST and STOR beyond it')
        t.eq(rest(8000, 2000), 226, 'and just to it')
        t.eq(appe(1), 552, 'then nothing')
    t.eq(used(s, 'appends')['used']['bytes'], 10000, 'counted')


def sessions_are_counted(s):
    user = s.tenant('sessions')
    limit(s, 'sessions', sessions=2)
    idle = [s.client(user) for _ in range(3)]
    for c in idle:
        t.eq(c.request('GET', '/api/v1/stat/').status, 200, 'a connection that idles is no session')
    first, second = s.ftp(user), s.ftp(user)
    try:
        s.ftp(user)
        t.ok(False, 'a third login')
    except ftplib.all_errors as e:
        t.has(str(e), '421 As many sessions as this tenant may have (2) are open.', 'a third login')
    r = s.http('PROPFIND', '/dav/', headers={'Depth': '0'}, user=user)
    t.eq(r.status, 503, 'WebDAV')
    t.ok(r.header('Retry-After'), 'with Retry-After')
    r = s.http('GET', '/api/v1/stat/', user=user)
    t.eq((r.status, r.json['reason']), (429, 'crowded'), 'REST')
    t.ok(r.header('Retry-After'), 'with Retry-After')
    t.eq(s.http('GET', '/api/v1/stat/', user='other/admin').status, 200, 'others notice nothing')
    second.quit()
    t.eq(in_the_end(lambda: s.http('GET', '/api/v1/stat/', user=user).status, 200), 200, 'one left: its place is free')
    first.quit()
    for c in idle:
        c.close()


def transfers_are_counted(s):
    user = s.tenant('transfers')
    s.http('PUT', '/dav/big', body=bytes(300000), user=user)
    limit(s, 'transfers', transfers=1)
    f, g = s.ftp(user), s.ftp(user)
    data = f.transfercmd('STOR slow')
    data.sendall(b'x' * 1000)
    for door, code in (('/dav', 503), ('/api/v1/content', 429)):
        for method, path, body in (('PUT', '/y', b'y' * 70000), ('GET', '/big', None)):
            r = s.http(method, door + path, body=body, user=user)
            t.eq(r.status, code, '%s at %s beside a running transfer' % (method, door))
            t.ok(r.header('Retry-After'), 'with Retry-After')
    t.eq(s.http('HEAD', '/dav/big', user=user).status, 200, 'HEAD is no transfer')
    t.has(ftp_reply(g, 'TYPE I'), '200', 'TYPE')
    g.makepasv()
    t.has(ftp_reply(g, 'RETR big'), '450 As many transfers', 'RETR')
    data.close()
    t.has(f.voidresp(), '226', 'the one that runs ends well')
    t.eq(in_the_end(lambda: len(s.http('GET', '/dav/big', user=user).body), 300000), 300000, 'then there is room for one')
    t.eq(used(s, 'transfers')['used']['transfers'], 0, 'and none is left over')
    f.quit()
    g.quit()


def requests_are_metered(s):
    user = s.tenant('requests')
    limit(s, 'requests', requests_s=5)
    for path, code in (('/api/v1/stat/', 429), ('/dav/', 503)):
        time.sleep(1.3)  # a second's worth may be saved up
        got = [s.http('PROPFIND' if code == 503 else 'GET', path, user=user,
                      headers={'Depth': '0'} if code == 503 else None) for _ in range(30)]
        refused = [r for r in got if r.status == code]
        t.ok(refused and len(refused) < 30, 'some of a burst at %s' % path, str([r.status for r in got]))
        t.ok(all(r.status in (code, 200, 207) for r in got), 'the others go through')
        t.ok(refused and refused[-1].header('Retry-After') == '1', 'with Retry-After')
    time.sleep(1.3 * gh.SLOW)
    with s.ftp(user) as f:
        f.voidcmd('TYPE I')
        said = [ftp_reply(f, 'SIZE nothing')[:3] for _ in range(30)]
        t.eq(set(said), {'450', '550'}, 'commands over FTP')
        t.has(ftp_reply(f, 'NOOP'), '200', 'what asks for no file is free')
    t.eq(s.http('GET', '/api/v1/stat/', user='other/admin').status, 200, 'others notice nothing')


def bytes_are_metered(s):
    """Not faster than was said; slower is the machine's business."""
    s.tenant('rates')
    user = s.user('rates/rob', '--owner')
    limit(s, 'rates', 'rob', bytes_s=200000)
    begun = time.monotonic()
    t.eq(s.http('PUT', '/dav/up', body=bytes(400000), user=user).status, 201, 'PUT')
    t.ok(time.monotonic() - begun > 1.0, 'an upload keeps to it')
    for door in ('/dav/up', '/api/v1/content/up'):
        begun = time.monotonic()
        t.eq(len(s.http('GET', door, user=user).body), 400000, 'GET')
        t.ok(time.monotonic() - begun > 1.0, 'a download keeps to it')
    begun = time.monotonic()
    with s.ftp(user) as f:
        got = []
        f.retrbinary('RETR up', got.append)
    t.eq(sum(map(len, got)), 400000, 'RETR')
    t.ok(time.monotonic() - begun > 1.0, 'so does one over FTP')


def months_are_counted(s):
    user = s.tenant('months')
    limit(s, 'months', month_bytes=250000)
    t.eq(s.http('PUT', '/dav/a', body=bytes(100000), user=user).status, 201, 'an upload counts')
    t.eq(len(s.http('GET', '/dav/a', user=user).body), 100000, 'a download too')
    for path, code in (('/dav/a', 503), ('/api/v1/content/a', 429)):
        r = s.http('GET', path, user=user)
        t.eq(r.status, code, 'one that is more than is left')
        t.ok(int(r.header('Retry-After') or 0) > 1, 'with Retry-After')
        t.has(r.text, 'in a month is used up', 'and the reason')
        r = s.http('GET', path, headers={'Range': 'bytes=0-9999'}, user=user)
        t.eq((r.status, len(r.body)), (206, 10000), 'a part of it fits')
        t.eq(s.http('HEAD', path, user=user).status, 200, 'HEAD moves nothing')
    t.eq(s.http('PUT', '/api/v1/content/b', body=bytes(100000), user=user).status, 507, 'uploads: 507')
    t.eq(s.http('PUT', '/dav/b', body=iter([bytes(100000)]), user=user).status, 507, 'in chunks')
    with s.ftp(user) as f:
        f.voidcmd('TYPE I')
        f.makepasv()
        t.has(ftp_reply(f, 'RETR a'), '450 The transfer that this tenant may have', 'RETR')
        t.eq(ftp_stor(f, 'b', bytes(100000)), 552, 'STOR')
    moved = used(s, 'months')['used']['month_bytes']
    t.ok(220000 <= moved <= 250000, 'counted, and never above', str(moved))
    limit(s, 'months', month_bytes=None)
    t.eq(len(s.http('GET', '/dav/a', user=user).body), 100000, 'without a limit it goes on')


def a_month_is_not_passed_by_many_at_once(s):
    user = s.tenant('rush')
    s.http('PUT', '/dav/a', body=bytes(30000), user=user)
    limit(s, 'rush', month_bytes=500000)
    got, odd = [], []

    def read_on(door):
        c = s.client(user)
        while True:
            r = c.request('GET', door + '/a')
            if r.status != 200:
                odd.append(r.status)
                return
            got.append(len(r.body))

    readers = [threading.Thread(target=read_on, args=(d,)) for d in ('/dav', '/api/v1/content') * 3]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    t.eq(set(odd), {429, 503}, 'all are stopped')
    t.eq(sum(got), 480000, 'when the next one would be too much')
    counted = used(s, 'rush')['used']['month_bytes']
    t.ok(480000 <= counted <= (500000 if gh.PAIR else 480000), 'and so it is counted, with what the other has paid ahead', counted)


# ---- users ----

def users_have_every_limit_of_their_own(s):
    s.tenant('each')
    one, other = s.user('each/one', '--owner'), s.user('each/other', '--owner')
    s.http('PUT', '/dav/a', body=bytes(100000), user=other)
    limit(s, 'each', 'one', sessions=1)
    with s.ftp(one):
        r = s.http('GET', '/api/v1/stat/', user=one)
        t.eq(r.status, 429, 'sessions')
        t.has(r.json['detail'], 'this user may have (1)', 'of this user')
        t.eq(s.http('GET', '/api/v1/stat/', user=other).status, 200, 'colleagues notice nothing')
    limit(s, 'each', 'one', sessions=None, transfers=1)
    f = s.ftp(one)
    data = f.transfercmd('STOR slow')
    data.sendall(b'x')
    t.eq(s.http('GET', '/api/v1/content/a', user=one).status, 429, 'transfers')
    t.eq(s.http('GET', '/api/v1/content/a', user=other).status, 200, 'colleagues notice nothing')
    data.close()
    f.voidresp()
    f.quit()
    limit(s, 'each', 'one', transfers=None, requests_s=2)
    t.ok(429 in [s.http('GET', '/api/v1/stat/', user=one).status for _ in range(10)], 'requests a second')
    t.eq({s.http('GET', '/api/v1/stat/', user=other).status for _ in range(10)}, {200}, 'colleagues notice nothing')
    limit(s, 'each', 'one', requests_s=None, month_bytes=50000, files=1)
    t.eq(s.http('GET', '/api/v1/content/a', user=one).status, 429, 'transfer in a month')
    t.eq(s.http('GET', '/api/v1/content/a', user=other).status, 200, 'colleagues notice nothing')
    t.eq(s.http('PUT', '/dav/b', body=b'b', user=one).status, 507, 'files (slow is one)')
    t.eq(s.http('PUT', '/dav/b', body=b'b', user=other).status, 201, 'colleagues notice nothing')


def users_are_bound_by_what_they_own(s):
    admin = s.tenant('owners')
    ann = s.user('owners/ann')
    s.cli('acl', 'grant', 'owners', '/', 'user:ann', 'full')
    t.eq(s.http('PUT', '/dav/before', body=bytes(400), user=ann).status, 201, 'what she had before')
    limit(s, 'owners', 'ann', bytes=1000)
    t.eq(used(s, 'owners', 'ann')['used']['bytes'], 400, 'counts')
    r = s.http('PUT', '/api/v1/content/after', body=bytes(601), user=ann)
    t.eq(r.status, 507, 'she is stopped')
    t.has(r.json['detail'], 'quota of this user', 'and told whose quota it is')
    t.eq(s.http('PUT', '/dav/after', body=bytes(600), user=ann).status, 201, 'what is left fits')
    t.eq(s.http('PUT', '/dav/admins', body=bytes(5000), user=admin).status, 201, 'others are not bound')
    t.eq(s.http('PUT', '/dav/after', body=bytes(601), user=admin).status, 507, 'her file stays hers, whoever writes it')
    to = {'Destination': s.url('/dav/after')}
    t.eq(s.http('MOVE', '/dav/admins', headers=to, user=admin).status, 507, 'or moves something onto it')
    t.eq(s.http('GET', '/api/v1/stat/', user=ann).json['quota'],
         {'used_bytes': 1000, 'available_bytes': 0, 'used_files': 3, 'available_files': None}, 'stat tells hers')
    t.eq(s.http('DELETE', '/dav/before', user=admin).status, 204, 'what is removed')
    t.eq(used(s, 'owners', 'ann')['used']['bytes'], 600, 'is hers no longer')
    t.eq(s.http('COPY', '/dav/after', headers={'Destination': s.url('/dav/copy')}, user=admin).status, 201, 'a copy')
    t.eq(used(s, 'owners', 'ann')['used'], {'bytes': 600, 'files': 1, 'sessions': 0, 'transfers': 0, 'month_bytes': None},
         'is the copier\'s')
    s.cli('user', 'remove', 'owners/ann')
    t.eq(in_the_end(lambda: s.http('PUT', '/dav/after', body=bytes(2000), user=admin).status, 204), 204,
         'a removed user\'s limit is gone')


def lower_than_use_loses_nothing(s):
    user = s.tenant('lowered')
    s.http('PUT', '/dav/a', body=b'a' * 5000, user=user)
    limit(s, 'lowered', bytes=1000)
    t.eq(s.http('PUT', '/dav/b', body=b'b', user=user).status, 507, 'writes are refused')
    t.eq(s.http('GET', '/dav/a', user=user).body, b'a' * 5000, 'nothing is lost')
    t.eq(s.http('PUT', '/dav/a', body=b'a' * 4000, user=user).status, 204, 'smaller is allowed')
    t.eq(s.http('PUT', '/dav/a', body=b'a' * 4001, user=user).status, 507, 'larger is not')
    t.has(s.http('PROPFIND', '/dav/', headers={'Depth': '0'}, body=QUOTA, user=user).text,
          '<D:quota-available-bytes>0<', 'no room')
    s.restart()
    t.eq(s.http('PUT', '/dav/b', body=b'b', user=user).status, 507, 'and after a restart')
    limit(s, 'lowered', bytes=None)
    t.eq(s.http('PUT', '/dav/b', body=b'b', user=user).status, 201, 'until the limit is gone')


# ---- administrators ----

def bad_limits_are_refused(s):
    for args, word in (({'bytes': -1}, 'bytes'), ({'files': 1.5}, 'files'), ({'bytes': 2 ** 62}, 'bytes'),
                       ({'sessions': 0}, 'sessions'), ({'transfers': 0}, 'transfers'), ({'requests_s': 0}, 'requests_s'),
                       ({'bytes_s': 0}, 'bytes_s'), ({'bytes': '12 apples'}, 'bytes'), ({'files': '3KiB'}, 'files'),
                       ({'bytes': True}, 'bytes'), ({'bytes': [1]}, 'bytes'), ({'bytes': '99999999999999999999'}, 'bytes'),
                       ({'apples': 1}, 'apples'), ({}, 'nothing to change'),
                       ({'user': 'nobody', 'bytes': 1}, 'no user "nobody"')):
        ok, said = op(s, 'limit.set', tenant='acme', **args)
        t.ok(not ok and word in said, 'limit.set %r' % args, str(said))
    ok, said = op(s, 'limit.set', tenant='nowhere', bytes=1)
    t.ok(not ok and 'no tenant' in said, 'a tenant that is not there', str(said))
    t.eq(op(s, 'limit.list', tenant='acme')[1]['items'][0]['bytes'], 3000000, 'and nothing has changed')


def words_of_the_command_line(s):
    s.user('acme/zoe')
    s.cli('limit', 'set', 'acme', 'zoe', '--bytes', '10KiB', '--sessions', '3')
    rows = s.cli_json('limit', 'list', 'acme')['items']
    t.eq([(r['user'], r['bytes'], r['sessions']) for r in rows], [(None, 3000000, None), ('zoe', 10240, 3)], 'limit list')
    t.has(s.cli('quota', 'list', 'acme'), 'bytes=10240', 'quota list')
    s.cli('limit', 'set', 'acme', 'zoe', '--bytes', 'none', '--sessions', 'none')
    t.eq(len(s.cli_json('limit', 'list', 'acme')['items']), 1, 'none removes it')
    status, _, err = s.run('limit', 'set', 'acme', '--bytes', 'much')
    t.ok(status == 1 and 'bytes' in err, 'nonsense is refused', err)


def nothing_is_broken(s):
    """A full quota is nobody's failure."""
    for b in op(s, 'breaker.list')[1]['items']:
        t.eq((b['state'], b['failed'], b['openings']), ('closed', 0, 0), 'breaker of %s' % b['service'])


def metrics_tell(s):
    host, port = s.address('admin')
    text = gh.Client(host, port).request('GET', '/metrics').text
    for kind in ('bytes', 'files', 'sessions', 'transfers', 'requests_s', 'month_bytes'):
        n = re.search(r'gatehouse_quota_refused_total\{limit="%s"\} (\d+)' % kind, text)
        t.ok(n and (int(n.group(1)) > 0 or kind == 'bytes'), 'refusals by %s are counted' % kind)


def main():
    with gh.Server(config=CONFIG) as server:
        eight_clients_stop_at_the_limit(server)
        words_of_a_full_quota(server)
        kill_leaks_nothing(server)
        lower_than_use_loses_nothing(server)
        for part in (files_are_counted, appending_counts, sessions_are_counted, transfers_are_counted,
                     requests_are_metered, bytes_are_metered, months_are_counted, a_month_is_not_passed_by_many_at_once,
                     users_have_every_limit_of_their_own, users_are_bound_by_what_they_own, bad_limits_are_refused,
                     words_of_the_command_line, nothing_is_broken, metrics_tell):
            part(server)
        server.cli('fsck')
    return t.done()


if __name__ == '__main__':
    sys.exit(main())
