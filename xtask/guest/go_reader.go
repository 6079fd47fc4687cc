// go_reader FILE OFFSET: a reader in Go, as services that map a database are: maps the whole file and reads one byte again and
// again.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

var sum byte

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	info, err := file.Stat()
	if err != nil {
		panic(err)
	}
	bytes, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	offset, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	sum += bytes[offset]
	if err := os.WriteFile(os.Args[1]+".ready", nil, 0o644); err != nil {
		panic(err)
	}
	for {
		sum += bytes[offset]
		time.Sleep(time.Millisecond)
	}
}
