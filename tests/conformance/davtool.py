"""What the WebDAV tests share: reading a 207, taking a lock."""
import xml.etree.ElementTree as ET

D = '{DAV:}'
LOCK_BODY = ('<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:%s/></D:lockscope>'
             '<D:locktype><D:write/></D:locktype><D:owner><D:href>%s</D:href></D:owner></D:lockinfo>')


def propfind_body(*names):
    """names: "{ns}name" or a name in DAV:."""
    out = '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop>'
    for n in names:
        ns, _, local = n[1:].partition('}') if n.startswith('{') else ('DAV:', '', n)
        out += '<x:%s xmlns:x="%s"/>' % (local, ns) if ns else '<%s/>' % local
    return out + '</D:prop></D:propfind>'


def proppatch_body(changes):
    """changes: list of ('set', '{ns}name', 'inner xml') or ('remove', '{ns}name')."""
    out = '<?xml version="1.0" encoding="utf-8"?><D:propertyupdate xmlns:D="DAV:">'
    for c in changes:
        ns, _, local = c[1][1:].partition('}')
        inner = c[2] if len(c) > 2 else ''
        tag = 'x:%s xmlns:x="%s"' % (local, ns) if ns else local
        end = 'x:' + local if ns else local
        out += '<D:%s><D:prop><%s>%s</%s></D:prop></D:%s>' % (c[0], tag, inner, end, c[0])
    return out + '</D:propertyupdate>'


class Entry:
    def __init__(self):
        self.status = None  # of the response itself
        self.props = {}     # tag -> (status, element)

    def code(self, name):
        """Status of a property; None when it is not mentioned. name: "{ns}name" or a name in DAV:."""
        tag = name if name.startswith('{') or ':' in name else D + name
        return self.props.get(tag, (None, None))[0]

    def element(self, name):
        return self.props.get(name if name.startswith('{') else D + name, (None, None))[1]

    def text(self, name):
        """Text of a property that is there."""
        status, e = self.props.get(name if name.startswith('{') else D + name, (None, None))
        return e.text if status == 200 else None


def multistatus(r):
    """href -> Entry, in order. Raises on anything that is not a well-formed 207, or that names an href twice."""
    assert r.status == 207, r
    assert r.header('Content-Type', '').split(';')[0] in ('application/xml', 'text/xml'), r.header('Content-Type')
    root = ET.fromstring(r.body)
    assert root.tag == D + 'multistatus', root.tag
    out = {}
    for response in root:
        assert response.tag == D + 'response', response.tag
        href = response.find(D + 'href').text
        assert href not in out, 'twice: ' + href
        e = out[href] = Entry()
        status = response.find(D + 'status')
        if status is not None:
            e.status = int(status.text.split()[1])
        for propstat in response.findall(D + 'propstat'):
            code = int(propstat.find(D + 'status').text.split()[1])
            for p in propstat.find(D + 'prop'):
                assert p.tag not in e.props, 'twice: ' + p.tag
                e.props[p.tag] = (code, p)
    return out


def only(r):
    """The one Entry of a 207."""
    m = multistatus(r)
    assert len(m) == 1, list(m)
    return next(iter(m.values()))


def lock(s, path, scope='exclusive', depth='infinity', owner='test', timeout='Second-600', user='admin', headers=None):
    """(response, token or None)."""
    h = {'Depth': depth, 'Timeout': timeout, 'Content-Type': 'application/xml'}
    h.update(headers or {})
    r = s.http('LOCK', path, {k: v for k, v in h.items() if v is not None}, LOCK_BODY % (scope, owner), user=user)
    token = r.header('Lock-Token')
    return r, token.strip('<>') if token else None


def error_of(r):
    """Names of the elements inside a DAV:error body."""
    try:
        root = ET.fromstring(r.body)
    except ET.ParseError:
        return []
    return [e.tag.replace(D, '') for e in root] if root.tag == D + 'error' else []
