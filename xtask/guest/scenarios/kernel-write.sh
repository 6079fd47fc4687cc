# write(2) from a truncated mapping: EFAULT, no crash.
#: {"class": "truncated", "confidence": "proven", "access": "read", "offset": 8192, "size": 0, "path": "$D/live", "how": "open(O_TRUNC)", "old": 65536, "new": 0, "culprit": "sh", "parents": ["init"], "outcome": "efault", "complete": true, "victim": "kernel_write", "mode": "kernel", "cmdline": "/bin/sh /scenarios/kernel-write.sh $D", "count": 2}
#+signal-alone: none
. /lib.sh
make live 65536
kernel_write "$D/live" &
victim=$!
await live.ready
: >live
: >live.go
wait $victim
