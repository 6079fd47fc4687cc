# An instruction fetch from a library that is overwritten.
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated", "confidence": "proven", "victim": "execute", "access": "exec", "offset": 81000, "size": {"in": [0, 4096]}, "path": "$D/library", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "cp", "cmdline": "cp new library", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
# Nothing but `ret`.
case $(uname -m) in
    aarch64) printf '\300\003\137\326%.0s' $(busybox seq 25600) >library ;;
    *) head -c 102400 /dev/zero | tr '\0' '\303' >library ;;
esac
make new 4096
execute "$D/library" 81000 &
victim=$!
await library.ready
cp new library
wait $victim
