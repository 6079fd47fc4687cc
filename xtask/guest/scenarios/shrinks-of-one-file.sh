# After the truncation the file grows and is shrunk twelve times more, by a byte each: none of these removed the page.
#fs: ext4
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "ftruncate", "old": 102400, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 live", "parents": ["sh", "init"], "size": 4095, "others": [["truncate", 4096, 4095], ["truncate", 4096, 4095], ["truncate", 4096, 4095], ["truncate", 4096, 4095], ["truncate", 4096, 4095], ["truncate", 4096, 4095], ["truncate", 4096, 4095]]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reading "$D/live" 81000 wait
truncate -s 0 live
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    truncate -s 4096 live
    truncate -s 4095 live
done
: >live.go
wait $victim
