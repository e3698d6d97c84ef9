#!/usr/bin/python3
# suite: default
# sanitizers: asan
"""Two gateways, one limit: sessions, transfers, requests a second and bytes a second of a tenant or user are bounded at both
together; what a gateway that was killed had let in is free when its lease ends."""
import ftplib
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402
import gh  # noqa: E402

t = gh.Checks()
LEASE_S = 3
CONFIG = 'quota:\n  lease: %ds\nlog:\n  access: ""\n' % LEASE_S


def soon(condition, what, within=2.0):
    took = gatelib.until(condition, within * gh.EASE)
    return t.ok(took is not None, what, '(not within %.1f s)' % within)


def tenant(a, b, name):
    user = a.tenant(name)
    soon(lambda: b.http('GET', '/api/v1/stat/', user=user).status == 200, '%s is known at both' % name)
    return user


def limit(a, b, name, user=None, **limits):
    t.ok(a.control('limit.set', tenant=name, **({'user': user} if user else {}), **limits)[0], '%s is bounded: %r' % (name, limits))

    def known():
        rows = [i for i in b.control('limit.list', tenant=name)[1]['items'] if i['user'] == user]
        return all((rows[0][k] if rows else None) == v for k, v in limits.items())
    soon(known, 'at both')


def login(s, user):
    """None: refused as one too many."""
    try:
        return s.ftp(user)
    except ftplib.all_errors as e:
        t.has(str(e), '421 As many sessions as', 'a refusal says why')
        return None


def logins(s, user, most):
    """As many as are let in."""
    found = []
    while len(found) < most:
        f = login(s, user)
        if not f:
            break
        found.append(f)
    return found


def end(sessions):
    for f in sessions:
        f.close()


# ---- sessions ----

def sessions(a, b):
    user = tenant(a, b, 'seats')
    limit(a, b, 'seats', sessions=5)
    here = logins(a, user, 1)
    there = logins(b, user, 9)
    t.eq((len(here), len(there)), (1, 4), 'one has what the other left')
    t.eq(login(a, user), None, 'more are let in at neither')
    t.eq([s.http('GET', '/api/v1/stat/', user=user).status for s in (a, b)], [429, 429], 'at no door')
    end(there[:1])
    soon(lambda: (here.append(login(a, user)) or here[-1]), 'who leaves one makes room at the other', 5)
    t.eq([login(s, user) for s in (a, b)], [None, None], 'for one')
    end([f for f in here if f] + there)
    soon(lambda: all(s.http('GET', '/api/v1/stat/', user=user).status == 200 for s in (a, b)), 'then both are open again', 5)


def sessions_all_at_once(a, b):
    user = tenant(a, b, 'rush')
    limit(a, b, 'rush', sessions=7)
    lock, now, most, wrong = threading.Lock(), [0], [0], []
    until = time.monotonic() + 3 * gh.SLOW

    def come_and_go(s):
        while time.monotonic() < until:
            try:
                f = s.ftp(user)
            except ftplib.error_perm as e:
                wrong.append(str(e))
                continue
            except ftplib.all_errors:
                time.sleep(0.005)
                continue
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.02)
            with lock:
                now[0] -= 1  # before it ends: never more than there are
            f.close()
    threads = [threading.Thread(target=come_and_go, args=((a, b)[n % 2],)) for n in range(16)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    t.eq(wrong, [], 'nobody is refused for good')
    t.ok(3 <= most[0] <= 7, 'never more than the limit at both together', most[0])
    kept = []

    def fill():
        kept.extend(logins(a, user, 7 - len(kept)))
        kept.extend(logins(b, user, 7 - len(kept)))
        return len(kept) == 7
    soon(fill, 'and all of it is to be had', 10)
    t.eq([login(s, user) for s in (a, b)], [None, None], 'but no more')
    end(kept)


def sessions_of_the_dead(g, a, b):
    user = tenant(a, b, 'dead')
    limit(a, b, 'dead', sessions=4)
    held, mine = logins(b, user, 3), logins(a, user, 9)
    t.eq((len(held), len(mine)), (3, 1), 'one holds nearly all')
    b.kill9()
    back = []
    soon(lambda: len(back) == 3 or back.extend(logins(a, user, 3 - len(back))), 'what the dead one held is free again', 3 * LEASE_S)
    t.eq(login(a, user), None, 'and no more than that')
    end(mine + back + held)
    b.start()


# ---- transfers ----

def transfers(a, b):
    user = tenant(a, b, 'moving')
    a.http('PUT', '/dav/big', body=bytes(300000), user=user)
    limit(a, b, 'moving', transfers=2)
    f, g = a.ftp(user), b.ftp(user)
    data = [f.transfercmd('STOR one'), g.transfercmd('STOR two')]
    for d in data:
        d.sendall(b'x' * 1000)
    t.eq([s.http('GET', '/dav/big', user=user).status for s in (a, b)], [503, 503], 'one at each, then none at either')
    data[1].close()
    t.has(g.voidresp(), '226', 'one ends well')
    soon(lambda: a.http('GET', '/dav/big', user=user).status == 200, 'then the other has room for it', 5)
    data[0].close()
    t.has(f.voidresp(), '226', 'as does the other')
    end([f, g])


# ---- rates ----

def both_serve(a, b, user):
    """For long enough that each knows of the other, and seldom enough that both have a second's worth left."""
    for _ in range(6):
        t.eq([s.http('GET', '/api/v1/stat/', user=user).status for s in (a, b)], [200, 200], 'both serve the user')
        time.sleep(0.3)


def requests(a, b):
    user = tenant(a, b, 'fast')
    limit(a, b, 'fast', requests_s=40)
    both_serve(a, b, user)
    got, until = [], time.monotonic() + 4

    def ask(s):
        c = s.client(user)
        while time.monotonic() < until:
            got.append(c.request('GET', '/api/v1/stat/').status)
            time.sleep(0.002)
    threads = [threading.Thread(target=ask, args=(s,)) for s in (a, b)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    t.eq(set(got), {200, 429}, 'some are refused')
    t.ok(100 <= got.count(200) <= 40 * 5 + 10, 'as many as one gateway would have let in', got.count(200))


def bytes_a_second(a, b):
    tenant(a, b, 'slow')
    user = a.user('slow/reader', '--owner')
    a.http('PUT', '/dav/big', body=bytes(1500000), user='slow/admin')
    limit(a, b, 'slow', 'reader', bytes_s=1000000)
    both_serve(a, b, user)
    begin, sizes = time.monotonic(), []
    threads = [threading.Thread(target=lambda s=s: sizes.append(len(s.http('GET', '/dav/big', user=user).body))) for s in (a, b)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    took = time.monotonic() - begin
    t.eq(sizes, [1500000] * 2, 'both come whole')
    t.ok(took > 2.2, 'three megabytes at one a second, at both together', took)


def main():
    with gatelib.Gateways(2, CONFIG) as g:
        a, b = g[0], g[1]
        sessions(a, b)
        sessions_all_at_once(a, b)
        transfers(a, b)
        requests(a, b)
        bytes_a_second(a, b)
        sessions_of_the_dead(g, a, b)
    sys.exit(t.done())


main()
