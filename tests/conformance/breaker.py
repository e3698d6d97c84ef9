#!/usr/bin/python3
# suite: default
# alone: yes
# metadata: sqlite postgresql:all
"""Circuit breakers against stores that fail, hang and slow down: for one tenant, for all, for one operation, over WebDAV,
REST and FTP. The gateway under test is tests/faulty/gatehouse (stores that do what a file says, and write down which calls
have reached them); that the installed program knows nothing of it is shown first."""
import ftplib
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh

t = gh.Checks()
MIN_CALLS, PROBES, SLOW_MS, BASE_S = 6, 2, 150, 0.4
CONFIG = '''
breaker:
  window: 2s
  min_calls: %d
  fail_percent: 50
  slow: %dms
  slow_percent: 80
  stuck: 4
  base: 400ms
  max: 800ms
  probes: %d
  probes_needed: 2
workers:
  threads: 8
log:
  access: ''
''' % (MIN_CALLS, SLOW_MS, PROBES)
REST = 'being given a rest'
DOORS = ('webdav', 'rest', 'ftp')


def faulty():
    path = os.path.join(os.environ.get('GATEHOUSE_BUILD', ''), 'tests', 'faulty', 'gatehouse')
    if not os.path.exists(path):
        subprocess.run(['make', '-s', '-C', os.environ['GATEHOUSE_BUILD'], 'tests/faulty/gatehouse'], check=True)
    return os.path.abspath(path)


# ---- what is asked, at each door: good, failed, or shut (refused by an open breaker) ----

counter = 0
counter_lock = threading.Lock()


def fresh():
    """A name that nobody has asked for: the store has to be asked."""
    global counter
    with counter_lock:
        counter += 1
        return 'none-%d' % counter


def word_of_http(r, goods):
    if r.status in goods:
        return 'good'
    if r.status == 503 and REST in r.text:
        t.ok(int(r.header('Retry-After', '0')) >= 1, 'an open breaker says when to come again', repr(r.headers))
        return 'shut'
    return 'failed'


class Asker:
    """A client of one tenant at one door, with a connection of its own."""

    def __init__(self, s, door, tenant):
        self.s, self.door, self.user = s, door, tenant + '/admin'
        self.http = self.ftp = None
        self.connect()

    def connect(self):
        if self.door == 'ftp':
            self.ftp = self.s.ftp(self.user)
        else:
            self.http = self.s.client(self.user)
            self.http.request('GET', '/dav/warm')

    def ftp_word(self, run):
        try:
            run()
            return 'good'
        except ftplib.error_perm as e:
            return 'good' if str(e).startswith('550 ') and 'damaged' not in str(e) else 'failed'
        except ftplib.error_temp as e:
            return 'shut' if str(e).startswith('451 ') and REST in str(e) else 'failed'

    def missing(self):
        """Metadata, operation resolve."""
        if self.door == 'ftp':
            return self.ftp_word(lambda: self.ftp.sendcmd('MDTM /' + fresh()))
        path = '/dav/' if self.door == 'webdav' else '/api/v1/content/'
        return word_of_http(self.http.request('GET', path + fresh()), (404,))

    def listing(self):
        """Metadata, operation list: of a folder too large for memory to keep its members."""
        if self.door == 'ftp':
            return self.ftp_word(lambda: self.ftp.nlst('/many'))
        if self.door == 'webdav':
            return word_of_http(self.http.request('PROPFIND', '/dav/many', {'Depth': '1'}), (207,))
        return word_of_http(self.http.request('GET', '/api/v1/list/many'), (200,))

    def content(self):
        """What is in a file: blobs, where memory is not let have it; else memory alone."""
        if self.door == 'ftp':
            return self.ftp_word(lambda: self.ftp.retrbinary('RETR /warm', lambda b: None))
        path = '/dav/' if self.door == 'webdav' else '/api/v1/content/'
        return word_of_http(self.http.request('GET', path + 'warm'), (200,))

    def store(self):
        if self.door == 'ftp':
            import io
            return self.ftp_word(lambda: self.ftp.storbinary('STOR /' + fresh(), io.BytesIO(b'x' * 500)))
        path = '/dav/' if self.door == 'webdav' else '/api/v1/content/'
        return word_of_http(self.http.request('PUT', path + fresh(), body=b'x' * 500), (201,))

    def close(self):
        if self.http:
            self.http.close()
        if self.ftp:
            self.ftp.close()


