#!/usr/bin/python3
# suite: default
# alone: yes
# metadata: sqlite postgresql:all
"""One tenant floods a door with 64 connections, another asks gently: the neighbour is never refused and does not wait
long, the queue keeps its bound, and who is refused is the one that floods, in the door's own words, with a time after which
coming back works. Weights, caps and pools changed meanwhile are in force at once, and after a restart."""
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

FLOOD = os.path.join(os.environ.get('GATEHOUSE_BUILD', '.'), 'tests', 'lib', 'flood')
WORKERS, QUEUE, WAIT_S = 2, 16, 2
LOOPS = 2
CONFIG = 'loops: %d\nworkers:\n  threads: %d\n  queue: %d\n  queue_wait: %ds\nlog:\n  access: ""\n' % (LOOPS, WORKERS, QUEUE, WAIT_S)
REFUSAL = {'webdav': '503', 'rest': '429', 'ftp': '450'}
DONE = {('webdav', 'put'): {'201'}, ('rest', 'put'): {'201'}, ('ftp', 'put'): {'257'},
        ('webdav', 'get'): {'200'}, ('rest', 'get'): {'200'}, ('ftp', 'get'): {'213', '226'}}
t = gh.Checks()


class Flood:
    """The generator in a process of its own (tests/lib/flood.c)."""

    def __init__(self, s, door, who, what, connections, seconds, rate=None):
        address = s.addresses['ftp' if door == 'ftp' else 'http']
        self.p = subprocess.Popen([FLOOD, door, address, who, gh.PASSWORD, what, str(connections), str(seconds)] +
                                  ([str(rate)] if rate else []), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self):
        out, err = self.p.communicate(timeout=120 * gh.SLOW)
        if self.p.returncode:
            raise RuntimeError('flood: %s' % err)
        return json.loads(out)


