# A memory file has no path.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "victim": "memfd", "offset": 160000, "size": 8192, "path": "memfd:frames", "how": "ftruncate", "old": 262144, "new": 8192, "culprit": "resizer", "cmdline": "memfd $D/label", "parents": ["memfd", "sh", "init"]}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
memfd "$D/label"
