#!/usr/bin/python3
"""What the fair share is worth and what the gate costs, on a running server, in pairs that alternate.

    make -C build bench && GATEHOUSE=build/gatehouse GATEHOUSE_BUILD=build tests/bench/fair.py [--rounds 5] [--seconds 4]
        [--pairs 64] [--only latency,throughput,gate,parts]

latency     B asks fifty times a second, alone; while A floods the same door with 64 connections; while A sends 1,000 a
            second. B's 99th percentile in each round: the median of the rounds, and the least, which is what the others
            on a shared machine disturbed least. Wanted: at most 1.5 times what it is alone.
throughput  A alone with 64 connections, with the fair share and without. Wanted: at least 0.97.
gate        GET of 4 KiB with 1,000 rules and fair share, against none of it. Wanted: at most 3 % less.
parts       tests/bench/gate and bench_fairshare: nanoseconds an operation.

What is measured. The server runs on CPU 0, generators on CPU 1; as root the server and generators come before whatever
else the machine does, and B's generator before A's, so that B's times are the server's and not those of a generator that
waits for the other. B alone has the whole of both: its time is that of an idle server with its disk. Beside A it shares
one CPU with the loop, the workers and the threads that commit for A, and one disk: what is left above its time alone is
what runs already when it comes and cannot be taken back (a pass of the loop, a group's sync), and what it shares. B asks
fifty times a second and not ten, for samples; it stays one that comes rarely. A 99th percentile of a hundred samples is
the second longest: on a machine that does anything else it is that machine's, alone as beside A, and may come out far
above or below. Data has to lie on a disk: a tmpfs reads through workers only and syncs nothing.

With and without are compared in pairs of half a second each, in turns: what the machine does meanwhile changes rates by a
tenth from one second to the next, far more than what is compared. So no single rate says anything; the median of many
pairs' ratios does, and how far it can be trusted is told by its 95 % confidence interval, from the order of the ratios
alone (no assumption of how they are spread). Processor time a request is the server's own, of its process's clock, and
compared in the same pairs: a busy host moves it far less than the rate.
Writes its section of tests/bench/RESULTS.md; with --loads the rows of other loads stay as they were.
"""
import argparse
import datetime
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'conformance'))
import gh  # noqa: E402
import results  # noqa: E402

BUILD = os.environ.get('GATEHOUSE_BUILD', '.')
FLOOD = os.path.join(BUILD, 'tests', 'lib', 'flood')
ROOT = os.geteuid() == 0
LOADS = [(door, what) for what in ('get', 'put') for door in ('webdav', 'rest', 'ftp')]
WORDS = {('webdav', 'get'): 'WebDAV GET 4 KiB', ('webdav', 'put'): 'WebDAV PUT 1 KiB', ('rest', 'get'): 'REST GET 4 KiB',
         ('rest', 'put'): 'REST PUT 1 KiB', ('ftp', 'get'): 'FTP SIZE, RETR 4 KiB', ('ftp', 'put'): 'FTP MKD'}


def server(extra=''):
    """Pinned to CPU 0, with tenants acme and beta."""
    mask = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        s = gh.Server(config='log:\n  access: ""\n' + extra)
    finally:
        os.sched_setaffinity(0, mask)
    for name in ('acme', 'beta'):
        who = s.tenant(name)
        s.http('PUT', '/dav/f4k', body=os.urandom(4096), user=who)
    return s


def flood(s, door, tenant, what, connections, seconds, rate=None, first=False):
    address = s.addresses['ftp' if door == 'ftp' else 'http']
    before = ['chrt', '-f', '10'] if ROOT and first else []
    return subprocess.Popen(['taskset', '-c', '1'] + before + [FLOOD, door, address, tenant + '/admin', gh.PASSWORD, what,
                            str(connections), str(seconds)] + ([str(rate)] if rate else []), stdout=subprocess.PIPE, text=True)


def told(p):
    out = p.communicate(timeout=300)[0]
    if p.returncode:
        raise RuntimeError('flood failed')
    r = json.loads(out)
    if r['errors']:
        raise RuntimeError('connections broke: %s' % r['errors'])
    return r


def cpu_s(s):
    """User and system time of the server's process, to the nanosecond (clock_getcpuclockid)."""
    return time.clock_gettime(~s.proc.pid << 3 | 2)


def part(times, p):
    times = sorted(times)
    return times[min(len(times) - 1, int(p * len(times)))] / 1000


# ---- latency ----

B_RATE = 50
AGAINST = (('alone', None), ('64 connections', (64, None)), ('1,000/s', (64, 1000)))


