#!/usr/bin/python3
# suite: default
"""Central and shards: databases become shards and are listed, drained and opened; tenants are spread over them, have unique
names over all, and work at every door; a shard that is away, or says nothing, is noticed by its own tenants only, and
they come back by themselves; a second gateway finds tenants where the first has put them; databases that are not the shard that they should be,
that are half migrated or do not let us in are refused in one line that names the shard."""
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh
import pglib
import pgproxy

t = gh.Checks()


blobs = tempfile.mkdtemp(prefix='gh-blobs-')  # of all gateways


def config(conninfo):
    return ('metadata: postgresql\npostgresql:\n  conninfo: "%s"\n  connect_timeout: 2s\nblobs:\n  path: %s\n'
            'breaker:\n  max: 1s\n' % (conninfo, blobs))


def refused(s, words, what, *args):
    status, _, err = s.run(*args)
    t.ok(status == 1 and all(w in err for w in words) and len(err.strip().splitlines()) == 1, what, '(%d %r)' % (status, err))


def shard(s, name):
    return next(x for x in s.cli_json('shard', 'list')['items'] if x['shard'] == name)


def until(what, fn, seconds=10):
    end = time.monotonic() + seconds * gh.SLOW
    while not fn():
        if time.monotonic() > end:
            return t.ok(False, what, '(not within %d s)' % seconds)
        time.sleep(0.1)
    return t.ok(True, what)


def put(s, tenant, name='a.txt', body=b'x'):
    return s.http('PUT', '/dav/' + name, body=body, user=tenant + '/ann').status


def get(s, tenant, name='a.txt'):
    r = s.http('GET', '/dav/' + name, user=tenant + '/ann')
    return r.body if r.status == 200 else r.status


def tenant(s, name, *flags):
    s.cli('tenant', 'add', name, *flags)
    s.user(name + '/ann', '--owner')


def where(s):
    return {x['tenant']: x['shard'] for x in s.cli_json('tenant', 'list')['items']}


def words(s, pg, far):
    t.eq([x['shard'] for x in s.cli_json('shard', 'list')['items']], ['main'], 'one database is the shard main')
    refused(s, ('add one first',), 'there is nothing to drain yet', 'shard', 'drain', 'main')
    s.cli('shard', 'add', 'near', '--conninfo', pg.database('near'))
    s.cli('shard', 'add', 'far', '--conninfo', far.conninfo)
    t.eq([(x['shard'], x['state'], x['reached']) for x in s.cli_json('shard', 'list')['items']],
         [('main', 'open', True), ('near', 'open', True), ('far', 'open', True)], 'three shards are open')
    refused(s, ('near', 'exists'), 'a name is given once', 'shard', 'add', 'near', '--conninfo', pg.database('spare'))
    refused(s, ('other', 'already'), 'a shard is added once', 'shard', 'add', 'other', '--conninfo', far.conninfo)
    refused(s, ('other', '"main" already'), 'central is no shard of itself', 'shard', 'add', 'other', '--conninfo',
            pg.conninfo)
    pg.sql("CREATE USER guest PASSWORD 'geheim'", 'postgres')
    refused(s, ('other', 'nobody'), 'no such user: named', 'shard', 'add', 'other', '--conninfo',
            pg.conninfo.replace('user=gatehouse', 'user=nobody'))


def spread(s):
    tenant(s, 'one')
    tenant(s, 'two')
    tenant(s, 'three', '--shard', 'far', '--host', 'three.example')
    at = where(s)
    t.eq((at['one'], at['two'], at['three']), ('near', 'far', 'far'), 'tenants go where the fewest are, or where it is said')
    refused(s, ('three', 'exists'), 'a name is unique over all shards', 'tenant', 'add', 'three', '--shard', 'near')
    refused(s, ('three.example', 'three'), 'a host name too', 'tenant', 'add', 'four', '--shard', 'near', '--host',
            'three.example')
    refused(s, ('nowhere',), 'a shard that is none', 'tenant', 'add', 'four', '--shard', 'nowhere')
    s.cli('shard', 'drain', 'near')
    t.eq(shard(s, 'near')['state'], 'draining', 'a shard is drained')
    refused(s, ('near', 'no new tenants'), 'and takes no new tenants', 'tenant', 'add', 'four', '--shard', 'near')
    tenant(s, 'four')
    t.ok(where(s)['four'] != 'near', 'nor is it chosen')
    s.cli('shard', 'open', 'near')
    t.eq(shard(s, 'near')['state'], 'open', 'it is opened again')


