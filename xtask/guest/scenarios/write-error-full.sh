# The same where the file system is full, too.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "write-error", "confidence": "proven", "victim": "rewriter", "access": "write", "offset": 0, "size": 1048576, "path": "$D/stopped/hole"}
#+ext4-module: {"confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mkdir stopped
mke2fs -q -t ext4 -m 0 -F /dev/vdc || exit 99
mount -t ext4 -o nodelalloc,errors=remount-ro /dev/vdc stopped || exit 99
truncate -s 1M stopped/hole
dd if=/dev/zero of=stopped/fill bs=64k
dd if=/dev/zero of=stopped/rest bs=1k
sync
# Mapped while it can be opened for writing.
ln -s stopped/hole live
rewriter "$D/live" &
victim=$!
await live.ready
echo 1 >/sys/fs/ext4/vdc/trigger_fs_error || exit 99
: >live.go
wait $victim
linger
umount stopped
