#!/usr/bin/python3
# What FTP (RFC 959, 1123, 2389, 2428, 2640, 3659, 7151) wants, command by command, with replies taken apart strictly;
# and a day's work with Python's ftplib, seen from the other doors too.
# suite: quick
# sanitizers: asan
# metadata: sqlite postgresql pair
import ftplib
import io
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh
from ftpraw import Ftp, Gone, read_all, until

t = gh.Checks()
BIG = bytes(range(256)) * 12000 + b'the end'


def before_login(s):
    f = Ftp(s)
    t.eq(f.greeting, 220, 'greeting')
    t.ok('\n' not in f.text, 'the greeting is one line')
    for line, code in (('FEAT', 211), ('OPTS UTF8 ON', 200), ('SYST', 215), ('HELP', 214), ('NOOP', 200),
                       ('ACCT x', 202), ('SMNT x', 502), ('PASS x', 503), ('LIST', 530), ('STAT', 530),
                       ('SITE HELP', 530), ('PWD', 530),
                       ('AUTH TLS', 502), ('PBSZ 0', 502), ('PROT P', 502), ('HOST', 501), ('HOST bad host', 501),
                       ('HOST files.example.org', 220), ('HOST [2001:db8::1]', 220), ('USER', 501), ('noop', 200),
                       ('CLNT test', 200)):
        t.eq(f(line), code, 'before login: ' + line)
    t.eq(f('USER nobody-here'), 331, 'an unknown user is asked for a password')
    start = time.monotonic()
    t.eq(f('PASS x'), 530, 'unknown user')
    t.ok(time.monotonic() - start >= 0.9, 'a failed login is answered late')
    unknown = f.text
    f('USER admin')
    t.eq(f('PASS wrong'), 530, 'wrong password')
    t.eq(f.text, unknown, 'unknown user and wrong password sound alike')
    f('USER admin')
    t.eq(f('PASS '), 530, 'empty password')
    f('USER admin')
    t.eq(f('HOST x'), 503, 'HOST after USER')
    t.eq(f('PASS ' + gh.PASSWORD), 230, 'login')
    t.eq(f('HOST x'), 503, 'HOST after login')
    t.eq(f('USER admin'), 503, 'USER after login')
    t.eq(f('REIN'), 220, 'REIN')
    t.eq(f('PWD'), 530, 'nobody after REIN')
    t.eq(f('QUIT'), 221, 'QUIT')
    t.ok(f.gone(), 'closed after QUIT')


def names_of_users(s):
    s.tenant('acme')
    for name in ('acme/admin', 'admin$acme'):
        f = Ftp(s, name)
        t.eq(f('STAT'), 211, 'STAT')
        t.has(f.text, 'acme', 'logged in to acme as ' + name)
        f.close()


def modes(s):
    f = Ftp(s, 'admin')
    for line, code in (('TYPE A', 200), ('TYPE A N', 200), ('TYPE a n', 200), ('TYPE I', 200), ('TYPE L 8', 200),
                       ('TYPE A T', 504), ('TYPE E', 504), ('TYPE L 7', 504), ('TYPE', 501), ('TYPE X', 504),
                       ('MODE S', 200), ('MODE B', 504), ('MODE C', 504), ('STRU F', 200), ('STRU R', 504),
                       ('ALLO 10', 202), ('ALLO 10 R 20', 202), ('ALLO x', 501),
                       ('ACCT x', 202), ('REST x', 501), ('REST -1', 501),
                       ('REST 99999999999999999999', 501), ('REST 0', 350), ('SITE HELP', 214), ('SITE FROB', 504),
                       ('OPTS UTF8 OFF', 504), ('OPTS FROB', 501), ('OPTS MLST type;size;frob;', 200), ('XFROB', 500),
                       ('ABOR', 225), ('EPSV 3', 522), ('EPSV x', 501), ('EPSV 2', 522), ('EPSV 1', 229),
                       ('EPRT |3|1|2|', 522), ('EPRT', 501), ('PORT 1,2,3', 501), ('EPSV ALL', 200), ('PASV', 503),
                       ('PORT 127,0,0,1,100,100', 503), ('EPRT |1|127.0.0.1|5000|', 503), ('EPSV', 229)):
        t.eq(f(line), code, line)
    t.eq(f('FEAT'), 211, 'FEAT')
    t.has(f.text, '\r\n MLST type*;size*;modify;unique;perm;UNIX.mode;\r\n', 'asterisks follow OPTS')
    t.ok(all(l.startswith(' ') for l in f.text.split('\r\n')[1:-1]), 'features are indented')
    f('REIN')
    t.eq(f('FEAT'), 211, 'FEAT again')
    t.has(f.text, 'MLST type*;size*;modify*;', 'REIN forgets OPTS')
    t.hasnt(f.text, 'AUTH', 'no AUTH without TLS')
    f.close()


