"""Two gateways side by side where a test asks for one (TEST_METADATA=pair): gh.Server starts a second gateway on the same
database and blob folder, and its addresses become those of a relay that gives every other connection to the second one. A
gh.Client makes a connection for each request then, so requests alternate. Whole scripts run like that, unchanged.

The promise between gateways is that one shows what was done on the other within 250 ms mostly, and a second ever
(ARCHITECTURE.md); that is tests/conformance/gateways.py's to measure. Here a client that crosses over to read waits until what
was done before is known there: a file of a tenant of its own is written on the gateway that it left, and asked for on the one
that it comes to. Who crosses over to write does not wait: conflicts, conditions, locks and limits are exact everywhere. Only
after the administrator's work everybody waits: tenants and people are known within the same time, and no sooner.

For a shell test (gh.sh) this is a program of its own: pairlib.py DATA ADDRESSES serves until SIGTERM. It does not hear of
commands, so there everybody waits at the begin of every connection.

The command line, the admin listener and `Server.proc` are the first gateway's; SIGKILL of it leaves the second one alive, and
connections that it would have had go there."""
import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import threading
import time

import gh

TENANT = 'pair-of-tests'
HOST = {'Host': 'pair-of-tests.example'}  # where only hosts of tenants are served, too
PROXIED = ('http', 'https', 'ftp', 'ftps')
# what changes nothing that the other gateway could have in memory
HARMLESS = (b'GET ', b'HEAD ', b'OPTIONS ', b'PROPFIND ', b'REPORT ', b'USER ', b'PASS ', b'NOOP', b'TYPE ', b'PWD', b'CWD',
            b'CDUP', b'LIST', b'NLST', b'MLSD', b'MLST', b'RETR ', b'SIZE ', b'MDTM ', b'EPSV', b'PASV', b'FEAT', b'SYST')


def reset(s):
    """Closed so that the other side sees a reset."""
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    except OSError:
        pass
    s.close()


class Crossing:
    """Who is behind whom, and the wait for it. Index: 0 the first gateway, 1 the second."""

    def __init__(self, servers):
        self.servers = servers
        self.lock = threading.Lock()
        self.behind = [False, False]  # does this one not know what was done on the other?
        self.house = [False, False]   # ... by the administrator, of tenants, people, rights
        self.since = [0.0, 0.0]
        self.clients = [None, None]
        self.number = 0
        self.blind = False  # others work on the first gateway, unheard

    def mark(self, done_on, house=False):
        self.since[1 - done_on] = time.monotonic()
        self.behind[1 - done_on] = True
        if house:
            self.house[1 - done_on] = True

    def client(self, i):
        host, _, port = self.servers[i].direct['http'].rpartition(':')
        if self.clients[i] is None or self.clients[i].port != int(port):
            self.clients[i] = gh.Client(host, int(port), TENANT + '/admin', gh.PASSWORD)
            self.clients[i].one_each = False
        return self.clients[i]

    def request(self, i, method, path, body=None):
        try:
            return self.client(i).request(method, path, HOST, body)
        except OSError:
            self.clients[i] = None  # it was killed
            return None

    def settle(self, to):
        """Until gateway `to` knows what was done on the other."""
        if not self.behind[to]:
            return
        with self.lock:
            if not self.behind[to]:
                return
            since, self.behind[to], self.house[to] = self.since[to], False, False
            self.number += 1
            text, path = b'%d' % self.number, '/dav/seen-by-%d' % to
            self.request(to, 'GET', path)  # so that it has it in memory, and is only told by the log that this is over
            r = self.request(1 - to, 'PUT', path, body=text)
            end = time.monotonic() + 10 * gh.SLOW
            while r is not None and r.status in (201, 204) and time.monotonic() < end:
                seen = self.request(to, 'GET', path)
                if seen is None or (seen.status == 200 and seen.body == text):
                    return  # or it is no more itself
                time.sleep(0.002)
            # who wrote it is no more: then by the clock
            time.sleep(max(0.0, since + 1.0 * gh.SLOW - time.monotonic()))


