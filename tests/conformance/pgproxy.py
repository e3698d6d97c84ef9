"""A proxy between gateway and PostgreSQL that knows where messages begin and end, counts them, and does harm on command.

    proxy = pgproxy.Proxy(pg)                    # pg: a pglib.Cluster
    conninfo = proxy.conninfo('acme')            # the same database, through the proxy
    proxy.rule = lambda m: pgproxy.CUT if m.type == b'C' and m.body == b'COMMIT\\0' else None

A rule sees each message before it is passed on, and returns what is to happen to it: None (pass it on), CUT (both
connections end, the message is lost), STALL (neither this nor anything after it is passed on in this direction, until the
connection ends), a number (pass it on after so many seconds), or bytes (these are passed on in its place). It is called from
many threads, under one lock, so that it may keep its own count.

    proxy.deaf(True)     whoever comes is shut out at once; what is connected is cut
    proxy.counted()      what has passed since the last reset(): see Counts

Only for connections without TLS (a unix socket)."""
import os
import shutil
import socket
import struct
import tempfile
import threading
import time

CUT = 'cut'
STALL = 'stall'


class Message:
    """forth: from the gateway (else from the server). type: b'' for the one that opens a connection. index: its number in
    its connection and direction. link: the connection."""

    def __init__(self, link, forth, kind, raw, index):
        self.link, self.forth, self.type, self.raw, self.index = link, forth, kind, raw, index

    @property
    def body(self):
        return self.raw[5:] if self.type else self.raw[4:]

    def __repr__(self):
        return '%s%s %r' % ('>' if self.forth else '<', self.type.decode() or 'startup', self.body[:60])


class Counts:
    """messages: (forth?, type) -> how many. trips: how often the gateway spoke after the server had answered all that was
    asked before (as many times it waited for the network). executed: how many statements it had executed."""

    def __init__(self):
        self.messages, self.trips, self.executed, self.connections = {}, 0, 0, 0


class Link:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.answered = True  # the server has said that it is ready
        self.stalled = {True: False, False: False}

    def cut(self):
        for s in (self.client, self.server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Proxy:
    def __init__(self, pg):
        self.pg = pg
        self.dir = tempfile.mkdtemp(prefix='gh-px-')
        os.chmod(self.dir, 0o755)
        path = os.path.join(self.dir, '.s.PGSQL.5432')
        self.rule = None
        self.lock = threading.Lock()
        self.links = set()
        self.counts = Counts()
        self.is_deaf = False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o777)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def conninfo(self, name='gatehouse'):
        return self.pg.conninfo_of(name).replace('host=' + self.pg.dir, 'host=' + self.dir)

    def deaf(self, yes):
        with self.lock:
            self.is_deaf = yes
            links = list(self.links) if yes else []
        for link in links:
            link.cut()

    def reset(self):
        """Starts counting anew; returns what was counted until now."""
        with self.lock:
            counts, self.counts = self.counts, Counts()
        return counts

    counted = reset

    def close(self):
        self.listener.close()
        self.deaf(True)
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- inside ----

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self.is_deaf:
                    raise OSError
                server.connect(os.path.join(self.pg.dir, '.s.PGSQL.5432'))
            except OSError:
                client.close()
                server.close()
                continue
            link = Link(client, server)
            with self.lock:
                self.links.add(link)
                self.counts.connections += 1
            for forth in (True, False):
                threading.Thread(target=self._pump, args=(link, forth), daemon=True).start()

    def _judge(self, m):
        with self.lock:
            c = self.counts
            c.messages[m.forth, m.type] = c.messages.get((m.forth, m.type), 0) + 1
            if m.forth:
                if m.link.answered:
                    c.trips += 1
                m.link.answered = False
                c.executed += m.type in (b'E', b'Q')
            elif m.type == b'Z':
                m.link.answered = True
            return self.rule(m) if self.rule else None

    def _pump(self, link, forth):
        source, sink = (link.client, link.server) if forth else (link.server, link.client)
        held, index, head = b'', 0, forth  # the first message of a client has no type
        try:
            while True:
                part = source.recv(1 << 16)
                if not part:
                    break
                if link.stalled[forth]:
                    continue
                held += part
                out = []
                while True:
                    at = 0 if head else 1
                    if len(held) < at + 4:
                        break
                    size = at + struct.unpack_from('>I', held, at)[0]
                    if len(held) < size:
                        break
                    m = Message(link, forth, b'' if head else held[:1], held[:size], index)
                    held, index, head = held[size:], index + 1, False
                    verdict = self._judge(m)
                    if verdict is None:
                        out.append(m.raw)
                        continue
                    if out:
                        sink.sendall(b''.join(out))  # what came before has come before
                        out = []
                    if verdict == CUT:
                        return
                    if verdict == STALL:
                        link.stalled[forth] = True
                        break
                    if isinstance(verdict, bytes):
                        out.append(verdict)
                        continue
                    time.sleep(verdict)
                    out.append(m.raw)
                if out:
                    sink.sendall(b''.join(out))
        except OSError:
            pass
        finally:
            link.cut()
            with self.lock:
                self.links.discard(link)
            source.close()


def error(state, text):
    """An ErrorResponse of the server."""
    fields = b'SERROR\0VERROR\0C' + state.encode() + b'\0M' + text.encode() + b'\0\0'
    return b'E' + struct.pack('>I', 4 + len(fields)) + fields
