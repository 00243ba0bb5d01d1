// A counter, a gauge and a text of a Go program, through cgo.
//
//	PKG_CONFIG_PATH=PREFIX/lib/pkgconfig go run .
//
// A goroutine moves between threads, so fields that several of them update are of the whole program: any thread
// updates them, under a lock. One that is locked to its thread has a lane of its own, with inline counters.
package main

/*
#cgo pkg-config: mmstats
#include <mmstats.h>
#include <stdlib.h>

struct handles {
    mmstats_counter requests;
    mmstats_shared jobs;
    mmstats_text phase;
};

// Go cannot call what is inline in C, and a table of pointers is easier in C.
static void incr(struct handles *my) { mmstats_incr(my->requests); }

static int start(mmstats_publisher **publisher) {
    static const mmstats_field fields[] = {
        {.label = "requests", .kind = MMSTATS_COUNTER, .offset = offsetof(struct handles, requests)},
        {.label = "jobs", .kind = MMSTATS_COUNTER, .flags = MMSTATS_SHARED, .offset = offsetof(struct handles, jobs)},
        {.label = "phase", .kind = MMSTATS_TEXT, .flags = MMSTATS_SHARED, .offset = offsetof(struct handles, phase)},
    };
    mmstats_options options = MMSTATS_OPTIONS;
    options.fields = fields;
    options.field_count = 3;
    return mmstats_start(publisher, &options);
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"
)

func main() {
	var publisher *C.mmstats_publisher
	if C.start(&publisher) != C.MMSTATS_OK {
		fmt.Fprintln(os.Stderr, "not published:", C.GoString(C.mmstats_error()))
	}
	defer C.mmstats_close(publisher)

	// Handles of the whole program stay with the lane that attached them.
	runtime.LockOSThread()
	shared := (*C.struct_handles)(C.calloc(1, C.sizeof_struct_handles))
	lane := C.mmstats_attach(publisher, unsafe.Pointer(shared))
	defer C.mmstats_detach(lane)

	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			runtime.LockOSThread() // The thread ends with the goroutine.
			var my C.struct_handles
			lane := C.mmstats_attach(publisher, unsafe.Pointer(&my))
			defer C.mmstats_detach(lane)
			for n := 0; n < 1000; n++ {
				C.incr(&my)
				C.mmstats_shared_incr(shared.jobs, 1)
			}
		}()
	}
	all.Wait()
	phase := C.CString("serving")
	defer C.free(unsafe.Pointer(phase))
	C.mmstats_text_set(shared.phase, phase)

	fmt.Println(C.GoString(C.mmstats_path(publisher, 0)))
	bufio.NewReader(os.Stdin).ReadByte()
}
