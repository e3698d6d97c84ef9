#!/usr/bin/python3
"""The burst of the event feed (tests/bench/feed): 100,000 events read by 30,000 clients in 100 classes of rights, counted. Writes
the section "feed" of RESULTS.md.

    GATEHOUSE_BUILD=build tests/bench/feed.py [EVENTS CLIENTS CLASSES]
"""
import os
import re
import subprocess
import sys

import results

program = os.path.join(os.environ.get('GATEHOUSE_BUILD', 'build'), 'tests/bench/feed')
if not os.path.exists(program):
    sys.exit('%s is not there: make bench' % program)
p = subprocess.run([program] + (sys.argv[1:] or ['100000', '30000', '100']), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                   text=True, env=dict(os.environ, TMPDIR='/dev/shm'))
print(p.stdout, end='')
if p.returncode:
    sys.exit(p.returncode)
took, cpu = map(float, re.search(r'in ([\d.]+) s \(([\d.]+) s of processor', p.stdout).groups())
decided = int(re.search(r': (\d+) deliveries decided', p.stdout).group(1))
results.put_section(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'RESULTS.md'), 'feed', '''## The event feed

Written by `tests/bench/feed.py` (%s). Clients are simulated: each reads the feed with its own session and rights from before the
first event to the last, by the operation that the REST door submits, on one loop; bytes to a socket are not in it.

```
%s
```

At this rate 30 billion take %.0f s of one loop (%.0f s of processor time). Floor: 3 billion in 900 s of two cores. %s.''' % (
    results.machine(), p.stdout.strip(), 30e9 / decided * took, 30e9 / decided * cpu,
    'Reached' if 3e9 / decided * took < 900 else 'NOT reached'))
