#!/usr/bin/python3
"""The canonicaliser once more, from its description in core/base/name.h and Python's own Unicode data, against the real
one: name_reference.py PROGRAM [COUNT [SEED]], where PROGRAM is the built name_tool.

Only code points that this Python knows are made: the C side's tables are newer, and "unassigned" would differ.
"""
import random
import subprocess
import sys
import unicodedata

NAME_MAX, PATH_MAX, DEPTH_MAX = 255, 4096, 128
PERCENT, CLIMB = 1, 2
SEGMENT_MAX = 3 * NAME_MAX


class Refused(Exception):
    pass


def fold(ch):
    """Simple one-to-one fold of one character."""
    if ch == "\u0130":
        return ch
    for mapped in (ch.casefold(), ch.lower()):
        if len(mapped) == 1:
            return mapped
    return ch


def key_of(name):
    return unicodedata.normalize("NFC", "".join(fold(c) for c in name))


def percent_decode(raw):
    out, i = bytearray(), 0
    digits = b"0123456789abcdefABCDEF"
    while i < len(raw):
        if raw[i] != 0x25:
            out.append(raw[i])
            i += 1
            continue
        code = raw[i + 1:i + 3]
        if len(code) != 2 or code[0] not in digits or code[1] not in digits:
            raise Refused("badname")
        out.append(int(code, 16))
        i += 3
    return bytes(out)


def canon(raw, flags, sensitive):
    """(depth, trailing slash, text, key), or raises Refused(status)."""
    percent = flags & PERCENT
    if len(raw) > PATH_MAX:
        if not percent or len(raw) > 3 * PATH_MAX or len(raw) - 2 * raw.count(b"%") > PATH_MAX:
            raise Refused("toolong")
    names = []
    folder = False
    segments = raw.split(b"/") if raw else []
    for segment in segments:
        if len(segment) > SEGMENT_MAX * (3 if percent else 1):
            raise Refused("toolong")
        data = percent_decode(segment) if percent else segment
        if any(b < 0x20 or b == 0x7F or b in b"\\/" for b in data):
            raise Refused("badname")
        folder = data in (b"", b".", b"..")
        if data in (b"", b"."):
            continue
        if data == b"..":
            if not flags & CLIMB:
                raise Refused("badname")
            del names[-1:]
            continue
        if len(data) > (NAME_MAX if data.isascii() else SEGMENT_MAX) or len(names) == DEPTH_MAX:
            raise Refused("toolong")
        try:
            text = data.decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise Refused("badname") from None
        if any(unicodedata.category(c) in ("Cc", "Cn", "Cs") for c in text):
            raise Refused("badname")
        name = unicodedata.normalize("NFC", text)
        key = name if sensitive else key_of(name)
        if len(name.encode()) > NAME_MAX or len(key.encode()) > NAME_MAX:
            raise Refused("toolong")
        names.append((name, key))
        for which in (0, 1):
            if sum(len(n[which].encode()) + 1 for n in names) > PATH_MAX:
                raise Refused("toolong")
    text = "/" + "/".join(n[0] for n in names)
    key = "/" + "/".join(n[1] for n in names)
    return len(names), int(folder), text.encode(), key.encode()


