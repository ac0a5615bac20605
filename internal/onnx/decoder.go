package onnx

import (
	"strconv"
	"strings"

	"lowbit/internal/fault"
)

// A decoder holds what one file's decoding shares: limits, counters, the place it is at, and the
// faults it found.
type decoder struct {
	lim    Limits
	root   string    // the file's name in messages
	ext    *external // nil where external data is refused
	path   []step
	faults fault.List
	names  map[string]string

	nodes, consts, depth int
	spent                int64 // bytes allocated for converted tensors
}

// A step is one level of the place in a file: field[index] "name".
type step struct {
	field string
	index int // -1 for a field that is not repeated
	name  string
}

func newDecoder(root string, lim Limits) *decoder {
	return &decoder{root: root, lim: lim.withDefaults(), names: map[string]string{}}
}

func (d *decoder) read(b []byte) reader { return reader{d: d, rest: b} }

// push enters a field; index is -1 where it is not repeated.
func (d *decoder) push(field string, index int) {
	d.path = append(d.path, step{field, index, ""})
}

func (d *decoder) pop() { d.path = d.path[:len(d.path)-1] }

// called gives the current step its name, for messages.
func (d *decoder) called(name string) { d.path[len(d.path)-1].name = name }

// enter counts one level of nesting; it refuses to go deeper than the limit.
func (d *decoder) enter(what string) bool {
	if d.depth >= d.lim.Nesting {
		d.limit("%s is nested more than %d deep", what, d.lim.Nesting)
		return false
	}
	d.depth++
	return true
}

func (d *decoder) leave() { d.depth-- }

// place writes the path as `model.onnx: graph.node[12] "conv1".attribute[3]`.
func (d *decoder) place() string {
	var s strings.Builder
	s.WriteString(d.root)
	for i, p := range d.path {
		switch {
		case i > 0:
			s.WriteByte('.')
		case d.root != "":
			s.WriteString(": ")
		}
		s.WriteString(p.field)
		if p.index >= 0 {
			s.WriteString("[" + strconv.Itoa(p.index) + "]")
		}
		if p.name != "" {
			s.WriteString(" " + strconv.Quote(shorten(p.name)))
		}
	}
	return s.String()
}

// fault records what kindf makes of the place and the words, and returns it to be given a hint.
func (d *decoder) fault(kindf func(place, format string, a ...any) *fault.Error, format string, a ...any) *fault.Error {
	if d.faults.Full() {
		d.faults.Count(1)
		return &fault.Error{}
	}
	e := kindf(d.place(), format, a...)
	d.faults.Add(e)
	return e
}

func (d *decoder) invalid(format string, a ...any) { d.fault(fault.Invalidf, format, a...) }

func (d *decoder) limit(format string, a ...any) { d.fault(fault.Limitf, format, a...) }

func (d *decoder) unsupported(format string, a ...any) { d.fault(fault.Unsupportedf, format, a...) }

// failed records e at the current place.
func (d *decoder) failed(e *fault.Error) {
	c := *e
	c.Place = d.place()
	d.faults.Add(&c)
}

// truncated is invalid for bytes that end too early or make no sense.
func (d *decoder) truncated(format string, a ...any) {
	d.fault(fault.Invalidf, format, a...).WithHint("the file is truncated or damaged; fetch it again")
}

// spend accounts for n bytes about to be allocated.
func (d *decoder) spend(n int64) bool {
	if n > d.lim.Memory-d.spent {
		d.limit("needs %s more bytes of memory, %s are left", commas(n), commas(d.lim.Memory-d.spent))
		return false
	}
	d.spent += n
	return true
}

// internMax is the length above which equal texts are not looked for.
const internMax = 256

// intern returns b as a string, one copy for all equal ones.
func (d *decoder) intern(b []byte) string {
	if len(b) > internMax {
		return string(b)
	}
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	s := string(b)
	d.names[s] = s
	return s
}

// shorten cuts a text from a file to what a message can hold.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// commas writes n with thousands separated.
func commas[T int | int64 | uint64](n T) string {
	s := strconv.FormatUint(uint64(max(n, 0)), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
