# Whoever empties the file has taken another's name and command line. What it runs, and in which cgroup, is the kernel's word,
# and stands beside the name.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "truncate", "old": 102400, "new": 0, "culprit": "nginx", "cmdline": "nginx: work", "parents": ["moved", "sh", "init"], "culprit_exe": "$D/evil", "culprit_cgroup": "/evil", "claims": "calls itself nginx; runs $D/evil"}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
cp /bin/impostor evil
make live 102400
reading "$D/live" 81000
moved /sys/fs/cgroup/evil ./evil live || exit 99
wait $victim
