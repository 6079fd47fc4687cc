# A linker's output on a full ext4, removed by make as the linker dies: there is room again a moment later.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "no-space", "confidence": "proven", "victim": "relink", "access": "write", "offset": {"most": 16777215}, "size": 16777216, "path": "$D/full/out"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mkdir full
mke2fs -q -t ext4 -m 0 -F /dev/vdc || exit 99
mount -t ext4 /dev/vdc full || exit 99
cd full
relink "$D/full/out" 16777216
cd ..
linger
umount full
