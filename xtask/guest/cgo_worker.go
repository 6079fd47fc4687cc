// cgo: calls a C library with a pointer that is null, as a resolver without an answer does.
package main

/*
#cgo LDFLAGS: -lgeo
struct record;
int geo_height(const struct record *record);
*/
import "C"

import (
	"fmt"
	"time"
)

func main() {
	time.Sleep(300 * time.Millisecond)
	fmt.Println(C.geo_height(nil))
}
