// fault FILE [recover]: maps 10 bytes of an empty file privately and reads one; with `recover`
// the fault becomes a panic that is recovered, as libraries for mapped files do.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
)

func touch(bytes []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
		}
	}()
	_ = fmt.Sprint(bytes[3])
	return nil
}

func main() {
	file, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	bytes, err := syscall.Mmap(int(file.Fd()), 0, 10, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	if len(os.Args) > 2 {
		debug.SetPanicOnFault(true)
	}
	fmt.Println(touch(bytes))
}
