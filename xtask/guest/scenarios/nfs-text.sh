# A running program on NFS is replaced in place on the server.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "shrunk-elsewhere", "confidence": "proven", "victim": "program", "access": "exec", "offset": {"most": 2000000}, "size": 4096, "path": "$D/nfs/program", "how": "an attribute update", "old": {"most": 2000000}, "new": 4096}
#+linux-5.10: {"complete": null, "confidence": "likely", "how": null, "old": null, "new": null}
#+signal-alone: {"class": "shrunk-elsewhere", "confidence": "likely", "how": "an attribute update", "old": {"most": 2000000}, "new": 4096, "says": "who shrinks files on that host is not watched"}
#+signal-alone&linux-5.10: {"how": null, "old": null, "new": null, "says": "shrunk here or elsewhere"}
. /lib.sh
. /nfs.sh
nfs "$D/nfs"
cp /bin/reader nfs/program
make new 4096
make data 8192
sync
nfs/program "$D/data" 0 wait &
victim=$!
await data.ready
cp new $E/program || exit 99
[ "$(stat -c %s nfs/program)" = 4096 ] || exit 99
# The pages that are mapped already go when somebody opens the file again.
head -c 1 nfs/program
: >data.go
wait $victim
umount nfs
