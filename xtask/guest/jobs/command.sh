# One command, for `cargo xtask vm -- CMD`.
echo
sh /command
echo "exit status $?"
