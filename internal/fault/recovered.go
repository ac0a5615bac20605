package fault

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Recovered turns what recover returned into an error. A fault on memory is that of a mapped file
// which became shorter while it was read (see [Trap]); any other panic is an internal error.
func Recovered(place string, r any) error {
	var e runtime.Error
	if err, ok := r.(error); ok && errors.As(err, &e) {
		if _, ok := e.(interface{ Addr() uintptr }); ok {
			return &Error{Kind: IO, Place: place, Msg: "a mapped file changed while it was read"}
		}
	}
	return &Error{Kind: Internal, Place: place, Msg: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
}

// Trap makes faults on memory panics in this goroutine, so that they can be recovered, until the
// function that it returns is called.
func Trap() func() {
	old := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(old) }
}
