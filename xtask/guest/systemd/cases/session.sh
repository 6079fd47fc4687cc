# What people do in a shell all day.
for i in 1 2 3 4 5 6 7 8 9 10; do
    grep -q nothing /etc/hostname || false
    grep -c nothing /etc/passwd || ls /nowhere.$i
    test -e /nowhere
    sh -c 'exit 1' check $i
done
sleep 1.2 && false
sh -c 'sleep 1.2; exit 1'
true
