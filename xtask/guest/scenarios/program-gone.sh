# Programs that cannot be looked up any more: the culprit is gone at once, runs another program of the same name, is unlinked or a script; the victim is unlinked, or dies in its first millisecond.
#fs: ext4
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "exe": "/usr/bin/reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/a", "how": "truncate", "old": 102400, "new": 4096, "culprit": "cut", "culprit_exe": "/usr/bin/cut", "cmdline": "/usr/bin/cut $D/a", "parents": ["sh", "init"]}
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "exe": "/usr/bin/reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/b", "how": "truncate", "old": 102400, "new": 4096, "culprit": "cut", "culprit_exe": "/usr/bin/cut", "cmdline": "/usr/bin/cut $D/b $D/other/cut -s", "parents": ["sh", "init"]}
#: {"class": "truncated", "confidence": "proven", "victim": "copy", "exe": "$D/copy (deleted)", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/c", "how": "truncate", "old": 102400, "new": 4096, "culprit": "gone", "culprit_exe": "$D/gone (deleted)", "cmdline": "./gone -u $D/c", "parents": ["sh", "init"]}
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "exe": "/usr/bin/reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 0, "path": "$D/d", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "script", "culprit_exe": "/usr/bin/dash", "cmdline": "/bin/sh ./script", "parents": ["sh", "init"]}
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "exe": "/usr/bin/empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/e", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "exe": "/usr/bin/empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/e", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "exe": "/usr/bin/empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/e", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "exe": "/usr/bin/empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
for file in a b c d; do make $file 102400; done
mkdir other
cp /usr/bin/cut other/cut
cp /usr/bin/cut gone
cp /usr/bin/reader copy
printf '#!/bin/sh\n: >"$PWD/d"\n' >script
chmod +x script

reading "$D/a" 81000
/usr/bin/cut "$D/a"
wait $victim
reading "$D/b" 81000
/usr/bin/cut "$D/b" "$D/other/cut" -s
wait $victim
./copy "$D/c" 81000 &
victim=$!
await "$D/c.ready"
rm copy
./gone -u "$D/c"
wait $victim
reading "$D/d" 81000
./script
wait $victim
for i in 1 2 3; do /usr/bin/empty_write "$D/e"; done
sh -c "exec /usr/bin/empty_write $D/f"
linger
