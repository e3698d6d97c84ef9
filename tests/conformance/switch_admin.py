#!/usr/bin/python3
# suite: default
# timeout: 120
# metadata: sqlite postgresql
"""The switchboard as an administrator works it: words of the command line, dry runs that count, what is refused and why,
the audit trail, rules that end by themselves, a connection that is lost in the middle; live sessions and uploads listed
and ended; sessions that end with the password they were opened with."""
import json
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ftpraw  # noqa: E402
import gh  # noqa: E402
from doors import (BIG, BIG_DATA, DAV, FTP, FtpDownload, FtpIdle, FtpUpload, HttpDownload, HttpIdle, HttpUpload,  # noqa: E402
                   REST, UP_DATA, must, until)

t = gh.Checks()


def rules(s):
    return must(s, 'switch.list')['items']


def furnish(s):
    s.tenant('acme')
    s.user('acme/ann', '--owner')
    t.eq(s.http('PUT', '/dav/big.bin', body=BIG_DATA, user='acme/admin').status, 201, 'furnished')


# ---- words and counts ----

def dry_run_counts_and_changes_nothing(s):
    here = [FtpIdle(s, FTP, 'acme/ann') for _ in range(3)]
    here += [FtpUpload(s, FTP, 'acme/ann'), FtpDownload(s, FTP, 'acme/ann'), HttpIdle(s, DAV, 'acme/ann')]
    out = s.cli('switch', 'off', 'ftp', '--tenant', 'acme', '--for', '4h', '--dry-run')
    t.has(out, 'would hit 5 sessions, 1 upload, 1 download', 'a dry run counts')
    t.eq(rules(s), [], 'a dry run sets nothing')
    for actor in here:
        t.ok(actor.step() is True, 'a dry run is noticed by nobody')
    r = s.cli_json('switch', 'set', 'webdav', 'ftp', '--tenant', 'acme', '--mode', 'read-only', '--dry-run')
    there = len(must(s, 'session.list', tenant='acme')['items'])
    t.eq(r['hit'], {'sessions': there, 'uploads': 1, 'downloads': 0}, 'read-only would cut no download')
    t.ok('id' not in r, 'a dry run has no id')
    out = s.cli('switch', 'off', 'ftp', '--tenant', 'acme', '--for', '4h', '--message', 'Use https', '--why', 'ticket 1')
    t.has(out, 'hit 5 sessions, 1 upload, 1 download', 'what was hit is told')
    t.has(out, '0 live sessions after 0.', 'and what is left of it')
    t.ok(here[-1].step() is True, 'WebDAV goes on')
    for actor in here:
        actor.close()
    listed = s.cli('switch', 'list')
    for word in ('ftp tenant=acme', 'off', 'Use https', 'ticket 1', 'uid:'):
        t.has(listed, word, 'switch list tells all of a rule')
    s.cli('switch', 'on', 'ftp', '--tenant', 'acme')
    t.eq(rules(s), [], 'switch on takes the rule back')
    f = ftpraw.Ftp(s, 'acme/ann')
    t.eq(f('NOOP'), 200, 'and the door is open again')
    f.close()


def audit_tells_who_did_what(s):
    events = s.cli_json('events', 'list', '--limit', '1000')['items']
    mine = [(e['what'], e['path'], e['dest']) for e in events if e['what'].startswith('switch.')]
    t.eq([m[:2] for m in mine], [('switch.set', 'ftp tenant=acme'), ('switch.clear', 'ftp tenant=acme')],
         'a rule that was set and cleared has two events, a dry run none')
    t.has(mine[0][2], 'ticket 1', 'with the reason')
    t.ok(all(e['user'].startswith('uid:') for e in events if e['what'].startswith('switch.')), 'and who it was')