ASSIGNED = [chr(c) for c in range(0x80, 0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Cc", "Co")]
CASED = [c for c in ASSIGNED if c.casefold() != c or c.lower() != c or c.upper() != c]
MARKS = [c for c in ASSIGNED if unicodedata.combining(c)]
DECOMPOSING = [c for c in ASSIGNED if unicodedata.normalize("NFD", c) != c and not "\uac00" <= c <= "\ud7a3"]
HANGUL = [chr(random.Random(i).randrange(0xAC00, 0xD7A4)) for i in range(500)]
JAMO = [chr(c) for c in [*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A7, 0x11C3)]]
SPECIAL = list("ßẞİıſKÅΩςΣσΐΰŉǰǅᾳᾼᾲ\u0345ϐΘϑﬁﬅԱ\u0587ꭰᏎᏸ\u13f5Ⱥⱥ\u1fd3\u0390\u1fb3\u212a\u212b\u2126\u1f88\u0958\u1e9e\ufb06\u200d\ufeff\ue000\u00ad")
ASCII = list("abcXYZ019 .-_~!$&'()+,;=@%#?*\"<>|:")
HOSTILE = [b"\\", b"\x00", b"\x1f", b"\x7f", b"\xc2\x85", b"\xc0\xaf", b"\xed\xa0\x80", b"\x80", b"\xf4\x90\x80\x80",
           b"\xef\xbf\xbf", b"\xef\xb7\x90", b"\xe2\x82", b"\xff", b"\xf0\x9f\xbf\xbf", b"%2f", b"%00", b"%", b"%zz", b"%5c"]


def text_random(rnd):
    kind = rnd.randrange(9)
    length = rnd.choice((1, 2, 3, 5, 8, 20))
    if kind == 0:
        chars = rnd.choices(ASCII, k=length)
    elif kind == 1:
        chars = rnd.choices(CASED, k=length)
    elif kind == 2:
        chars = [rnd.choice(CASED + ASCII)] + rnd.choices(MARKS, k=length)
    elif kind == 3:
        chars = rnd.choices(DECOMPOSING, k=length)
    elif kind == 4:
        chars = rnd.choices(HANGUL, k=length)
    elif kind == 5:
        chars = rnd.choices(JAMO, k=length)
    elif kind == 6:
        chars = rnd.choices(SPECIAL + MARKS[:40], k=length)
    elif kind == 7:
        chars = rnd.choices(ASSIGNED, k=length)
    else:
        chars = rnd.choices(SPECIAL + ASCII, k=length)
    form = rnd.choice(("NFC", "NFD", None))
    text = "".join(chars)
    if form:
        text = unicodedata.normalize(form, text)
    if rnd.randrange(60) == 0:
        text *= rnd.choice((12, 13, 20, 40, 100))
    return text


def segment_random(rnd):
    if rnd.randrange(12) == 0:
        return rnd.choice((b"", b".", b"..", b"...", b"%2e", b"%2E%2e", b".a", b"a."))
    data = text_random(rnd).encode()
    if rnd.randrange(40) == 0:
        at = rnd.randrange(len(data) + 1)
        data = data[:at] + rnd.choice(HOSTILE) + data[at:]
    return data


def case_random(rnd):
    flags = rnd.randrange(4)
    count = rnd.choice((1, 1, 1, 1, 2, 3)) if rnd.randrange(200) else rnd.choice((127, 128, 129, 140))
    raw = b"/".join(segment_random(rnd) for _ in range(count))
    if rnd.randrange(2):
        raw = b"/" + raw
    if rnd.randrange(6) == 0:
        raw += b"/"
    if flags & PERCENT and rnd.randrange(4):
        how = rnd.choice(("%%%02X", "%%%02x"))
        raw = b"".join(bytes([b]) if b == 0x2F or (0x30 < b < 0x7B and b != 0x25) else (how % b).encode() for b in raw)
    return flags, int(rnd.randrange(6) == 0), raw[:3 * PATH_MAX + 8]


def answers(program, cases):
    lines = "".join("%u %u %s\n" % (f, s, raw.hex() or "-") for f, s, raw in cases)
    done = subprocess.run([program, "filter"], input=lines, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def expected(case):
    flags, sensitive, raw = case
    try:
        depth, slash, text, key = canon(raw, flags, sensitive)
    except Refused as refused:
        return str(refused)
    return "ok %d %d %s %s" % (depth, slash, text.hex(), key.hex())


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: name_reference.py PROGRAM [COUNT [SEED]]")
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 120000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    rnd = random.Random(seed)
    # Every known code point once alone, then random ones.
    cases = [(0, 0, c.encode()) for c in ASSIGNED] + [(0, 0, (c + "\u0301\u0323").encode()) for c in CASED + DECOMPOSING]
    cases += [case_random(rnd) for _ in range(count)]
    got = answers(program, cases)
    if len(got) != len(cases):
        sys.exit("%d answers to %d questions" % (len(got), len(cases)))
    failures = 0
    again, kept = [], []
    tally = {}
    for case, answer in zip(cases, got):
        want = expected(case)
        tally[want.split()[0]] = tally.get(want.split()[0], 0) + 1
        if want != answer:
            failures += 1
            if failures <= 10:
                print("flags %d sensitive %d bytes %r\n   want %s\n    got %s" % (*case, want, answer))
        words = answer.split()
        if words[0] == "ok":
            # The canonical text is its own canonical form, and the key is its own key.
            again.append((0, case[1], bytes.fromhex(words[3])))
            kept.append((words[3], words[4]))
            again.append((0, case[1], bytes.fromhex(words[4])))
            kept.append((words[4], words[4]))
    for case, want, answer in zip(again, kept, answers(program, again)):
        words = answer.split()
        if words[0] != "ok" or (words[3], words[4]) != want:
            failures += 1
            if failures <= 10:
                print("not idempotent: %r gives %s" % (case[2], answer))
    print("%d cases (%s), %d repeated, %d failures" % (len(cases), tally, len(again), failures))
    sys.exit(1 if failures else 0)


main()
