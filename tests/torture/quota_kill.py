#!/usr/bin/python3
# suite: all
# timeout: 600
# metadata: sqlite postgresql:all pair:all
"""A gateway that is killed again and again while eight clients fill a tenant: after each time everything acknowledged is
there, counted, and within the limit; at the end what is left fits to the byte."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402
import quota  # noqa: E402

CYCLES = 20
BOUND = 20000000

with gh.Server(config=quota.CONFIG) as s:
    dice = random.Random(7)
    user = s.tenant('killed')
    quota.limit(s, 'killed', bytes=BOUND, month_bytes=100 * BOUND)
    quota.limit(s, 'killed', 'admin', files=100000)
    for cycle in range(CYCLES):
        already = quota.used(s, 'killed')['used']['bytes']
        if already > BOUND * 9 // 10:
            for name in list(quota.stored(s, user))[::2]:
                s.http('DELETE', '/dav/' + name, user=user)
            already = quota.used(s, 'killed')['used']['bytes']
        quota.kill_in_the_midst(s, user, 'killed', already + dice.randrange(200000, 4000000), BOUND, 'c%d-' % cycle)
        s.cli('fsck')
    quota.leases_end(s, 'killed')
    quota.fills_up_exactly(s, user, 'killed', BOUND)
    mine, all_of = quota.used(s, 'killed', 'admin')['used'], quota.used(s, 'killed')['used']
    quota.t.eq(mine['files'], all_of['files'], 'the only user owns everything')
    s.cli('fsck')
sys.exit(quota.t.done())