def neighbour(s, door, what, against, seconds):
    """B's times while A does what it does; how A fared."""
    a = flood(s, door, 'acme', what, against[0], seconds + 1, against[1]) if against else None
    if a:
        subprocess.run(['sleep', '0.5'])
    b = told(flood(s, door, 'beta', what, 4, seconds, B_RATE, first=True))
    refused = sum(n for code, n in b['status'].items() if code in ('503', '429', '450', '421'))
    if refused:
        raise RuntimeError('the neighbour was refused: %s' % b['status'])
    return b['times_us'], told(a) if a else None


def latency(rounds, seconds):
    rows = []
    s = server()
    for door, what in LOADS:
        times = {name: [] for name, _ in AGAINST}
        rates = {name: [] for name, _ in AGAINST}
        for _ in range(rounds):
            for name, against in AGAINST:
                got, a = neighbour(s, door, what, against, seconds)
                times[name].append(got)
                rates[name].append(a['rate'] if a else 0)
        row = '| %s |' % WORDS[door, what]
        for name, _ in AGAINST:
            p99 = [part(x, 0.99) for x in times[name]]
            row += ' %.2f / %.2f / %.2f |' % (statistics.median(part(x, 0.5) for x in times[name]), statistics.median(p99),
                                              min(p99))
            if name == 'alone':
                alone = (statistics.median(p99), min(p99))
            else:
                row += ' %.2f, **%.2f** | %.0f |' % (statistics.median(p99) / alone[0], min(p99) / alone[1],
                                                     statistics.median(rates[name]))
        rows.append(row)
        print(row, flush=True)
    s.stop()
    return ['### A neighbour\'s time', '',
            'B asks %d times a second, %d samples a round: p50 / p99 / least p99 of a round, in ms; ratios of p99 to that '
            'alone, by medians and by the least; A\'s rate is what it was served a second.' % (B_RATE, seconds * B_RATE), '',
            '| door | B alone | A: 64 connections | ratio | A\'s rate | A: 1,000/s | ratio | A\'s rate |',
            '|---|---|---|---|---|---|---|---|'] + rows + ['', 'Wanted: ratios of at most 1.5.', '']


# ---- throughput ----

def alone(s, door, what, seconds):
    used = cpu_s(s)
    r = told(flood(s, door, 'acme', what, 64, seconds))
    used = cpu_s(s) - used
    if any(int(code) >= 400 for code in r['status']):
        raise RuntimeError('not all was served: %s' % r['status'])
    return r['rate'], used * 1e6 / max(1, r['rate'] * seconds)


SLICE = 0.5


def middle(ratios):
    """The median, and the 95 % confidence interval of it."""
    ratios = sorted(ratios)
    k = max(0, int((len(ratios) - 1.96 * len(ratios) ** 0.5) / 2))
    return statistics.median(ratios), ratios[k], ratios[-1 - k]


def quotient(x, y):
    return x / y if y else float('inf')  # nothing at all in half a second: the disk stood still, and a median bears that


def pairs(on, off, door, what, count):
    """Ratios of rates and of processor time, and the medians themselves."""
    runs = []
    for i in range(count):
        order = (on, off) if i % 2 == 0 else (off, on)
        got = {id(s): alone(s, door, what, SLICE) for s in order}
        runs.append((got[id(on)], got[id(off)]))
    median = statistics.median
    return {'rate': middle(quotient(x[0], y[0]) for x, y in runs), 'cpu': middle(quotient(x[1], y[1]) for x, y in runs),
            'on': median(x[0] for x, _ in runs), 'off': median(y[0] for _, y in runs),
            'on_us': median(x[1] for x, _ in runs), 'off_us': median(y[1] for _, y in runs)}


PAIR_HEAD = ['| load | with, a second (CPU us) | without | ratio of rates (95 %) | of CPU (95 %) |', '|---|---|---|---|---|']


def pair_row(words, r):
    row = '| %s | %.0f (%.1f) | %.0f (%.1f) | **%.3f** (%.3f .. %.3f) | **%.3f** (%.3f .. %.3f) |' % (
        (words, r['on'], r['on_us'], r['off'], r['off_us']) + r['rate'] + r['cpu'])
    print(row, flush=True)
    return row


def throughput(count):
    on, off = server(), server('workers:\n  fair_share: false\n')
    rows = [pair_row(WORDS[door, what], pairs(on, off, door, what, count)) for door, what in LOADS]
    on.stop()
    off.stop()
    return ['### Alone, with the fair share and without', '', 'A has 64 connections and nobody else is there. %d pairs of %.1f s a '
            'load; medians, and the 95 %% confidence interval of the ratio\'s.' % (count, SLICE), ''] + PAIR_HEAD + rows + \
        ['', 'Wanted: rates of at least 0.97.', '']


# ---- the whole gate ----

