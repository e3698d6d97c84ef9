#!/usr/bin/python3
# suite: default
# metadata: sqlite postgresql:all
# timeout: 120
"""The generator of tests/bench/day.py at a rate that anything can serve: nothing is answered wrongly, the mix is what it
says, and it would notice: a wrong answer, and a server that stands still, whose pause is in the times of all that was due
then. No speed is judged."""
import os
import signal
import sys
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(1, os.path.join(HERE, '..', 'bench'))
import gh  # noqa: E402
import day  # noqa: E402

RATE, SECONDS, PAUSE = 200, 2, 1.0


def mixed(t, place):
    told = place.day('run', RATE, SECONDS, judge=False)
    count = {c: told['ms'][c]['count'] for c in day.CLASSES}
    t.eq((told['wrong'], told['lost'], told['unanswered']), (0, 0, 0), 'every answer is the right one')
    t.eq((told['made'], sum(told['status'].values())), (told['sent'], told['sent']), 'all that was due was sent and answered')
    t.ok(0.7 * RATE * SECONDS < told['made'] < 1.3 * RATE * SECONDS, 'as much as the rate says', str(told['made']))
    t.ok(0.6 < (count['stat'] + count['list']) / told['made'] < 0.8 and all(count.values()), 'the mix has all classes', str(count))


def wrong(t, place):
    place.s.http('DELETE', '/dav/d00', user='t0000/admin')
    told = place.day('run', RATE, 1, judge=False)
    t.ok(0 < told['wrong'] < told['made'] / 2, 'answers that are wrong are noticed', str(told['wrong']))
    t.ok(told['status'].get('404'), 'and their status is told', str(told['status']))
    t.eq(place.s.http('MKCOL', '/dav/d00', user='t0000/admin').status, 201, 'a folder for what follows')


def pause(t, place):
    load = place.start('run', RATE, 2)
    time.sleep(0.5)
    place.s.proc.send_signal(signal.SIGSTOP)
    time.sleep(PAUSE)
    place.s.proc.send_signal(signal.SIGCONT)
    told = place.told(load)
    t.ok(told['ms']['all']['p99'] > PAUSE * 500, 'who was due while the server stood still has waited for it', str(told['ms']['all']))


def main():
    t = gh.Checks()
    place = day.Place(types.SimpleNamespace(tenants=10, embedded=True, cold=False))
    try:
        mixed(t, place)
        wrong(t, place)
        pause(t, place)
    finally:
        place.close()
    return t.done()


sys.exit(main())
