# A mapped file that one process cuts page by page, faster than each cut is sent.
#fs: ext4
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "offset": 34000, "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "path": "$D/live", "size": 0, "how": "ftruncate", "old": 61440, "new": 0, "culprit": "page_by_page", "cmdline": "page_by_page $D/live", "parents": ["sh", "init"], "others": [["page_by_page", 65536, 61440], ["page_by_page", 69632, 65536], ["page_by_page", 73728, 69632], ["page_by_page", 77824, 73728], ["page_by_page", 81920, 77824], ["page_by_page", 86016, 81920], ["page_by_page", 90112, 86016]]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reading "$D/live" 34000 wait
page_by_page "$D/live"
: >live.go
wait $victim