class World:
    tenants = ('acme', 'bolt', 'cord', 'dune')

    def __init__(self):
        self.top = os.environ.get('TEST_TMP') or '/tmp'
        self.rules = os.path.join(self.top, 'faults-%d' % os.getpid())
        self.log = self.rules + '.log'
        self.fault()
        self.s = gh.Server(config=CONFIG, env={'GATEHOUSE_FAULTS': self.rules, 'GATEHOUSE_FAULTS_LOG': self.log})
        for name in self.tenants:
            user = self.s.tenant(name)
            t.eq(self.s.http('PUT', '/dav/warm', body=b'w' * 4096, user=user).status, 201, 'PUT')
            t.eq(self.s.http('GET', '/dav/warm', user=user).status, 200, 'GET')
            t.eq(self.s.http('MKCOL', '/dav/many', user=user).status, 201, 'MKCOL')
            wrong = [i for i in range(220) if self.s.http('MKCOL', '/dav/many/%03d' % i, user=user).status != 201]
            t.eq(wrong, [], 'many members')
        self.ids = {r['tenant']: r['id'] for r in self.s.cli_json('tenant', 'list')['items']}
        self.askers = {(d, n): Asker(self.s, d, n) for d in DOORS for n in self.tenants}

    def fault(self, *lines):
        """The stores do this from now on."""
        with open(self.rules + '.new', 'w') as f:
            f.write(''.join(line + '\n' for line in lines))
        os.rename(self.rules + '.new', self.rules)
        open(self.log, 'w').close()

    def reached(self):
        with open(self.log) as f:
            return len(f.readlines())

    def breakers(self):
        return self.s.cli_json('breaker', 'list')['items']

    def not_closed(self):
        return sorted((b['service'], b.get('tenant')) for b in self.breakers() if b['state'] != 'closed')

    def reset(self):
        self.fault()
        for b in self.breakers():
            self.s.cli('breaker', 'reset', b['service'], *([b['tenant']] if b.get('tenant') else []))

    def openings(self, mark):
        """Lines of the log since a mark: (service's, tenants')."""
        lines = [x for x in self.s.log()[mark:].splitlines() if 'event=breaker ' in x and 'state=open' in x]
        own = [x for x in lines if 'tenant=0 ' in x]
        return len(own), len(lines) - len(own)

    def close(self):
        for a in self.askers.values():
            a.close()
        self.s.close()
        for path in (self.rules, self.log):
            os.unlink(path)


class Neighbour(threading.Thread):
    """Works all the time, at all doors, and counts what did not go well."""

    def __init__(self, w, tenant):
        super().__init__()
        self.askers = [Asker(w.s, d, tenant) for d in DOORS]
        self.asked, self.bad, self.ends, self.longest = 0, [], threading.Event(), 0.0
        self.start()

    def run(self):
        while not self.ends.is_set():
            for a in self.askers:
                for what in (a.missing, a.listing, a.content, a.store):
                    begun = time.monotonic()
                    try:
                        word = what()
                    except Exception as e:
                        word = repr(e)
                        a.connect()
                    self.longest = max(self.longest, time.monotonic() - begun)
                    self.asked += 1
                    if word != 'good':
                        self.bad.append('%s %s: %s' % (a.door, what.__name__, word))
                    time.sleep(0.005)

    def stop(self, where):
        self.ends.set()
        self.join()
        for a in self.askers:
            a.close()
        t.ok(self.asked > 10 and not self.bad, '%s: neighbours notice nothing' % where,
             '(%d asked, wrong: %r)' % (self.asked, self.bad[:5]))
        t.ok(self.longest < 3 * gh.SLOW, '%s: and wait for nothing long' % where, '(%.2f s)' % self.longest)


