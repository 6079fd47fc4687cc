# process_vm_readv of a truncated mapping of another process: EFAULT, no crash.
#: {"class": "truncated", "confidence": "proven", "access": "read", "offset": 8192, "size": 0, "path": "$D/live", "how": "open(O_TRUNC)", "old": 65536, "new": 0, "culprit": "sh", "parents": ["init"], "outcome": "efault", "complete": true, "victim": "vm_readv", "mode": "remote", "cmdline": "/bin/sh /scenarios/vm-readv.sh $D", "count": 1}
# get_user_pages() asks for whole pages (mm/gup.c).
#+pages-16k: {"offset": 0}
#+signal-alone: none
. /lib.sh
make live 65536
vm_readv "$D/live" &
victim=$!
await live.ready
: >live
: >live.go
wait $victim