def work(s):
    for name in ('one', 'three', 'four'):
        t.eq(put(s, name, body=name.encode()), 201, 'PUT in %s' % name)
        t.eq(get(s, name), name.encode(), 'GET in %s' % name)
    f = s.ftp(user='three/ann')
    t.eq([os.path.basename(n) for n in f.nlst('/')], ['a.txt'], 'FTP lists what WebDAV wrote')
    f.quit()
    s.cli('limit', 'set', 'three', '--files', '2')
    t.eq(put(s, 'three', 'b.txt'), 201, 'a limit leaves room')
    t.eq(put(s, 'three', 'c.txt'), 507, 'and holds')
    s.cli('limit', 'set', 'three', 'ann', '--bytes', '1GiB')
    s.cli('tenant', 'set', 'three', '--disable')
    t.eq(put(s, 'three', 'd.txt') // 100, 4 if put(s, 'three', 'd.txt') < 500 else 5, 'a tenant is shut')
    s.cli('tenant', 'set', 'three', '--enable')
    t.eq(get(s, 'three'), b'three', 'and opened')
    s.cli('user', 'remove', 'three/ann')
    t.eq([x for x in s.cli_json('limit', 'list', 'three')['items'] if x.get('user')], [], 'a limit goes with its user')
    s.user('three/ann', '--owner')
    s.cli('limit', 'set', 'three', '--files', 'none')
    events = {e['tenant'] for e in s.cli_json('events', 'list', '--limit', '500')['items']}
    t.ok({'one', 'three', 'four'} <= events, 'the audit trail is of all shards', '(%r)' % events)


def another(s, conninfo):
    with gh.Server(config=config(conninfo)) as other:
        t.eq(other.http('GET', '/healthz', auth=False).status, 200, 'a second gateway starts')
        t.eq(other.cli_json('tenant', 'list')['items'] and where(other), where(s), 'and knows where tenants are')
        tenant(s, 'late', '--shard', 'far')
        until('a tenant made at one is found at the other', lambda: other.http(
            'PROPFIND', '/dav/', {'Depth': '0'}, user='late/ann').status == 207)


def away(s, far):
    far.stop()
    until('tenants of a shard that is away are refused', lambda: put(s, 'two') == 503)
    for i in range(60):  # enough for every breaker
        put(s, 'two', 'x%d' % i)
        put(s, 'three', 'x%d' % i)
        t.among(put(s, 'one', 'n%d' % i), (201, 204), 'a neighbour notices nothing')
        t.eq(get(s, 'one'), b'one', 'neither reading')
    t.eq(s.cli_json('tenant', 'list')['items'] and where(s)['two'], 'far', 'its tenants are listed all the same')
    status, out, _ = s.run('schema', 'check', '--all-shards')
    t.ok(status == 1 and 'far' in out, 'a shard that can not be asked is a difference', '(%d %r)' % (status, out))
    with gh.Server(config=config(s.central)) as other:
        t.eq(get(other, 'one'), b'one', 'a gateway starts without it')
        t.eq(put(other, 'two'), 503, 'and refuses its tenants alone')
        until('it says which and why', lambda: not shard(other, 'far')['reached'] and 'far' in shard(other, 'far')['trouble'])
        far.start()
        until('it opens the shard when it is back', lambda: put(other, 'two') in (201, 204))
    until('and so does the other', lambda: put(s, 'two') in (201, 204))
    t.eq(get(s, 'three'), b'three', 'nothing is lost')


def ends_at_once(other, words):
    """SIGTERM does not wait for a shard that says nothing, however long connecting or asking may take. The best of three."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        t.eq(other.stop(), 0, 'it ends well ' + words)
        took.append(time.monotonic() - began)
        other.start()
        if took[-1] <= 2 * gh.SLOW:
            break
        time.sleep(1)
    t.ok(min(took) <= 2 * gh.EASE * gh.SLOW, 'it ends within 2 s ' + words, str(took))


def mute(s, pg, far, proxy):
    """A shard that takes connections and says nothing: no start waits for it, nor does another shard that comes back."""
    pg.database('mute')
    s.cli('shard', 'add', 'mute', '--conninfo', proxy.conninfo('mute'))
    tenant(s, 'five', '--shard', 'mute')
    proxy.rule = lambda m: pgproxy.STALL if m.forth else None
    far.stop()
    began = time.monotonic()
    with gh.Server(config=config(s.central).replace('connect_timeout: 2s', 'connect_timeout: 30s')) as other:
        t.ok(time.monotonic() - began < 10 * gh.SLOW, 'a start does not wait for it')
        t.eq(get(other, 'one'), b'one', 'others are served')
        t.among(put(other, 'five'), (503, 504), 'its own are refused')
        far.start()
        until('a shard that is back does not wait for it either', lambda: put(other, 'two') in (201, 204))
        t.ok(time.monotonic() - began < 25 * gh.SLOW, 'all that before it has been given up')
        ends_at_once(other, 'while a shard does not let it in')
        proxy.rule = None
        proxy.deaf(True)
        proxy.deaf(False)
        until('it is opened when it speaks', lambda: put(other, 'five') in (201, 204))
        proxy.rule = lambda m: pgproxy.STALL if m.forth else None
        time.sleep(1.5)  # by now there are those who have asked it something
        ends_at_once(other, 'when a shard has fallen silent')
        proxy.rule = None
        proxy.deaf(True)
        proxy.deaf(False)
    until('and serves again', lambda: put(s, 'five') in (201, 204) and put(s, 'two') in (201, 204))


def schemas(s, pg):
    status, out, err = s.run('schema', 'check', '--all-shards')
    t.eq((status, out.strip()), (0, 'no differences'), 'all schemas are this program\'s')
    pg.sql('ALTER TABLE usage_month RENAME TO gone; ALTER TABLE team DROP COLUMN name;'
           " DELETE FROM schema_version WHERE version = 2; INSERT INTO schema_version VALUES (9999, '9999_later', 0)", 'near')
    status, out, err = s.run('schema', 'check', '--all-shards')
    lines = out.strip().splitlines()
    for word in ('usage_month', 'team', '0002_setting', '9999_later'):
        t.ok(status == 1 and sum('near' in x and word in x for x in lines) == 1, '%s is named' % word, '(%r)' % out)
    t.eq(len(lines), 4, 'and nothing else')
    t.eq(s.run('schema', 'check')[0], 0, 'central is well')
    pg.sql("ALTER TABLE gone RENAME TO usage_month; ALTER TABLE team ADD COLUMN name bytea NOT NULL DEFAULT ''", 'near')
    with gh.Server(config=config(s.central)) as other:
        trouble = shard(other, 'near')['trouble']
        t.ok('near' in trouble and '9999' in trouble, 'a schema too new: the shard is shut, and named', '(%r)' % trouble)
        t.eq(get(other, 'three'), b'three', 'the others are open')
    pg.sql("DELETE FROM schema_version WHERE version = 9999; INSERT INTO schema_version VALUES (2, '0002_setting', 0)", 'near')


def wrong(s, pg, far):
    """Only what central says is changed; what the databases say of themselves is the oracle."""
    def with_conninfo(conninfo, words, what):
        pg.sql("UPDATE shard SET conninfo = '%s' WHERE name = 'near'" % conninfo)
        with gh.Server(config=config(s.central)) as other:
            trouble = shard(other, 'near')['trouble']
            t.ok(trouble.startswith('shard near: ') and all(w in trouble for w in words) and '\n' not in trouble, what,
                 '(%r)' % trouble)
            t.ok('geheim' not in other.log() + trouble, 'and says no password')
            t.eq(put(other, 'one', 'wrong.txt'), 503, 'nothing is written there')

    right = pg.sql("SELECT conninfo FROM shard WHERE name = 'near'")
    with_conninfo(far.conninfo, ('"far"', 'conninfo'), 'another shard is not taken for it')
    with_conninfo(pg.database('fresh'), ('not this shard',), 'nor an empty database')
    t.eq(pg.sql('SELECT count(*) FROM tenant', 'fresh'), '0', 'which stays empty')
    hba = os.path.join(pg.dir, 'data', 'pg_hba.conf')
    with open(hba) as f:
        old = f.read()
    with open(hba, 'w') as f:
        f.write('local all guest scram-sha-256\n' + old)
    pg.sql('SELECT pg_reload_conf()')
    time.sleep(0.3)
    with_conninfo(right.replace('user=gatehouse', 'user=guest password=geheimnis'), ('password authentication',),
                  'a wrong password is named')
    pg.sql("UPDATE shard SET conninfo = '%s' WHERE name = 'near'" % right)
    try:
        with gh.Server(config=config(far.conninfo)):
            t.ok(False, 'a shard is not taken for central', '(it started)')
    except RuntimeError as e:
        t.ok('is shard "far"' in str(e), 'a shard is not taken for central', '(%r)' % str(e)[-500:])


def main():
    pg, far = pglib.Cluster(), pglib.Cluster()
    proxy = pgproxy.Proxy(pg)
    try:
        with gh.Server(config=config(pg.conninfo)) as s:
            s.central = pg.conninfo
            words(s, pg, far)
            spread(s)
            work(s)
            another(s, pg.conninfo)
            away(s, far)
            mute(s, pg, far, proxy)
            schemas(s, pg)
            wrong(s, pg, far)
            status, out, err = s.run('fsck')
            t.eq(status, 0, 'fsck finds nothing in any shard')
            if status:
                print(out, err)
    finally:
        proxy.close()
        far.close()
        pg.close()
        shutil.rmtree(blobs, ignore_errors=True)
    return t.done()


if __name__ == '__main__':
    sys.exit(main())
