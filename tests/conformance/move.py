#!/usr/bin/python3
# suite: default
"""A tenant goes from one shard to another while it is worked on, at two gateways: nothing is lost, nothing is refused but
shortly with 503, the tree is the same bytes afterwards, and so are properties, locks, limits and users; readers of the feed
are told that their cursor has ended; a neighbour notices nothing. A gateway that heard no more of the shard which a tenant has
left shows nothing that it remembers from there. A move that was killed is abandoned. What makes no sense is
refused in one line. The longer parts: tests/torture/move_kill.py."""
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh
import pglib
import pgproxy

t = gh.Checks()
blobs = tempfile.mkdtemp(prefix='gh-blobs-')  # of both gateways
TABLES = ('node', 'version', 'part', 'blob', 'prop', 'locks', 'lock_seq', 'acl_node', 'ace', 'account', 'team', 'member', 'token',
          'event', 'usage_total', 'usage_user', 'usage_change', 'usage_month', 'quota_lease')
LOCK = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
PROP = '<propertyupdate xmlns="DAV:"><set><prop><n xmlns="urn:x">%d</n></prop></set></propertyupdate>'


def config(conninfo):
    return 'metadata: postgresql\npostgresql:\n  conninfo: "%s"\n  connect_timeout: 2s\nblobs:\n  path: %s\n' % (conninfo, blobs)


def refused(s, words, what, *args):
    status, _, err = s.run(*args)
    t.ok(status == 1 and all(w in err for w in words) and len(err.strip().splitlines()) == 1, what, '(%d %r)' % (status, err))


def shard_of(s, tenant):
    return {x['tenant']: x['shard'] for x in s.cli_json('tenant', 'list')['items']}.get(tenant)


def step_of(pg, tenant):
    return pg.sql("SELECT step FROM route WHERE name = '%s'" % tenant)


def rows_in(pg, db, tenant_id):
    """How many rows of it are there in each table."""
    return pg.sql(' UNION ALL '.join("SELECT '%s', count(*) FROM %s WHERE tenant = %s" % (n, n, tenant_id) for n in TABLES), db)


def digest(pg, db, tenant_id):
    """Everything of it, table by table, but where its events stand in that database's log, and what changes by itself: leases
    of limits are given back, and sums are folded."""
    return {n: pg.sql("SELECT count(*), md5(coalesce(string_agg(x, '' ORDER BY x), '')) FROM (SELECT"
                      " (to_jsonb(r) - 'pos' - 'late')::text AS x FROM %s r WHERE tenant = %s) y" % (n, tenant_id), db)
            for n in TABLES if not n.startswith(('usage_total', 'usage_user', 'usage_change', 'quota_lease'))}


def rows_left(pg, db, tenant_id):
    return [x for x in rows_in(pg, db, tenant_id).splitlines() if not x.endswith('|0')]


