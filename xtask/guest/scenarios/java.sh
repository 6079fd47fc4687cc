# A JVM that reads a mapped file: its handler makes an InternalError of the signal, and it lives on.
#fs: tmpfs
#: {"class": "truncated", "confidence": "proven", "victim": "java", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "survived", "exit": "status 0", "count": {"most": 3}, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "ftruncate", "old": 102400, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 live", "parents": ["sh", "init"]}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
mkdir -p /jvm
mountpoint -q /jvm || mount -o ro /dev/vde /jvm || exit 99
LD_LIBRARY_PATH=$(echo /jvm/usr/lib/*-linux-gnu /jvm/lib/*-linux-gnu | tr " " :) /jvm/usr/lib/jvm/java-17-openjdk-*/bin/java -Xint -Xshare:auto -XX:-UsePerfData -cp /jvm Mapped "$D/live" &
victim=$!
await live.ready
truncate -s 0 live
: >live.go
wait $victim || exit 99