def flags_have_words(s):
    t.has(s.cli('flag', 'list'), 'list.page', 'flag list')
    s.cli('flag', 'set', 'list.page', '50', '--tenant', 'acme', '--for', '1h', '--why', 'small pages')
    d = s.cli_json('flag', 'describe', 'list.page')
    t.eq((d['min'], d['max'], d['value'], len(d['rules'])), (10, 1000, 1000, 1), 'flag describe')
    t.eq((d['rules'][0]['tenant'], d['rules'][0]['value'], d['rules'][0]['why']), ('acme', 50, 'small pages'), 'its rule')
    s.cli('flag', 'unset', 'list.page', '--tenant', 'acme')
    t.eq(s.cli_json('flag', 'describe', 'list.page')['rules'], [], 'flag unset')
    ident = s.cli_json('flag', 'set', 'core.fastpath', 'false', '--percent', '10')['id']
    s.cli('flag', 'clear', ident)
    for args, word in ((('list.page', 'many'), 'whole number'), (('list.page', '5'), '10 to 1000'),
                       (('core.fastpath', 'perhaps'), 'true or false'), (('no.such', '1'), 'no flag'),
                       (('list.page', '50', '--percent', '0'), '1 to 100')):
        status, _, err = s.run('flag', 'set', *args)
        t.ok(status == 1 and word in err, 'flag set %s is refused' % ' '.join(args), err)


# ---- refusals ----

def bad_rules_are_refused_with_the_reason(s):
    acme = ('--tenant', 'acme')
    cases = [
        (('switch', 'off'), 'no scope'),
        (('switch', 'off', 'admin'), 'cannot be shut'),
        (('switch', 'off', 'ftp,admin'), 'cannot be shut'),
        (('switch', 'off', 'gopher'), 'unknown protocol'),
        (('switch', 'off', '--class', 'paint'), 'no class of operations'),
        (('switch', 'off', '--tenant', 'nobody'), 'nobody'),
        (('switch', 'off', '--user', 'ann'), 'without its tenant'),
        (('switch', 'off', '--everywhere') + acme, 'one or the other'),
        (('switch', 'set') + acme, 'mode'),
        (('switch', 'set', '--mode', 'closed') + acme, 'closed'),
        (('switch', 'off', '--until', '2001-01-01T00:00:00Z') + acme, 'past'),
        (('switch', 'off', '--for', '0s') + acme, 'past'),
        (('switch', 'off', '--until', 'tomorrow') + acme, 'tomorrow'),
        (('switch', 'off', '--for', '1h', '--until', '2101-01-01T00:00:00Z') + acme, 'two ends'),
        (('switch', 'off', '--message', 'x' * 10240) + acme, 'too long'),
        (('switch', 'off', '--message', 'gone\r\n221 Bye') + acme, 'line breaks'),
        (('switch', 'off', '--message', 'a\x07b') + acme, 'control'),
        (('switch', 'clear', '12345'), 'no such'),
        (('switch', 'on', 'ftp'), 'no such'),
    ]
    for args, word in cases:
        status, out, err = s.run(*args)
        t.ok(status == 1 and word in err and not out, '%s is refused' % ' '.join(args)[:60], '(%d, %r)' % (status, err))
    t.eq(s.run('switch', 'off', 'ftp', '--for', 'soon')[0], 2, 'no duration is wrong usage')
    t.eq(rules(s), [], 'and nothing is left of any of them')
    f = ftpraw.Ftp(s, 'acme/ann')
    t.eq(f('NOOP'), 200, 'the door is open all the time')
    f.close()


def a_lost_connection_leaves_a_whole_rule_or_none(s):
    """Cut at every kind of place: what is listed is what is in force."""
    call = json.dumps({'op': 'switch.set', 'args': {'protocols': ['rest'], 'tenant': 'acme', 'mode': 'off'}}).encode() + b'\n'
    whole = 0
    for i in range(24):
        cut = len(call) if i % 3 == 0 else random.randrange(len(call))
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(os.path.join(s.data, 'admin.sock'))
            c.sendall(call[:cut])
            if i % 2:
                time.sleep(random.random() / 100)
        if cut == len(call):
            t.ok(until(lambda: rules(s), 5), 'what was said whole is done, though nobody waits for the answer')
        listed = rules(s)
        status = s.http('GET', '/api/v1/stat/big.bin', user='acme/ann').status
        t.eq(status, 503 if listed else 200, 'what is listed is in force')
        whole += len(listed)
        for r in listed:
            must(s, 'switch.clear', id=r['id'])
    t.eq(whole, 8, 'only what was said whole became a rule')


