# A mapped file that is shrunk 3,000 times in a row: the last one did it, and who it was is known although most of
# them are kept in the kernel.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "ftruncate", "old": 102400, "new": 0, "culprit": "shrink_storm", "cmdline": "shrink_storm $D/live", "parents": ["sh", "init"], "others": [["shrink_storm", 102400, 0], ["shrink_storm", 102400, 0], ["shrink_storm", 102400, 0], ["shrink_storm", 102400, 0], ["shrink_storm", 102400, 0], ["shrink_storm", 102400, 0], ["shrink_storm", 102400, 0]]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reading "$D/live" 81000 wait
shrink_storm "$D/live"
: >live.go
wait $victim
