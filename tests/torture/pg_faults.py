#!/usr/bin/python3
# suite: default
# timeout: 900
"""Trouble with PostgreSQL: connections that are cut or fall silent at each message of a commit, a server that is killed,
stopped, restarted, slow, full or refuses, and one whose standby takes over. In all of it:

  * what was acknowledged is there, once, with its bytes; what was refused is not
  * nothing else is said than done, refused (503, 507) or, where it must be, that the outcome is not known
  * every answer comes within the deadline of its operation
  * it heals by itself, with the configuration's defaults: the first success within 2 s of the server's return (best of
    three)

The whole matrix runs with --all. Usage: pg_faults.py [WORD...]: only the parts whose names contain one of the words."""
import io
import os
import random
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402
import pglib  # noqa: E402
import pgproxy  # noqa: E402

ALL = os.environ.get('TEST_SUITE') == 'all'
DEADLINE_S = 62  # of an operation that writes: 60 s (core/request.c), and time for the answer
t = gh.Checks()


def config(conninfo, *more):
    return ('metadata: postgresql\npostgresql:\n  conninfo: "%s"\n%scollector:\n  every: 1s\n  grace: 1s\n' % (
        conninfo, ''.join('  %s\n' % line for line in more)))


HASTY = ('statement_timeout: 400ms', 'lock_timeout: 200ms')  # what falls silent is given up soon


# ---- who writes down what was said ----

class Said:
    """One request: name, when it was sent and answered, and what came: done, refused, unknown or something wrong."""

    def __init__(self, name, sent, answered, what):
        self.name, self.sent, self.answered, self.what = name, sent, answered, what


