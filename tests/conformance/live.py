#!/usr/bin/python3
# suite: default
"""What the house knows about itself: live.now and live.history against what was done, status --watch on a terminal and
without one, doctor and planted faults, and that every metric which the dashboard and the alert rules name is there."""
import fcntl
import http.client
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

SOURCE = os.environ.get('GATEHOUSE_SOURCE', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
t = gh.Checks()


def op(s, name, **args):
    """A control operation over the admin socket: its result; raises with the message."""
    ok, result = s.control(name, **args)
    if not ok:
        raise RuntimeError('%s: %s' % (name, result))
    return result


def history(s, since_s, seconds=60):
    return [i for i in op(s, 'live.history', seconds=seconds, points=3600)['items'] if i['t'] >= since_s]


def settled(s, since_s, enough):
    """The samples since then, once enough(samples) holds."""
    end = time.monotonic() + 6 * gh.SLOW
    while True:
        items = history(s, since_s)
        if enough(items) or time.monotonic() > end:
            return items
        time.sleep(0.2)


def total(items, door, key):
    return sum(i['doors'][door][key] for i in items)


def near(got, want, part=0.03):
    """Samples are a second long, but for some milliseconds."""
    return abs(got - want) <= want * part + 1


# ---- samples ----

def samples(s):
    begun = int(time.time())
    acme = s.tenant('acme')
    first = op(s, 'live.history', seconds=3600)['items']
    body = b'x' * 5000
    for i in range(60):
        t.ok(s.http('PUT', '/dav/f%d' % i, body=body).status == 201, 'PUT')
    for i in range(30):
        s.http('GET', '/dav/f%d' % i, user=acme)  # not there: refused
    big = b'y' * (6 << 20)
    s.http('PUT', '/api/v1/content/big', body=big)
    for _ in range(3):
        t.ok(s.http('GET', '/api/v1/content/big').body == big, 'a large GET')
    with s.ftp() as f:
        got = []
        f.retrbinary('RETR /f1', got.append)
        t.eq(b''.join(got), body, 'RETR')
        items = settled(s, begun, lambda i: total(i, 'ftp', 'out_bytes') > 4900)
        t.ok(max(i['doors']['ftp']['connections'] for i in items) == 1, 'the FTP session is counted')
    items = settled(s, begun, lambda i: near(total(i, 'rest', 'out_bytes'), 3 * len(big)))
    # 60 PUTs, 30 GETs, and the first login of each of two people.
    t.ok(near(total(items, 'webdav', 'requests'), 92), 'requests are what clients did', str(total(items, 'webdav', 'requests')))
    t.ok(near(total(items, 'webdav', 'refused'), 30), 'refused too', str(total(items, 'webdav', 'refused')))
    t.ok(near(total(items, 'webdav', 'in_bytes'), 60 * len(body)), 'bytes in', str(total(items, 'webdav', 'in_bytes')))
    t.ok(near(total(items, 'rest', 'out_bytes'), 3 * len(big)), 'bytes out', str(total(items, 'rest', 'out_bytes')))
    t.ok(total(items, 'webdav', 'errors') == 0 and total(items, 'rest', 'errors') == 0, 'no errors')
    seen = {}
    for i in items:
        for row in i['tenants']:
            seen[row['tenant']] = seen.get(row['tenant'], 0) + row['requests']
            t.ok(0 <= row['share'] <= 1, 'a share is a share', str(row))
        t.ok(len(i['tenants']) <= 20, 'at most twenty tenants')
    t.ok(near(seen.get('acme', 0), 30), "acme's requests", str(seen))
    t.ok(seen.get('default', 0) > 60, "default's requests", str(seen))
    worked = [i['doors']['webdav'] for i in items if i['doors']['webdav']['requests']]
    t.ok(all(0 < d['p50_ms'] <= d['p95_ms'] <= d['p99_ms'] for d in worked), 'percentiles rise', str(worked))
    t.ok(any(i['cpu']['loop_busy'] > 0 for i in items) and all(i['cpu']['loop_busy'] <= 1 for i in items), 'loops were busy')
    later = op(s, 'live.history', seconds=3600)['items']
    t.ok(len(later) > len(first), 'history grows', '(%d, then %d)' % (len(first), len(later)))
    t.ok([i['t'] for i in later] == sorted({i['t'] for i in later}), 'in order, each second once')
    thin = op(s, 'live.history', seconds=3600, points=3)['items']
    t.ok(1 <= len(thin) <= 3 and thin[-1]['t'] >= later[-1]['t'], 'thinned to as many points as were asked for', str(len(thin)))
    time.sleep(1.2)
    now = op(s, 'live.now')
    t.ok(abs(now['t'] - time.time()) < 3, 'now is now')
    t.eq(set(now), {'t', 'doors', 'shed', 'queue', 'breakers_open', 'tenants', 'cpu'}, 'a sample has these members')
    t.eq(set(now['doors']), {'webdav', 'ftp', 'rest', 'web'}, 'and these doors')
    t.eq(now['doors']['webdav']['requests'], 0, 'nothing is done in a quiet second')
    for args in ({'seconds': 0}, {'points': 0}, {'points': 99999}, {'seconds': 'x'}, {'what': 1}):
        try:
            op(s, 'live.history', **args)
            t.ok(False, 'live.history refuses %r' % args)
        except RuntimeError as e:
            t.has(str(e), list(args)[0], 'live.history names what is wrong')


# ---- the terminal ----

class Screen:
    """status --watch on a terminal of its own."""

    def __init__(self, s, rows=30, columns=100):
        self.master, slave = pty.openpty()
        self.size(rows, columns)
        self.was = termios.tcgetattr(slave)
        self.slave = slave
        self.text = ''
        self.p = subprocess.Popen([gh.binary(), '-D', s.data, 'status', '--watch'], stdin=slave, stdout=slave, stderr=slave,
                                  env=s.env, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self, seconds, until=None):
        end = time.monotonic() + seconds * gh.SLOW
        while time.monotonic() < end and not (until and until in self.text):
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    part = os.read(self.master, 65536)
                except OSError:
                    return
                self.text += part.decode()

    def frames(self):
        """What each picture showed, as lines."""
        parts = self.text.split('\x1b[H')[1:]
        return [re.sub(r'\x1b\[[?0-9]*[A-Za-z]', '', p.split('\x1b[J')[0]).replace('\r', '').split('\n') for p in parts if '\x1b[J' in p]

    def end(self, how):
        how()
        self.read(5, '\x1b[?1049l')
        try:
            status = self.p.wait(5 * gh.SLOW)
        except subprocess.TimeoutExpired:
            self.p.kill()
            status = 'it hangs'
        after = termios.tcgetattr(self.slave)
        os.close(self.slave)
        os.close(self.master)
        return status, after == self.was


def watch(s):
    screen = Screen(s)
    screen.read(6, 'TENANT')
    frame = screen.frames()[-1] if screen.frames() else []
    text = '\n'.join(frame)
    for word in ('gatehouse  ready', 'requests/s', 'queue', 'shed', 'breakers', 'DOOR', 'webdav', 'ftp', 'P99 MS', 'TENANT', 'default',
                 '%'):
        t.has(text, word, 'the picture has it')
    t.ok(len(frame) <= 30 and max(map(len, frame)) <= 100, 'it fits the terminal')
    before = len(screen.frames())
    screen.size(8, 40)
    screen.read(0.7)
    t.ok(len(screen.frames()) > before, 'a resize draws anew at once')
    frame = screen.frames()[-1]
    t.ok(len(frame) <= 8 and max(map(len, frame)) <= 40, 'and fits', str(frame))
    before = len(screen.frames())
    screen.read(2.5)
    t.ok(1 <= len(screen.frames()) - before <= 4 * gh.SLOW, 'it draws once a second', str(len(screen.frames()) - before))
    t.eq(screen.end(lambda: os.write(screen.master, b'q')), (0, True), 'q leaves, and the terminal is as it was')
    t.ok('\x1b[?1049l' in screen.text and '\x1b[?25h' in screen.text, 'on the first screen, with its cursor')
    screen = Screen(s)
    screen.read(4, 'DOOR')
    t.eq(screen.end(lambda: os.write(screen.master, b'\x03')), (0, True), 'Ctrl-C leaves as well')
    screen = Screen(s)
    screen.read(4, 'DOOR')
    t.eq(screen.end(lambda: screen.p.send_signal(signal.SIGTERM)), (128 + signal.SIGTERM, True), 'and SIGTERM')


def watch_lines(s):
    for flags in ([], ['--json']):
        p = subprocess.Popen([gh.binary(), '-D', s.data, 'status', '--watch'] + flags, stdout=subprocess.PIPE,
                             stdin=subprocess.DEVNULL, env=s.env, text=True)
        lines = [p.stdout.readline() for _ in range(2)]
        p.terminate()
        p.wait(10)
        p.stdout.close()
        if flags:
            t.ok(json.loads(lines[1])['t'] > json.loads(lines[0])['t'], 'a sample each second', str(lines))
        else:
            t.ok(all(re.match(r't=\d+ requests=\d+ .*loops=\d', x) for x in lines), 'a line each second', str(lines))
        t.hasnt(''.join(lines), '\x1b', 'no escape sequences where there is no terminal')


# ---- the doctor ----

def doctor(s, *args, config=None):
    """(exit status, {check: item})"""
    status, out, err = s.run('doctor', '--json', *args)
    items = json.loads(out)['items']
    for i in items:
        t.eq(set(i), {'check', 'ok', 'level', 'says', 'do'}, 'an item has these members')
        t.ok((i['level'] == 'fail') != i['ok'] and (i['level'] == 'ok') == (i['do'] == ''), 'and they agree', str(i))
    t.eq(status, 1 if any(not i['ok'] for i in items) else 0, 'the exit status tells whether something failed')
    return status, {i['check']: i for i in items}


def doctor_up(s):
    _, items = doctor(s)
    for check in ('configuration', 'server', 'schema', 'disk.space', 'disk.inodes', 'disk.write', 'clock', 'clock.database',
                  'clock.files', 'clock.jumps', 'descriptors', 'damage', 'certificates', 'port.http', 'port.ftp', 'port.admin'):
        t.ok(check in items and items[check]['ok'], '%s is looked at and well' % check, str(items.get(check)))
    text = s.run('doctor')[1]
    t.ok(re.search(r'^ok +server +', text, re.M), 'as text for people', text)
    s.proc.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    status, items = doctor(s)
    s.proc.send_signal(signal.SIGCONT)
    t.ok(status == 1 and not items['server']['ok'] and time.monotonic() - start < 15 * gh.SLOW, 'one that hangs is told, in time',
         str(items['server']))


def doctor_down(s):
    free = 'listen:\n  http: 127.0.0.1:0\n  ftp: 127.0.0.1:0\n  admin: 127.0.0.1:0\n'
    conf = os.path.join(s.top, 'doctor.conf')

    def configured(text):
        with open(conf, 'w') as f:
            f.write(text)
        return doctor(s, '-c', conf)

    s.stop()
    _, items = configured(free)
    bad = {k: i for k, i in items.items() if not i['ok'] and not k.startswith('disk.space')}
    t.eq(bad, {}, 'a server that is down is no fault')
    t.has(items['server']['says'], 'nobody', 'and is told')
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        _, items = configured(free.replace('http: 127.0.0.1:0', 'http: 127.0.0.1:%d' % port))
        t.ok(not items['port.http']['ok'] and 'pid %d' % os.getpid() in items['port.http']['says'], 'a taken port, and who has it',
             str(items['port.http']))
    _, items = configured(free.replace('http: 127.0.0.1:0', 'http: 192.0.2.1:80'))
    t.ok(not items['port.http']['ok'], 'an address of somebody else', str(items['port.http']))
    status, items = configured('listen:\n  htp: x\n')
    t.ok(status == 1 and 'doctor.conf:2' in items['configuration']['says'], 'a wrong configuration, with its line', str(items))

    db = os.path.join(s.data, 'meta.db')
    shutil.copy(db, db + '.good')
    with sqlite3.connect(db) as c:
        c.execute("INSERT INTO schema_version VALUES (9999, '9999_future', 0)")
    c.close()
    _, items = configured(free)
    t.ok(not items['schema']['ok'] and 'newer' in items['schema']['says'], 'a schema from the future', str(items['schema']))
    with open(db, 'wb') as f:
        f.write(b'no database at all' * 1000)
    for end in ('-wal', '-shm'):
        if os.path.exists(db + end):
            os.unlink(db + end)
    _, items = configured(free)
    t.ok(not items['schema']['ok'], 'a file that is no database', str(items['schema']))
    os.replace(db + '.good', db)
    _, items = configured(free)
    t.ok(items['schema']['ok'], 'and put back it is well again', str(items['schema']))


def doctor_disks(s):
    """Read-only and full, where mounts are allowed."""
    top = os.path.join(s.top, 'disk')
    os.makedirs(os.path.join(top, 'data'))
    tests = (('full', 'mount -t tmpfs -o size=400k tmpfs %s && mkdir %s/data && head -c 1m /dev/zero >%s/fill 2>/dev/null', 'disk.write'),
             ('read-only', 'mount -t tmpfs -o ro,size=400k tmpfs %s/data', 'disk.write'))
    for what, prepare, check in tests:
        script = '%s; exec %s doctor --json -D %s/data' % (prepare.replace('%s', top), gh.binary(), top)
        p = subprocess.run(['unshare', '-rm', 'sh', '-c', script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        if 'denied' in p.stderr or 'not permitted' in p.stderr or not p.stdout:
            print('no mounts here: %s' % p.stderr.strip())
            return
        items = {i['check']: i for i in json.loads(p.stdout)['items']}
        t.ok(p.returncode == 1 and not items[check]['ok'] and items[check]['do'], 'a %s disk' % what, str(items.get(check)))


# ---- what etc/ names ----

def exported(s):
    c = http.client.HTTPConnection(*s.address('admin'), timeout=10)
    c.request('GET', '/metrics')
    text = c.getresponse().read().decode()
    c.close()
    names, labels = set(), {}
    for line in text.splitlines():
        m = re.match(r'([a-z_]+)(?:\{(.*)\})? [0-9.e+-]+$', line)
        if m:
            names.add(m.group(1))
            for k, v in re.findall(r'(\w+)="([^"]*)"', m.group(2) or ''):
                labels.setdefault((m.group(1), k), set()).add(v)
        else:
            t.ok(line.startswith('# '), 'a line of /metrics is a sample or a comment', line)
    return names, labels


def check_expression(where, text, names, labels):
    used = re.findall(r'\bgatehouse_[a-z_]+', text)
    t.ok(used, '%s names a metric' % where, text)
    for name in used:
        t.ok(name in names, '%s: %s is exported' % (where, name))
    for name, selector in re.findall(r'\b(gatehouse_[a-z_]+)\{([^}]*)\}', text):
        for key, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selector):
            if '$' in value or key in ('instance', 'job'):
                continue
            have = labels.get((name, key), set())
            for v in value.split('|'):
                t.ok(v in have or how in ('=~', '!~') and v == '.*', '%s: %s{%s="%s"} is exported' % (where, name, key, v))
    t.eq((text.count('('), text.count('{')), (text.count(')'), text.count('}')), '%s is balanced' % where)


def etc_names(s):
    names, labels = exported(s)
    with open(os.path.join(SOURCE, 'etc', 'grafana', 'gatehouse.json')) as f:
        board = json.load(f)
    ids = [p['id'] for p in board['panels']]
    t.eq(len(ids), len(set(ids)), 'every panel has an id of its own')
    count = 0
    for p in board['panels']:
        for target in p.get('targets', []):
            count += 1
            check_expression('panel "%s"' % p['title'], target['expr'], names, labels)
    t.ok(count >= 12, 'the dashboard shows something', str(count))
    path = os.path.join(SOURCE, 'etc', 'prometheus', 'gatehouse.rules.yml')
    try:
        import yaml
    except ImportError:
        yaml = None
    with open(path) as f:
        text = f.read()
    if yaml:
        rules = [r for g in yaml.safe_load(text)['groups'] for r in g['rules']]
        t.eq(sorted({len({'alert', 'expr', 'labels', 'annotations'} - set(r)) for r in rules}), [0], 'each rule is whole')
        expressions = [(r['alert'], r['expr']) for r in rules]
        t.ok(all(r['labels']['severity'] in ('page', 'ticket') and r['annotations']['summary'] for r in rules), 'and says how bad it is')
    else:
        expressions = list(zip(re.findall(r'- alert: (\w+)', text), re.findall(r'expr: (.*)', text)))
    t.ok(len(expressions) >= 10, 'there are alert rules', str(len(expressions)))
    t.eq(len({a for a, _ in expressions}), len(expressions), 'each of a name of its own')
    for alert, expr in expressions:
        check_expression('alert %s' % alert, expr, names, labels)
    if shutil.which('promtool'):
        p = subprocess.run(['promtool', 'check', 'rules', path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        t.eq(p.returncode, 0, 'promtool: %s' % p.stdout)


class Busy(threading.Thread):
    """Somebody to be seen on the picture."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.client, self.stop = s.client(), threading.Event()

    def run(self):
        while not self.stop.is_set():
            self.client.request('GET', '/dav/f1')
            time.sleep(0.01)
        self.client.close()


def main():
    with gh.Server() as s:
        samples(s)
        busy = Busy(s)
        busy.start()
        watch(s)
        watch_lines(s)
        busy.stop.set()
        busy.join(10)
        etc_names(s)
        doctor_up(s)
        doctor_down(s)
        doctor_disks(s)
        s.start()
    sys.exit(t.done())


main()
