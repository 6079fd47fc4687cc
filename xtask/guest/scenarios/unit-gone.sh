# A unit's process dies in its first millisecond, and its cgroup is removed at once: /proc and the cgroup file system know neither any more.
#fs: ext4
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "cgroup": "/system.slice/geo.service", "unit": "geo.service"}
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "cgroup": "/system.slice/geo.service", "unit": "geo.service"}
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "cgroup": "/system.slice/geo.service", "unit": "geo.service"}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
mkdir -p /sys/fs/cgroup/system.slice
for i in 1 2 3; do
    moved /sys/fs/cgroup/system.slice/geo.service /bin/empty_write "$D/f"
    # SIGBUS
    [ $? = 135 ] || exit 99
done
rmdir /sys/fs/cgroup/system.slice
