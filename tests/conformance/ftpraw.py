"""An FTP client that sends exactly the bytes it is told and takes replies apart strictly; for ftp.py and
ftp_hostile.py."""
import re
import socket
import struct
import time

import gh


class Gone(Exception):
    """The connection ended where a reply was due."""


class Ftp:
    def __init__(self, server, user=None, password=gh.PASSWORD, timeout=15, source=None):
        self.address = server.address('ftp')
        self.sock = socket.create_connection(self.address, timeout=timeout * gh.SLOW,
                                             source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b''
        self.text = ''
        self.greeting = self.reply()
        if user:
            assert self('USER ' + user) == 331, self.text
            assert self('PASS ' + password) == 230, self.text
            assert self('TYPE I') == 200, self.text

    # ---- control connection ----

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def _line(self):
        while b'\n' not in self.buf:
            try:
                part = self.sock.recv(65536)
            except ConnectionResetError:
                part = b''
            if not part:
                raise Gone(self.buf)
            self.buf += part
        line, self.buf = self.buf.split(b'\n', 1)
        assert line.endswith(b'\r'), 'a reply line without CR: %r' % line
        return line[:-1]

    def reply(self):
        """One whole reply: its code; text has all of it. Checks the form of RFC 959 section 4.2."""
        lines = [self._line()]
        m = re.match(rb'([1-5][0-9][0-9])([ -])', lines[0])
        assert m, 'not a reply: %r' % lines[0]
        if m.group(2) == b'-':
            end = m.group(1) + b' '
            while not lines[-1].startswith(end):
                lines.append(self._line())
                assert lines[-1].startswith(end) or not re.match(rb'[0-9]{3}[ -]', lines[-1]), lines
        raw = b'\r\n'.join(lines)
        assert not re.search(rb'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]', raw), 'control characters in a reply: %r' % raw
        self.text = raw.decode('utf-8')
        return int(m.group(1))

    def __call__(self, line):
        """Send one line, return the code of its reply."""
        self.send((line if isinstance(line, bytes) else line.encode()) + b'\r\n')
        return self.reply()

    def silent(self, seconds=0.15):
        """Does nothing more come? (A reply too many would.)"""
        if self.buf:
            return False
        self.sock.settimeout(seconds * gh.SLOW)
        try:
            part = self.sock.recv(65536)
            self.buf += part
            return part == b''
        except (socket.timeout, TimeoutError, BlockingIOError):
            return True
        finally:
            self.sock.settimeout(15 * gh.SLOW)

    def gone(self, seconds=5):
        """Is the connection closed within that time?"""
        self.sock.settimeout(seconds * gh.SLOW)
        try:
            return self.sock.recv(65536) == b''
        except ConnectionResetError:
            return True
        except (socket.timeout, TimeoutError):
            return False

    def close(self):
        self.sock.close()

    def reset(self):
        reset(self.sock)

    # ---- data connection ----

    def passive_port(self):
        assert self('EPSV') == 229, self.text
        return int(re.search(r'\(\|\|\|(\d+)\|\)', self.text).group(1))

    def passive(self):
        return socket.create_connection((self.address[0], self.passive_port()), timeout=15 * gh.SLOW)

    def active(self):
        """A listener, announced by PORT or EPRT."""
        listener = socket.create_server((self.sock.getsockname()[0], 0), family=self.sock.family)
        host, port = listener.getsockname()[:2]
        if self.sock.family == socket.AF_INET:
            code = self('PORT %s,%d,%d' % (host.replace('.', ','), port >> 8, port & 255))
        else:
            code = self('EPRT |2|%s|%d|' % (host, port))
        assert code == 200, self.text
        listener.settimeout(15 * gh.SLOW)
        return listener

    def get(self, command, rest=0):
        """A download or listing: (code of the final reply, bytes); (code, None) when refused before."""
        data = self.passive()
        if rest:
            assert self('REST %d' % rest) == 350, self.text
        code = self(command)
        if code != 150:
            data.close()
            return code, None
        out = read_all(data)
        return self.reply(), out

    def put(self, command, content, rest=0):
        data = self.passive()
        if rest:
            assert self('REST %d' % rest) == 350, self.text
        code = self(command)
        if code != 150:
            data.close()
            return code
        try:
            data.sendall(content)
        except (BrokenPipeError, ConnectionResetError):
            pass
        data.close()
        return self.reply()


def read_all(sock):
    out = []
    try:
        while True:
            part = sock.recv(1 << 20)
            if not part:
                break
            out.append(part)
    except ConnectionResetError:
        out.append(None)  # cut: joins fail loudly unless the test expects it
    sock.close()
    return b''.join(out) if None not in out else None


def reset(sock):
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


def until(condition, seconds=10):
    end = time.monotonic() + seconds * gh.SLOW
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
