# A device that fails: device-mapper's error target under a mounted ext4.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "read-error", "confidence": {"in": ["proven", "likely"]}, "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/bad/file"}
. /lib.sh
mkdir bad
dmsetup create --noudevsync bad --table "0 16384 linear /dev/vdc 0" || exit 99
mke2fs -q -t ext4 -F /dev/dm-0 || exit 99
mount -t ext4 /dev/dm-0 bad || exit 99
make bad/file 102400
sync
echo 3 >/proc/sys/vm/drop_caches
cat bad >/dev/null
break_device bad 16384
reader "$D/bad/file" 81000
umount -l bad
dmsetup remove --noudevsync --force bad
