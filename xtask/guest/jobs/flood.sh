# Somebody else drowns the recorder in signals while ten lose the end of a file, ten are sent SIGTERM, and three die of one
# of too many.
D=/mnt/ext4/flood
mkdir -p $D
whybus trace --signals term --no-warnings -o json --save /results/stream >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ]; do sleep 0.05; done
flood /results/sent 25 &
flood=$!
sleep 2
(
    set -- "$D"
    . /lib.sh
    for i in 1 2 3 4 5 6 7 8 9 10; do
        make live.$i 102400
        reading "$D/live.$i" 81000 wait
        truncate -s 0 live.$i
        : >live.$i.go
        wait $victim
        worker wait &
        victim=$!
        sleep 0.5
        kill -TERM $victim
        wait $victim
    done
    for i in 1 2 3; do flood prey; done
)
wait $flood
sleep 1
kill -TERM $tracer
wait $tracer
echo "$?" >/results/trace.status
whybus replay -o json /results/stream >/results/replay.json