def op(s, operation, **args):
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(os.path.join(s.data, 'admin.sock'))
        c.sendall(json.dumps({'op': operation, 'args': args}).encode() + b'\n')
        data = b''
        while not data.endswith(b'\n'):
            data += c.recv(1 << 20)
    reply = json.loads(data)
    if not reply['ok']:
        raise RuntimeError('%s: %s' % (operation, reply))
    return reply['result']


def gate(count):
    on, off = server(), server('workers:\n  fair_share: false\n')
    for i in range(250):
        op(on, 'tenant.add', name='t%d' % i)
    classes = ('write', 'change', 'bulk', 'watch')
    for i in range(996):
        op(on, 'switch.set', mode='read-only', tenant='t%d' % (i // 4), protocols=['webdav'], classes=[classes[i % 4]])
    for c in classes:
        op(on, 'switch.set', mode='read-only', tenant='acme', protocols=['webdav'], classes=[c])
    rows = [pair_row('alone', pairs(on, off, 'webdav', 'get', count))]
    # In company credit is asked for, and who has none left takes its turn: the price of a neighbour's latency.
    beside = [flood(s, 'webdav', 'beta', 'get', 1, 3 * count + 10, 10) for s in (on, off)]
    rows.append(pair_row('a neighbour asks ten times a second', pairs(on, off, 'webdav', 'get', count)))
    for p in beside:
        p.terminate()
        p.wait()
    on.stop()
    off.stop()
    return ['### The whole gate', '', 'WebDAV GET of 4 KiB, 64 connections, %d pairs as above. With: 1,000 rules, four of them about '
            'A\'s other operations, and fair share. Without: no rule, no fair share.' % count, ''] + PAIR_HEAD + rows + \
        ['', 'Wanted: rates of at least 0.97 alone.', '']


def parts():
    env = dict(os.environ, TMPDIR='/dev/shm')
    lines = ['### Nanoseconds', '', '`tests/bench/gate`, `tests/unit/policy/bench_fairshare`:', '', '```']
    for program in ('tests/bench/gate', 'tests/unit/policy/bench_fairshare'):
        out = subprocess.run([os.path.join(BUILD, program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True, env=env, check=True).stdout
        lines += out.rstrip().split('\n')
    print('\n'.join(lines), flush=True)
    return lines + ['```', '', 'Wanted: the whole gate 1,000 ns with 10,000 tenants and 1,000 rules, a flag 100 ns, a turn of the '
                    'scheduler growing with the logarithm of the tenants.', '']


def come_first():
    """Before whatever else the machine does: priorities count within a session, and sessions have one of their own."""
    if not ROOT or not os.path.exists('/proc/self/autogroup'):
        return
    if os.getsid(0) != os.getpid():
        if os.fork():
            os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
        os.setsid()
    with open('/proc/self/autogroup', 'w') as f:
        f.write('-20')


def others_rows(path, section, lines):
    """Rows of loads that were not asked for are those of before, where the table still has the same columns."""
    names = list(WORDS.values())
    head = next((line for line in lines if line.startswith('| ')), '')
    with open(path) as f:
        part_of = re.search('<!-- begin: %s -->(.*?)<!-- end' % re.escape(section), f.read(), re.S)
    old = part_of.group(1).split('\n') if part_of else []
    rows = {}
    for line in (old if head in old else []) + lines:
        name = line[2:].split(' |')[0] if line.startswith('| ') else ''
        if name in names:
            rows[name] = line
    at = next((i for i, line in enumerate(lines) if line[2:].split(' |')[0] in names), None)
    if at is None:
        return lines
    rest = [line for line in lines[at:] if line[2:].split(' |')[0] not in names]
    return lines[:at] + [rows[n] for n in names if n in rows] + rest


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--seconds', type=int, default=4)
    ap.add_argument('--pairs', type=int, default=64)
    ap.add_argument('--only', default='latency,throughput,gate,parts')
    ap.add_argument('--loads', default='', help='only these: "webdav put,ftp get"')
    ap.add_argument('--out', default=os.path.join(HERE, 'RESULTS.md'))
    args = ap.parse_args()
    gh.need('taskset', 'chrt')
    come_first()
    if args.loads:
        LOADS[:] = [tuple(x.split()) for x in args.loads.split(',')]
    for name in args.only.split(','):
        section = 'fair.py ' + name
        lines = {'latency': lambda: latency(args.rounds, args.seconds), 'throughput': lambda: throughput(args.pairs),
                 'gate': lambda: gate(args.pairs), 'parts': parts}[name]()
        lines[2:2] = ['Written by `tests/bench/fair.py`, %s%s. %s.' % (
            datetime.date.today().isoformat(), ', %d rounds of %d s' % (args.rounds, args.seconds) if name == 'latency' else '',
            results.machine()), '']
        results.put_section(args.out, section, '\n'.join(others_rows(args.out, section, lines)))


main()