class Worker(threading.Thread):
    """Changes its own folder, through one gateway or the other, and knows what has to be there."""

    def __init__(self, servers, tenant, number):
        super().__init__()
        self.clients = [s.client(tenant + '/ann') for s in servers]
        self.folder = '/dav/w%d' % number
        self.want, self.props, self.wrong, self.refusals, self.done = {}, {}, [], [], 0
        self.ends = threading.Event()
        self.number = number

    def ask(self, method, name, expected, **more):
        end = time.monotonic() + 20 * gh.SLOW
        c = self.clients[self.done % len(self.clients)]
        while True:
            began = time.monotonic()
            r = c.request(method, self.folder + name, **more)
            if r.status == 503 and time.monotonic() < end:
                self.refusals.append(began)
                time.sleep(0.02)
                continue
            if r.status not in expected:
                self.wrong.append((method, name, r.status))
            return r

    def once(self, i):
        name = '/f%d' % (i % 23)
        body = b'%d of %d' % (i, self.number) * (1 + i % 7)
        kind = i % 6
        if kind in (0, 1, 2):
            if self.ask('PUT', name, (201, 204), body=body).status in (201, 204):
                self.want[name] = body
        elif kind == 3 and name in self.want:
            to = '/m%d' % (i % 11)
            if self.ask('MOVE', name, (201, 204), headers={'Destination': self.folder + to}).status in (201, 204):
                self.want[to] = self.want.pop(name)
                self.props.pop(to, None)
                if name in self.props:
                    self.props[to] = self.props.pop(name)
        elif kind == 4 and name in self.want:
            self.ask('DELETE', name, (204,))
            self.want.pop(name)
            self.props.pop(name, None)
        elif name in self.want:
            self.ask('PROPPATCH', name, (207,), body=PROP % i)
            self.props[name] = i
            r = self.ask('LOCK', name, (200,), body=LOCK)
            if r.status == 200:
                self.ask('UNLOCK', name, (204,), headers={'Lock-Token': r.header('Lock-Token')})
        for read in list(self.want)[:1]:
            r = self.ask('GET', read, (200,))
            if r.body != self.want[read]:
                self.wrong.append(('stale', read, r.status, r.body[:40]))

    def run(self):
        try:
            self.ask('MKCOL', '', (201,))
            while not self.ends.is_set():
                self.once(self.done)
                self.done += 1
        except Exception as e:  # a thread's own end would not be seen
            self.wrong.append(repr(e))

    def longest(self):
        """How long it was refused without a break."""
        longest = 0
        began = last = None
        for at in self.refusals:
            if last is None or at - last > 0.3:
                began = at
            last = at
            longest = max(longest, last - began)
        return longest

    def check(self, what):
        """What the other gateway wrote last may be seen here a moment later."""
        there, end = {}, time.monotonic() + 2 * gh.SLOW
        while there != self.want and time.monotonic() < end:
            there = {name: self.ask('GET', name, (200,)).body for name in self.want}
        t.eq(there, self.want, '%s: what worker %d wrote is there' % (what, self.number))
        listed = self.ask('PROPFIND', '', (207,), headers={'Depth': '1'}).body.decode()
        t.eq(listed.count('<D:response>') or listed.count('response>') // 2, len(self.want) + 1, '%s: and nothing else' % what)
        for name, i in self.props.items():
            body, end = '', time.monotonic() + 2 * gh.SLOW
            while '>%d<' % i not in body and time.monotonic() < end:
                body = self.ask('PROPFIND', name, (207,), headers={'Depth': '0'}).body.decode()
            t.ok('>%d<' % i in body, '%s: a property' % what, '(%r)' % body)


def under_load(pg, servers, ways=('east',)):
    s = servers[0]
    tenant_id = next(x['id'] for x in s.cli_json('tenant', 'list')['items'] if x['tenant'] == 'busy')
    held = s.http('LOCK', '/dav/held', body=LOCK, user='busy/ann')
    token = held.header('Lock-Token')
    workers = [Worker(servers, 'busy', n) for n in range(3)] + [Worker(servers, 'calm', 9)]
    for w in workers:
        w.start()
    frozen = []
    try:
        for to in ways:
            before = [w.done for w in workers]
            end = time.monotonic() + 30 * gh.SLOW
            while any(w.done < n + 15 for w, n in zip(workers, before)) and time.monotonic() < end:
                time.sleep(0.02)
            frozen.append(moved(s, 'busy', to))
    finally:
        for w in workers:
            w.ends.set()
        for w in workers:
            w.join()
    for w in workers:
        t.ok(not w.wrong, 'nothing but short refusals', '(%r)' % w.wrong[:5])
        w.check('after %d moves' % len(ways))
    t.eq(workers[3].refusals, [], 'a neighbour notices nothing')
    if len(ways) > 2:
        t.ok(min(frozen) <= 1000 * gh.SLOW, 'frozen for a second at most', '(%r ms)' % frozen)
    t.eq(shard_of(s, 'busy'), 'east', 'it is where it was sent')
    t.eq(rows_left(pg, 'gatehouse', tenant_id), [], 'nothing is left where it was')
    r = s.http('PUT', '/dav/held', body=b'x', user='busy/ann')
    t.eq(r.status, 423, 'a lock came along')
    r = servers[1].http('PUT', '/dav/held', {'If': '(%s)' % token}, body=b'y', user='busy/ann')
    t.among(r.status, (201, 204), 'and its token opens it, at the other gateway')
    print('# frozen for %s ms; refused at most for %.0f ms; %d operations' % (
        ', '.join('%.0f' % f for f in frozen), 1000 * max(w.longest() for w in workers), sum(w.done for w in workers)))


def moved(s, tenant, to):
    """How long it was frozen, ms."""
    return moved_line(s, tenant, to)[1]


def moved_line(s, tenant, to):
    """How many rows it has, how long it was frozen, ms, and how many rows were read meanwhile."""
    status, out, err = s.run('tenant', 'move', tenant, '--to', to, timeout=600 * gh.SLOW)
    if not t.ok(status == 0 and 'switched' in out and 'cleared' in out, 'move %s to %s' % (tenant, to), '(%d %r %r)' % (
            status, out, err)):
        return 0, 1e9, 1 << 30
    line = next(x for x in out.splitlines() if x.startswith('switched'))
    return int(line.split()[1]), float(line.split('frozen for ')[1].split()[0]), int(line.split('in which ')[1].split()[0])


class Held:
    """Nobody can write that table until this is left: whoever comes there stands still."""

    def __init__(self, pg, db, table):
        self.p = subprocess.Popen(['psql', '-h', pg.dir, '-U', 'gatehouse', '-d', db, '-Atq'], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.p.stdin.write('BEGIN; LOCK TABLE %s IN SHARE MODE; SELECT 1;\n' % table)
        self.p.stdin.flush()
        self.p.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.stdin.close()
        self.p.wait()
        self.p.stdout.close()


def until(what, fn, seconds=30):
    end = time.monotonic() + seconds * gh.SLOW
    while not fn():
        if time.monotonic() > end:
            return t.ok(False, what, '(not within %d s)' % seconds)
        time.sleep(0.02)
    return t.ok(True, what)


def begun(s, tenant, to):
    return subprocess.Popen([gh.binary(), '-D', s.data, 'tenant', 'move', tenant, '--to', to], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def state_of(pg, db, tenant):
    return pg.sql("SELECT state FROM tenant WHERE name = '%s'" % tenant, db)


def waits_for_lock(pg, db):
    return pg.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '%s'" % db) != '0'


def killed(pg, s, other):
    """kill -9 with every step under way; what is asked again goes on."""
    tree = {'/dav/a%d' % i: b'%d' % i * 50 for i in range(40)}
    for name, body in tree.items():
        t.eq(s.http('PUT', name, body=body, user='quiet/ann').status, 201, 'PUT')
    home, away = 'main', 'east'
    db = {'main': 'gatehouse', 'east': 'east'}
    # in which database a table is held, so that the mover stands still in that step; may the tenant be changed within a second or two?
    for what, where, table, step, wrote in (
            ('copying', 'there', 'node', 2, True), ('switching', 'there', 'tenant', 3, True),
            ('frozen', 'central', 'route', 3, False), ('landing', 'there', 'feed', 4, False), ('clearing', None, None, 5, True)):
        mover = None
        try:
            if step in (2, 4):
                with Held(pg, db[away], table):
                    mover = begun(s, 'quiet', away)
                    until('%s: it stands still' % what, lambda: step_of(pg, 'quiet') == str(step) and
                          waits_for_lock(pg, db[away]))
                    s.kill9()
            elif table:
                mover = begun(s, 'quiet', away)
                until('%s: it comes so far' % what, lambda: step_of(pg, 'quiet') == str(step))
                with Held(pg, db[away] if where == 'there' else 'gatehouse', table):
                    until('%s: it stands still' % what, lambda: waits_for_lock(pg, db[away] if where == 'there' else 'gatehouse'))
                    s.kill9()
            else:
                mover = begun(s, 'quiet', away)
                until('%s: it comes so far' % what, lambda: step_of(pg, 'quiet') == str(step))
                s.kill9()
        finally:
            if mover:
                mover.wait()
        got = []
        until('%s: it can be changed at the other gateway, with the mover dead' % what, lambda: got.append(other.http(
            'PUT', '/dav/a0', body=tree['/dav/a0'], user='quiet/ann').status) or got[-1] in (201, 204), 3 if wrote else 30)
        t.ok(set(got) <= {201, 204, 503}, '%s: until then it is told not now' % what, '(%r)' % got[:5])
        s.start()
        until('%s: it goes on where it was' % what, lambda: s.run('tenant', 'move', 'quiet', '--to', away, timeout=120)[0] == 0, 60)
        t.eq((shard_of(s, 'quiet'), step_of(pg, 'quiet')), (away, '0'), '%s: it has come' % what)
        for gateway in (s, other):
            t.eq({n: gateway.http('GET', n, user='quiet/ann').body for n in tree}, tree, '%s: all of it' % what)
        t.eq(state_of(pg, db[home], 'quiet'), '', '%s: nothing is left behind' % what)
        home, away = away, home


def abandoned(pg, s, other):
    """From main to east: what is held must not be central's, where movers exclude each other."""
    with Held(pg, 'east', 'node'):
        mover = begun(s, 'calm', 'east')
        until('it stands still', lambda: step_of(pg, 'calm') == '2' and waits_for_lock(pg, 'east'))
        refused(other, ('being moved by another',), 'two movers', 'tenant', 'move', 'calm', '--to', 'east')
        s.kill9()
        mover.wait()
    s.start()
    until('a move is abandoned', lambda: s.run('tenant', 'move', 'calm', '--abandon')[0] == 0)
    t.eq((shard_of(s, 'calm'), step_of(pg, 'calm'), state_of(pg, 'east', 'calm'), state_of(pg, 'gatehouse', 'calm')),
         ('main', '0', '', '0'), 'it is where it was, and nowhere else')
    t.among(other.http('PUT', '/dav/a0', body=b'new', user='calm/ann').status, (201, 204), 'and can be changed')


def equal(pg, s, other):
    """Every row, asked of the databases themselves; and what rests on what a database knows alone."""
    home = shard_of(s, 'quiet')
    away = 'east' if home == 'main' else 'main'
    db = {'main': 'gatehouse', 'east': 'east'}
    tenant_id = next(x['id'] for x in s.cli_json('tenant', 'list')['items'] if x['tenant'] == 'quiet')
    s.cli('group', 'add', 'quiet/staff')
    s.cli('limit', 'set', 'quiet', '--files', '3')
    for n in 'bc':
        t.among(s.http('PUT', '/dav/' + n, body=b'x', user='quiet/ann').status, (201, 204, 507), 'PUT')
    s.http('DELETE', '/dav/c', user='quiet/ann')
    s.http('PROPPATCH', '/dav/b', body=PROP % 7, user='quiet/ann')
    s.http('LOCK', '/dav/b', body=LOCK, user='quiet/ann')
    cursor = s.http('GET', '/api/v1/events', user='quiet/ann').json['newest']
    t.eq(s.http('GET', '/api/v1/events?after=' + cursor, user='quiet/ann').status, 200, 'a cursor is good')
    usage = [x for x in s.cli_json('tenant', 'list')['items'] if x['tenant'] == 'quiet'][0]
    before = digest(pg, db[home], tenant_id)
    moved(s, 'quiet', away)
    after = digest(pg, db[away], tenant_id)
    t.eq([n for n in before if after[n] != before[n]], [], 'every row is the same')
    t.eq(rows_left(pg, db[home], tenant_id), [], 'and none is left')
    after = [x for x in s.cli_json('tenant', 'list')['items'] if x['tenant'] == 'quiet'][0]
    t.eq({**after, 'shard': 0}, {**usage, 'shard': 0}, 'it holds what it held')
    wrote = [other.http('PUT', '/dav/q%d' % i, body=b'x', user='quiet/ann').status for i in range(4)]
    for gateway in (s, other):  # one that was waiting there is told when there is something to tell
        until('a cursor has ended, and is told so', lambda: (lambda r: (r.status, r.json.get('reason')))(gateway.http(
            'GET', '/api/v1/events?after=' + cursor, user='quiet/ann')) == (410, 'cursor-expired'), 10)
    t.ok(507 in wrote, 'a limit holds at the new place', '(%r)' % wrote)
    s.cli('limit', 'set', 'quiet', '--files', 'none')


def unheard(pg, s, other, proxy):
    """The other gateway hears nothing more of the shard that a tenant leaves, and so not what was written there last."""
    there = pg.database('west').replace('host=' + pg.dir, '')  # each gateway by its own way: PGHOST
    s.cli('shard', 'add', 'west', '--conninfo', there)
    s.cli('tenant', 'add', 'far', '--shard', 'west')
    s.user('far/ann', '--owner')
    t.eq(s.http('PUT', '/dav/f', body=b'first', user='far/ann').status, 201, 'PUT')
    until('both serve it', lambda: other.http('GET', '/dav/f', user='far/ann').body == b'first')
    proxy.deaf(True)
    until('the other does not reach it', lambda: other.http('GET', '/dav/f', user='far/ann').status == 503)
    t.eq(s.http('PUT', '/dav/f', body=b'second', user='far/ann').status, 204, 'PUT again')
    moved(s, 'far', 'east')
    got = []
    until('the other serves it where it is now', lambda: got.append(other.http('GET', '/dav/f', user='far/ann')) or
          got[-1].status == 200)
    t.eq(got[-1].body, b'second', 'and remembers nothing from where it was')
    proxy.deaf(False)


def twice(pg, s, other):
    """Two administrators give one name at the same time, on two shards: one of them makes it."""
    with Held(pg, 'east', 'tenant'):
        first = subprocess.Popen([gh.binary(), '-D', s.data, 'tenant', 'add', 'both', '--shard', 'east'])
        until('the first stands still', lambda: waits_for_lock(pg, 'east'))
        status, _, err = other.run('tenant', 'add', 'both', '--shard', 'main')
        t.ok(status == 1, 'a name that is just being given', '(%d %r)' % (status, err))
    t.eq(first.wait(), 0, 'who was first has made it')
    t.eq((shard_of(s, 'both'), pg.sql("SELECT count(*) FROM tenant WHERE name = 'both'")), ('east', '0'), 'once')
    refused(other, ('both', 'exists'), 'and then it exists', 'tenant', 'add', 'both', '--shard', 'main')


def fill(pg, tenant_id, nodes):
    """So many empty files with a property each, past the gateways."""
    pg.sql("""INSERT INTO node (tenant, parent, name_key, id, type, name, owner, version, rev, size, made_us, mtime_us, has_props, parts,
                                blob, loc, crc)
              SELECT %(t)s, t.root, convert_to('n' || i, 'UTF8'), 1000000 + i, 1, convert_to('n' || i, 'UTF8'), 0, 1000000000 + i, 1, 0,
                     1, 1, 1, 0, 0, ''::bytea, 0 FROM tenant t, generate_series(1, %(n)d) i WHERE t.id = %(t)s;
              INSERT INTO version (tenant, id, node, size, mtime_us, made_us, author, parts, blob, crc)
              SELECT %(t)s, 1000000000 + i, 1000000 + i, 0, 1, 1, 0, 0, 0, 0 FROM generate_series(1, %(n)d) i;
              INSERT INTO prop (tenant, node, ns, name, xml, lang)
              SELECT %(t)s, 1000000 + i, 'urn:x'::bytea, 'p'::bytea, 'text ' || i, '' FROM generate_series(1, %(n)d) i;
              UPDATE usage_total SET files = files + %(n)d WHERE tenant = %(t)s; ANALYZE""" % {'t': tenant_id, 'n': nodes})


def large(pg, servers, nodes, ways):
    """What is read while nobody may write rests on what has changed, and not on how much there is."""
    s = servers[0]
    s.cli('tenant', 'add', 'large', '--shard', 'main')
    s.user('large/ann', '--owner')
    tenant_id = next(x['id'] for x in s.cli_json('tenant', 'list')['items'] if x['tenant'] == 'large')
    fill(pg, tenant_id, nodes)
    workers = [Worker(servers, 'large', n) for n in range(2)]
    for w in workers:
        w.start()
    seen = []
    try:
        for to in ways:
            before = sum(w.done for w in workers)
            until('work is done', lambda: sum(w.done for w in workers) > before + 20)
            seen.append(moved_line(s, 'large', to))
    finally:
        for w in workers:
            w.ends.set()
        for w in workers:
            w.join()
    for w in workers:
        t.ok(not w.wrong, 'nothing but short refusals', '(%r)' % w.wrong[:5])
        w.check('a large one')
    for rows, frozen, read in seen:
        t.ok(rows > 3 * nodes, 'all of it was compared before', '(%d of %d)' % (rows, 3 * nodes))
        t.ok(read < 2000, 'while it was held only what had changed was read', '(%d of %d)' % (read, rows))
    r = s.http('PROPFIND', '/dav/n%d' % nodes, {'Depth': '0'}, user='large/ann')
    t.ok(r.status == 207 and b'text %d<' % nodes in r.body, 'the last one has come, with its property')
    print('# %d files: %s' % (nodes, '; '.join('%d rows, frozen for %.0f ms, in which %d were read' % x for x in seen)))
    return seen


def words(s):
    refused(s, ('nowhere', 'none'), 'a shard that is none', 'tenant', 'move', 'quiet', '--to', 'nowhere')
    refused(s, ('nobody',), 'a tenant that is none', 'tenant', 'move', 'nobody', '--to', 'east')
    refused(s, ('main', 'is there'), 'where it is', 'tenant', 'move', 'quiet', '--to', 'main')
    refused(s, ('not on its way',), 'nothing to abandon', 'tenant', 'move', 'quiet', '--abandon')
    s.cli('shard', 'drain', 'east')
    refused(s, ('east', 'no new'), 'a shard that is drained', 'tenant', 'move', 'quiet', '--to', 'east')
    s.cli('shard', 'open', 'east')


def server(pg, host):
    os.environ['PGHOST'] = host
    return gh.Server(config=config(pg.conninfo))


def main(parts, nodes=8000, ways=('east',)):
    pg = pglib.Cluster('max_connections=200')
    proxy = pgproxy.Proxy(pg)
    try:
        with server(pg, pg.dir) as s, server(pg, proxy.dir) as other:
            s.cli('shard', 'add', 'east', '--conninfo', pg.database('east'))
            for name in ('busy', 'calm', 'quiet'):
                s.cli('tenant', 'add', name, '--shard', 'main')
                s.user(name + '/ann', '--owner')
            words(s)
            if 'load' in parts:
                under_load(pg, (s, other))
            if 'loads' in parts:
                under_load(pg, (s, other), ('east', 'main', 'east'))
            if 'twice' in parts:
                twice(pg, s, other)
            if 'large' in parts:
                large(pg, (s, other), nodes, ways)
            if 'equal' in parts:
                equal(pg, s, other)
            if 'unheard' in parts:
                unheard(pg, s, other, proxy)
            if 'kill' in parts:
                killed(pg, s, other)
            if 'abandon' in parts:
                abandoned(pg, s, other)
            for db in ('gatehouse', 'east'):
                pg.sql('ANALYZE', db)  # its statements join whole tables
            status, out, err = s.run('fsck', timeout=600)  # a look for each blob
            t.eq(status, 0, 'fsck finds nothing')
            if status:
                print(out, err)
    finally:
        proxy.close()
        pg.close()
        shutil.rmtree(blobs, ignore_errors=True)
    return t.done()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:] or ('load', 'twice', 'large', 'equal', 'unheard', 'abandon')))
