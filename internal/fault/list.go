package fault

import "fmt"

// maxListed is how many faults a List keeps; it counts the rest.
const maxListed = 20

// A List is several failures found in one go, in the order in which they were found. The zero
// value is empty and ready to use. It keeps the first 20 and counts the others.
type List struct {
	errs []*Error
	more int
}

// Add appends e.
func (l *List) Add(e *Error) {
	if len(l.errs) == maxListed {
		l.more++
		return
	}
	l.errs = append(l.errs, e)
}

// Full says whether further failures are only counted, so that nobody need describe them.
func (l *List) Full() bool { return len(l.errs) == maxListed }

// Count adds n failures that nobody described.
func (l *List) Count(n int) { l.more += n }

// Len returns how many failures there are, the ones that were not kept included.
func (l *List) Len() int { return len(l.errs) + l.more }

// Errors returns the failures that were kept. The slice is not to be changed.
func (l *List) Errors() []*Error { return l.errs }

// Join appends another list's failures.
func (l *List) Join(o *List) {
	for _, e := range o.errs {
		l.Add(e)
	}
	l.more += o.more
}

// Err returns nil if the list is empty, the failure itself if there is one, and l if there are more.
func (l *List) Err() error {
	switch l.Len() {
	case 0:
		return nil
	case 1:
		if len(l.errs) == 1 {
			return l.errs[0]
		}
	}
	return l
}

// at returns the list with place in front of each failure's own.
func (l *List) at(place string) *List {
	c := &List{more: l.more}
	for _, e := range l.errs {
		n := *e
		n.put(place)
		c.errs = append(c.errs, &n)
	}
	return c
}

// Error describes the first failure and counts the others.
func (l *List) Error() string {
	if len(l.errs) == 0 {
		return fmt.Sprintf("%d faults", l.more)
	}
	s := l.errs[0].Error()
	if n := l.Len() - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// Unwrap returns the failures that were kept, so that KindOf and HintOf see the first.
func (l *List) Unwrap() []error {
	errs := make([]error, len(l.errs))
	for i, e := range l.errs {
		errs[i] = e
	}
	return errs
}