class Relay:
    """One listener's: each connection to the gateway whose turn it is."""

    def __init__(self, crossing, name):
        self.crossing, self.name = crossing, name
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=512)
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.turn = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, peer = self.listener.accept()
            except OSError:
                return
            self.turn += 1
            threading.Thread(target=self.serve, args=(client, peer, self.turn % 2), daemon=True).start()

    def connect(self, peer, first):
        """To that gateway, or where it is not there to the other; from the client's own address."""
        for i in (first, 1 - first):
            host, _, port = self.crossing.servers[i].direct.get(self.name, ':0').rpartition(':')
            try:
                return socket.create_connection((host, int(port)), 10, source_address=(peer[0], 0)), i
            except OSError:
                continue
        return None, 0

    def serve(self, client, peer, first):
        server, i = self.connect(peer, first)
        if server is None:
            reset(client)
            return
        server.settimeout(None)
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.crossing.blind:
            self.crossing.mark(1 - i, house=True)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        try:
            self.carry(client, server, i)
        except OSError:  # reset, or not read any more: the other side hears the same
            reset(client)
            reset(server)

    def carry(self, client, server, i):
        ends = {client: server, server: client}
        poll = select.poll()  # a test may have more connections than select() can
        by_fd = {s.fileno(): s for s in ends}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        harmless, secret = False, self.name.endswith('s')
        while ends:
            for s in [by_fd[fd] for fd, _ in poll.poll()]:
                part = s.recv(1 << 16)
                other = client if s is server else server
                if not part:
                    other.shutdown(socket.SHUT_WR)
                    del ends[s]
                    poll.unregister(s)
                    continue
                if s is client:
                    harmless = part.startswith(HARMLESS)
                    if harmless or secret or self.crossing.house[i]:
                        self.crossing.settle(i)
                elif not harmless:
                    self.crossing.mark(i)
                try:
                    other.sendall(part)
                except OSError:  # it hears no more of this side, but may have said something before: who is refused early
                    del ends[s]
                    poll.unregister(s)
        client.close()
        server.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Pair:
    """The second gateway of a gh.Server, and what stands in front of both."""

    def __init__(self, first):
        self.first = first
        top = os.path.join(first.top, 'second')
        os.makedirs(top, exist_ok=True)
        args = list(first.args)
        at = args.index('-c') + 1
        with open(args[at]) as f:
            text = f.read()
        if 'blobs:\n' not in text:
            text += 'blobs:\n'
        if not re.search(r'^blobs:\n(  .*\n)*  path:', text, re.M):
            text = text.replace('blobs:\n', 'blobs:\n  path: %s\n' % os.path.join(first.data, 'blobs'))
        args[at] = os.path.join(top, 'gatehouse.conf')
        with open(args[at], 'w') as f:
            f.write(text)
        self.second = gh.Server(args=args, data=os.path.join(top, 'data'), start=False)
        self.crossing = Crossing((first, self.second))
        self.relays = {}
        self.made = False

    def start(self):
        """After the first one: what is not running is started, and the addresses are the relay's."""
        self.first.direct = dict(self.first.addresses)
        if not self.second.alive():
            self.second.kill9()
            self.second.env = {k: v for k, v in self.first.env.items() if k != 'GATEHOUSE_CRASH_AT'}
            self.second.start()
            self.second.direct = dict(self.second.addresses)
        if not self.made:
            self.first.cli('tenant', 'add', TENANT)
            self.first.cli('tenant', 'set', TENANT, '--host', HOST['Host'])
            self.first.user(TENANT + '/admin', '--owner')
            self.made = True
        for name in PROXIED:
            if name in self.first.direct:
                if name not in self.relays:
                    self.relays[name] = Relay(self.crossing, name)
                self.first.addresses[name] = self.relays[name].address
        self.crossing.mark(0, house=True)

    @contextlib.contextmanager
    def at_first(self):
        if self.made:
            self.crossing.settle(0)
        yield
        self.crossing.mark(0, house=True)

    def stop(self):
        return self.second.stop()

    def close(self):
        for r in self.relays.values():
            r.close()
        self.second.close()


def main(data, addresses):
    """A pair for a shell test."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    s = gh.Server(data=data, start=False)
    try:
        s.start()
        s.pair.crossing.blind = True
        with open(addresses + '.new', 'w') as f:
            json.dump(s.addresses, f)
        os.rename(addresses + '.new', addresses)
        over.wait()
    finally:
        s.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
