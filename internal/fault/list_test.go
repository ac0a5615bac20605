package fault

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	var l List
	if l.Err() != nil || l.Len() != 0 {
		t.Fatal("an empty list is no error")
	}
	first := Limitf("a", "too large").WithHint("buy more")
	l.Add(first)
	if l.Err() != error(first) {
		t.Errorf("one failure: got %v", l.Err())
	}
	for i := range 30 {
		l.Add(Invalidf(fmt.Sprint("b", i), "wrong"))
	}
	err := l.Err()
	if err.Error() != "a: too large (and 30 more)" {
		t.Errorf("got %q", err)
	}
	if KindOf(err) != Limit || HintOf(err) != "buy more" {
		t.Error("kind and hint are not those of the first failure")
	}
	if len(l.Errors()) != 20 || l.Len() != 31 || !l.Full() {
		t.Errorf("%d of %d kept", len(l.Errors()), l.Len())
	}
	var join List
	join.Add(Invalidf("z", "wrong"))
	join.Join(&l)
	join.Count(2)
	if join.Len() != 34 || !strings.HasPrefix(join.Error(), "z: ") {
		t.Errorf("joined: %d, %v", join.Len(), &join)
	}
	var counted List
	counted.Count(1)
	if counted.Err() == nil || counted.Error() != "1 faults" {
		t.Errorf("counted: %v", counted.Err())
	}
}

func TestPoint(t *testing.T) {
	if Point(StepOpen) != nil {
		t.Fatal("a point fails although nobody armed it")
	}
	disarm := Arm(func(s Step) error {
		if s == StepSync {
			return io.ErrShortWrite
		}
		return nil
	})
	if Point(StepOpen) != nil || !errors.Is(Point(StepSync), io.ErrShortWrite) {
		t.Error("the armed function does not decide")
	}
	disarm()
	if Point(StepSync) != nil {
		t.Error("a point fails after it was disarmed")
	}
}
