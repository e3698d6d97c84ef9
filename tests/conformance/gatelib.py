"""Several gateways on one PostgreSQL database with one blob folder, for tests: a Server of gh.py each, with a data directory
of its own.

    with gatelib.Gateways(2) as g:
        g[0].http('PUT', ...)
        g.eventually(lambda: g[1].http('GET', ...).status == 200, 'it is there', within=1.0)
"""
import os
import shutil
import tempfile
import time

import gh
import pglib


class Gateways:
    def __init__(self, count, config='', pg=None):
        """pg: a cluster of the test's own, in place of the one that all share."""
        self.pg = pg or pglib.shared()
        self.dir = tempfile.mkdtemp(prefix='gatehouse-gateways-')
        self.name = 'gw_' + os.path.basename(self.dir)[-8:].lower().replace('-', 'x')
        self.conninfo = self.pg.database(self.name)
        self.config = config
        self.all = []
        self.made = 0
        try:
            for _ in range(count):
                self.add()
        except BaseException:
            self.close()
            raise

    def text(self, name):
        return ('metadata: postgresql\npostgresql:\n  conninfo: "%s"\nblobs:\n  path: %s\ngateway:\n  name: %s\n%s' %
                (self.conninfo, os.path.join(self.dir, 'blobs'), name, self.config))

    def add(self, name=None, start=True):
        """Another gateway; it is its index in self."""
        n = self.made
        self.made += 1
        top = os.path.join(self.dir, 'g%d' % n)
        os.mkdir(top)
        s = gh.Server(config=self.text(name or 'g%d' % n), data=os.path.join(top, 'data'), start=False)
        self.all.append(s)
        if start:
            s.start()
        return s

    def __getitem__(self, i):
        return self.all[i]

    def __len__(self):
        return len(self.all)

    def sql(self, text):
        return self.pg.sql(text, self.name)

    def close(self):
        bad = None
        for s in self.all:
            try:
                s.close()
            except RuntimeError as e:
                bad = bad or e
        if os.environ.get('GH_KEEP'):
            print('kept: %s' % self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
            self.pg.sql('DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.name, 'postgres')
        if bad:
            raise bad

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.close()
        except RuntimeError as e:
            if kind is None:
                raise
            print('also: %s' % e)


def until(condition, within):
    """Seconds until it held, or None if it did not in time."""
    began = time.monotonic()
    while True:
        now = time.monotonic()
        try:
            held = condition()
        except (OSError, gh.ftplib.Error):
            held = False
        if held:
            return now - began
        if now - began > within * gh.SLOW:
            return None
        time.sleep(0.005)
