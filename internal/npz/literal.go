package npz

import (
	"strconv"
	"strings"

	"lowbit/internal/fault"
)

// fields is the dictionary in front of an array.
type fields struct {
	descr   string
	fortran bool
	shape   []int
}

// parseFields reads the Python literal in front of an array: a dictionary of the three keys
// descr, fortran_order and shape, each once (NEP 1).
func parseFields(s string) (fields, error) {
	p := &literal{rest: s}
	var f fields
	seen := map[string]bool{}
	p.expect('{')
	for p.err == nil && !p.accept('}') {
		key := p.str()
		if seen[key] {
			p.fail("key %q stands twice", key)
		}
		seen[key] = true
		p.expect(':')
		switch key {
		case "descr":
			f.descr = p.str()
		case "fortran_order":
			f.fortran = p.boolean()
		case "shape":
			f.shape = p.tuple()
		default:
			p.fail("unknown key %q", key)
		}
		if !p.accept(',') && p.err == nil && !p.peek('}') {
			p.fail("a comma is missing before %.16q", p.rest)
		}
	}
	if p.err == nil && p.skip() != "" {
		p.fail("%.16q after the dictionary", p.rest)
	}
	if p.err == nil && len(seen) != 3 {
		p.fail("the keys descr, fortran_order and shape are not all there")
	}
	return f, p.err
}

// literal reads the few forms of Python literals that headers use. The first error stays.
type literal struct {
	rest string
	err  error
}

func (p *literal) fail(format string, a ...any) {
	if p.err == nil {
		p.err = fault.Invalidf("header", format, a...)
	}
}

func (p *literal) skip() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

func (p *literal) peek(c byte) bool {
	s := p.skip()
	return s != "" && s[0] == c
}

func (p *literal) accept(c byte) bool {
	if p.err != nil || !p.peek(c) {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *literal) expect(c byte) {
	if p.err == nil && !p.accept(c) {
		p.fail("%q expected at %.16q", c, p.rest)
	}
}

// str reads a quoted string without escapes. A list is the type of an array of records.
func (p *literal) str() string {
	s := p.skip()
	if p.peek('[') && p.err == nil {
		p.err = fault.Unsupportedf("header", "arrays of records have no ONNX counterpart")
	}
	if p.err != nil || s == "" || s[0] != '\'' && s[0] != '"' {
		p.fail("a string expected at %.16q", s)
		return ""
	}
	end := strings.IndexByte(s[1:], s[0])
	if end < 0 || strings.ContainsRune(s[1:1+end], '\\') {
		p.fail("a string does not end: %.16q", s)
		return ""
	}
	p.rest = s[end+2:]
	return s[1 : 1+end]
}

func (p *literal) boolean() bool {
	for _, w := range []string{"True", "False"} {
		if strings.HasPrefix(p.skip(), w) {
			p.rest = p.rest[len(w):]
			return w == "True"
		}
	}
	p.fail("True or False expected at %.16q", p.rest)
	return false
}

// tuple reads a shape. Python 2 wrote an L after long numbers.
func (p *literal) tuple() []int {
	shape := []int{}
	p.expect('(')
	for p.err == nil && !p.accept(')') {
		s := p.skip()
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		v, err := strconv.ParseInt(s[:n], 10, 64)
		if err != nil || v > maxDim {
			p.fail("a dimension up to 2^40 expected at %.24q", s)
			break
		}
		if len(shape) == maxRank {
			p.fail("more than %d dimensions", maxRank)
			break
		}
		shape = append(shape, int(v))
		p.rest = strings.TrimPrefix(s[n:], "L")
		if !p.accept(',') && !p.peek(')') {
			p.fail("a comma is missing in the shape at %.16q", p.rest)
		}
	}
	return shape
}