def folders(s):
    f = Ftp(s, 'admin')
    t.eq(f('PWD'), 257, 'PWD')
    t.has(f.text, '257 "/" ', 'the root')
    t.eq(f('MKD say "hi"'), 257, 'a folder with quotes')
    t.has(f.text, '257 "/say ""hi""" ', 'quotes are doubled')
    t.eq(f('MKD say "hi"'), 550, 'a folder that exists')
    t.eq(f('CWD say "hi"'), 250, 'CWD')
    t.eq(f('XPWD'), 257, 'XPWD')
    t.has(f.text, '"/say ""hi"""', 'doubled in PWD too')
    t.eq(f('XMKD a/b'), 550, 'no parent')
    t.eq(f('MKD a'), 257, 'MKD relative')
    t.eq(f('CWD a'), 250, 'CWD deeper')
    t.eq(f('CDUP'), 250, 'CDUP')
    t.eq(f('CWD ../../../..'), 250, 'up stops at the root')
    f('PWD')
    t.has(f.text, '"/"', 'at the root')
    t.eq(f('CWD /none'), 550, 'CWD to nothing')
    t.eq(f('RMD say "hi"'), 550, 'RMD of a full folder')
    t.eq(f('XRMD say "hi"/a'), 250, 'XRMD')
    t.eq(f('RMD say "hi"'), 250, 'RMD')
    t.eq(f('RMD say "hi"'), 550, 'RMD again')
    f.put('STOR file', b'x')
    t.eq(f('CWD file'), 550, 'CWD to a file')
    t.eq(f('RMD file'), 550, 'RMD of a file')
    f('MKD dir')
    t.eq(f('DELE dir'), 550, 'DELE of a folder')
    t.eq(f('DELE file'), 250, 'DELE')
    t.eq(f('DELE file'), 550, 'DELE again')
    t.eq(f('RMD dir'), 250, 'RMD')
    # Names are bytes of the client's, to the last space; controls, backslash and broken UTF-8 are no names.
    for name in (' leading', 'trailing ', 'grüße €', 'a;b=c', '-rf', '%41', '*'):
        t.eq(f.put('STOR ' + name, name.encode()), 226, 'STOR %r' % name)
        t.eq(f.get('RETR ' + name), (226, name.encode()), 'RETR %r' % name)
        t.eq(f('MLST ' + name), 250, 'MLST %r' % name)
        t.has(f.text, '; /' + name + '\r\n', 'exactly one space before the path')
        t.eq(f('DELE ' + name), 250, 'DELE %r' % name)
    for name in (b'a\\b', b'\xc3', b'\xc0\xaf', b'\xed\xa0\x80', b'a\tb', b'a\x7fb', b'x' * 256):
        t.among(f(b'MKD ' + name), (501, 553), 'MKD %r' % name[:20])
    f.close()


