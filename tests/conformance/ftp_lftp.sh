#!/bin/bash
# lftp mirrors a tree up and down, with pipelined commands, resumes, renames and removes.
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all pair:all
. "$(dirname "$0")/gh.sh"
need lftp diff cmp
gh_start
cd "$TOP" || exit 1
export HOME=$TOP LFTP_HOME=$TOP/lftp

l() { # COMMANDS: as admin
	timeout 120 lftp -c "set net:max-retries 2; set net:timeout 20; set net:reconnect-interval-base 1;
		set ssl:verify-certificate no; set cmd:fail-exit yes;
		${2:-} open -u 'admin,$PASSWORD' ftp://$FTP; $1"
}

mkdir -p tree/deep/er/est "tree/with space" tree/ünï
for i in $(seq 60); do head -c $((i * 997)) /dev/urandom >"tree/f$i"; done
for i in $(seq 20); do echo "$i" >"tree/deep/er/est/$i.txt"; done
echo x >"tree/with space/ a;b "
echo x >tree/ünï/é
: >tree/empty
head -c 2000000 /dev/urandom >tree/big
touch -d '2001-02-03 04:05:06 UTC' tree/deep/er/est/7.txt

l "mirror -R --no-perms tree up" || fail "mirror up"
l "mirror --no-perms up down" || fail "mirror down"
diff -r tree down || fail "the tree came back different"
[ "$(stat -c %Y down/deep/er/est/7.txt)" = 981173106 ] || fail "times"

# Everything pipelined, several connections, active mode, without MLSD.
l "mirror -P 4 --no-perms up down2" "set ftp:sync-mode off;" || fail "pipelined mirror"
diff -r tree down2 || fail "pipelined mirror came back different"
l "mirror --no-perms up down3" "set ftp:passive-mode off;" || fail "active mirror"
diff -r tree down3 || fail "active mirror came back different"
l "mirror --no-perms up down4" "set ftp:use-mlsd off; set ftp:use-feat off;" || fail "mirror by LIST"
diff -r tree down4 || fail "mirror by LIST came back different"
l "mirror --no-perms up down5" "set ftp:prefer-epsv off; set ftp:use-site-utime off;" || fail "mirror by PASV"
diff -r tree down5 || fail "mirror by PASV came back different"

# A second mirror has nothing to do.
l "mirror -R --no-perms --verbose=1 tree up" >again 2>&1 || fail "mirror again"
! grep -q "Transferring" again || fail "the second mirror sent files: $(cat again)"

# Resume.
head -c 700000 tree/big >part
l "get -c up/big -o part" || fail "reget"
cmp part tree/big || fail "reget"
head -c 700000 tree/big >half
l "put half -o up/half" || fail "put"
cp tree/big half
l "put -c half -o up/half" || fail "reput"
l "cat up/half" | cmp - tree/big || fail "reput"

l "mv up/half up/f1; mkdir -p up/n/m; mv up/f2 up/n/m/; rm up/f3; rm -r up/deep" || fail "a day's work"
l "cat up/f1" | cmp - tree/big || fail "mv onto a file"
l "cls -1 up/n/m" | grep -qx 'up/n/m/f2' || fail "mv into a folder"
! l "cls up/deep" 2>/dev/null || fail "rm -r"
! l "get up/f3 -o got" 2>/dev/null || fail "rm"
l "find up/n" | grep -qx 'up/n/m/f2' || fail "find"
[ "$(l "du -b up/f1" | cut -f1)" = 2000000 ] || fail "size"
echo "ok"