# ---- the steps of a scenario ----

def in_parallel(fns):
    out = [None] * len(fns)

    def run(i):
        try:
            out[i] = fns[i]()
        except Exception as e:
            out[i] = repr(e)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(fns))]
    for x in threads:
        x.start()
    return threads, out


def until(what, condition, seconds=5):
    end = time.monotonic() + seconds * gh.SLOW
    while time.monotonic() < end:
        if condition():
            return t.ok(True, what)
        time.sleep(0.01)
    return t.ok(False, what, '(not within %s s)' % seconds)


def answers_at_once(where, ask):
    """The best of three medians; asked while a breaker is open, so at most as long as its shortest pause."""
    best = 1e9
    for _ in range(3):
        took = []
        for _ in range(9):
            begun = time.monotonic()
            word = ask()
            if word == 'shut':
                took.append(time.monotonic() - begun)
        if took:
            best = min(best, statistics.median(took))
    t.ok(best < 0.005 * gh.SLOW, '%s: while open it answers in under 5 ms' % where, '(%.4f s)' % best)


def opens_by_failing(w, where, asks):
    """One after another, until the first is refused: so much evidence, no more, and no less."""
    words = []
    for i in range(60):
        words.append(asks[i % len(asks)]())
        if words[-1] == 'shut':
            break
    reached = w.reached()
    t.ok(words[-1] == 'shut' and 'good' not in words, '%s: it opens' % where, repr(words))
    t.ok(MIN_CALLS <= reached <= MIN_CALLS + len(asks), '%s: after the evidence that was configured' % where,
         '(%d calls)' % reached)


def probes_are_few(w, where, asks, seconds=0.9):
    """Everybody asks all the time; how many get through to the store, which still fails?"""
    before = w.reached()
    end = time.monotonic() + seconds

    def hammer(ask):
        n = 0
        while time.monotonic() < end:
            ask()
            n += 1
        return n
    threads, counts = in_parallel([lambda a=a: hammer(a) for a in asks])
    for x in threads:
        x.join()
    through, asked = w.reached() - before, sum(c for c in counts if isinstance(c, int))
    # Pauses of 0.4 and 0.8 s: at most three times half-open within 0.9 s, two probes each.
    t.ok(asked > 50 and through <= 3 * PROBES, '%s: probes are few' % where, '(%d of %d)' % (through, asked))


def heals(w, where, asks):
    w.fault()
    for ask in asks:
        until('%s: it heals by itself' % where, lambda: ask() == 'good')
    until('%s: all closed again' % where, lambda: [x() for x in asks] and not w.not_closed())


def memory_still_answers(w, where, tenants):
    for d in DOORS:
        for n in tenants:
            t.eq(w.askers[d, n].content(), 'good', '%s: what memory holds is still answered (%s)' % (where, d))


# ---- scenarios ----

def one_tenant_fails(w, door):
    where = 'fail, one tenant, ' + door
    ask = w.askers[door, 'acme'].missing
    n = Neighbour(w, 'bolt')
    w.fault('metadata * %s fail' % w.ids['acme'])
    opens_by_failing(w, where, [ask])
    answers_at_once(where, ask)
    t.eq(w.not_closed(), [('metadata', 'acme')], where + ': only its own breaker')
    memory_still_answers(w, where, ['acme'])
    probes_are_few(w, where, [w.askers[d, 'acme'].missing for d in DOORS])
    heals(w, where, [ask])
    n.stop(where)