def renaming(s):
    f = Ftp(s, 'admin')
    f.put('STOR a', b'aaa')
    f.put('STOR b', b'bbb')
    f('MKD d')
    f.put('STOR d/x', b'x')
    t.eq(f('RNTO b'), 503, 'RNTO alone')
    t.eq(f('RNFR none'), 550, 'RNFR of nothing')
    t.eq(f('RNTO c'), 503, 'RNTO after a refused RNFR')
    t.eq(f('RNFR a'), 350, 'RNFR')
    t.eq(f('RNTO d'), 550, 'a file does not replace a folder')
    t.eq(f('RNFR a'), 350, 'RNFR')
    t.eq(f('RNTO b'), 250, 'a file replaces a file')
    t.eq(f.get('RETR b'), (226, b'aaa'), 'the new content')
    t.eq(f('SIZE a'), 550, 'the old name is free')
    t.eq(f('RNFR d'), 350, 'RNFR folder')
    t.eq(f('RNTO e'), 250, 'a folder moves')
    t.eq(f.get('RETR e/x'), (226, b'x'), 'with what is in it')
    t.eq(f('RNFR e'), 350, 'RNFR folder')
    t.among(f('RNTO e/inside'), (550, 553), 'not into itself')
    t.eq(f('RNFR b'), 350, 'RNFR')
    t.eq(f('RNTO B'), 250, 'a change of case only')
    code, names = f.get('NLST')
    t.has(names.split(b'\r\n'), b'B', 'is shown')
    f('DELE B'), f('DELE e/x'), f('RMD e')
    f.close()


def transfers(s):
    f = Ftp(s, 'admin')
    t.eq(f('RETR none'), 425, 'no data connection')
    t.eq(f.get('RETR none')[0], 550, 'RETR of nothing')
    t.eq(f.put('STOR big', BIG), 226, 'STOR')
    t.eq(f.get('RETR big'), (226, BIG), 'RETR')
    t.eq(f('SIZE big'), 213, 'SIZE')
    t.eq(f.text, '213 %d' % len(BIG), 'SIZE tells it')
    for at in (1, 65536, len(BIG) - 1, len(BIG)):
        t.eq(f.get('RETR big', rest=at), (226, BIG[at:]), 'REST %d' % at)
    t.eq(f.get('RETR big', rest=len(BIG) + 1)[0], 554, 'REST behind the end')
    t.eq(f.get('RETR big'), (226, BIG), 'REST holds for one transfer')
    t.eq(f.put('STOR big', b'XYZ', rest=1000), 226, 'STOR in the middle cuts what follows')
    t.eq(f.get('RETR big'), (226, BIG[:1000] + b'XYZ'), 'REST + STOR')
    t.eq(f.put('APPE big', b'123'), 226, 'APPE')
    t.eq(f.get('RETR big'), (226, BIG[:1000] + b'XYZ123'), 'appended')
    t.eq(f.put('APPE fresh', b'123'), 226, 'APPE makes a file')
    t.eq(f.put('STOR big', b'', rest=99999999), 554, 'STOR behind the end')
    t.eq(f.put('STOR empty', b''), 226, 'an empty file')
    t.eq(f.get('RETR empty'), (226, b''), 'stays empty')
    t.eq(f('RETR empty'), 425, 'one data connection serves one transfer')
    t.among(f.put('STOR none/x', b'x'), (550, 553), 'no folder')
    f('MKD d')
    t.eq(f.put('STOR d', b'x'), 550, 'STOR onto a folder')
    t.eq(f.get('RETR d')[0], 550, 'RETR of a folder')
    data = f.passive()
    t.eq(f('STOU'), 150, 'STOU')
    name = re.match(r'150 FILE: (\S+)$', f.text).group(1)
    data.sendall(b'unique')
    data.close()
    t.eq(f.reply(), 226, 'STOU ends')
    t.eq(f.get('RETR ' + name), (226, b'unique'), 'under the name that was told')
    data = f.passive()
    t.eq(f('RETR fresh'), 150, 'RETR')
    t.has(f.text, '(3 bytes)', '150 tells the size')
    t.eq(read_all(data), b'123', 'RETR')
    t.eq(f.reply(), 226, 'RETR')
    listener = f.active()
    t.eq(f('RETR fresh'), 150, 'active RETR')
    t.eq(read_all(listener.accept()[0]), b'123', 'active bytes')
    t.eq(f.reply(), 226, 'active RETR')
    listener.close()
    t.eq(f('PASV'), 227, 'PASV')
    t.ok(re.search(r'\(127,0,0,1,\d+,\d+\)', f.text), 'PASV tells address and port')
    for name in ('big', 'fresh', 'empty', name):
        f('DELE ' + name)
    f('RMD d')
    f.close()


