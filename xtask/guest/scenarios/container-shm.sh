# A victim in PID, mount and user namespaces of its own, with a /dev/shm that only they have.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "shm-full", "confidence": "proven", "victim": "writer", "access": "write", "offset": 1048576, "size": 4194304, "path": "/dev/shm/segment", "host_path": "/proc/N/root/dev/shm/segment", "mount": "shm on /dev/shm", "ns_pid": {"most": 9}}
#+no-huge-pages: {"complete": null}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mkdir -p /dev/shm
unshare --user --map-root-user --pid --fork --mount sh -c '
    mount -t tmpfs -o size=1m shm /dev/shm || exit 99
    truncate -s 4M /dev/shm/segment
    writer /dev/shm/segment "$1/label"
    sleep 1
' sh "$D"
[ $? != 99 ]