def all_fail(w, door):
    where = 'fail, all, ' + door
    asks = [w.askers[door, n].missing for n in w.tenants]
    mark = len(w.s.log())
    w.fault('metadata * * fail')
    opens_by_failing(w, where, asks)
    answers_at_once(where, asks[0])
    t.eq(w.not_closed(), [('metadata', None)], where + ": only the service's breaker")
    memory_still_answers(w, where, w.tenants)
    t.eq(w.openings(mark), (1, 0), where + ': an outage opens one breaker, once')
    probes_are_few(w, where, [w.askers[d, n].missing for d, n in zip(DOORS, w.tenants)])
    t.eq(w.openings(mark)[1], 0, where + ': none of a tenant, however long it lasts')
    heals(w, where, asks)


def one_operation_fails(w, door):
    where = 'fail, one operation, ' + door
    n = Neighbour(w, 'cord')
    w.fault('blobs reader_read %s fail' % w.ids['acme'], 'blobs reader_open %s fail' % w.ids['acme'])
    ask = w.askers[door, 'acme'].content
    opens_by_failing(w, where, [ask])
    answers_at_once(where, ask)
    t.eq(w.not_closed(), [('blobs', 'acme')], where + ': the breaker of what is read')
    t.eq(w.askers[door, 'acme'].missing(), 'good', where + ': what needs no content goes on')
    heals(w, where, [w.askers[door, 'acme'].store, ask])  # what is in memory again asks nobody
    n.stop(where)


def hang(w, door, scope):
    where = 'hang, %s, %s' % (scope, door)
    names = w.tenants if scope == 'all' else ['acme']
    what = 'listing' if scope == 'one operation' else 'missing'
    mark = len(w.s.log())
    n = None if scope == 'all' else Neighbour(w, 'dune')
    stuck = [Asker(w.s, door, names[i % len(names)]) for i in range(12)]
    w.fault('metadata %s %s hang' % ('list' if what == 'listing' else '*', '*' if scope == 'all' else w.ids['acme']))
    threads, words = in_parallel([getattr(a, what) for a in stuck])  # more than there are workers
    until(where + ': it opens while they hang', lambda: w.not_closed() != [], 3)
    ask = getattr(w.askers[door, 'acme'], what)
    answers_at_once(where, ask)
    t.eq(w.not_closed(), [('metadata', None if scope == 'all' else 'acme')], where + ': the right one')
    memory_still_answers(w, where, names)
    if scope == 'all':
        t.eq(w.openings(mark)[1], 0, where + ': none of a tenant')
    else: # whoever hangs holds more workers than there were
        asked = n.asked
        until(where + ': neighbours go on meanwhile', lambda: n.asked > asked + 24)
    t.ok(w.reached() <= len(stuck) + 2 * PROBES, where + ': those that hang, and few probes', '(%d)' % w.reached())
    heals(w, where, [ask])
    for x in threads:
        x.join(10 * gh.SLOW)
    t.ok(all(x in ('good', 'shut') for x in words) and 'good' in words, where + ': who hung is answered when it is over',
         repr(words))
    for a in stuck:
        a.close()
    if n:
        n.stop(where)


def slow(w, door, scope):
    where = 'slow, %s, %s' % (scope, door)
    names = w.tenants if scope == 'all' else ['acme']
    what = 'listing' if scope == 'one operation' else 'missing'
    n = None if scope == 'all' else Neighbour(w, 'bolt')
    w.fault('metadata %s %s slow %d' % ('list' if what == 'listing' else '*', '*' if scope == 'all' else w.ids['acme'],
                                        2 * SLOW_MS))
    askers = [Asker(w.s, door, names[i % len(names)]) for i in range(3 if len(names) == 1 else 4)]

    def go_on(a):
        got = []
        for _ in range(12):
            got.append(getattr(a, what)())
            if got[-1] == 'shut':
                break
        return got
    threads, words = in_parallel([lambda a=a: go_on(a) for a in askers])
    for x in threads:
        x.join()
    t.ok(all(isinstance(x, list) and x[-1] == 'shut' and set(x[:-1]) <= {'good'} for x in words),
         where + ': slow calls go well until it opens', repr(words))
    answers_at_once(where, getattr(w.askers[door, 'acme'], what))
    t.eq(w.not_closed(), [('metadata', None if scope == 'all' else 'acme')], where + ': the right one')
    heals(w, where, [getattr(w.askers[door, x], what) for x in names])
    for a in askers:
        a.close()
    if n:
        n.stop(where)


