# Between the size and the mapping somebody empties the file, it is written again, somebody else empties it, and harmless
# shrinks push that out of what the kernel remembers: nobody is proven to have done it.
#: {"class": "truncated", "confidence": "likely", "says": "too often since", "victim": "late_mmap", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/live", "how": "ftruncate", "old": 1048576, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 live", "parents": ["sh", "init"], "others": [["truncate", 8192, 4096], ["truncate", 8192, 4096], ["truncate", 8192, 4096]]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 1048576
late_mmap "$D/live" 81000 &
await live.ready
truncate -s 0 live
head -c 921600 /dev/zero >>live
: >live
for i in 1 2 3; do
    truncate -s 8192 live
    truncate -s 4096 live
done
: >live.go
wait
