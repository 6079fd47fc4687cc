# A device that fails under a mounted xfs.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "read-error", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/bad/file"}
#+linux-5.10: {"complete": null, "confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
load xfs
watched xfs_delalloc_enospc
mkdir bad
dmsetup create --noudevsync badxfs --table "0 1048576 linear /dev/vdd 0" || exit 99
dev=/dev/dm-$(dmsetup info -c --noheadings -o minor badxfs)
mkfs.xfs -q -f "$dev" || exit 99
mount -t xfs "$dev" bad || exit 99
make bad/file 102400
sync
# Mapped while its inode can be read; its pages are read only afterwards.
ln -s bad/file live
reading "$D/live" 81000 wait
echo 3 >/proc/sys/vm/drop_caches
break_device badxfs 1048576
: >live.go
wait $victim
umount -l bad
dmsetup remove --noudevsync --force badxfs
