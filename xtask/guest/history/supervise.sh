# supervise NAME TIMES CMD…: runs a program again and again, as process supervisors do; with
# NAME.kills it kills its child itself.
name=$1 times=$2
shift 2
i=0
while [ $i -lt "$times" ]; do
    "$@" &
    child=$!
    echo $child >"$name.pid"
    if [ -e "$name.kills" ]; then
        sleep 0.5
        kill -9 $child
    fi
    wait $child
    i=$((i + 1))
    sleep 0.4
done