def ascii(s):
    f = Ftp(s, 'admin')
    f('TYPE A')
    t.eq(f('SIZE x'), 550, 'SIZE in TYPE A')
    t.eq(f('REST 5'), 501, 'REST in TYPE A')
    t.eq(f('REST 0'), 350, 'REST 0 in TYPE A')
    # A line end on every border of the windows on the way.
    borders = (0, 1, 65533, 65534, 65535, 131070, 262141, 262142, 262143, 3)
    text = b''.join(b'x' * n + b'\r\n' for n in borders) + b'\r\rz\r'
    t.eq(f.put('STOR t', text), 226, 'STOR in TYPE A')
    t.eq(f.get('RETR t'), (226, text), 'and back')
    f('TYPE I')
    t.eq(f.get('RETR t'), (226, text.replace(b'\r\n', b'\n')), 'stored with LF')
    t.eq(f.put('STOR t', b'a\nb\r\nc'), 226, 'STOR in TYPE I')
    f('TYPE A')
    t.eq(f.get('RETR t'), (226, b'a\r\nb\r\nc'), 'CRLF is not doubled')
    f('DELE t')
    f.close()


def listings(s):
    f = Ftp(s, 'admin')
    f('MKD l')
    f('MKD l/sub')
    f('MKD empty')
    f.put('STOR l/file', b'12345')
    f('MFMT 20200229123456 l/file')
    for verb in ('NLST', 'LIST', 'MLSD', 'LIST -la', 'NLST -a'):
        t.eq(f.get(verb + ' empty'), (226, b''), verb + ' of an empty folder')
        t.eq(f.get(verb + ' none')[0], 550, verb + ' of nothing')
    t.eq(f.get('NLST l'), (226, b'l/file\r\nl/sub\r\n'), 'NLST of another folder gives usable paths')
    t.eq(f.get('NLST /l/'), (226, b'/l/file\r\n/l/sub\r\n'), 'NLST with a slash')
    t.eq(f.get('NLST l/file'), (226, b'l/file\r\n'), 'NLST of a file')
    code, out = f.get('LIST l')
    lines = out.decode().split('\r\n')
    t.eq(len(lines), 3, 'LIST has a line each')
    t.ok(re.match(r'-rw-r--r-- +1 ftp +ftp +5 Feb 29  2020 file$', lines[0]), 'a line of LIST', lines[0])
    t.ok(re.match(r'drwxr-xr-x +1 ftp +ftp +0 \w{3} [ \d]\d \d\d:\d\d sub$', lines[1]), 'a folder in LIST', lines[1])
    t.eq(f.get('LIST l/file')[1].decode(), lines[0] + '\r\n', 'LIST of a file')
    t.eq(f('CWD l'), 250, 'CWD')
    t.eq(f.get('NLST'), (226, b'file\r\nsub\r\n'), 'NLST here')
    t.eq(f.get('LIST -a')[1], out, 'LIST -a here')
    code, out = f.get('MLSD')
    t.ok(re.match(rb'type=file;size=5;modify=20200229123456;unique=[0-9a-f]+;perm=adfrw;UNIX.mode=0644; file\r\n'
                  rb'type=dir;modify=\d{14};unique=[0-9a-f]+;perm=cdeflmp;UNIX.mode=0755; sub\r\n$', out), 'MLSD', out)
    t.eq(f.get('MLSD file')[0], 501, 'MLSD of a file')
    t.eq(f('MLST file'), 250, 'MLST')
    t.ok(re.match(r'250-[^\r]*\r\n type=file;size=5;\S+; /l/file\r\n250 ', f.text), 'MLST', f.text)
    t.eq(f('MLST'), 250, 'MLST here')
    t.has(f.text, '; /l\r\n', 'MLST here')
    t.eq(f('MLST none'), 550, 'MLST of nothing')
    t.eq(f('OPTS MLST size;type;'), 200, 'OPTS MLST')
    t.has(f.text, 'type;size;', 'OPTS MLST')
    t.eq(f.get('MLSD'), (226, b'type=file;size=5; file\r\ntype=dir; sub\r\n'), 'MLSD follows OPTS')
    t.eq(f('STAT .'), 213, 'STAT of a folder')
    t.has(f.text, ' file\r\n', 'STAT lists')
    t.eq(f('STAT none'), 550, 'STAT of nothing')
    t.eq(f('STAT'), 211, 'STAT')
    f('TYPE A')
    t.eq(f.get('NLST'), (226, b'file\r\nsub\r\n'), 'listings are CRLF in TYPE A too')
    t.eq(f('CWD /'), 250, 'CWD')
    t.eq(f('DELE l/file'), 250, 'DELE'), f('RMD l/sub'), f('RMD l'), f('RMD empty')
    f.close()