# ---- time ----

def rules_end_by_themselves(s):
    drained = FtpUpload(s, FTP, 'acme/ann')
    must(s, 'switch.set', protocols=['ftp'], tenant='acme', mode='drain', for_s=2, message='Soon')
    t0 = time.monotonic()
    must(s, 'switch.set', protocols=['rest'], mode='off', for_s=1, message='A second')
    a = s.http('GET', '/api/v1/stat/big.bin', user='acme/ann')
    t.eq((a.status, a.header('Retry-After')), (503, '1'), 'shut for a second, and says so')
    t.ok(until(lambda: s.http('GET', '/api/v1/stat/big.bin', user='acme/ann').status == 200, 4), 'then open again')
    t.ok(until(lambda: not rules(s), 4), 'the rules are gone')
    t.ok(time.monotonic() - t0 >= 1, 'but not early')
    t.ok(drained.step() is True and drained.finish() and drained.lives(),
         'a drain that ends before the transfer ends leaves the session alone')
    drained.close()
    ended = [e['path'] for e in s.cli_json('events', 'list', '--limit', '1000')['items'] if e['what'] == 'switch.expire']
    t.eq(sorted(ended), ['ftp tenant=acme', 'rest'], 'with an event each')


def the_most_specific_rule_decides(s):
    must(s, 'switch.set', protocols=['ftp'], mode='off', message='No FTP')
    must(s, 'switch.set', protocols=['ftp'], tenant='acme', user='ann', mode='on')
    f = ftpraw.Ftp(s, 'acme/ann')
    t.eq(f.greeting, 220, 'somebody is excepted, so everybody is asked for a name')
    t.eq(f('NOOP'), 200, 'and the excepted one is let in')
    g = ftpraw.Ftp(s)
    g('USER acme/admin')
    t.eq(g('PASS ' + gh.PASSWORD), 421, 'the others are not')
    t.has(g.text, 'No FTP', 'and hear why')
    must(s, 'switch.clear', protocols=['ftp'], tenant='acme', user='ann')
    t.eq((f.reply(), f.gone()), (421, True), 'until the exception is taken back')
    must(s, 'switch.clear', protocols=['ftp'])
    f.close()
    g.close()


def probes_and_options_answer_behind_a_shut_door(s):
    """Load balancers turn away from a host that is drained, not from one that has words for its users."""
    def probe(path, listener='http'):
        return int(s.raw(('GET %s HTTP/1.0\r\n\r\n' % path).encode(), listener).split()[1])
    must(s, 'switch.set', everywhere=True, mode='off', message='Closed')
    t.eq(s.http('OPTIONS', '/dav/', auth=False).status, 200, 'OPTIONS is answered: clients look for DAV with it')
    t.eq(s.http('PROPFIND', '/dav/', {'Depth': '0'}, auth=False).status, 503, 'and nothing asks for a password')
    t.eq((probe('/readyz'), probe('/healthz'), probe('/readyz', 'admin')), (200, 200, 200), 'off is ready')
    must(s, 'switch.set', everywhere=True, mode='drain')
    t.eq((probe('/readyz'), probe('/healthz'), probe('/readyz', 'admin')), (503, 200, 503), 'drained is not')
    must(s, 'switch.clear', everywhere=True)
    t.eq((probe('/readyz'), probe('/readyz', 'admin')), (200, 200), 'until it is taken back')


# ---- sessions ----

def session(s, **want):
    """The one live session that looks so; None."""
    found = [i for i in must(s, 'session.list')['items'] if all(i.get(k) == v for k, v in want.items())]
    return found[0] if len(found) == 1 else None


