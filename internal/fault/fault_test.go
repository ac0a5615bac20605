package fault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
)

func TestKinds(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	for _, c := range []struct {
		err  error
		kind Kind
		exit int
		text string
	}{
		{Invalidf("node", "%d inputs", 3), Invalid, 2, "node: 3 inputs"},
		{Unsupportedf("", "operator %s", "F"), Unsupported, 3, "operator F"},
		{Limitf("file", "too large"), Limit, 4, "file: too large"},
		{IOf("file", cause), IO, 5, "file: cannot be read or written: unexpected EOF"},
		{&Error{Kind: Gate, Msg: "below the limit"}, Gate, 1, "below the limit"},
		{errors.New("anything"), Internal, 70, "anything"},
		{fmt.Errorf("outer: %w", Invalidf("a", "b")), Invalid, 2, "outer: a: b"},
	} {
		if KindOf(c.err) != c.kind || c.kind.ExitCode() != c.exit || c.err.Error() != c.text {
			t.Errorf("kind %d, exit %d, %q; want %d, %d, %q", KindOf(c.err), c.kind.ExitCode(), c.err, c.kind, c.exit, c.text)
		}
	}
	if !errors.Is(IOf("file", cause), cause) {
		t.Error("the cause is lost")
	}
	if err := At("dir", IOf("file", fs.ErrNotExist)); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, IO) {
		t.Errorf("that a file is missing is lost in %v", err)
	}
}

// TestIs finds errors by their kind, in lists too.
func TestIs(t *testing.T) {
	var many List
	many.Add(Invalidf("a", "wrong"))
	many.Add(Unsupportedf("b", "lacks"))
	for k := Internal; k <= IO; k++ {
		err := fmt.Errorf("outer: %w", &Error{Kind: k, Msg: "it"})
		for o := Internal; o <= IO; o++ {
			if errors.Is(err, o) != (k == o) {
				t.Errorf("an error of kind %q is %q: %v", k, o, k != o)
			}
		}
		if errors.Is(At("file", many.Err()), k) != (k == Invalid || k == Unsupported) {
			t.Errorf("a list of two is %q", k)
		}
	}
}

func TestAt(t *testing.T) {
	if At("file", nil) != nil {
		t.Error("no error became one")
	}
	inner := Invalidf("node", "wrong").WithHint("mend it")
	err := At("file", inner)
	if err.Error() != "file: node: wrong" || KindOf(err) != Invalid || HintOf(err) != "mend it" {
		t.Errorf("got %q, hint %q", err, HintOf(err))
	}
	if inner.Place != "node" {
		t.Errorf("the error itself changed to %q", inner.Place)
	}
	if err := At("file", Invalidf("", "wrong")); err.Error() != "file: wrong" {
		t.Errorf("got %q", err)
	}
	plain := At("file", io.EOF)
	if plain.Error() != "file: EOF" || !errors.Is(plain, io.EOF) || KindOf(plain) != Internal || HintOf(plain) != "" {
		t.Errorf("got %q", plain)
	}
}
