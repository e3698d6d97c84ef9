#!/bin/bash
# curl does over FTP what people script with it: up, down, resume, append, listings, folders on the way, quotes, active
# and passive.
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all pair:all
. "$(dirname "$0")/gh.sh"
need curl cmp
gh_start
cd "$TOP" || exit 1

url=ftp://$FTP
c() { curl --silent --show-error --fail --max-time 60 --user "admin:$PASSWORD" "$@"; }

head -c 3000000 /dev/urandom >big
printf 'one\ntwo\n' >text
: >empty

c -T big "$url/big" || fail "upload"
c "$url/big" | cmp - big || fail "download"
c -T empty "$url/empty" || fail "upload of an empty file"
[ -z "$(c "$url/empty")" ] || fail "an empty file"
c --disable-epsv "$url/big" | cmp - big || fail "download by PASV"
c --ftp-port - "$url/big" | cmp - big || fail "download by EPRT"
c --ftp-port - --disable-eprt "$url/big" | cmp - big || fail "download by PORT"
c --ftp-port - -T text "$url/active" || fail "active upload"
c "$url/active" | cmp - text || fail "active upload"
c --ftp-method nocwd "$url/big" | cmp - big || fail "download without CWD"

# Resume, both ways.
head -c 1234567 big >part
c -C 1234567 "$url/big" >>part || fail "resumed download"
cmp part big || fail "resumed download"
head -c 1000000 big >first
c -T first "$url/resumed" || fail "first half"
c -C 1000000 -T big "$url/resumed" || fail "resumed upload"
c "$url/resumed" | cmp - big || fail "resumed upload"
c -C - -T big "$url/resumed" >/dev/null || fail "resume of what is there already"
c --append -T text "$url/active" || fail "append"
c "$url/active" | cmp - <(cat text text) || fail "append"
c -r 10-19 "$url/big" | cmp - <(tail -c +11 big | head -c 10) || fail "range"

# TYPE A.
c -B "$url/active" | tr -d '\r' | cmp - <(cat text text) || fail "TYPE A down" # (curl takes the CR out itself)
c -B -T text "$url/ascii" || fail "TYPE A up"
c "$url/ascii" | cmp - text || fail "TYPE A up is stored with LF"

# Folders on the way, names that need quoting.
c --ftp-create-dirs -T text "$url/a/b%20c/d%C3%BC/t" || fail "folders on the way"
c "$url/a/b%20c/d%C3%BC/t" | cmp - text || fail "folders on the way"
c --ftp-create-dirs --ftp-method multicwd -T text "$url/a/b%20c/x/t" || fail "folders that exist partly"
[ "$(c -l "$url/a/b%20c/" | tr -d '\r' | sort | tr '\n' ' ')" = "dü x " ] || fail "NLST"
c "$url/a/" | grep -q '^drwx.* b c' || fail "LIST"
c -X MLSD "$url/a/" | grep -q '^type=dir;.*; b c' || fail "MLSD"
c -I "$url/big" | tr -d '\r' | grep -qx 'Content-Length: 3000000' || fail "SIZE"
c -I "$url/big" | grep -q '^Last-Modified: ' || fail "MDTM"
c -z "$(date -u -d tomorrow "+%d %b %Y %T GMT")" "$url/big" -o newer || fail "time condition"
[ ! -s newer ] || fail "time condition"

c -Q "-DELE big" "$url/empty" || fail "DELE after the transfer"
! c "$url/big" 2>/dev/null || fail "deleted"
c -Q "RNFR active" -Q "RNTO a/moved" "$url/empty" || fail "rename"
c "$url/a/moved" | cmp - <(cat text text) || fail "renamed"

# What must fail, fails with curl's own code for it.
curl -s --max-time 20 -u "admin:wrong" "$url/" >/dev/null; [ $? = 67 ] || fail "a wrong password is 67"
c "$url/none" >/dev/null 2>&1; [ $? = 78 ] || fail "a missing file is 78"
c "$url/none/" >/dev/null 2>&1; [ $? = 9 ] || fail "a missing folder is 9"
c -T text "$url/none/x" 2>/dev/null; [ $? = 9 ] || fail "upload into a missing folder is 9"

# A connection for many, and TLS that is tried and not there.
c "$url/a/moved" "$url/ascii" "$url/empty" "$url/resumed" -o 1 -o 2 -o 3 -o 4 || fail "four on one connection"
cmp 4 big || fail "four on one connection"
c --ssl "$url/ascii" | cmp - text || fail "TLS where there is some"

# An upload that is killed midway leaves the old file.
before=$(c "$url/ascii" | md5sum)
for i in 1 2 3 4 5; do
	curl -s --limit-rate 200k -u "admin:$PASSWORD" -T big "$url/ascii" &
	pid=$!
	sleep "0.$((i + 2))"
	kill -9 $pid
	wait $pid 2>/dev/null
done
sleep 0.3
[ "$(c "$url/ascii" | md5sum)" = "$before" ] || fail "a killed upload was stored"
[ "$(curl -sf -u "admin:$PASSWORD" "http://$HTTP/dav/ascii" | md5sum)" = "$before" ] || fail "WebDAV shows another"
echo "ok"
