"""Clients of every door in every state that a rule of the switchboard may meet: at the door, idle, downloading,
uploading. For switch.py and switch_load.py. Each actor can go on a little (step: it notices nothing), be told (words,
cut), or come to its end (finish)."""
import os
import select
import socket
import time

import ftpraw
import gh

BIG = 12 << 20
UP = 4 << 20
STEP = 16 << 10
WAIT_S = 8 * gh.SLOW
_block = os.urandom(1 << 16)
BIG_DATA = _block * (BIG >> 16)
UP_DATA = bytes(reversed(_block)) * (UP >> 16)
OLD = b'what was there before'

DAV, FTP, REST, WEB = 'webdav', 'ftp', 'rest', 'web'
PREFIX = {DAV: '/dav', REST: '/api/v1/content', WEB: ''}


class Answer:
    """One HTTP answer, or None as status when the connection ended without one."""

    def __init__(self, status, head, body, closed):
        self.status, self.head, self.body, self.closed = status, head, body, closed

    def field(self, name):
        for line in self.head.split('\r\n')[1:]:
            k, _, v = line.partition(':')
            if k.lower() == name.lower():
                return v.strip()
        return None

    @property
    def text(self):
        return self.body.decode('utf-8', 'replace')

    def __repr__(self):
        return '<%s %r>' % (self.status, self.body[:200])


class Http:
    """One connection, byte by byte."""

    def __init__(self, server, door, user, rcvbuf=0):
        self.door, self.user = door, user
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(WAIT_S)
        self.sock.connect(server.address('http'))
        self.buf = b''

    def ask(self, method, target, fields='', auth=True):
        head = '%s %s HTTP/1.1\r\nHost: h\r\n' % (method, target)
        if auth:
            head += 'Authorization: %s\r\n' % gh.basic(self.user, gh.PASSWORD)
        self.sock.sendall((head + fields + '\r\n').encode())

    def more(self):
        try:
            part = self.sock.recv(1 << 18)
        except ConnectionError:
            part = b''
        self.buf += part
        return bool(part)

    def head(self):
        """Status and header block; (None, '') when the connection ended."""
        while b'\r\n\r\n' not in self.buf:
            if not self.more():
                return None, ''
        raw, self.buf = self.buf.split(b'\r\n\r\n', 1)
        head = raw.decode('latin-1')
        status = int(head.split(' ')[1])
        return self.head() if status == 100 else (status, head)

    def answer(self):
        status, head = self.head()
        a = Answer(status, head, b'', False)
        length = a.field('Content-Length')
        chunked = (a.field('Transfer-Encoding') or '').lower() == 'chunked'
        while chunked and not self.buf.endswith(b'0\r\n\r\n') and self.more():
            pass
        while length and len(self.buf) < int(length) and self.more():
            pass
        n = len(self.buf) if chunked or not length else int(length)
        a.body, self.buf = self.buf[:n], self.buf[n:]
        a.closed = (a.field('Connection') or '').lower() == 'close'
        return a

    def quiet(self):
        """Has nothing been said by the server?"""
        return not self.buf and not select.select([self.sock], [], [], 0)[0]

    def close(self):
        self.sock.close()


LOOK = {DAV: ('PROPFIND', '/dav/', 'Depth: 0\r\n'), REST: ('GET', '/api/v1/stat/small.txt', ''),
        WEB: ('GET', '/small.txt', '')}


class HttpIdle(Http):
    """A connection between two requests."""

    def __init__(self, server, door, user):
        super().__init__(server, door, user)
        self.step()

    def words(self):
        self.ask(*LOOK[self.door])
        return self.answer()

    def step(self):
        a = self.words()
        return a.status in (200, 207) or a