def logins_hang(w):
    """The password check has few workers of its own: those that one tenant's look-ups hold are replaced."""
    where = 'hang, logins'
    users = [w.s.user('acme/u%d' % i) for i in range(6)]
    newcomers = [w.s.user('bolt/u%d' % i) for i in range(3)]
    w.fault('metadata user_by_name %s hang' % w.ids['acme'])

    def login(user):
        c = w.s.client(user)
        try:
            return word_of_http(c.request('GET', '/dav/' + fresh()), (404,))
        finally:
            c.close()
    threads, words = in_parallel([lambda u=u: login(u) for u in users])
    until(where + ': it opens', lambda: w.not_closed() == [('metadata', 'acme')], 3)
    t.eq([login(u) for u in newcomers], ['good'] * 3, where + ': neighbours log in')
    w.s.cli('breaker', 'open', 'metadata', 'acme')  # or one of these might be a probe, and hang
    t.eq(login(users[0]), 'shut', where + ': refused, and not for a wrong password')
    try:
        w.s.ftp(users[0])
        t.ok(False, where + ': FTP refuses')
    except ftplib.Error as e:
        t.ok(str(e)[:3] in ('421', '451', '450') and REST in str(e), where + ': FTP refuses for now', str(e))
    w.fault()
    w.s.cli('breaker', 'reset', 'metadata', 'acme')
    for x in threads:
        x.join(10 * gh.SLOW)
    until(where + ': it heals', lambda: login(users[0]) == 'good')
    t.ok(set(words) <= {'good', 'shut'}, where + ': who hung is answered', repr(words))


def a_sync_hangs(w):
    """What is written ahead is synced for all that wait: it is the store of content that is ill, not the one of metadata
    whose commits it holds up."""
    where = 'hang, sync'
    w.fault('blobs settle * hang')
    askers = [Asker(w.s, d, n) for d in ('webdav', 'ftp') for n in w.tenants]
    threads, words = in_parallel([a.store for a in askers])
    until(where + ': it opens', lambda: ('blobs', None) in w.not_closed(), 3)
    t.eq(w.askers['rest', 'acme'].store(), 'shut', where + ': nothing more is taken')
    memory_still_answers(w, where, w.tenants)
    w.fault()
    for x in threads:
        x.join(10 * gh.SLOW)
    t.ok(set(words) <= {'good', 'shut'}, where + ': who hung is answered', repr(words))
    heals(w, where, [w.askers['webdav', n].store for n in w.tenants] + [w.askers['webdav', n].missing for n in w.tenants])
    for a in askers:
        a.close()