class Watch(threading.Thread):
    """What the gateway says of itself, ten times a second."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.s, self.end, self.shares, self.pools, self.metrics = s, threading.Event(), [], [], []
        self.start()

    def run(self):
        while not self.end.is_set():
            self.shares.append({i['tenant']: i for i in self.s.cli_json('share', 'list')['items']})
            self.pools.append({i['name']: i for i in self.s.cli_json('pool', 'list')['items']})
            self.metrics.append(metrics(self.s))
            self.end.wait(0.05)

    def stop(self):
        self.end.set()
        self.join(20)
        return self

    def most(self, tenant, what):
        return max((i[tenant][what] for i in self.shares), default=0)

    def most_metric(self, name):
        return max(m[name] for m in self.metrics)


def metrics(s):
    c = http.client.HTTPConnection(*s.address('admin'), timeout=20)
    c.request('GET', '/metrics')
    text = c.getresponse().read().decode()
    c.close()
    return {m.group(1): float(m.group(2)) for m in re.finditer(r'^(gatehouse_\S+) (\S+)$', text, re.M)}


def waiting(pool):
    return 'gatehouse_share_waiting{pool="%s"}' % pool


# ---- who is refused ----

def serves(s, door, who):
    """One gentle request; was it served?"""
    if door == 'ftp':
        f = s.ftp(who)
        f.mkd('back-%d' % time.monotonic_ns())
        f.quit()
        return True
    path = '/dav' if door == 'webdav' else '/api/v1/content'
    return s.http('PUT', '%s/back-%d' % (path, time.monotonic_ns()), body=b'x', user=who).status == 201


def flooded(s, door, what, a, b):
    where = '%s %s' % (door, what)
    w = Watch(s)
    flood = Flood(s, door, a, what, 64, 2.2)
    time.sleep(0.3)
    gentle = Flood(s, door, b, what, 4, 1.6, 10).result()
    flood = flood.result()
    w.stop()
    # the neighbour
    t.ok(set(gentle['status']) <= DONE[door, what], '%s: the neighbour is always served' % where, str(gentle))
    t.ok(gentle['served'] + gentle['open'] >= 14 and gentle['served'] >= 8 and not gentle['errors'], '%s: with all of it' % where,
         str(gentle))
    t.ok(gentle['p50_ms'] < 500 * gh.SLOW, '%s: promptly' % where, str(gentle))
    t.ok(max(gentle['max_ms'], gentle['open_ms']) < (WAIT_S * 1000 + 1000) * gh.SLOW, '%s: never past the bound of the wait' % where,
         str(gentle))
    # the one that floods
    t.ok(set(flood['status']) <= DONE[door, what] | {REFUSAL[door]}, '%s: who floods is served, or refused as this door does' % where,
         str(flood))
    t.ok(flood['served'] > 20, '%s: it is served, too' % where, str(flood))
    if what == 'put':
        t.ok(flood['status'].get(REFUSAL[door], 0) > 0, '%s: and refused' % where, str(flood))
        t.ok(w.most('acme', 'waiting') > 0, '%s: it waited' % where)
    if REFUSAL[door] in flood['status']:
        t.ok(1 <= flood['retry'][0] <= flood['retry'][1] <= 60, '%s: and told when to come back' % where, str(flood))
    for which in ('max_ms', 'refused_max_ms', 'open_ms'):
        t.ok(flood[which] < (WAIT_S * 1000 + 2000) * gh.SLOW, '%s: its wait has a bound' % where, str(flood))
    # the queue
    t.ok(w.most_metric(waiting('shared')) <= QUEUE, '%s: the queue keeps its bound' % where, str(w.most_metric(waiting('shared'))))
    t.ok(w.most_metric(waiting('loop')) <= QUEUE * LOOPS, '%s: on the loops too' % where, str(w.most_metric(waiting('loop'))))
    t.eq(w.shares[-1]['beta']['shed'], 0, '%s: of the neighbour nothing was shed' % where)
    return flood['retry'][1]


def who_is_refused(s, a, b):
    for what in ('put', 'get'):
        for door in ('webdav', 'rest', 'ftp'):
            promised_s = flooded(s, door, what, a, b)
            if what == 'put':
                time.sleep(promised_s)
                t.ok(serves(s, door, a), '%s: coming back when it was told is served' % door)
    rows = {i['tenant']: i for i in s.cli_json('share', 'list')['items']}
    t.ok(rows['acme']['shed'] > 0 and rows['beta']['shed'] == 0, 'what was shed is counted where it belongs', str(rows))
    now = history(s)
    t.ok(any(i['shed'] > 0 and 0 < i['queue']['waiting'] for i in now), 'the samples show what was shed and the queue', str(now[-1]))
    t.ok(all(i['queue']['waiting'] <= QUEUE + 64 for i in now), 'which never passed its bound')
    busy = [r for i in now for r in i['tenants'] if r['tenant'] == 'acme']
    t.ok(any(r['shed'] > 0 for r in busy) and any(r['wait_ms'] > 0 for r in busy) and any(r['share'] > 0.5 for r in busy),
         'and by tenant: shed, wait, share', str(busy[-1:]))
    t.ok(all(r['shed'] == 0 for i in now for r in i['tenants'] if r['tenant'] == 'beta'), 'none of it the neighbour')


def history(s):
    return s.control('live.history', seconds=60, points=60)[1]['items']


# ---- changed while it runs ----

def both(s, a, b, seconds, meanwhile=None):
    """Both flood alike: what acme was served, per what beta was."""
    floods = [Flood(s, 'webdav', who, 'put', 32, seconds) for who in (a, b)]
    if meanwhile:
        time.sleep(0.2)
        meanwhile()
    got = [f.result()['served'] for f in floods]
    return got[0] / max(1, got[1]), got


def weights(s, a, b):
    ratio, got = both(s, a, b, 1.5)
    t.ok(0.5 < ratio < 2, 'with the same weight they get the same', str(got))
    ratio, got = both(s, a, b, 2.5, lambda: s.cli('share', 'set', 'acme', '--weight', 500))
    t.ok(ratio > 2, 'five times the weight, set while both flood, gets the most of it', str(got))
    t.eq(s.cli_json('share', 'list')['items'][1]['weight'], 500, 'and is listed')
    s.cli('share', 'set', 'acme', '--weight', 100)


def caps(s, a, b):
    flood = Flood(s, 'webdav', a, 'put', 32, 5)
    time.sleep(0.3)
    s.cli('share', 'set', 'acme', '--cap', 1)
    time.sleep(0.2)  # what ran when it was set may end
    w = Watch(s)
    time.sleep(0.7)
    w.stop()
    t.eq(w.most('acme', 'running'), 1, 'a cap of one, set while it floods, lets one run')
    s.cli('share', 'set', 'acme', '--cap', 0)
    w = Watch(s)
    until = time.monotonic() + 3  # the flood ends before, where the machine took its time
    while w.most('acme', 'running') < WORKERS and time.monotonic() < until:
        time.sleep(0.05)
    w.stop()
    flood.result()
    t.eq(w.most('acme', 'running'), WORKERS, 'and lifted, it has all again')


def drained(s, name):
    """What its tenant left behind in the pool is done."""
    end = time.monotonic() + 10 * gh.SLOW
    while time.monotonic() < end:
        pool = [p for p in s.cli_json('pool', 'list')['items'] if p['name'] == name][0]
        if not pool['running'] + pool['waiting']:
            return
        time.sleep(0.05)
    t.ok(False, 'a pool whose tenant has left is drained', str(pool))


def pools(s, a, b):
    s.cli('pool', 'set', 'gold', '--slots', 1, '--queue', 4)
    t.eq(s.cli_json('share', 'set', 'acme', '--pool', 'gold')['pool'], 'gold', 'a tenant goes into a pool')
    w = Watch(s)
    flood = Flood(s, 'webdav', a, 'put', 32, 2)
    time.sleep(0.2)
    gentle = Flood(s, 'webdav', b, 'put', 4, 1.5, 10).result()
    flood = flood.result()
    w.stop()
    gold = [p['gold'] for p in w.pools]
    t.ok(max(g['waiting'] for g in gold) == 4 and max(g['running'] for g in gold) == 1, 'the pool is full, and keeps its bounds',
         str(gold[-1]))
    t.ok(flood['status'].get('503', 0) > 0 and flood['served'] > 0, 'its tenant is refused what is too much', str(flood))
    t.eq(set(gentle['status']), {'201'}, 'and nobody else')
    t.eq(w.most_metric(waiting('shared')), 0, 'nobody else waits')
    t.ok(w.most('acme', 'running') <= 1, 'its tenant uses no other workers')
    drained(s, 'gold')
    w = Watch(s)
    Flood(s, 'webdav', b, 'put', 32, 1).result()
    w.stop()
    t.ok(w.most('beta', 'waiting') > 0, 'somebody else wants more than there is')
    t.ok(all(p['gold']['running'] == 0 and p['gold']['waiting'] == 0 for p in w.pools), 'and does not get it from the pool',
         str(w.pools[-1]))


def audited(s):
    """What events there are at all."""
    seen, after = set(), '0'
    while True:
        items = s.cli_json('events', 'list', '--limit', 1000, '--after', after)['items']
        seen |= {e['what'] for e in items}
        if not items:
            return seen
        after = items[-1]['id']


def survives(s):
    s.cli('share', 'set', 'acme', '--weight', 250, '--cap', 3)
    before = (s.cli_json('share', 'list'), s.cli_json('pool', 'list'))
    s.restart()
    after = (s.cli_json('share', 'list'), s.cli_json('pool', 'list'))
    want = {'tenant': 'acme', 'weight': 250, 'cap': 3, 'pool': 'gold'}
    for when in (before, after):
        row = [i for i in when[0]['items'] if i['tenant'] == 'acme'][0]
        t.eq({k: row[k] for k in want}, want, 'the share is as it was set')
        t.eq([(p['name'], p['slots'], p['queue']) for p in when[1]['items']], [('gold', 1, 4)], 'and the pool')
    t.eq(s.cli_json('pool', 'remove', 'gold')['moved'], 1, 'a pool is removed, and says whom it moved')
    row = [i for i in s.cli_json('share', 'list')['items'] if i['tenant'] == 'acme'][0]
    t.eq((row['weight'], row['pool']), (250, ''), 'who shares with all again')
    t.ok({'share.set', 'pool.set', 'pool.remove'} <= audited(s), 'all of it is audited', str(audited(s)))


def refused(s):
    for args, status, words in (
            (('share', 'set', 'acme', '--weight', 0), 1, '1 to 1000'),
            (('share', 'set', 'acme', '--weight', 1001), 1, '1 to 1000'),
            (('share', 'set', 'acme', '--weight', 'much'), 2, 'much'),
            (('share', 'set', 'acme', '--pool', 'none'), 1, 'no pool "none"'),
            (('share', 'set', 'nobody', '--weight', 5), 1, 'no tenant "nobody"'),
            (('share', 'set', 'acme'), 1, 'nothing to change'),
            (('share', 'set'), 2, 'TENANT'),
            (('pool', 'set', 'gold'), 1, 'slots'),
            (('pool', 'set', 'gold', '--slots', 129), 1, '128'),
            (('pool', 'set', 'shared', '--slots', 2), 1, 'workers.threads'),
            (('pool', 'remove', 'none'), 1, 'no pool "none"')):
        got, _, err = s.run(*args)
        t.eq(got, status, 'gatehouse %s' % ' '.join(map(str, args)))
        t.has(err, words, 'and says what is wrong')


def main():
    if not os.path.exists(FLOOD):
        gh.skip('%s is not built' % FLOOD)
    with gh.Server(config=CONFIG) as s:
        a, b = s.tenant('acme'), s.tenant('beta')
        for who in (a, b):
            t.eq(s.http('PUT', '/dav/f4k', body=b'x' * 4096, user=who).status, 201, 'a file')
        refused(s)
        who_is_refused(s, a, b)
        weights(s, a, b)
        caps(s, a, b)
        pools(s, a, b)
        survives(s)
    sys.exit(t.done())


main()
