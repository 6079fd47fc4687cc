# A shell writes over it, and then becomes the program that crashes by itself: it never had the old one.
#: {"class": "signal", "confidence": "proven", "says": "a null pointer", "victim": "geo_user", "changed": "libgeo.so", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
. /lib.sh
. /geo.sh
ln libgeo.so other.so
geo_user ./other.so geo_height &
other=$!
await other.so.ready
cp /lib/*-linux-gnu/libgeo1.so new.so
sh -c 'cp new.so libgeo.so; sleep 3; exec geo_user "$0" geo_depth' "$D/libgeo.so" &
victim=$!
await libgeo.so.ready
: >libgeo.so.go
wait $victim
kill -9 $other
wait $other
