#!/usr/bin/python3
# suite: default
# timeout: 180
"""How often PostgreSQL is waited for. Each operation of the core's table (core/ops.tbl.h) is asked for through a door where it
is plain, and a proxy between gateway and server counts the round trips that it takes, and the statements in them:

  cold  the gateway remembers nothing of what the operation is about: its names were made before it was started anew
  warm  it has looked at them before

What it asks on its own account (signs of life, the log of events, routes, upkeep) is not the operations'; since some of that
cannot be told apart, the least of eight counts is taken. ARCHITECTURE.md says why some are more than one."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh
import pglib
import pgproxy

t = gh.Checks()
TRIES = 8
LOCK = ('<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me</owner></lockinfo>')
PROPS = '<propertyupdate xmlns="DAV:"><set><prop><c xmlns="x">red</c></prop></set></propertyupdate>'
QUOTA = '<propfind xmlns="DAV:"><prop><quota-used-bytes/></prop></propfind>'

# Statements that the gateway asks for itself (backends/metadata/sql.tbl.h), or how their names begin.
HOUSE = ('STREAM_', 'GATEWAY', 'LEASES_', 'ROUTE', 'SHARD', 'TENANTS', 'USAGE_FOLD_', 'EVENT_LAST', 'WALK_', 'BLOBS_',
         'LOCKS_EXPIRE', 'UPKEEP', 'TENANT_STATE', 'FEED_LAST_DROP')


class Recorder:
    """Round trips, each a list of the names of statements in it. One begins with the first message after the server has
    answered all that it was sent, and ends when it has answered all again. Transactions' verbs have no name, and are part
    of what went before them in their connection, where nothing else is in the trip."""

    def __init__(self, proxy):
        self.proxy, self.trips = proxy, []
        proxy.rule = self._see

    def _see(self, m):
        link = m.link
        if not hasattr(link, 'names'):
            link.names, link.syncs, link.trip, link.last = {}, 0, [], []
        if m.forth and m.type == b'P':
            name, text = m.body.split(b'\0')[:2]
            link.names[name] = text[3:text.index(b' */')].decode() if text.startswith(b'/* ') else text.decode().split()[0].lower()
        elif m.forth and m.type == b'B':
            name = link.names[m.body.split(b'\0')[1]]
            if b'upkeep' in m.body:  # the kind of a lease
                name = 'UPKEEP'
            link.trip.append(name)
        elif m.forth and m.type in (b'S', b'Q'):
            link.syncs += 1
        elif not m.forth and m.type == b'Z' and link.syncs:
            link.syncs -= 1
            if not link.syncs:
                self._ended(link)
        return None

    def _ended(self, link):
        asked = [s for s in link.trip if s.isupper() and s != 'LOCKS']
        link.last = asked or link.last
        if link.trip != ['commit'] and not all(s.startswith(HOUSE) for s in link.last):  # a reading's end is not waited for
            self.trips.append(link.trip)
        link.trip = []

    def of(self, do):
        with self.proxy.lock:
            self.trips = []
        do()
        with self.proxy.lock:
            return self.trips


class Rows:
    """Operations: what has to be there (PREPARE), and what is asked for (a function whose name is the row's)."""

    def __init__(self, s):
        self.s = s
        self.tokens = {}

    def want(self, status, method, name, headers=None, body=None):
        r = self.s.http(method, '/dav/' + name, headers, body)
        if r.status != status:
            raise RuntimeError('%s %s: %d %r' % (method, name, r.status, r.body[:200]))
        return r

    def to(self, name):
        return {'Destination': self.s.url('/dav/' + name)}

    def make_file(self, name):
        self.want(201, 'PUT', name, body=b'hello')

    def make_folder(self, name):
        self.want(201, 'MKCOL', name)

    def make_filled(self, name):
        self.make_folder(name)
        self.make_file(name + '/member')

    def make_file_with_property(self, name):
        self.make_file(name)
        self.want(207, 'PROPPATCH', name, {}, PROPS)

    def make_locked(self, name):
        self.make_file(name)
        self.tokens[name] = self.want(200, 'LOCK', name, {'Timeout': 'Second-600'}, LOCK).header('Lock-Token')

    # ---- what is asked for ----

    def stat(self, name):
        self.want(207, 'PROPFIND', name, {'Depth': '0'})

    stat_with_property = stat

    def list(self, name):
        self.want(207, 'PROPFIND', name, {'Depth': '1'})

    def read(self, name):
        self.want(200, 'GET', name)

    def write_new(self, name):
        self.want(201, 'PUT', name, body=b'hello')

    def write_replace(self, name):
        self.want(204, 'PUT', name, {'If-Match': '*'}, b'again')

    def mkdir(self, name):
        self.want(201, 'MKCOL', name)

    def remove_file(self, name):
        self.want(204, 'DELETE', name)

    remove_folder = remove_file

    def move_file(self, name):
        self.want(201, 'MOVE', name, self.to(name + '-moved'))

    move_folder = move_file

    def copy_file(self, name):
        self.want(201, 'COPY', name, self.to(name + '-copy'))

    copy_folder = copy_file

    def set_props(self, name):
        self.want(207, 'PROPPATCH', name, {}, PROPS)

    def set_times(self, name):
        with self.s.ftp() as ftp:
            ftp.sendcmd('MFMT 20200101000000 /' + name)

    def lock(self, name):
        self.want(200, 'LOCK', name, {'Timeout': 'Second-600'}, LOCK)

    def refresh(self, name):
        self.want(200, 'LOCK', name, {'If': '(%s)' % self.tokens[name]})

    def unlock(self, name):
        self.want(204, 'UNLOCK', name, {'Lock-Token': self.tokens[name]})

    def quota(self, name):
        self.want(207, 'PROPFIND', name, {'Depth': '0'}, QUOTA)


# name of a row: what has to be there; round trips cold and warm
TABLE = {
    'stat': (Rows.make_file, 1, 0),
    'stat_with_property': (Rows.make_file_with_property, 2, 1),
    'list': (Rows.make_filled, 2, 1),
    'read': (Rows.make_file, 1, 0),
    'write_new': (None, 1, 1),
    'write_replace': (Rows.make_file, 2, 1),
    'mkdir': (None, 2, 2),
    'remove_file': (Rows.make_file, 2, 1),
    'remove_folder': (Rows.make_filled, 2, 1),
    'move_file': (Rows.make_file, 3, 2),
    'move_folder': (Rows.make_filled, 3, 2),
    'copy_file': (Rows.make_file, 3, 2),
    'copy_folder': (Rows.make_filled, 10, 9),
    'set_props': (Rows.make_file, 2, 1),
    'set_times': (Rows.make_file, 2, 1),
    'lock': (Rows.make_file, 2, 1),
    'refresh': (Rows.make_locked, 2, 1),
    'unlock': (Rows.make_locked, 2, 1),
    'quota': (Rows.make_folder, 2, 1),
}


def names(row):
    return ['%s-%s-%d' % (row, how, i) for how in ('cold', 'warm') for i in range(TRIES)]


def prepare(rows):
    for row, (make, _, _) in TABLE.items():
        for name in names(row) if make else ():
            make(rows, name)


def settle(rows):
    """What is remembered of the tenant, not of names: rights and locks."""
    rows.want(207, 'PROPFIND', '', {'Depth': '0'})


def count(rows, rec, row, how):
    best = None
    for i in range(TRIES):
        name = '%s-%s-%d' % (row, how, i)
        settle(rows)
        if how == 'warm' and TABLE[row][0]:
            rows.want(207, 'PROPFIND', name, {'Depth': '0'})
        trips = rec.of(lambda: getattr(rows, row)(name))
        if best is None or len(trips) < len(best):
            best = trips
        if len(best) <= TABLE[row][1 if how == 'cold' else 2]:
            break
    return best


def first_of_all(rows, rec):
    """Sign-in, rights, and what was asked for: one each."""
    trips = rec.of(lambda: rows.want(404, 'GET', 'nothing'))
    t.eq(len(trips), 3, 'the first request of a user is three round trips %r' % trips)


def one_statement_each(rec, rows):
    """A new small file: its event and three rows, and the transaction around them."""
    trips = rec.of(lambda: rows.write_new('statements'))
    t.eq([len(trip) for trip in trips if 'NODE_INSERT' in trip], [7], 'a PUT is seven statements %r' % trips)


def main():
    if gh.METADATA != 'sqlite':
        gh.skip('it is about PostgreSQL already')
    pg = pglib.shared()
    name = 'trips%d' % os.getpid()
    pg.database(name)
    proxy = pgproxy.Proxy(pg)
    s = gh.Server(config='metadata: postgresql\npostgresql:\n  conninfo: "%s"\n' % proxy.conninfo(name))
    try:
        rows = Rows(s)
        prepare(rows)
        s.stop()
        rec = Recorder(proxy)  # of connections from their beginning
        s.start()
        first_of_all(rows, rec)
        for row, (_, cold, warm) in TABLE.items():
            for how, most in (('cold', cold), ('warm', warm)):
                trips = count(rows, rec, row, how)
                t.eq(len(trips), most, '%s, %s: round trips %r' % (row, how, trips))
        one_statement_each(rec, rows)
    finally:
        s.close()
        proxy.close()


main()
sys.exit(t.done())
