package main

import (
	"fmt"
	"strings"
)

// A loop is one assembly function over n elements: a main part of several vectors per turn, one of
// single vectors, and a tail under a mask.
type loop struct {
	name, doc string
	label     string // before the names of labels, where a function has several loops
	width     int
	args      []arg
	bytes     int    // of the arguments, results included
	result    string // Go results
	body      *body
	unroll    int // vectors per turn of the main part; 1: no main part
	beside    int // how many of them are computed in turns, where more than one; unroll is a multiple
	per       int // vectors that the body itself takes
	noTail    bool
	pinned    []int    // registers that the body has pinned
	extra     []uint64 // constants that pro reads
	pro, epi  func(f *file)
}

// arg is one argument: pointers advance by size bytes per element, or after a main turn by the
// argument that step names; single floats and integers are broadcast to register vec, or fill a
// block on the stack.
type arg struct {
	name, typ string
	off       int
	reg       string // general register; "": it stays in memory
	size      int
	step      string // register that holds the step of a main turn
	vec       int    // vector register of a float32 or int32
	block     string // pointer registers that take the block instead where their step is 0
}

func (l *loop) lanes() int { return l.width / 4 * max(l.per, 1) }

// free lists the vector registers that the body may use.
func (l *loop) free() (r []int) {
	last := 32
	taken := map[int]bool{}
	for _, p := range l.pinned {
		taken[p] = true
	}
	if l.width == 32 {
		last = 16
		if !l.noTail {
			for h := range max(l.per, 1) {
				taken[maskReg[h]] = true
			}
		}
	}
	for i := range last {
		if !taken[i] {
			r = append(r, i)
		}
	}
	return r
}

func (l *loop) emit(f *file, consts constSet) {
	sig := ""
	for i, a := range l.args {
		if i > 0 {
			sig += ", "
		}
		sig += a.name + " " + a.typ
	}
	f.textResult(l.doc, l.name, sig, l.result, l.frame(), l.bytes)
	for _, a := range l.args {
		switch {
		case a.block != "":
		case a.typ == "float32", a.typ == "int32":
			f.p("VBROADCASTSS %s+%d(FP), %s", a.name, a.off, reg(l.width, a.vec))
		case a.reg != "":
			f.p("MOVQ %s+%d(FP), %s", a.name, a.off, a.reg)
		}
	}
	l.blocks(f)
	consts.add(l.body)
	for _, u := range l.extra {
		consts[u] = true
	}
	main, c := l.codes()
	c.prologue(f)
	if l.pro != nil {
		l.pro(f)
	}
	l.turns(f, main, c)
	if l.epi != nil {
		l.epi(f)
	}
	f.ret()
}

// codes finds registers for the body of the main part and that of the others.
func (l *loop) codes() (main, c *code) {
	if l.beside > 1 {
		main = l.body.beside(l.beside).assign(l.free())
		return main, l.body.like(main, l.free())
	}
	c = l.body.assign(l.free())
	return c, c
}

// blockBytes is what a pointer with a step passes over in a main turn.
const blockBytes = 256

// blocks fills a block on the stack with each argument that asks for it.
func (l *loop) blocks(f *file) {
	at := 0
	for _, a := range l.args {
		if a.block == "" {
			continue
		}
		at += blockBytes
		f.p("VBROADCASTSS %s+%d(FP), %s", a.name, a.off, reg(l.width, 0))
		f.p("LEAQ block-%d(SP), AX", at)
		for i := 0; i < blockBytes; i += l.width {
			f.p("VMOVUPS %s, %d(AX)", reg(l.width, 0), i)
		}
		for _, ptr := range strings.Fields(a.block) {
			f.p("TESTQ %s, %s", l.stepOf(ptr), l.stepOf(ptr))
			f.p("CMOVQEQ AX, %s", ptr)
		}
	}
}

// frame is the room for the blocks.
func (l *loop) frame() (n int) {
	for _, a := range l.args {
		if a.block != "" {
			n += blockBytes
		}
	}
	return n
}

func (l *loop) stepOf(ptr string) string {
	for _, a := range l.args {
		if a.reg == ptr {
			return a.step
		}
	}
	panic("no argument lies in " + ptr)
}

// turns writes the parts of the loop: many is the main one's body, c that of the others. CX counts the
// elements that are left.
func (l *loop) turns(f *file, many, c *code) {
	lanes, per := l.lanes(), max(l.per, 1)
	if l.unroll > 1 {
		n := lanes * l.unroll
		f.p("SUBQ $%d, CX", n)
		f.p("JLT %sfew", l.label)
		f.p("PCALIGN $32")
		f.p("%smany:", l.label)
		for u := 0; u < l.unroll; u += max(l.beside, 1) {
			many.write(f, place{vec: u * per})
		}
		l.advance(f, n, true)
		f.p("SUBQ $%d, CX", n)
		f.p("JGE %smany", l.label)
		f.p("%sfew:", l.label)
		f.p("ADDQ $%d, CX", n)
	}
	f.p("SUBQ $%d, CX", lanes)
	f.p("JLT %srest", l.label)
	if l.unroll <= 1 {
		f.p("PCALIGN $32")
	}
	f.p("%sone:", l.label)
	c.write(f, place{})
	l.advance(f, lanes, false)
	f.p("SUBQ $%d, CX", lanes)
	f.p("JGE %sone", l.label)
	f.p("%srest:", l.label)
	if !l.noTail {
		f.p("ADDQ $%d, CX", lanes)
		f.p("JEQ %sdone", l.label)
		f.tailMask(l.width, per)
		c.write(f, place{tail: true})
		f.p("%sdone:", l.label)
	}
}

func (l *loop) advance(f *file, n int, main bool) {
	for _, a := range l.args {
		switch {
		case a.size == 0:
		case main && a.step != "":
			f.p("ADDQ %s, %s", a.step, a.reg)
		default:
			f.p("ADDQ $%d, %s", n*a.size, a.reg)
		}
	}
}

// tailMask masks the first CX lanes of one or two vectors. It uses AX and DX.
func (f *file) tailMask(width, per int) {
	if width == 64 {
		f.p("MOVL $1, AX")
		f.p("SHLL CX, AX")
		f.p("DECL AX")
		f.p("KMOVW AX, %s", tailK)
		return
	}
	f.p("LEAQ laneMask<>+64(SB), AX")
	f.p("SHLQ $2, CX")
	f.p("SUBQ CX, AX")
	for h := range per {
		f.p("VMOVDQU %d(AX), %s", h*32, reg(32, maskReg[h]))
	}
}

// masks declares 16 lanes of ones and 16 of zeros, which tailMask reads from the middle.
func (f *file) masks() {
	w := make([]uint64, 16)
	for i := range 8 {
		w[i] = ^uint64(0)
	}
	f.words("laneMask", w...)
}

// textResult opens a function that may have a result.
func (f *file) textResult(doc, name, args, result string, frame, argBytes int) {
	fmt.Fprintf(&f.decl, "// %s %s\n//\n//go:noescape\nfunc %s(%s) %s\n\n", name, doc, name, args, result)
	fmt.Fprintf(&f.asm, "%s\n", strings.TrimSpace(fmt.Sprintf("// func %s(%s) %s", name, args, result)))
	flags := "NOSPLIT"
	if frame > 512 { // needs a check that the stack has room for it
		flags = "0"
	}
	f.p("TEXT ·%s(SB), %s, $%d-%d", name, flags, frame, argBytes)
}

// isa are the two widths with the suffix of their functions.
var isa = []struct {
	width  int
	suffix string
}{{32, "AVX2"}, {64, "AVX512"}}