def big_listing(s):
    """Pages join without a gap or a double."""
    f = Ftp(s, 'admin')
    f('MKD many')
    f('CWD many')
    want = ['%05d' % i for i in range(1500)]
    for i in range(0, len(want), 50):
        f.send(''.join('MKD %s\r\n' % n for n in want[i:i + 50]))
        for _ in range(50):
            t.passed += f.reply() == 257
    t.eq(f.get('NLST'), (226, ''.join(n + '\r\n' for n in want).encode()), '1500 names')
    t.eq(f('STAT .'), 213, 'over the control connection')
    t.eq(re.findall(r' (\d{5})\r\n', f.text), want, 'all of them')
    # Slowly taken.
    data = f.passive()
    f('MLSD')
    got = b''
    while True:
        part = data.recv(5000)
        if not part:
            break
        got += part
        if len(got) < 50000:
            time.sleep(0.002)
    data.close()
    t.eq(f.reply(), 226, 'MLSD slowly')
    t.eq(re.findall(rb'; (\d+)\r\n', got), [n.encode() for n in want], 'MLSD slowly')
    f.close()


def times(s):
    f = Ftp(s, 'admin')
    f.put('STOR t', b'x')
    t.eq(f('MDTM t'), 213, 'MDTM')
    t.ok(re.match(r'213 \d{14}$', f.text), 'MDTM', f.text)
    for when in ('19600229010203', '19691231235959', '20380119031408', '20991231235959'):
        t.eq(f('MFMT %s t' % when), 213, 'MFMT ' + when)
        t.eq(f.text, '213 Modify=%s; /t' % when, 'MFMT tells')
        f('MDTM t')
        t.eq(f.text, '213 ' + when, 'MDTM after MFMT')
    for bad in ('20230229000000', '20201301000000', '2020', 'x', '20200101000000.'):
        t.eq(f('MFMT %s t' % bad), 501, 'MFMT ' + bad)
    t.eq(f('MFMT 20200101000000 none'), 550, 'MFMT of nothing')
    t.eq(f('MDTM 20200101000000 t'), 213, 'MDTM sets')
    f('MDTM t')
    t.eq(f.text, '213 20200101000000', 'set')
    f.put('STOR 20210101000000 t', b'odd')
    t.eq(f('MDTM 20210101000000 t'), 213, 'a file named like a time')
    t.ok(not f.text.startswith('213 Modify'), 'wins')
    f('MDTM t')
    t.eq(f.text, '213 20200101000000', 'nothing was set')
    t.eq(f('MDTM none'), 550, 'MDTM of nothing')
    f('DELE t'), f('DELE 20210101000000 t')
    f.close()


