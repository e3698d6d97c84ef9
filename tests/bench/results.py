"""RESULTS.md is written by several scripts: each owns what stands between its marks, bench.py what stands before all
marks. Not a script of its own."""
import os
import re

MARK = '<!-- %s: %s -->'


def _read(path):
    if not os.path.exists(path):
        return ''
    with open(path) as f:
        return f.read()


def put_head(path, text):
    """What stands before the first mark is this from now on."""
    rest = re.search(r'^<!-- begin: ', _read(path), re.M)
    rest = _read(path)[rest.start():] if rest else ''
    with open(path, 'w') as f:
        f.write(text.rstrip('\n') + '\n' + ('\n' + rest if rest else ''))


def put_section(path, name, text):
    """The section of that name is this from now on; at the end where there was none."""
    begin, end = MARK % ('begin', name), MARK % ('end', name)
    old = _read(path)
    new = '%s\n%s\n%s' % (begin, text.strip('\n'), end)
    if begin in old and end in old:
        head, rest = old.split(begin, 1)
        new = head + new + rest.split(end, 1)[1]
    else:
        new = old.rstrip('\n') + '\n\n' + new + '\n'
    with open(path, 'w') as f:
        f.write(new)


def machine():
    """What it was measured on, in a line."""
    model = re.search(r'^model name\s*: (.*)$', _read('/proc/cpuinfo'), re.M)
    memory = re.search(r'^MemTotal:\s+(\d+)', _read('/proc/meminfo'), re.M)
    return '%s, %d CPUs, %d GiB, Linux %s, load %s' % (
        model.group(1) if model else 'unknown processor', os.cpu_count() or 0, int(memory.group(1)) // 2**20 if memory else 0,
        os.uname().release.split('-')[0], _read('/proc/loadavg').split()[0])
