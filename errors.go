package lowbit

import "lowbit/internal/fault"

// An Error is a failure of a known kind at a known place; errors.As finds it, and its Hint says what to do. Functions
// that find several failures in one go return an error that unwraps to all of them.
type Error = fault.Error

// An ErrorKind is what sort of failure an [Error] is. It is an error itself, for errors.Is.
type ErrorKind = fault.Kind

// The kinds of failure, to be asked for with errors.Is. A done context's cause is found as itself, and a missing file
// is fs.ErrNotExist too.
const (
	ErrInternal    = fault.Internal    // a fault of lowbit
	ErrInvalid     = fault.Invalid     // a file, an option or a tensor that no tool could accept
	ErrUnsupported = fault.Unsupported // valid, but lowbit or the target lacks it
	ErrLimit       = fault.Limit       // a resource limit: memory, disk, or one of [Limits]
	ErrIO          = fault.IO          // the file system
)
