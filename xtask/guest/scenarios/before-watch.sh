# Truncated before anybody watched; the reader touches it only now. Prepared by before-watch.pre.
#: {"class": "truncated-before-watch", "confidence": "likely", "victim": "reader", "access": "read", "mode": "user", "offset": 5000, "size": 0, "path": "$D/live", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#+signal-alone: {"class": "truncated-before-watch", "confidence": "likely"}
. /lib.sh
: >live.go
until [ -e live.gone ]; do sleep 0.02; done
