# A mapped block device that has become smaller: a loop device whose image was cut.
#fs: ext4
#: {"class": "mapped-past-end", "confidence": "likely", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "victim": "reader", "access": "read", "offset": 81000, "size": 40960, "path": "/dev/loop0"}
#+signal-alone: {"confidence": "likely", "device": {"any": true}}
. /lib.sh
load loop
make image 102400
dev=$(losetup -f --show image) || exit 99
ln -s "$dev" live
reading "$D/live" 81000 wait
truncate -s 40960 image
losetup -c "$dev" || exit 99
: >live.go
wait $victim
losetup -d "$dev"
