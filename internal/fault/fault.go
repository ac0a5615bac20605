// Package fault defines the kinds of error that lowbit tells apart, each with its exit code.
//
// An error names the place first ("graph.node[12] \"conv1\"") and then what is wrong there;
// a hint says what to do about it.
package fault

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Kind is what sort of failure an error is.
type Kind uint8

// The kinds of failure. Internal is the zero value: an error nobody classified.
const (
	Internal    Kind = iota
	Gate             // the work was done, but a limit that the user asked for does not hold
	Invalid          // input, recipe or usage that no tool could accept
	Unsupported      // valid, but lowbit or the target lacks it
	Limit            // a resource limit: memory, disk, time
	IO               // the file system or the network
)

// Error makes a kind what errors.Is finds an error of that kind by.
func (k Kind) Error() string {
	return [...]string{Internal: "internal error", Gate: "a limit that was asked for does not hold", Invalid: "invalid", Unsupported: "unsupported",
		Limit: "a resource limit", IO: "the file system or the network"}[k]
}

// ExitCode returns the exit status of the command line for the kind.
func (k Kind) ExitCode() int {
	return [...]int{Internal: 70, Gate: 1, Invalid: 2, Unsupported: 3, Limit: 4, IO: 5}[k]
}

// An Error is a failure of a known kind at a known place.
type Error struct {
	Kind  Kind
	Place string // file, node or value; may be empty
	Msg   string
	Hint  string // one line of advice; may be empty
	Err   error  // the cause, if there is one
	told  error  // a cause that Msg tells already
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Place != "" {
		s = e.Place + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return cmp.Or(e.Err, e.told) }

// Is says whether target is e's kind.
func (e *Error) Is(target error) bool { return target == error(e.Kind) }

// Invalidf returns an error for input that no tool could accept.
func Invalidf(place, format string, a ...any) *Error {
	return &Error{Kind: Invalid, Place: place, Msg: fmt.Sprintf(format, a...)}
}

// Unsupportedf returns an error for valid input that lowbit lacks the means for.
func Unsupportedf(place, format string, a ...any) *Error {
	return &Error{Kind: Unsupported, Place: place, Msg: fmt.Sprintf(format, a...)}
}

// Limitf returns an error for work that would exceed a resource limit.
func Limitf(place, format string, a ...any) *Error {
	return &Error{Kind: Limit, Place: place, Msg: fmt.Sprintf(format, a...)}
}

// IOf returns an error of the file system or network caused by err. A file that is not there is said
// to be missing, and a path in err that is place is not named twice.
func IOf(place string, err error) *Error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Kind: IO, Place: place, Msg: "there is no such file", told: fs.ErrNotExist}
	}
	var p *fs.PathError
	if errors.As(err, &p) && p.Path == place {
		err = p.Err
	}
	return &Error{Kind: IO, Place: place, Msg: "cannot be read or written", Err: err}
}

// WithHint returns e with a line of advice.
func (e *Error) WithHint(format string, a ...any) *Error {
	e.Hint = fmt.Sprintf(format, a...)
	return e
}

// Telling returns e as an error that is cause too, which its message tells already.
func (e *Error) Telling(cause error) *Error {
	e.told = cause
	return e
}

// At puts place in front of an error's own place, and keeps its kind. In a list it does so for
// each failure. An empty place leaves the error as it is.
func At(place string, err error) error {
	if err == nil || place == "" {
		return err
	}
	var many *List
	if errors.As(err, &many) {
		return many.at(place)
	}
	var e *Error
	if errors.As(err, &e) {
		c := *e
		c.put(place)
		return &c
	}
	return fmt.Errorf("%s: %w", place, err)
}

// put stands place in front of e's own, unless that begins with it.
func (e *Error) put(place string) {
	switch {
	case e.Place == "":
		e.Place = place
	case e.Place != place && !strings.HasPrefix(e.Place, place+": "):
		e.Place = place + ": " + e.Place
	}
}

// AsInvalid returns err, as an error of kind Invalid if it has none.
func AsInvalid(err error) error {
	if err == nil || KindOf(err) != Internal {
		return err
	}
	return Invalidf("", "%v", err)
}

// KindOf returns the kind of the first classified error in err's chain.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// HintOf returns the advice that err carries, if any.
func HintOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
