# A mapped block device that fails: device-mapper's error target.
#fs: ext4
#: {"class": "read-error", "confidence": "proven", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "victim": "reader", "access": "read", "offset": 81000, "size": 8388608, "path": "/dev/dm-0"}
#+linux-5.10: {"complete": null, "confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched", "device": {"any": true}}
. /lib.sh
dmsetup create --noudevsync dead --table "0 16384 linear /dev/vdc 0" || exit 99
ln -s /dev/dm-$(dmsetup info -c --noheadings -o minor dead) live
reading "$D/live" 81000 wait
echo 3 >/proc/sys/vm/drop_caches
break_device dead 16384
: >live.go
wait $victim
dmsetup remove --noudevsync --force dead
