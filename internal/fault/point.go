package fault

import "sync/atomic"

// A Step names a call of the operating system that a test can make fail.
type Step string

// The steps that the packages of lowbit announce.
const (
	StepOpen   Step = "open"
	StepMap    Step = "mmap"
	StepRead   Step = "read"
	StepCreate Step = "create"
	StepWrite  Step = "write"
	StepSync   Step = "fsync"
	StepRename Step = "rename"
	StepRemove Step = "remove"
)

var points atomic.Pointer[func(Step) error]

// Point announces a step before it is taken. It returns nil unless a test has armed an error for it.
func Point(s Step) error {
	if f := points.Load(); f != nil {
		return (*f)(s)
	}
	return nil
}

// Arm lets f decide the outcome of every Point until the returned function is called. It is for
// tests, and affects the whole process.
func Arm(f func(Step) error) (disarm func()) {
	points.Store(&f)
	return func() { points.Store(nil) }
}
