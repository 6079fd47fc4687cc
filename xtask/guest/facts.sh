# What differs between kernels, for the scenarios' expectations: a line each in /results/facts.
case $(uname -r) in
    5.10.*) echo linux-5.10 ;;
    7.*) echo linux-7 ;;
esac >/results/facts
# fdinfo of /dev/fuse does not tell which file system it serves.
case $(uname -r) in
    5.10.* | 6.1.* | 6.12.*) echo fuse-untold ;;
esac >>/results/facts
[ "$(uname -m)" != aarch64 ] || echo arm64 >>/results/facts
# CONFIG_ARM64_16K_PAGES
! grep -q '^KernelPageSize: *16 kB' /proc/self/smaps || echo pages-16k >>/results/facts
# Its types are not in vmlinux: what it says of itself is not read.
! grep -q "^ext4 " /proc/modules || echo ext4-module >>/results/facts
# CONFIG_TRANSPARENT_HUGEPAGE, which PREEMPT_RT excludes: tmpfs without room has nothing to give back, and calls nobody.
grep -q ' shmem_unused_huge_shrink$' /proc/kallsyms || echo no-huge-pages >>/results/facts
# CONFIG_KALLSYMS_ALL
grep -q ' mmap_mem_ops$' /proc/kallsyms || echo no-data-symbols >>/results/facts
# Which forms of programs are left: arm64 has no trampolines for functions before 6.4, lockdown forbids kprobes, and
# without ftrace x86 has neither, arm64 kprobes alone.
refused=$WHYBUS_REFUSE
case $(uname -m),$(uname -r) in
    aarch64,5.* | aarch64,6.[0-3].*) refused=trampolines,$refused ;;
esac
if [ "$(cat /proc/sys/kernel/ftrace_enabled)" = 0 ]; then
    refused=trampolines,$refused
    [ "$(uname -m)" != x86_64 ] || refused=$refused,kprobes
fi
! grep -q '\[confidentiality\]' /sys/kernel/security/lockdown || refused=$refused,kprobes
case $refused in
    *trampolines*kprobes*) echo signal-alone ;;
    *trampolines*) echo kprobes ;;
esac >>/results/facts
