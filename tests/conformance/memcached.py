#!/usr/bin/python3
# suite: default
# sanitizers: asan tsan
# timeout: 300
"""Two gateways that share a cache in memcached: what one has verified the other does not verify again; and whatever becomes of
the cache, killed, stopped, emptied, lying, answers are what they are without it, and soon."""
import os
import re
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib
import gh
import mclib

t = gh.Checks()
# nothing is remembered in a gateway for long, so that the shared cache is asked
CONFIG = 'logins:\n  credential_ttl: 1s\ncache:\n  memcached: "%s"\n  budget: 40ms\n'


def metric(s, name, label=''):
    with urllib.request.urlopen('http://%s/metrics' % s.addresses['admin'], timeout=10 * gh.SLOW) as f:
        text = f.read().decode()
    found = re.search(r'^gatehouse_%s%s (\d+)$' % (re.escape(name), re.escape('{%s}' % label if label else '')), text, re.M)
    return int(found.group(1))


def logins(s, how):
    return metric(s, 'logins_total', 'result="%s"' % how)


def status(s, user, password=gh.PASSWORD, path='/dav/hello'):
    c = s.client(user, password)
    try:
        return c.request('GET', path).status
    finally:
        c.close()


def eventually(condition, what, within=5):
    t.ok(gatelib.until(condition, within * gh.EASE) is not None, what)


def puts(s):
    return metric(s, 'cache_puts_total', 'result="stored"')


def rested(*servers):
    """Has the breaker tried again at once: what it does is tests/conformance/breaker.py's."""
    for s in servers:
        t.ok(s.control('breaker.reset', service='cache')[0], 'the breaker is reset')


def verified_once(a, b, servers):
    with_ann(a, b)
    checked, shared = logins(b, 'verified'), logins(b, 'shared')
    a.user('default/bob', '--owner')
    told = puts(a)
    t.eq(status(a, 'bob'), 200, 'bob logs in')
    eventually(lambda: puts(a) > told, 'it is told')
    t.eq(status(b, 'bob'), 200, 'and on the other')
    t.eq(logins(b, 'verified'), checked, 'which checks no password')
    t.eq(logins(b, 'shared'), shared + 1, 'because it was told')
    t.eq(status(b, 'bob', 'wrong'), 401, 'a wrong one is wrong')
    for m in servers:
        for name, value in m.stored().items():
            t.ok(re.fullmatch(r'ghc:[0-9a-f]{32}', name), 'names say nothing', name)
            for word in (b'bob', gh.PASSWORD.encode()):
                t.hasnt(value, word, 'nor do values')


def changed(a, b):
    """A changed password, a disabled user, a removed one: at once, where nothing is in a gateway's memory."""
    a.user('default/eve', '--owner')
    eventually(lambda: status(a, 'eve') == 200, 'eve logs in')
    a.cli('user', 'passwd', 'default/eve', '--password-stdin', stdin='another one 7\n')
    t.eq(status(b, 'eve'), 401, 'the old password is no good on the other, which never saw her')
    told = puts(b)
    t.eq(status(b, 'eve', 'another one 7'), 200, 'the new one is')
    eventually(lambda: puts(b) > told, 'it is told')
    checked = logins(a, 'verified')
    t.eq(status(a, 'eve', 'another one 7'), 200, 'and here')
    t.eq(logins(a, 'verified'), checked, 'which checks no password')
    time.sleep(1.1)  # what a gateway remembers by itself ends
    a.cli('user', 'set', 'default/eve', '--disable')
    t.eq(status(b, 'eve', 'another one 7'), 401, 'nobody is let in who is disabled')
    a.cli('user', 'set', 'default/eve', '--enable')
    t.eq(status(b, 'eve', 'another one 7'), 200, 'enabled she is')
    time.sleep(1.1)
    a.cli('user', 'remove', 'default/eve')
    t.eq(status(b, 'eve', 'another one 7'), 401, 'nor who is removed')


word = 0


def day(a, b, what):
    """ann's password is changed, and tried with the one before and a wrong one, on both; she may read what she might not the
    day before, or may not what she might; the answers."""
    global word
    old, new, word = 'word %d' % word, 'word %d' % (word + 1), word + 1
    may = 200 if word % 2 else 404
    a.cli('user', 'passwd', 'default/ann', '--password-stdin', stdin=new + '\n')
    got = [status(a, 'ann', new), status(b, 'ann', new), gatelib.until(lambda: status(b, 'ann', old) == 401, 5) is not None,
           status(a, 'ann', old), status(b, 'ann', 'wrong')]
    t.eq(got, [200, 200, True, 401, 401], 'passwords with a cache that is %s' % what)
    a.cli('acl', 'grant' if word % 2 else 'revoke', 'default', '/secret', 'user:ann', *(['read'] if word % 2 else []))
    t.eq(status(a, 'ann', new, '/dav/secret'), may, 'rights with a cache that is %s' % what)
    eventually(lambda: status(b, 'ann', new, '/dav/secret') == may, 'on the other, too')


