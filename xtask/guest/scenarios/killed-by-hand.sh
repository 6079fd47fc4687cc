# kill -BUS by somebody who logged in, on a terminal.
#fs: tmpfs
#: {"class": "sent", "confidence": "proven", "victim": "reader", "culprit": "sh", "cmdline": "sh kill.sh", "parents": ["script", "sh", "init"], "login_uid": 1000, "session": true, "tty": "pts/0", "signal": "SI_USER", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
make live 8192
reading "$D/live" 5000
echo "kill -BUS $victim" >kill.sh
by_hand 1000 "exec sh kill.sh"
wait $victim
