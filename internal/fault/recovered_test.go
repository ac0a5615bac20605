package fault

import (
	"errors"
	"testing"
)

// TestRecovered tells a panic of the program from a fault on memory.
func TestRecovered(t *testing.T) {
	caught := func(f func()) (err error) {
		defer Trap()()
		defer func() {
			if r := recover(); r != nil {
				err = Recovered("step", r)
			}
		}()
		f()
		return nil
	}
	if err := caught(func() { panic("lost") }); KindOf(err) != Internal {
		t.Errorf("a panic is %v", err)
	}
	if err := caught(func() { panic(errors.New("lost")) }); KindOf(err) != Internal {
		t.Errorf("a panic with an error is %v", err)
	}
	if err := caught(func() { panic(addressed{}) }); KindOf(err) != IO {
		t.Errorf("a fault on memory is %v", err)
	}
}

// addressed is a runtime error that knows the address, as a fault on a mapping has it.
type addressed struct{}

func (addressed) Error() string { return "unexpected fault address" }
func (addressed) RuntimeError() {}
func (addressed) Addr() uintptr { return 1 }