def with_ann(a, b):
    global word
    word = 0
    a.user('default/ann')
    for name in ('hello', 'secret'):
        t.eq(a.http('PUT', '/dav/' + name, body=b'hello').status, 201, 'there is a file')
    a.cli('acl', 'grant', 'default', '/hello', 'user:ann', 'read')
    eventually(lambda: status(b, 'ann') == 200, 'ann is known to the other')


def rights_told(a, b):
    """A gateway that starts takes rights from the cache; what has changed meanwhile it does not."""
    day(a, b, 'well')
    new = 'word %d' % word
    b.stop()
    b.start()
    t.eq(status(b, 'ann', new, '/dav/secret'), 200, 'rights after a start')
    t.ok(metric(b, 'cache_hits_total', 'kind="rights"') > 0, 'were told')
    t.eq(logins(b, 'verified'), 0, 'and no password was checked')
    b.stop()
    a.cli('acl', 'revoke', 'default', '/secret', 'user:ann')
    b.start()
    t.eq(status(b, 'ann', new, '/dav/secret'), 404, 'what was revoked meanwhile is revoked')
    a.cli('acl', 'grant', 'default', '/secret', 'user:ann', 'read')


def told_again(a, b):
    """Does one tell the other?"""
    before = logins(b, 'shared')
    day(a, b, 'coming back')
    return logins(b, 'shared') > before


def doctor(s):
    return [i['level'] for i in s.control('doctor')[1]['items'] if i['check'] == 'cache']


def empty(servers, over):
    while not over.wait(0.01):
        for m in servers:
            m.flush()


def servers_come_and_go(a, b, servers):
    day(a, b, 'well')
    for m in servers:
        m.flush()
    day(a, b, 'emptied')
    over = threading.Event()
    thread = threading.Thread(target=empty, args=(servers, over))
    thread.start()
    day(a, b, 'emptied all the time')
    over.set()
    thread.join()
    t.eq(doctor(a), ['ok', 'ok', 'ok'], 'the doctor sees them all')
    servers[0].kill()
    day(a, b, 'gone in part')
    t.eq(sorted(doctor(a)), ['ok', 'ok', 'warn'], 'the doctor misses one, which is no failure')
    servers[1].stop()
    day(a, b, 'gone and mute in part')
    servers[2].kill()
    day(a, b, 'mute')
    servers[1].go()
    servers[0].start()
    servers[2].start()
    eventually(lambda: told_again(a, b), 'when they are back, so is the cache', 20)


def lies(a, b, liar):
    with_ann(a, b)
    day(a, b, 'honest')
    for mode in mclib.MODES[1:]:
        liar.mode = mode
        before = liar.asked
        day(a, b, mode)
        t.ok(liar.asked > before, 'it was asked (%s)' % mode)
        if mode in mclib.TIRESOME:
            liar.mode = 'honest'
            time.sleep(1.1)  # it is left alone for a second
            rested(a, b)
    for reason in ('damaged', 'other_key'):
        t.ok(metric(a, 'cache_refused_total', 'reason="%s"' % reason) +
             metric(b, 'cache_refused_total', 'reason="%s"' % reason) > 0, '%s was noticed' % reason)


def soon(b, liar):
    """A login that a cache keeps waiting: an unknown user's, that costs a password check each time. Best of three."""
    def took():
        began = time.monotonic()
        status(b, 'nobody-at-all')
        return time.monotonic() - began
    if gh.SLOW * gh.EASE > 1:
        return
    liar.mode = 'honest'
    plain = min(took() for _ in range(3))
    for mode in ('late', 'trickle', 'mute'):
        for _ in range(3):
            liar.mode = 'honest'
            time.sleep(1.1)
            rested(b)
            liar.mode, asked = mode, liar.asked
            took_s = took()
            if took_s < plain + 0.2:
                break
        t.ok(liar.asked > asked and took_s < plain + 0.2, 'no longer than the budget, about (%s)' % mode,
             '(%.3f s, %.3f s without)' % (took_s, plain))
    liar.mode = 'honest'


def main():
    with mclib.Memcached() as one, mclib.Memcached() as two, mclib.Memcached() as three:
        servers = [one, two, three]
        with gatelib.Gateways(2, CONFIG % ', '.join(m.address for m in servers)) as g:
            verified_once(g[0], g[1], servers)
            changed(g[0], g[1])
            rights_told(g[0], g[1])
            servers_come_and_go(g[0], g[1], servers)
    with mclib.Liar() as liar, gatelib.Gateways(2, CONFIG % liar.address) as g:
        lies(g[0], g[1], liar)
        soon(g[1], liar)
    sys.exit(t.done())


main()
