# A victim in namespaces of its own, whose volume somebody on the host overwrites.
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": {"in": [0, 4096]}, "path": "/srv/live", "host_path": "$D/volume/live", "as": "$D/volume/live", "mount": {"in": ["/dev/vda on /srv", "tmpfs on /srv"]}, "ns_pid": {"most": 9}, "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "cp", "cmdline": "cp new volume/live", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
mkdir -p /srv volume
make volume/live 102400
make new 4096
unshare --user --map-root-user --pid --fork --mount sh -c '
    mount --bind "$1/volume" /srv || exit 99
    reader /srv/live 81000 run "$1/label"
    sleep 1
' sh "$D" &
container=$!
await volume/live.ready
cp new volume/live
wait $container
[ $? != 99 ]
