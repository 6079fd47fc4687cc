# A victim whose arguments nobody can read (userfaultfd fails whoever asks /proc for them): that we
# asked is no incident.
#: {"mode": "user", "signal": "BUS_ADRERR", "count": 1, "complete": true, "class": "mapped-past-end", "confidence": "proven", "access": "read", "victim": "stuck", "disposition": "handler", "outcome": "survived", "exit": "signal 9", "offset": 5, "size": 0, "path": "$D/empty"}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
: >empty
stuck "$D/empty" &
victim=$!
sleep 1
kill -9 $victim
wait $victim