def pipelines(s):
    f = Ftp(s, 'admin')
    f.send('PWD\r\nMKD p\r\nCWD p\r\nPWD\r\nSIZE none\r\nCDUP\r\nRMD p\r\nNOOP\r\nQUIT\r\nNOOP\r\n')
    for code in (257, 257, 250, 257, 550, 250, 250, 200, 221):
        t.eq(f.reply(), code, 'pipelined')
    t.ok(f.gone(), 'nothing after QUIT')
    # A byte at a time.
    f = Ftp(s, 'admin')
    for b in b'PWD\r\n':
        f.send(bytes([b]))
        time.sleep(0.002)
    t.eq(f.reply(), 257, 'byte by byte')
    f.close()


def beside_transfers(s):
    f = Ftp(s, 'admin')
    data = f.passive()
    t.eq(f('STOR slow'), 150, 'STOR')
    t.eq(f('NOOP'), 200, 'NOOP beside it')
    data.sendall(b'12345')
    t.ok(until(lambda: f('STAT') == 211 and 'STOR: 5 bytes' in f.text), 'STAT beside it', f.text)
    f.send('SIZE slow\r\n')
    t.ok(f.silent(), 'others wait')
    data.close()
    t.eq(f.reply(), 226, 'STOR ends')
    t.eq(f.reply(), 213, 'then the one that waited')
    data = f.passive()
    f('STOR slow')
    f.send('QUIT\r\n')
    t.ok(f.silent(), 'QUIT waits too')
    data.sendall(b'finished')
    data.close()
    t.eq(f.reply(), 226, 'the transfer ends')
    t.eq(f.reply(), 221, 'then the session')
    t.ok(f.gone(), 'closed')
    f = Ftp(s, 'admin')
    t.eq(f.get('RETR slow'), (226, b'finished'), 'stored')
    # ABOR with the Telnet Synch, the mark sent as urgent data, as ftplib and old clients do.
    data = f.passive()
    f('STOR slow')
    data.sendall(b'never')
    f.sock.send(b'\xff\xf4\xff', socket.MSG_OOB)
    f.send(b'\xf2ABOR\r\n')
    t.eq(f.reply(), 426, 'the transfer was aborted')
    t.eq(f.reply(), 226, 'ABOR')
    data.close()
    data = f.passive()
    f('STOR slow')
    f.sock.send(b'ABOR\r\n', socket.MSG_OOB)
    t.eq((f.reply(), f.reply()), (426, 226), 'the whole line urgent')
    data.close()
    t.eq(f.get('RETR slow'), (226, b'finished'), 'the old file stayed')
    f('DELE slow')
    f.close()


def locks(s):
    s.user('default/bob', '--owner')
    s.http('PUT', '/dav/locked.txt', body=b'old')
    r = s.http('LOCK', '/dav/locked.txt', {'Content-Type': 'application/xml', 'Timeout': 'Second-60'},
               body=b'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
                    b'<D:locktype><D:write/></D:locktype></D:lockinfo>')
    t.eq(r.status, 200, 'LOCK')
    f = Ftp(s, 'bob')
    for name, run in (('STOR', lambda: f.put('STOR locked.txt', b'new')),
                      ('APPE', lambda: f.put('APPE locked.txt', b'n')),
                      ('DELE', lambda: f('DELE locked.txt')), ('MFMT', lambda: f('MFMT 20200101000000 locked.txt')),
                      ('RNTO', lambda: (f('RNFR locked.txt'), f('RNTO free.txt'))[1])):
        t.eq(run(), 450, name + ' of a locked file')
        t.has(f.text, 'admin', 'names who holds it')
    t.eq(f.get('RETR locked.txt'), (226, b'old'), 'reading goes on')
    s.http('UNLOCK', '/dav/locked.txt', {'Lock-Token': r.header('Lock-Token')})
    t.eq(f.put('STOR locked.txt', b'new'), 226, 'after UNLOCK')
    t.eq(s.http('GET', '/dav/locked.txt').body, b'new', 'the other door sees it')
    f('DELE locked.txt')
    f.close()