def transfers(w):
    """What was begun outlasts a short rest; what would be begun is refused before its body is sent."""
    body = os.urandom(6 << 20)
    user = 'acme/admin'
    t.eq(w.s.http('PUT', '/dav/big', body=body, user=user).status, 201, 'PUT of a large file')
    w.fault('blobs reader_read %s slow 1' % w.ids['acme'])  # no longer in memory
    c = socket.create_connection(w.s.address('http'), timeout=20 * gh.SLOW)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    c.sendall(('GET /dav/big HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nConnection: close\r\n\r\n'
               % gh.basic(user, gh.PASSWORD)).encode())
    got = c.recv(65536)
    w.s.cli('breaker', 'open', 'blobs', 'acme')
    begun = time.monotonic()
    while time.monotonic() - begun < 1:
        c.settimeout(0.1)
        try:
            more = c.recv(65536)
        except TimeoutError:
            continue
        if not t.ok(more, 'a download is not cut for a rest of its store'):
            break
        got += more
    t.ok(len(got) < len(body), 'it waits', str(len(got)))
    first = w.s.raw(('PUT /dav/new HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 9000000\r\n'
                     'Expect: 100-continue\r\n\r\n' % gh.basic(user, gh.PASSWORD)).encode(), timeout=0.5)
    t.ok(first.startswith(b'HTTP/1.1 503 ') and b'Retry-After' in first, 'no body is asked for that could not be kept',
         repr(first[:300]))
    w.s.cli('breaker', 'reset', 'blobs', 'acme')
    c.settimeout(20 * gh.SLOW)
    while True:
        more = c.recv(1 << 20)
        if not more:
            break
        got += more
    c.close()
    t.ok(got.split(b'\r\n\r\n', 1)[1] == body, 'and the download is whole in the end', str(len(got)))
    t.eq(w.s.http('GET', '/dav/new', user=user).status, 404, 'nothing came of the upload')


