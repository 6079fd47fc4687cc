# cp, by somebody on a terminal, over a mapped file where no kernel memory may be read by helpers.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 20000000, "size": {"most": 16777216}, "path": "$D/live", "how": "open(O_TRUNC)", "old": 25165824, "new": 0, "culprit": "cp", "cmdline": "cp new live", "parents": ["script", "sh", "init"], "login_uid": 1000, "session": true, "tty": "pts/0"}
# There the task that runs cannot be read.
#+linux-5.10: {"cmdline": {"owed": "cp new live"}, "parents": {"owed": ["script", "sh", "init"]}, "login_uid": null, "session": null, "tty": null}
# Nobody sees who shrank it; a fault before ext4 has written the new ctime is told as mapped past the end.
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 25165824
make new 16777216
reading "$D/live" 20000000
by_hand 1000 "exec cp new live"
wait $victim