def rights(s):
    s.tenant('rights')
    s.user('rights/ann')
    o = Ftp(s, 'rights/admin')
    for path in ('/ro', '/in', '/none'):
        o('MKD ' + path)
        o.put('STOR %s/f' % path, b'kept')
    s.cli('acl', 'grant', 'rights', '/ro', 'user:ann', 'list,read')
    s.cli('acl', 'grant', 'rights', '/in', 'user:ann', 'create')
    f = Ftp(s, 'rights/ann')
    t.hasnt(f.get('NLST')[1], b'none', 'sees only its own')
    t.has(f.get('NLST')[1], b'ro\r\n', 'sees its own')
    t.eq(f.get('RETR ro/f'), (226, b'kept'), 'reads')
    t.among(f.get('RETR none/f')[0], (550,), 'not there')
    for name, run in (('STOR over', lambda: f.put('STOR ro/f', b'x')), ('APPE', lambda: f.put('APPE ro/f', b'x')),
                      ('REST+STOR', lambda: f.put('STOR ro/f', b'x', rest=2)),
                      ('STOR new', lambda: f.put('STOR ro/n', b'x')),
                      ('DELE', lambda: f('DELE ro/f')), ('MKD', lambda: f('MKD ro/n')), ('RMD', lambda: f('RMD ro')),
                      ('MFMT', lambda: f('MFMT 20200101000000 ro/f')),
                      ('MDTM set', lambda: f('MDTM 20200101000000 ro/f')),
                      ('RNTO from', lambda: (f('RNFR ro/f'), f('RNTO in/f2'))[1]),
                      ('RNTO over', lambda: (f('RNFR in/mine'), f('RNTO ro/f'))[1])):
        if name == 'RNTO over':
            t.eq(f.put('STOR in/mine', b'evil'), 226, 'an upload-only folder takes new files')
        t.among(run(), (550, 503), name + ' without the right')
    t.eq(f.put('STOR in/f', b'x'), 550, 'but replaces none')
    t.eq(o.get('RETR ro/f'), (226, b'kept'), 'nothing happened')
    t.eq(o.get('RETR in/f'), (226, b'kept'), 'nothing happened')
    t.has(f.get('MLSD ro')[1], b'perm=r;', 'MLSD tells what may be done')
    f.close()
    o.close()


