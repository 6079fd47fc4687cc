# Matches nothing many times, and then fails itself.
for i in 1 2 3 4 5 6; do grep -q nothing /etc/hostname; done
sleep 1
grep -q nothing /etc/hostname
exit 4