def sessions_show_what_they_do(s):
    idle, down, up = FtpIdle(s, FTP, 'acme/ann'), HttpDownload(s, DAV, 'acme/ann'), HttpUpload(s, REST, 'acme/ann')
    t.ok(until(lambda: session(s, proto='ftp', user='ann', doing='idle'), 5), 'an idle FTP session')
    d = session(s, proto='webdav', doing='read')
    t.ok(d and d['transfer']['direction'] == 'down' and d['transfer']['size'] == BIG and d['path'] == '/big.bin',
         'a download with its size', str(d))
    t.ok(until(lambda: 0 < session(s, proto='webdav', doing='read')['transfer']['bytes'] < BIG, 5), 'and how far it is')
    first = must(s, 'upload.list')['items']
    t.eq([(u['path'], u['proto'], u['user'], u['tenant'], u['declared']) for u in first],
         [('/up-rest.bin', 'rest', 'ann', 'acme', 4 << 20)], 'an upload')
    up.step()
    t.ok(until(lambda: must(s, 'upload.list')['items'][0]['received'] > first[0]['received'], 5), 'its progress')
    t.has(s.cli('sessions', 'list', 'acme', '--proto', 'ftp'), 'ann', 'sessions list')
    t.has(s.cli('uploads', 'list'), '/up-rest.bin', 'uploads list')
    s.cli('sessions', 'kill', session(s, proto='ftp', user='ann')['id'])
    t.eq(idle.words(), (421, '421 Ended by an administrator.'), 'a session that is ended hears so')
    t.ok(idle.gone(), 'and is gone')
    t.ok(down.step() is True and up.step() is True, 'it alone')
    s.cli('sessions', 'kill', '--tenant', 'acme', '--user', 'ann')
    t.ok(down.cut() is not None, 'a download is cut')
    a = up.words()
    t.ok(a.status == 503 and 'administrator' in a.text, 'an upload hears so', repr(a))
    t.eq(s.http('GET', '/api/v1/stat/up-rest.bin', user='acme/ann').status, 404, 'and is not stored')
    t.ok(until(lambda: any('/up-rest.bin' in line and 'code=503' in line and 'user="ann"' in line
                           for line in s.log().splitlines()), 5), 'the access log tells so')
    t.eq(s.run('sessions', 'kill', '77')[0], 1, 'nobody of that id')
    for actor in (idle, down, up):
        actor.close()


def a_session_ends_with_what_opened_it(s):
    s.user('acme/bea', '--owner')
    idle, up = FtpIdle(s, FTP, 'acme/bea'), FtpUpload(s, FTP, 'acme/bea')
    s.cli('group', 'add', 'acme/staff', 'bea')
    t.ok(idle.step() is True and up.step() is True, 'joining a group ends nothing')
    s.cli('user', 'passwd', 'acme/bea', '--password-stdin', stdin='another 9 secret\n')
    code, text = idle.words()
    t.ok(code == 421 and 'log in again' in text and idle.gone(), 'a new password ends the sessions of the old', text)
    t.eq(up.words()[0], 426, 'and cuts their transfers')
    t.ok(until(lambda: any('code=426' in line and 'path="/up-ftp.bin"' in line for line in s.log().splitlines()), 5),
         'the access log tells so')
    t.ok(s.http('GET', '/dav/up-ftp.bin', user='acme/admin').body == UP_DATA, 'of which nothing is stored')
    f = ftpraw.Ftp(s, 'acme/bea', password='another 9 secret')
    t.eq(f('NOOP'), 200, 'the new one is let in')
    s.cli('user', 'set', 'acme/bea', '--disable')
    t.eq((f.reply(), f.gone()), (421, True), 'a disabled user is out at once')
    for actor in (idle, up, f):
        actor.close()


def main():
    with gh.Server() as s:
        furnish(s)
        for scene in (dry_run_counts_and_changes_nothing, audit_tells_who_did_what, flags_have_words,
                      bad_rules_are_refused_with_the_reason, a_lost_connection_leaves_a_whole_rule_or_none,
                      rules_end_by_themselves, the_most_specific_rule_decides,
                      probes_and_options_answer_behind_a_shut_door, sessions_show_what_they_do,
                      a_session_ends_with_what_opened_it):
            t0 = time.monotonic()
            scene(s)
            t.eq(rules(s), [], '%s leaves no rule behind' % scene.__name__)
            print('%5.2f s %s' % (time.monotonic() - t0, scene.__name__.replace('_', ' ')), flush=True)
    sys.exit(t.done())


if __name__ == '__main__':
    main()
