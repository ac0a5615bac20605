package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestPlaces(t *testing.T) {
	missing := &fs.PathError{Op: "open", Path: "a", Err: fs.ErrNotExist}
	denied := &fs.PathError{Op: "open", Path: "a", Err: fs.ErrPermission}
	two := &List{}
	two.Add(Invalidf("x", "bad"))
	two.Add(Unsupportedf("", "worse"))
	for _, c := range []struct {
		err  error
		text string
		kind Kind
		code int
	}{
		{Invalidf("a", "is %d", 1), "a: is 1", Invalid, 2},
		{Unsupportedf("", "no"), "no", Unsupported, 3},
		{Limitf("a", "too much"), "a: too much", Limit, 4},
		{&Error{Kind: Gate, Msg: "below"}, "below", Gate, 1},
		{errors.New("?"), "?", Internal, 70},
		{IOf("a", missing), "a: there is no such file", IO, 5},
		{IOf("a", denied), "a: cannot be read or written: permission denied", IO, 5},
		{IOf("b", denied), "b: cannot be read or written: open a: permission denied", IO, 5},
		{At("f", Invalidf("a", "bad")), "f: a: bad", Invalid, 2},
		{At("f", Invalidf("", "bad")), "f: bad", Invalid, 2},
		{At("f", Invalidf("f", "bad")), "f: bad", Invalid, 2},
		{At("f", Invalidf("f: node", "bad")), "f: node: bad", Invalid, 2},
		{At("f", fmt.Errorf("while: %w", Limitf("a", "much"))), "f: a: much", Limit, 4},
		{At("f", errors.New("?")), "f: ?", Internal, 70},
		{At("", Invalidf("a", "bad")), "a: bad", Invalid, 2},
		{At("f", two), "f: x: bad (and 1 more)", Invalid, 2},
		{AsInvalid(errors.New("?")), "?", Invalid, 2},
		{AsInvalid(Limitf("a", "much")), "a: much", Limit, 4},
	} {
		if c.err.Error() != c.text || KindOf(c.err) != c.kind || c.kind.ExitCode() != c.code {
			t.Errorf("got %q of kind %d, exit status %d; want %q of kind %d", c.err, KindOf(c.err), KindOf(c.err).ExitCode(), c.text, c.kind)
		}
	}
	if At("f", nil) != nil || AsInvalid(nil) != nil {
		t.Error("no error became one")
	}
	var many *List
	if err := At("f", two); !errors.As(err, &many) || many.Len() != 2 || many.Errors()[1].Place != "f" || two.Errors()[1].Place != "" {
		t.Errorf("a list at a place: %v", err)
	}
	if err := Invalidf("a", "bad").WithHint("try %s", "b"); HintOf(At("f", err)) != "try b" || HintOf(errors.New("?")) != "" {
		t.Error("a hint is lost, or made up")
	}
}
