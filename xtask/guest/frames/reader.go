//: go-static main
//: go-stripped main stripped
//: go-pie main -buildmode=pie
// PROGRAM read FILE OFFSET HOW, PROGRAM cut FILE: as reader.c. Go's runtime handles SIGBUS, tells its stack itself, and ends. Here it
// dies of the signal, so that there is a core of the fault itself.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

type database interface{ lookUp(offset int) byte }

type mapped struct{ bytes []byte }

var sum byte

func network(row []byte) byte { return row[0] + 1 }

//go:noinline
func (m *mapped) lookUp(offset int) byte {
	return network(m.bytes[offset:]) + 2
}

//go:noinline
func serve(from database, offset int) byte {
	return from.lookUp(offset) + 3
}

//go:noinline
func cutShort(path string) error {
	return os.Truncate(path, 4096)
}

// As it was before the runtime began.
func dieOfSignal(signal syscall.Signal) {
	var byDefault [4]uint64
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
}

func main() {
	if len(os.Args) == 3 {
		if cutShort(os.Args[2]) != nil {
			os.Exit(99)
		}
		return
	}
	dieOfSignal(syscall.SIGBUS)
	file, err := os.Open(os.Args[2])
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
	offset, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Args[2]+".ready", nil, 0o644); err != nil {
		panic(err)
	}
	for {
		sum += serve(&mapped{bytes}, offset)
		time.Sleep(time.Millisecond)
	}
}