class Writer(threading.Thread):
    def __init__(self, s, name, sizes=(20, 3000)):
        super().__init__(daemon=True)
        self.s, self.name, self.sizes = s, name, sizes
        self.said = []
        self.stop = False

    def body(self, name):
        size = self.sizes[sum(name.encode()) % len(self.sizes)]
        return (name.encode() * (size // len(name) + 1))[:size]

    def run(self):
        c = self.s.client(timeout=90)
        i = 0
        while not self.stop:
            i += 1
            name = '%s-%05d' % (self.name, i)
            sent = time.monotonic()
            try:
                r = c.request('PUT', '/dav/' + name, body=self.body(name))
                what = ('done' if r.status == 201 else 'refused' if r.status == 503 else
                        'unknown' if r.status == 500 and b'outcome' in r.body else '%d %r' % (r.status, r.body[:100]))
            except OSError as e:
                what = repr(e)
                c.close()
            self.said.append(Said(name, sent, time.monotonic(), what))
            if what != 'done':
                time.sleep(0.02)


class Crowd:
    def __init__(self, s, prefix, count=4, **more):
        self.s = s
        self.writers = [Writer(s, '%s%d' % (prefix, i), **more) for i in range(count)]
        for w in self.writers:
            w.start()

    def end(self):
        for w in self.writers:
            w.stop = True
        for w in self.writers:
            w.join()
        return self

    def all(self, what=None):
        return [x for w in self.writers for x in w.said if what is None or x.what == what]

    def first_done_after(self, when):
        """Of what was asked for and answered after that. None: nothing yet."""
        return min([x.answered for x in self.all('done') if x.answered > when], default=None)

    def wait_for_success(self, when, longest=30):
        end = time.monotonic() + longest * gh.SLOW
        while time.monotonic() < end:
            first = self.first_done_after(when)
            if first:
                return first - when
            time.sleep(0.01)
        return longest

    def judge(self, words):
        """What was said is how it is."""
        s = self.s
        strange = [x.what for x in self.all() if x.what not in ('done', 'refused', 'unknown')]
        t.eq(strange[:3], [], words + ': nothing but done, refused or unknown')
        longest = max(x.answered - x.sent for x in self.all())
        t.ok(longest < DEADLINE_S * gh.SLOW, words + ': every answer within its deadline', '(%.1f s)' % longest)
        have = names_in(s, '/')
        done = {x.name for x in self.all('done')}
        t.eq(sorted(done - have)[:3], [], words + ': what was acknowledged is there')
        t.eq(sorted(have & {x.name for x in self.all('refused')})[:3], [], words + ': what was refused is not')
        w = self.writers[0]
        some = random.sample(sorted(done), min(8, len(done)))
        some += [x.name for x in self.all('unknown') if x.name in have][:8]  # its content must not have been taken away
        for name in some:
            t.eq(patiently(s, 'GET', '/dav/' + name).body, w.body(name), words + ': with its bytes')
        print('%-26s done %d, refused %d, unknown %d, longest %.1f s' % (
            words, len(done), len(self.all('refused')), len(self.all('unknown')), longest), flush=True)


def patiently(s, method, target, headers=None, body=None, longest=20):
    """What was refused has not happened, so it can be asked for again."""
    end = time.monotonic() + longest * gh.SLOW
    while True:
        r = s.http(method, target, headers, body)
        if r.status != 503 or time.monotonic() > end:
            return r
        time.sleep(0.05)


def names_in(s, folder):
    end = time.monotonic() + 20 * gh.SLOW
    while True:
        try:
            f = s.ftp()
            got = {os.path.basename(n) for n in f.nlst(folder)}
            f.quit()
            return got
        except (gh.ftplib.error_temp, EOFError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def audit(s, pg, db, words):
    patiently(s, 'GET', '/dav/')
    status, out, err = s.run('fsck', '--verify')
    t.eq(status, 0, words + ': fsck finds nothing wrong')
    if status:
        print(out, err)
    t.eq(pg.sql('SELECT count(*) - count(DISTINCT (tenant, op)) FROM event', db), '0', words + ': no event is there twice')


def within_2s(once, words):
    """once(n): seconds until the first success. Best of three."""
    firsts = []
    while len(firsts) < 3 and not any(f < 2 * gh.SLOW for f in firsts):
        firsts.append(once(len(firsts)))
    t.ok(min(firsts) < 2 * gh.SLOW, words + ': the first success within 2 s of its return', str([round(f, 2) for f in firsts]))
    print('%-26s first success after %s s' % (words, ', '.join('%.2f' % f for f in firsts)), flush=True)


# ---- at each message of a commit ----

class AtMessage:
    """A rule that waits for a commit of the gateway's and does something at its Nth message, forth or back. Without a place
    it counts how many there are."""

    def __init__(self, forth=None, at=None, what=None):
        self.forth, self.at, self.what = forth, at, what
        self.link = None
        self.seen = {True: 0, False: 0}
        self.over = self.done = False

    def __call__(self, m):
        if self.over:
            return None
        if self.link is None and m.forth and m.type == b'P' and b'BEGIN ISOLATION LEVEL READ COMMITTED' in m.body:
            self.link = m.link
        if m.link is not self.link:
            return None
        n = self.seen[m.forth]
        self.seen[m.forth] += 1
        if not m.forth and m.type == b'Z' and m.body == b'I':
            self.over = True  # it was the last
        if m.forth == self.forth and n == self.at:
            self.over = self.done = True
            return self.what
        return None


OPERATIONS = {  # what has to be there, then what is done, its answer, and a repetition that would be noticed
    'MKCOL': (None, lambda s, n: patiently(s, 'MKCOL', '/dav/m/' + n), 201),
    'PUT': (None, lambda s, n: patiently(s, 'PUT', '/dav/m/' + n, {'If-None-Match': '*'}, n.encode() * 100), 201),
    'large PUT': (None, lambda s, n: patiently(s, 'PUT', '/dav/m/' + n, {'If-None-Match': '*'}, n.encode() * 50000), 201),
    'MOVE': (lambda s, n: s.http('PUT', '/dav/m/a' + n, body=n.encode()),
             lambda s, n: patiently(s, 'MOVE', '/dav/m/a' + n, {'Destination': '/dav/m/' + n, 'Overwrite': 'F'}), 201),
    'COPY': (lambda s, n: s.http('PUT', '/dav/m/a' + n, body=n.encode()),
             lambda s, n: patiently(s, 'COPY', '/dav/m/a' + n, {'Destination': '/dav/m/' + n, 'Overwrite': 'F'}), 201),
    'DELETE': (lambda s, n: s.http('PUT', '/dav/m/' + n, body=n.encode()),
               lambda s, n: patiently(s, 'DELETE', '/dav/m/' + n), 204),
}


def each_message(s, proxy, op, what, some=None):
    """op once for each message of its commit (some: only so many of them, chosen evenly, and all from COMMIT on)."""
    before, act, want = OPERATIONS[op]
    label, short = '%s, %s' % (op, what), op.replace(' ', '')
    kept = []

    def once(name, rule):
        if before:
            proxy.rule = None
            before(s, name)
        proxy.rule = rule
        r = act(s, name)
        proxy.rule = None
        return r

    for i in range(2):  # statements are prepared by now
        once('%s-%s-warm%d' % (short, what, i), None)
    counts = [AtMessage() for _ in range(3)]  # one may be on a new connection, where statements are prepared
    for i, count in enumerate(counts):
        t.eq(once('%s-%s-count%d' % (short, what, i), count).status, want, label + ' without harm')
    count = min(counts, key=lambda c: sum(c.seen.values()))
    places = [(True, i) for i in range(count.seen[True])] + [(False, i) for i in range(count.seen[False])]
    t.ok(count.over and len(places) > 20, label + ': a commit is seen', str(count.seen))
    if some:
        places = sorted(set(places[::max(1, len(places) // some)] + [(True, count.seen[True] - 1), (False, count.seen[False] - 2)]))
    hit = 0
    for forth, i in places:
        name = '%s-%s-%s%d' % (short, what, 'f' if forth else 'b', i)
        rule = AtMessage(forth, i, what)
        r = once(name, rule)
        hit += rule.done
        t.eq(r.status, want, '%s at message %d %s: done once' % (label, i, 'forth' if forth else 'back'))
        if want == 201:
            kept.append(name)
    t.ok(hit >= len(places) * 0.9, label + ': harm was done', '(%d of %d)' % (hit, len(places)))
    print('%-26s at %d places of %d' % (label, hit, sum(count.seen.values())), flush=True)
    return kept


def part_messages(pg):
    proxy = pgproxy.Proxy(pg)
    pg.database('messages')
    try:
        with gh.Server(config=config(proxy.conninfo('messages'), *HASTY)) as s:
            s.http('MKCOL', '/dav/m')
            kept = []
            for op in OPERATIONS if ALL else ('MKCOL', 'PUT'):
                kept += each_message(s, proxy, op, pgproxy.CUT)
            for op in OPERATIONS if ALL else ('MKCOL',):
                kept += each_message(s, proxy, op, pgproxy.STALL, None if ALL else 4)
            there = names_in(s, '/m')
            t.eq([n for n in kept if n not in there], [], 'what was done is there')
            t.eq([n for n in there if n.startswith('DELETE-')], [], 'what was deleted is not')
            audit(s, pg, 'messages', 'messages')
            doubles = pg.sql("SELECT count(*) FROM (SELECT path FROM event WHERE path LIKE '/m/%' AND what = 'mkdir'"
                             ' GROUP BY path HAVING count(*) > 1) AS x', 'messages')
            t.eq(doubles, '0', 'messages: no folder was made twice')
    finally:
        proxy.close()


# ---- an outcome that is not known ----

def part_unknown(pg):
    """COMMIT is done and its answer lost, and then nobody is reached for longer than the gateway asks again. It says so, keeps
    the content, and what is then there is whole."""
    proxy = pgproxy.Proxy(pg)
    pg.database('unknown')
    try:
        with gh.Server(config=config(proxy.conninfo('unknown'))) as s:
            s.http('PUT', '/dav/first', body=b'x')
            bodies = {'small': b's' * 5000}
            if ALL:
                bodies['large'] = b'L' * 400000
            answers = {}

            def lose_answer(m):
                if not m.forth and m.type == b'C' and m.body == b'COMMIT\0':
                    proxy.is_deaf = True
                    return pgproxy.CUT
                return None

            def put(name):
                with_own = s.client(timeout=90)
                answers[name] = with_own.request('PUT', '/dav/' + name, body=bodies[name])

            for name in bodies:
                proxy.rule = lose_answer
                th = threading.Thread(target=put, args=(name,))
                th.start()
                th.join(40 * gh.SLOW)
                proxy.rule = None
                r = answers.get(name)
                t.ok(r is not None and r.status == 500 and b'outcome' in r.body, 'unknown: told that nobody knows', repr(r))
                time.sleep(2.5)  # the collector would have been here
                proxy.is_deaf = False
                back = time.monotonic()
                got = patiently(s, 'GET', '/dav/' + name)
                t.eq((got.status, got.body), (200, bodies[name]), 'unknown: what was committed is there, whole')
                time.sleep(max(0, 2.5 - (time.monotonic() - back)))
                t.eq(patiently(s, 'GET', '/dav/' + name).body, bodies[name], 'unknown: and stays')
            audit(s, pg, 'unknown', 'unknown')
    finally:
        proxy.close()


# ---- the server itself ----

def away(s, pg, words, go, come, seconds):
    """Load, and the server goes for each of these times, and is there again when come() returns."""
    def once(away_s, n):
        crowd = Crowd(s, '%s%d-%d-' % (words[:2], away_s * 10, n))
        time.sleep(0.5)
        go()
        time.sleep(away_s * gh.SLOW)
        come()
        first = crowd.wait_for_success(time.monotonic())
        time.sleep(0.3)
        crowd.end()
        crowd.judge('%s for %.1f s' % (words, away_s))
        return first

    for away_s in seconds:
        within_2s(lambda n: once(away_s, n), '%s for %.1f s' % (words, away_s))


def restart(pg):
    subprocess.run(['sh', pglib.SCRIPT, 'stop', pg.dir], check=True, stdout=subprocess.DEVNULL)
    pg.start()


def part_killed(pg):
    pg.database('killed')
    with gh.Server(config=config(pg.conninfo_of('killed'))) as s:
        away(s, pg, 'killed', pg.stop, pg.start, (1, 6, 20) if ALL else (6,))
        away(s, pg, 'restarted', lambda: restart(pg), lambda: None, (0,))
        audit(s, pg, 'killed', 'killed')


def part_stopped(pg):
    pg.database('stopped')
    with gh.Server(config=config(pg.conninfo_of('stopped'))) as s:
        away(s, pg, 'stopped', pg.freeze, pg.thaw, (1, 6, 40) if ALL else (12,))
        audit(s, pg, 'stopped', 'stopped')


def part_refusing(pg):
    proxy = pgproxy.Proxy(pg)
    pg.database('refusing')

    def full(m):
        return pgproxy.error('53300', 'sorry, too many clients already') if not m.forth and m.type == b'R' else None

    def refuse():
        for link in list(proxy.links):
            link.cut()
        proxy.rule = full

    def take():
        proxy.rule = None

    try:
        with gh.Server(config=config(proxy.conninfo('refusing'))) as s:
            away(s, pg, 'refusing', lambda: proxy.deaf(True), lambda: proxy.deaf(False), (5,))
            away(s, pg, 'too many clients', refuse, take, (5,))
            t.ok('too many clients already' in s.log(), 'too many clients: the log says it')
            audit(s, pg, 'refusing', 'refusing')
    finally:
        proxy.close()


def part_slow(pg):
    """Each message takes its time; then each commit so long that the breaker speaks."""
    proxy = pgproxy.Proxy(pg)
    pg.database('slow')
    try:
        with gh.Server(config=config(proxy.conninfo('slow'))) as s:
            s.http('PUT', '/dav/first', body=b'x')
            proxy.rule = lambda m: 0.005 if m.forth and m.type == b'S' else None
            crowd = Crowd(s, 'sl')
            time.sleep(3)
            crowd.end().judge('slow')
            t.eq(len(crowd.all('done')), len(crowd.all()), 'slow: all is done')
            proxy.rule = lambda m: 2.5 if not m.forth and m.type == b'C' and m.body == b'COMMIT\0' else None
            crowd = Crowd(s, 'vs', 12)
            time.sleep(8)
            proxy.rule = None
            first = crowd.wait_for_success(time.monotonic())
            crowd.end().judge('very slow')
            t.ok(first < 10 * gh.SLOW, 'very slow: over when it is over', '(%.1f s)' % first)
            audit(s, pg, 'slow', 'slow')
    finally:
        proxy.close()


# ---- bad luck with what it is given ----

def part_full_disk(pg):
    """The database's disk is full: writes are told so, reads go on, and with room again all is well."""
    if os.geteuid() != 0:
        return print('full disk: skipped, mounting needs root')
    small = os.path.join(pg.dir, 'small')
    os.mkdir(small)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=40m', 'gatehouse-test', small], stderr=subprocess.DEVNULL).returncode:
        return print('full disk: skipped, no mounts here')
    try:
        shutil.chown(small, user='postgres')
        pg.sql("CREATE TABLESPACE small LOCATION '%s'" % small)
        pg.sql('CREATE DATABASE full_disk TABLESPACE small', 'postgres')
        with gh.Server(config=config(pg.conninfo_of('full_disk'))) as s:
            t.eq(s.http('PUT', '/dav/kept', body=b'kept').status, 201, 'full disk: a file while there is room')
            with open(os.path.join(small, 'ballast'), 'wb', buffering=0) as f:
                try:
                    while f.write(b'x' * 4096):
                        pass
                except OSError:
                    pass
            said = []
            for i in range(3000):
                r = s.http('PUT', '/dav/%s-%d' % ('long-name' * 20, i), body=b'x')
                said.append(r.status)
                if said.count(507) >= 3:
                    break
            t.eq(sorted(set(said)), [201, 507], 'full disk: writes are told that it is full')
            t.eq(s.http('GET', '/dav/kept').body, b'kept', 'full disk: reads go on')
            lines = [x for x in s.log().splitlines() if 'sqlstate=53100' in x]
            t.ok(lines and all('database=full_disk' in x and 'make room' in x for x in lines), 'full disk: the log says what to do',
                 lines[:1])
            os.unlink(os.path.join(small, 'ballast'))
            t.eq(patiently(s, 'PUT', '/dav/after', body=b'x').status, 201, 'full disk: with room again it goes on')
            audit(s, pg, 'full_disk', 'full disk')
        pg.sql('DROP DATABASE full_disk', 'postgres')
        pg.sql('DROP TABLESPACE small')
    finally:
        subprocess.run(['umount', '-l', small], check=False)


def part_password(pg):
    """A password that is changed under a running gateway: refused, said in one line now and then, and well again with the
    right one."""
    hba = os.path.join(pg.dir, 'data', 'pg_hba.conf')
    with open(hba) as f:
        old = f.read()
    conninfo = pg.database('password')
    pg.sql("CREATE USER door PASSWORD 'secret-one'; ALTER DATABASE password OWNER TO door", 'postgres')

    def change(password):
        pg.sql("ALTER USER door PASSWORD '%s'" % password, 'postgres')
        end = time.monotonic() + 10 * gh.SLOW
        while pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'door'", 'postgres') and \
                time.monotonic() < end:
            time.sleep(0.02)

    try:
        with open(hba, 'w') as f:
            f.write('local all door scram-sha-256\n' + old)
        pg.sql('SELECT pg_reload_conf()')
        with gh.Server(config=config(conninfo.replace('user=gatehouse', 'user=door password=secret-one'))) as s:
            t.eq(s.http('PUT', '/dav/a', body=b'x').status, 201, 'password: the right one opens')
            change('another')
            end = time.monotonic() + 3
            while time.monotonic() < end:
                t.eq(s.http('PUT', '/dav/b', body=b'x').status, 503, 'password: refused with 503')
                time.sleep(0.1)
            change('secret-one')
            t.eq(patiently(s, 'PUT', '/dav/b', body=b'x').status, 201, 'password: well again')
            lines = [x for x in s.log().splitlines() if 'event=meta.unreachable' in x]
            t.ok(1 <= len(lines) <= 3, 'password: one line, now and then', str(len(lines)))
            t.ok(all('database password' in x and 'check user, password and passfile' in x for x in lines),
                 'password: it says what to do', str(lines[:1]))
            t.hasnt(s.log(), 'secret-one', 'password: it is not shown')
    finally:
        with open(hba, 'w') as f:
            f.write(old)
        pg.sql('SELECT pg_reload_conf()')


# ---- a standby takes over ----

def failover(number):
    pg = pglib.Cluster()
    other = None
    try:
        other = pg.standby()
        hosts = pg.conninfo.replace('host=' + pg.dir, 'host=%s,%s' % (pg.dir, other.dir))
        with gh.Server(config=config(hosts)) as s:
            crowd = Crowd(s, 'fo')
            time.sleep(1)
            pg.stop()
            time.sleep(1)
            other.promote()
            first = crowd.wait_for_success(time.monotonic())
            time.sleep(0.5)
            crowd.end().judge('failover %d' % number)
            audit(s, other, 'gatehouse', 'failover %d' % number)
            return first
    finally:
        if other:
            other.close()
        pg.close()


def part_failover(_):
    within_2s(failover, 'failover')


def main():
    gh.need('psql')
    parts = {name[5:]: fn for name, fn in sorted(globals().items()) if name.startswith('part_')}
    pg = pglib.Cluster()
    try:
        for name, fn in parts.items():
            if len(sys.argv) < 2 or any(word in name for word in sys.argv[1:]):
                start = time.monotonic()
                fn(pg)
                print('%-26s %.1f s' % (name, time.monotonic() - start), flush=True)
    finally:
        pg.close()
    sys.exit(t.done())


main()