def ftplib_day(s):
    f = s.ftp()
    f.mkd('day')
    f.cwd('day')
    for n in ('one', 'two', 'drei ü'):
        f.storbinary('STOR ' + n, io.BytesIO(n.encode() * 100000))
    t.eq(sorted(f.nlst()), ['drei ü', 'one', 'two'], 'nlst')
    f.voidcmd('TYPE I')  # nlst went over to A
    t.eq(f.size('one'), 300000, 'size')
    facts = dict(f.mlsd(facts=['type', 'size']))
    t.eq(facts['two'], {'type': 'file', 'size': '300000'}, 'mlsd')
    got = []
    f.retrbinary('RETR two', got.append, rest=299997)
    t.eq(b''.join(got), b'two', 'retrbinary with rest')
    f.storlines('STOR lines', io.BytesIO(b'a\nb\n'))
    got = []
    f.retrlines('RETR lines', got.append)
    t.eq(got, ['a', 'b'], 'retrlines')
    f.rename('one', 'eins')
    f.delete('two')
    t.eq(s.http('GET', '/dav/day/eins').body, b'one' * 100000, 'WebDAV reads what FTP wrote')
    s.http('PUT', '/dav/day/dav', body=b'from dav')
    got = []
    f.retrbinary('RETR dav', got.append)
    t.eq(b''.join(got), b'from dav', 'FTP reads what WebDAV wrote')
    f.set_pasv(False)
    got = []
    f.retrbinary('RETR dav', got.append)
    t.eq(b''.join(got), b'from dav', 'active')
    f.set_pasv(True)
    try:
        f.retrbinary('RETR none', got.append)
        t.ok(False, 'an error reaches the caller')
    except ftplib.error_perm as e:
        t.ok(str(e).startswith('550'), 'an error reaches the caller', str(e))
    conn = f.transfercmd('STOR aborted')
    conn.sendall(b'x' * 1000)
    f.abort()
    conn.close()
    f.voidresp()
    t.has(f.nlst(), 'eins', 'goes on after abort')
    t.hasnt(f.nlst(), 'aborted', 'which stored nothing')
    f.quit()


def survives_restart(s):
    f = Ftp(s, 'admin')
    f.put('STOR kept', BIG)
    s.kill9()
    t.ok(f.gone(), 'killed')
    s.start()
    f = Ftp(s, 'admin')
    t.eq(f.get('RETR kept'), (226, BIG), 'acknowledged is stored')
    idle = f
    start = time.monotonic()
    t.eq(s.stop(), 0, 'ends cleanly')
    t.ok(time.monotonic() - start < 3 * gh.SLOW, 'and soon')
    try:
        t.eq(idle.reply(), 421, 'who is idle is told')
    except Gone:
        t.ok(False, 'who is idle is told')
    s.start()


def ipv6_and_both():
    """An IPv6 client, and an IPv4 client of a dual-stack listener: what counts is the client."""
    if gh.PAIR:
        return  # the relay has one kind of address
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError:
        print('no IPv6 here: that part is left out')
        return
    with gh.Server(args=['--ftp', ':0'], config='ftp:\n  passive_address: 192.0.2.7\n') as s:
        port = s.address('ftp')[1]
        for host, pasv, one, two, eprt4, eprt6 in (('[::1]', 425, 522, 229, 501, 200),
                                                   ('127.0.0.1', 227, 229, 522, 200, 501)):
            s.addresses['ftp'] = '%s:%d' % (host, port)
            f = Ftp(s, 'admin')
            t.eq(f('PASV'), pasv, host + ' PASV')
            t.ok(pasv != 227 or '(192,0,2,7,' in f.text, 'PASV tells the configured address', f.text)
            t.eq((f('EPSV 1'), f('EPSV 2')), (one, two), host + ' EPSV')
            t.eq(f('EPRT |1|127.0.0.1|5000|'), eprt4, host + ' EPRT 1')
            t.eq(f('EPRT |2|::1|5000|'), eprt6, host + ' EPRT 2')
            t.eq(f.put('STOR six', b'66'), 226, host + ' STOR')
            t.eq(f.get('RETR six'), (226, b'66'), host + ' RETR')
            listener = f.active()
            t.eq(f('RETR six'), 150, host + ' active')
            t.eq(read_all(listener.accept()[0]), b'66', host + ' active')
            t.eq(f.reply(), 226, host + ' active')
            listener.close()
            f.close()


with gh.Server() as server:
    for test in (before_login, names_of_users, modes, folders, renaming, transfers, ascii, listings, big_listing, times,
                 pipelines, beside_transfers, locks, rights, ftplib_day, survives_restart):
        try:
            test(server)
        except (Gone, AssertionError, OSError, RuntimeError, ftplib.Error) as e:
            import traceback
            traceback.print_exc()
            t.ok(False, test.__name__ + ' went through', repr(e))
ipv6_and_both()
sys.exit(t.done())