def harmless(w):
    """What is no fault of a store opens nothing."""
    w.s.cli('user', 'add', 'acme/guest', '--password-stdin', stdin=gh.PASSWORD + '\n')
    guest = w.s.client('acme/guest')
    w.fault('metadata * * log')
    for i in range(4 * MIN_CALLS):
        t.eq(w.askers['webdav', 'acme'].missing(), 'good', '404')
        t.among(guest.request('PUT', '/dav/x', body=b'x').status, (403, 404, 409), 'a right that is missing')
        t.eq(w.s.http('PUT', '/dav/warm', {'If-Match': '"0"'}, b'x', user='acme/admin').status, 412, 'a condition')
        if i < MIN_CALLS:
            t.eq(w.s.http('GET', '/dav/warm', user='acme/admin', password='wrong').status // 100, 4, 'a wrong password')
    guest.close()
    t.ok(w.reached() > MIN_CALLS, 'the store was asked', str(w.reached()))
    t.ok(all(b['state'] == 'closed' and not b['failed'] for b in w.breakers()), 'none of it counts', repr(w.breakers()))


def by_hand(w):
    s = w.s

    def told():
        whats, after = [], []
        while True:
            items = s.cli_json('events', 'list', '--limit', '1000', *after)['items']
            if not items:
                return whats.count('breaker.open'), whats.count('breaker.reset')
            whats += [e['what'] for e in items]
            after = ['--after', items[-1]['id']]
    before = told()
    s.cli('breaker', 'open', 'metadata', 'acme')
    t.eq(w.not_closed(), [('metadata', 'acme')], 'opened by hand')
    for d in DOORS:
        t.eq(w.askers[d, 'acme'].missing(), 'shut', 'opened by hand for a tenant: ' + d)
        t.eq(w.askers[d, 'bolt'].missing(), 'good', 'and for nobody else: ' + d)
    time.sleep(2 * BASE_S)
    t.eq(w.askers['webdav', 'acme'].missing(), 'shut', 'it stays open')
    s.cli('breaker', 'reset', 'metadata', 'acme')
    t.eq(w.askers['webdav', 'acme'].missing(), 'good', 'reset by hand')
    s.cli('breaker', 'open', 'blobs')
    t.eq([w.askers['webdav', n].store() for n in w.tenants], ['shut'] * 4, 'a service opened by hand')
    t.eq([w.askers['webdav', n].missing() for n in w.tenants], ['good'] * 4, 'another service goes on')
    s.cli('breaker', 'reset', 'blobs')
    t.eq(w.askers['webdav', 'acme'].store(), 'good', 'and reset')
    s.cli('breaker', 'open', 'metadata')
    t.eq(w.askers['rest', 'acme'].missing(), 'shut', 'metadata, by hand')
    s.cli('breaker', 'reset', 'metadata')
    after = told()
    t.eq((after[0] - before[0], after[1] - before[1]), (3, 3), 'each is in the audit trail')
    for args, says in ((('open', 'nonsense'), 'nonsense'), (('open', 'blobs', 'nobody'), 'nobody')):
        status, out, err = s.run('breaker', *args)
        t.ok(status == 1 and says in err, 'refused with what is wrong: %r' % (args,), err)


def figures(w):
    import urllib.request
    with urllib.request.urlopen('http://%s/metrics' % w.s.addresses['admin'], timeout=10) as f:
        text = f.read().decode()
    rows = dict(line.rsplit(' ', 1) for line in text.splitlines() if line.startswith('gatehouse_breaker'))
    t.ok(int(rows['gatehouse_breaker_openings_total{service="metadata"}']) >= 3, 'openings of the service', repr(rows))
    t.ok(int(rows['gatehouse_breaker_tenant_openings_total{service="metadata"}']) >= 3, 'of tenants', repr(rows))
    t.ok(int(rows['gatehouse_breaker_refused_total{service="metadata"}']) > 100, 'refused', repr(rows))
    t.hasnt(text.split('gatehouse_breaker', 1)[1], 'acme', 'no label names a tenant')
    w.s.cli('breaker', 'open', 'blobs')
    until('the sample of the live view counts open ones',
          lambda: w.s.run('status', '--json')[0] == 0 and live_now(w).get('breakers_open') == 1, 4)
    w.s.cli('breaker', 'reset', 'blobs')


def live_now(w):
    p = subprocess.Popen([gh.binary(), '-D', w.s.data, 'status', '--watch', '--json'], stdout=subprocess.PIPE, text=True)
    try:
        import json
        return json.loads(p.stdout.readline())
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def the_installed_program_has_none_of_it():
    with open(gh.binary(), 'rb') as f:
        t.ok(b'GATEHOUSE_FAULTS' not in f.read(), 'the layers are not in the program')
    with gh.Server(start=False, config='blobs:\n  kind: fault\n') as s:
        try:
            s.start()
            t.ok(False, 'the failing backend cannot be named')
        except RuntimeError as e:
            t.has(str(e), 'blobs.kind', 'the failing backend cannot be named')
    rules = os.path.join(os.environ.get('TEST_TMP') or '/tmp', 'faults-none-%d' % os.getpid())
    with open(rules, 'w') as f:
        f.write('metadata * * fail\nblobs * * fail\n')
    with gh.Server(env={'GATEHOUSE_FAULTS': rules}) as s:
        t.eq(s.http('PUT', '/dav/a', body=b'x').status, 201, 'it does not ask for faults')
    os.unlink(rules)


def timed(name, fn, *args):
    if os.environ.get('GH_ONLY', '') not in name: # for who works on it: GH_ONLY=hang GH_TIMES=1
        return
    begun = time.monotonic()
    fn(*args)
    world.reset()
    if os.environ.get('GH_TIMES'):
        print('%.1f s  %s' % (time.monotonic() - begun, name))


the_installed_program_has_none_of_it()
os.environ['GATEHOUSE'] = faulty()
world = World()
try:
    timed('harmless', harmless, world)
    timed('by hand', by_hand, world)
    for one in DOORS:
        for scenario in (one_tenant_fails, all_fail, one_operation_fails):
            timed(scenario.__name__ + ' ' + one, scenario, world, one)
        for scenario in (hang, slow):
            for reach in ('one tenant', 'all', 'one operation'):
                timed('%s %s %s' % (scenario.__name__, reach, one), scenario, world, one, reach)
    timed('logins hang', logins_hang, world)
    timed('a sync hangs', a_sync_hangs, world)
    timed('transfers', transfers, world)
    timed('figures', figures, world)
finally:
    world.fault()
    world.close()
sys.exit(t.done())
