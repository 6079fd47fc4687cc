# A file on persistent memory, mapped without a page cache (DAX): a system call that reads it after
# it was truncated. There is no signal, so that only dax_iomap_fault can tell.
#fs: ext4
#needs: [ "$(uname -m)" = x86_64 ]
#: {"class": "truncated", "confidence": "proven", "access": "read", "offset": 8192, "size": 0, "path": "$D/dax/live", "how": "open(O_TRUNC)", "old": 65536, "new": 0, "culprit": "sh", "parents": ["init"], "outcome": "efault", "complete": true, "victim": "kernel_write", "mode": "kernel", "cmdline": "/bin/sh /scenarios/dax.sh $D", "count": {"in": [1, 2]}}
#+signal-alone: none
. /lib.sh
load nd_e820
load nd_pmem
await /dev/pmem0
mkdir dax
mke2fs -q -t ext4 -b 4096 -F /dev/pmem0 || exit 99
mount -t ext4 -o dax /dev/pmem0 dax || exit 99
# The probe comes within a second of its module.
sleep 2
make dax/live 65536
kernel_write "$D/dax/live" &
victim=$!
await dax/live.ready
: >dax/live
: >dax/live.go
wait $victim || exit 99
umount dax