class HttpDownload(Http):
    def __init__(self, server, door, user):
        super().__init__(server, door, user, rcvbuf=32768)
        self.ask('GET', PREFIX[door] + '/big.bin')
        status, _ = self.head()
        assert status == 200, status
        self.got = 0
        self.step()

    def take(self):
        self.got += len(self.buf)
        self.buf = b''

    def step(self):
        want = self.got + STEP
        while self.got < want:
            if not self.more():
                return 'ended after %d bytes' % self.got
            self.take()
        return True

    def cut(self):
        """Reads to the end, which comes too early; None if it came whole."""
        while self.got < BIG and self.more():
            self.take()
        return None if self.got == BIG else self.got

    def finish(self):
        return self.cut() is None


class HttpUpload(Http):
    def __init__(self, server, door, user):
        super().__init__(server, door, user)
        self.ask('PUT', '%s/up-%s.bin' % (PREFIX[door], door), 'Content-Length: %d\r\n' % UP)
        self.sent = 0
        self.step()

    def step(self):
        if not self.quiet():
            return self.answer()
        self.sock.sendall(UP_DATA[self.sent:self.sent + STEP])
        self.sent += STEP
        return True

    def words(self):
        return self.answer()

    def finish(self):
        self.sock.sendall(UP_DATA[self.sent:])
        return self.answer().status in (201, 204)


# ---- FTP: words are (code, text); gone: the session has ended behind them ----

class FtpIdle:
    def __init__(self, server, door, user):
        self.ftp = ftpraw.Ftp(server, user, timeout=8)
        self.data = None

    def step(self):
        return self.ftp('NOOP') == 200 or self.ftp.text

    def words(self):
        """What the server says without being asked."""
        try:
            return self.ftp.reply(), self.ftp.text
        except ftpraw.Gone:
            return None, 'gone'

    def gone(self):
        return self.ftp.gone()

    def lives(self):
        return self.ftp('NOOP') == 200

    def close(self):
        if self.data:
            self.data.close()
        self.ftp.close()


class FtpDownload(FtpIdle):
    def __init__(self, server, door, user):
        super().__init__(server, door, user)
        port = self.ftp.passive_port()
        self.data = socket.socket()
        self.data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        self.data.settimeout(WAIT_S)
        self.data.connect((self.ftp.address[0], port))
        assert self.ftp('RETR big.bin') == 150, self.ftp.text
        self.got = 0
        self.step()

    def more(self):
        try:
            n = len(self.data.recv(1 << 18))
        except ConnectionError:
            n = 0
        self.got += n
        return bool(n)

    def step(self):
        want = self.got + STEP
        while self.got < want:
            if not self.more():
                return 'ended after %d bytes' % self.got
        return True

    def cut(self):
        while self.got < BIG and self.more():
            pass
        return None if self.got == BIG else self.got

    def finish(self):
        return self.cut() is None and self.words()[0] == 226


class FtpUpload(FtpIdle):
    def __init__(self, server, door, user):
        super().__init__(server, door, user)
        self.data = self.ftp.passive()
        assert self.ftp('STOR up-ftp.bin') == 150, self.ftp.text
        self.sent = 0
        self.step()

    def step(self):
        if select.select([self.ftp.sock], [], [], 0)[0]:
            return self.words()
        self.data.sendall(UP_DATA[self.sent:self.sent + STEP])
        self.sent += STEP
        return True

    def finish(self):
        self.data.sendall(UP_DATA[self.sent:])
        self.data.close()
        return self.words()[0] == 226


IDLE = {DAV: HttpIdle, REST: HttpIdle, WEB: HttpIdle, FTP: FtpIdle}
DOWN = {DAV: HttpDownload, REST: HttpDownload, WEB: HttpDownload, FTP: FtpDownload}
UPLOAD = {DAV: HttpUpload, REST: HttpUpload, FTP: FtpUpload}


def op(server, name, **args):
    """A control operation over the admin socket: (true and its result) or (false and the message)."""
    return server.control(name, **args)


def must(server, name, **args):
    good, result = op(server, name, **args)
    assert good, '%s %r: %s' % (name, args, result)
    return result


def until(condition, seconds):
    """Does it become true in time?"""
    end = time.monotonic() + seconds * gh.SLOW
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
