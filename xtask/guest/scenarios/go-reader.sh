# The database of a service in Go, and an update that copies over it: Go's own handler ends the process with status 2.
#: {"class": "truncated", "confidence": "proven", "victim": "geo-api", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "exited", "exit": "status 2", "count": 1, "complete": true, "offset": 700000, "size": {"in": [0, 4096]}, "path": "$D/live.mmdb", "how": "open(O_TRUNC)", "old": 1048576, "new": 0, "culprit": "cp", "cmdline": "cp new.mmdb live.mmdb", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live.mmdb 1048576
make new.mmdb 4096
cp /bin/go_reader geo-api
./geo-api "$D/live.mmdb" 700000 &
victim=$!
await live.mmdb.ready
cp new.mmdb live.mmdb
wait $victim
