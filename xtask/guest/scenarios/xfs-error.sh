# A device that fails under a mounted xfs.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "read-error", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/bad/file"}
#+linux-5.10: {"confidence": "likely"}
. /lib.sh
load xfs
mkdir bad
dmsetup create --noudevsync badxfs --table "0 1048576 linear /dev/vdd 0" || exit 99
dev=/dev/dm-$(dmsetup info -c --noheadings -o minor badxfs)
mkfs.xfs -q -f "$dev" || exit 99
mount -t xfs "$dev" bad || exit 99
make bad/file 102400
sync
echo 3 >/proc/sys/vm/drop_caches
cat bad >/dev/null
break_device badxfs 1048576
reader "$D/bad/file" 81000
umount -l bad
dmsetup remove --noudevsync --force badxfs
