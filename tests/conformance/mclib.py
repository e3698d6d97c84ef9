"""memcached for tests: real ones, and one that lies.

    with mclib.Memcached() as m:      # on a free port of 127.0.0.1
        m.address, m.stop(), m.go(), m.kill(), m.start(), m.flush(), m.stored()
    with mclib.Liar() as l:           # the text protocol, as much of it as libmemcached speaks
        l.mode = 'other'              # see MODES
"""
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time

import gh


def connect(address, wait=5):
    host, _, port = address.rpartition(':')
    end = time.monotonic() + wait * gh.SLOW
    while True:
        try:
            return socket.create_connection((host, int(port)), 10)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


class Memcached:
    def __init__(self, megabytes=16):
        gh.need('memcached')
        self.megabytes, self.p = megabytes, None
        while not self.p:  # below those that connections take, so that it is still free when this one was killed
            self.port = random.randrange(20000, 32000)
            self.address = '127.0.0.1:%d' % self.port
            try:
                self.start()
            except RuntimeError:
                self.kill()

    def start(self):
        """Empty, on the same port. RuntimeError: it is another's."""
        user = ['-u', 'nobody'] if os.geteuid() == 0 else []
        with tempfile.TemporaryFile() as log:
            self.p = subprocess.Popen(['memcached', *user, '-l', '127.0.0.1', '-p', str(self.port), '-U', '0', '-m',
                                       str(self.megabytes), '-t', '1'], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        connect(self.address).close()
        if self.ask('stats\r\n').find(b'STAT pid %d\r\n' % self.p.pid) < 0:
            raise RuntimeError('port %d is taken' % self.port)

    def stop(self):
        self.p.send_signal(signal.SIGSTOP)

    def go(self):
        self.p.send_signal(signal.SIGCONT)

    def kill(self):
        if self.p:
            self.p.kill()
            self.p.wait()
        self.p = None

    def ask(self, text, end=b'END\r\n'):
        with connect(self.address) as s:
            s.sendall(text.encode())
            got = b''
            while not got.endswith(end):
                part = s.recv(65536)
                if not part:
                    break
                got += part
        return got

    def flush(self):
        self.ask('flush_all\r\n', b'OK\r\n')

    def stored(self):
        """name -> value, of everything that is in it."""
        found = {}
        for line in self.ask('lru_crawler metadump all\r\n').split(b'\n'):
            if line.startswith(b'key='):
                name = line.split()[0][4:].decode().replace('%3A', ':')
                head, _, rest = self.ask('get %s\r\n' % name).partition(b'\r\n')
                if head.startswith(b'VALUE'):
                    found[name] = rest[:int(head.split()[3])]
        return found

    def close(self):
        self.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# What is answered to `get`: what was asked for; what is under another name; the first that was ever put there; all but its last
# byte; bytes like it; bytes that are no protocol; after 0.3 s; a byte every 20 ms; a length that nobody has; nothing; an end.
MODES = ('honest', 'other', 'old', 'truncated', 'random', 'noise', 'late', 'trickle', 'huge', 'mute', 'hangup')
TIRESOME = ('noise', 'late', 'trickle', 'huge', 'mute', 'hangup')  # after which it is left alone for a second


class Liar:
    def __init__(self, seed=1):
        self.mode, self.random = 'honest', random.Random(seed)
        self.first, self.last, self.asked, self.connections = {}, {}, 0, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.open = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(s)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        f = s.makefile('rb')
        try:
            while True:
                words = f.readline().decode('latin-1').split()
                if not words or words[0] == 'quit':
                    break
                if words[0] == 'set':
                    value = f.read(int(words[4]) + 2)[:-2]
                    with self.lock:
                        self.first.setdefault(words[1], value)
                        self.last[words[1]] = value
                    s.sendall(b'STORED\r\n')
                elif words[0] == 'get':
                    self.get(s, words[1])
                elif words[0] == 'version':
                    s.sendall(b'VERSION 1.6.18\r\n')
                else:
                    s.sendall(b'ERROR\r\n')
        except (OSError, ValueError):
            pass
        with self.lock:
            self.open.discard(s)
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()

    def value(self, name):
        with self.lock:
            self.asked += 1
            v = self.last.get(name)
            if self.mode == 'other':
                v = next((v for k, v in sorted(self.last.items()) if k != name), None)
            elif self.mode == 'old':
                v = self.first.get(name)
            elif self.mode == 'truncated' and v:
                v = v[:-1]
            elif self.mode == 'random':
                v = self.random.randbytes(len(v) if v else 65)
        return v

    def get(self, s, name):
        mode, v = self.mode, self.value(name)
        if mode == 'noise':
            s.sendall(self.random.randbytes(300))
            return
        if mode == 'mute':
            return
        if mode == 'hangup':
            raise OSError
        if mode == 'huge':
            s.sendall(b'VALUE %s 0 9999999999\r\n' % name.encode() + bytes(100))
            return
        answer = b'END\r\n' if v is None else b'VALUE %s 0 %d\r\n%s\r\nEND\r\n' % (name.encode(), len(v), v)
        if mode == 'late':
            time.sleep(0.3)
        if mode == 'trickle':
            answer = b'VALUE %s 0 5000\r\n' % name.encode() + bytes(5000)
            for i in range(len(answer)):
                if self.mode != 'trickle':
                    raise OSError
                s.sendall(answer[i:i + 1])
                time.sleep(0.02)
            return
        s.sendall(answer)

    def close(self):
        self.mode = 'honest'
        self.listener.close()
        with self.lock:
            for s in self.open:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
