# A name made to deceive a terminal, and a comm with quotes.
#: {"class": "truncated", "confidence": "proven", "victim": "re\"ad'er\u001b[1m", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 5000, "size": 0, "path": "$D/a\u001b[2J\nb\\xff\u202ex\"'", "how": "open(O_TRUNC)", "old": 8192, "new": 0, "culprit": "sh", "cmdline": "/bin/sh /scenarios/hostile-names.sh $D", "parents": ["init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
victim=$(printf 're"ad\047er\033[1m')
cp /bin/reader "$victim"
name=$(printf 'a\033[2J\nb\377\342\200\256x"\047')
make "$name" 8192
"./$victim" "$D/$name" 5000 &
await "$name.ready"
: >"$name"
wait
