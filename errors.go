package lowbit

import "lowbit/internal/fault"

// An Error is a failure of a known kind at a known place; errors.As finds it:
//
//	Kind  ErrorKind
//	Place string // file, node or value; may be empty
//	Msg   string
//	Hint  string // what to do about it, in one line; may be empty
//	Err   error  // the cause, if there is one
//
// Hints write settings in backquotes, by the names of the command line's flags, which are those of a [Recipe]'s keys and, in
// other letters, of options: `data` is the Data of [QuantizeOptions], `max-model` the ModelBytes of [Limits].
//
// Functions that find several failures in one go return an error that unwraps to all of them.
type Error = fault.Error

// An ErrorKind is what sort of failure an [Error] is. It is an error itself, for errors.Is.
type ErrorKind = fault.Kind

// The kinds of failure, to be asked for with errors.Is. A done context's cause is found as itself; a missing file
// is fs.ErrNotExist too, and one that Save would replace fs.ErrExist.
const (
	ErrInternal    = fault.Internal    // a fault of lowbit
	ErrInvalid     = fault.Invalid     // a file, an option or a tensor that no tool could accept
	ErrUnsupported = fault.Unsupported // valid, but lowbit or the target lacks it
	ErrLimit       = fault.Limit       // a resource limit: memory, disk, or one of [Limits]
	ErrIO          = fault.IO          // the file system
)
