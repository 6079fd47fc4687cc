# A write to a page of an xfs that has been shut down since the page was read.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "write-error", "confidence": "likely", "victim": "rewriter", "access": "write", "offset": 0, "size": 8192, "path": "$D/down/hole"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
load xfs
watched xfs_delalloc_enospc
mkdir down
mkfs.xfs -q -f /dev/vdd || exit 99
mount -t xfs /dev/vdd down || exit 99
truncate -s 8K down/hole
sync
ln -s down/hole live
rewriter "$D/live" &
victim=$!
await live.ready
godown down || exit 99
: >live.go
wait $victim
linger
umount -l down
