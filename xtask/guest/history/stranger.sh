# stranger NAME: kills a child of somebody else whenever there is a new one.
last=
while [ ! -e "$1.done" ]; do
    pid=$(cat "$1.pid" 2>/dev/null)
    if [ -n "$pid" ] && [ "$pid" != "$last" ]; then
        sleep 0.5
        kill -9 "$pid"
        last=$pid
    fi
    sleep 0.05
done
