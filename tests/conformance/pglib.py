"""A PostgreSQL of a test's own (tests/lib/pgcluster.sh): one cluster on a unix socket, as many databases as are asked for.

    pg = pglib.Cluster()                 # a private one: may be stopped, killed, filled up
    conninfo = pg.database('acme')
    pg.sql('SELECT 1', 'acme')
    pg.close()

    pglib.shared()                       # the one that all tests of a run use ($TEST_POSTGRESQL, started by the runner),
                                         # else one for this process; nobody stops it

Skips the test where PostgreSQL's server is not installed."""
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time

import gh

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib', 'pgcluster.sh')


class Cluster:
    """settings: NAME=VALUE for the server, now and at each start. root: where it is made instead of a temporary folder."""

    def __init__(self, *settings, root=None):
        self.settings = settings
        self.own = root is None
        self.dir = root or tempfile.mkdtemp(prefix='gh-pg-')
        self.conninfo = ''
        try:
            self.start()
        except BaseException:
            if self.own:
                shutil.rmtree(self.dir, ignore_errors=True)
            raise

    def start(self, *more):
        p = subprocess.run(['sh', SCRIPT, 'start', self.dir, *self.settings, *more], stdout=subprocess.PIPE, text=True)
        if p.returncode == 77:
            gh.skip("PostgreSQL's server is not installed")
        if p.returncode:
            raise RuntimeError('the cluster does not start')
        self.conninfo = p.stdout.strip()

    def stop(self):
        """At once, as in a crash of the server."""
        subprocess.run(['sh', SCRIPT, 'stop', self.dir], check=True, stdout=subprocess.DEVNULL)

    def standby(self):
        """A new cluster that follows this one; commits here wait for it."""
        other = Cluster.__new__(Cluster)
        other.settings, other.own, other.dir = self.settings, True, tempfile.mkdtemp(prefix='gh-pg-')
        p = subprocess.run(['sh', SCRIPT, 'standby', other.dir, self.dir, *self.settings], stdout=subprocess.PIPE, text=True)
        if p.returncode:
            shutil.rmtree(other.dir, ignore_errors=True)
            raise RuntimeError('the standby does not start')
        other.conninfo = p.stdout.strip()
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.sql('SELECT pg_reload_conf()')
        end = time.monotonic() + 10
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != '1':
            if time.monotonic() > end:
                raise RuntimeError('the standby does not follow')
            time.sleep(0.05)
        return other

    def promote(self):
        subprocess.run(['sh', SCRIPT, 'promote', self.dir], check=True, stdout=subprocess.DEVNULL)

    def pids(self):
        """All processes of the server, the first of them first."""
        with open(os.path.join(self.dir, 'data', 'postmaster.pid')) as f:
            first = int(f.readline())
        p = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(first)], stdout=subprocess.PIPE, text=True)
        return [first] + [int(n) for n in p.stdout.split()]

    def freeze(self):
        """Every process of it stands still: connections stay, nobody answers."""
        frozen = set()
        while True:  # one may just have been born
            more = set(self.pids()) - frozen
            if not more:
                break
            for pid in more:
                os.kill(pid, signal.SIGSTOP)
            frozen |= more

    def thaw(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def sql(self, text, db='gatehouse'):
        """What psql prints: rows as lines, columns with | between."""
        p = subprocess.run(['psql', '-h', self.dir, '-U', 'gatehouse', '-d', db, '-Atqc', text], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if p.returncode:
            raise RuntimeError(p.stderr)
        return p.stdout.strip()

    def conninfo_of(self, name):
        return self.conninfo.replace('dbname=gatehouse', 'dbname=' + name)

    def database(self, name):
        """A new empty database; its conninfo."""
        self.sql('CREATE DATABASE ' + name, 'postgres')
        return self.conninfo_of(name)

    def close(self):
        """Ends it and removes what it had."""
        try:
            self.stop()
        except (subprocess.CalledProcessError, OSError):
            pass
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)


_shared = None


def shared():
    """The cluster of the whole run, or else of this process."""
    global _shared
    if _shared is None:
        root = os.environ.get('TEST_POSTGRESQL')
        if root:
            _shared = Cluster(root=root)  # it runs: this only asks where
        else:
            _shared = Cluster('max_connections=200')
            atexit.register(_shared.close)
    return _shared
