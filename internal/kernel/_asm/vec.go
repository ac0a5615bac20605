package main

import (
	"fmt"
	"math"
	"sort"
)

// A body is a straight line of vector operations on virtual registers. The same body is written
// for 256-bit and for 512-bit vectors, so both do the same float operations in the same order.
type body struct {
	width int // bytes of a vector: 32 or 64
	ops   []op
	vals  []value
	pools map[uint64]val // constants by their bits
}

// val is the number of a value of a body.
type val int

// value is one virtual register: a constant, a register that the loop owns, or a result.
type value struct {
	isConst bool
	bits    uint64 // of a float64 where more than 32
	pinned  int    // physical register; −1: to be found
	uses    int
	first   int // uses that need a register
}

// op is one step: write emits it, given how to name its operands.
type op struct {
	dst   val // −1: none
	args  []val
	temps int
	// write gets the names of dst, args and temps. Constant args may be memory operands
	// unless needReg says otherwise.
	needReg []bool
	write   func(f *file, at place, d string, a, t []string)
}

// place says where in a loop a body is written.
type place struct {
	vec  int  // memory operands are moved by so many vectors
	copy int  // which copy of the body it is
	tail bool // only some lanes are left: memory is touched under a mask
}

func newBody(width int) *body { return &body{width: width, pools: map[uint64]val{}} }

func (b *body) lanes() int { return b.width / 4 }
func (b *body) wide() bool { return b.width == 64 }

func (b *body) value(v value) val {
	b.vals = append(b.vals, v)
	return val(len(b.vals) - 1)
}

// pin is a register that the loop keeps.
func (b *body) pin(r int) val { return b.value(value{pinned: r}) }

// pinned lists the registers of values that are pinned and read.
func (b *body) pinned() (r []int) {
	for _, v := range b.vals {
		if !v.isConst && v.pinned >= 0 && v.uses > 0 {
			r = append(r, v.pinned)
		}
	}
	return r
}

// k is a float constant, bits a constant of 32 bits, in all lanes.
func (b *body) k(x float64) val      { return b.constant(bitsOf(x)) }
func (b *body) bits(u uint32) val    { return b.constant(uint64(u)) }
func (b *body) double(x float64) val { return b.constant(math.Float64bits(x)) }

func bitsOf(x float64) uint64 { return uint64(math.Float32bits(float32(x))) }

func (b *body) constant(u uint64) val {
	if v, ok := b.pools[u]; ok {
		return v
	}
	v := b.value(value{isConst: true, bits: u, pinned: -1})
	b.pools[u] = v
	return v
}

// emit appends an operation with a result.
func (b *body) emit(o op) val {
	o.dst = b.value(value{pinned: -1})
	b.note(o)
	return o.dst
}

// into appends an operation whose result goes to a pinned register.
func (b *body) into(dst val, o op) {
	o.dst = dst
	b.note(o)
}

// effect appends an operation without a result.
func (b *body) effect(o op) {
	o.dst = -1
	b.note(o)
}

func (b *body) note(o op) {
	for i, a := range o.args {
		b.vals[a].uses++
		if i < len(o.needReg) && o.needReg[i] {
			b.vals[a].first++
		}
	}
	b.ops = append(b.ops, o)
}

// constants lists the constants, those first that are most wanted in registers.
func (b *body) constants() []val {
	var c []val
	for v := range b.vals {
		if b.vals[v].isConst && b.vals[v].uses > 0 {
			c = append(c, val(v))
		}
	}
	sort.SliceStable(c, func(i, j int) bool {
		x, y := b.vals[c[i]], b.vals[c[j]]
		if x.first != y.first {
			return x.first > y.first
		}
		return x.uses > y.uses
	})
	return c
}

// code is a body with its registers found.
type code struct {
	*body
	hoisted map[val]int // constants that stay in registers
	reg     []int       // physical register of each result
	temps   [][]int     // physical registers of the temporaries of each operation
}

// beside is n copies of a body for neighbouring vectors, step by step in turns: a core that waits for the
// result of each step of one copy has the others' to do.
func (b *body) beside(n int) *body {
	m := &body{width: b.width, vals: append([]value(nil), b.vals...), pools: b.pools}
	own := make([]map[val]val, n)
	for c := range own {
		own[c] = map[val]val{}
		for v, x := range b.vals {
			if own[c][val(v)] = val(v); c > 0 && !x.isConst && x.pinned < 0 {
				own[c][val(v)] = m.value(x)
			}
		}
	}
	for _, o := range b.ops {
		for c, to := range own {
			m.ops = append(m.ops, o.moved(c, to))
		}
	}
	return m
}

// moved is the operation of copy number c, on the values that to names.
func (o op) moved(c int, to map[val]val) op {
	moved := o
	if o.dst >= 0 {
		moved.dst = to[o.dst]
	}
	moved.args = nil
	for _, a := range o.args {
		moved.args = append(moved.args, to[a])
	}
	moved.write = func(f *file, at place, d string, a, t []string) {
		at.copy, at.vec = c, at.vec+c
		o.write(f, at, d, a, t)
	}
	return moved
}

// mostBeside is how many copies are as many as help.
const mostBeside = 4

// besides is how many copies beside each other have enough registers.
func (b *body) besides(free []int) int {
	n := mostBeside
	for n > 1 && b.beside(n).fit(free) == nil {
		n--
	}
	return n
}

// assign finds registers among free for all results, and hoists as many constants as fit.
func (b *body) assign(free []int) *code {
	if k := b.fit(free); k != nil {
		return k
	}
	panic("a body needs too many registers")
}

// fit is assign where there are registers enough, else nil.
func (b *body) fit(free []int) *code {
	c := b.constants()
	for n := min(len(c), len(free)); n >= 0; n-- {
		if k := b.try(c[:n], free); k != nil {
			return k
		}
	}
	return nil
}

// like finds registers for b, which keeps the same constants in the same ones as k does.
func (b *body) like(k *code, free []int) *code {
	return b.try(b.constants()[:len(k.hoisted)], free)
}

func (b *body) try(hoist []val, free []int) *code {
	k := &code{body: b, hoisted: map[val]int{}, reg: make([]int, len(b.vals)), temps: make([][]int, len(b.ops))}
	for i, v := range hoist {
		k.hoisted[v] = free[i]
	}
	pool := append([]int(nil), free[len(hoist):]...)
	take := func() int {
		if len(pool) == 0 {
			return -1
		}
		r := pool[0]
		pool = pool[1:]
		return r
	}
	last := b.lastUse()
	for i, o := range b.ops {
		// The result never shares a register with an operand: it may be written early.
		for range o.temps + k.loose(o) {
			r := take()
			if r < 0 {
				return nil
			}
			k.temps[i] = append(k.temps[i], r)
		}
		if o.dst >= 0 && b.vals[o.dst].pinned < 0 {
			if k.reg[o.dst] = take(); k.reg[o.dst] < 0 {
				return nil
			}
		}
		pool = append(pool, k.temps[i]...)
		for v, at := range last {
			if at == i && b.live(v) {
				pool = append(pool, k.reg[v])
			}
		}
	}
	return k
}

// live says whether v takes a register that the body finds itself.
func (b *body) live(v int) bool { return !b.vals[v].isConst && b.vals[v].pinned < 0 }

// loose counts the operands that must be loaded into a register just for this operation.
func (k *code) loose(o op) (n int) {
	for i, a := range o.args {
		if k.mustLoad(o, i, a) {
			n++
		}
	}
	return n
}

func (k *code) mustLoad(o op, i int, a val) bool {
	_, in := k.hoisted[a]
	return k.vals[a].isConst && !in && i < len(o.needReg) && o.needReg[i]
}

// lastUse is for each value the last operation that reads it, or makes it if nobody reads it.
func (b *body) lastUse() []int {
	last := make([]int, len(b.vals))
	for i := range last {
		last[i] = -1
	}
	for i, o := range b.ops {
		if o.dst >= 0 {
			last[o.dst] = i
		}
		for _, a := range o.args {
			last[a] = i
		}
	}
	return last
}

func constName(bits uint64) string { return fmt.Sprintf("k%08x", bits) }

// spread is the instruction that puts a constant into all lanes.
func spread(bits uint64) string {
	if bits>>32 != 0 {
		return "VBROADCASTSD"
	}
	return "VBROADCASTSS"
}

// name is how an instruction writes the operand v.
func (k *code) name(v val) string {
	x := k.vals[v]
	if r, ok := k.hoisted[v]; ok {
		return reg(k.width, r)
	}
	switch {
	case x.isConst:
		return constName(x.bits) + "<>(SB)"
	case x.pinned >= 0:
		return reg(k.width, x.pinned)
	}
	return reg(k.width, k.reg[v])
}

// prologue loads the hoisted constants.
func (k *code) prologue(f *file) {
	for _, v := range k.constants() {
		if r, ok := k.hoisted[v]; ok {
			f.p("%s %s<>(SB), %s", spread(k.vals[v].bits), constName(k.vals[v].bits), reg(k.width, r))
		}
	}
}

// write emits the body once.
func (k *code) write(f *file, at place) {
	for i, o := range k.ops {
		t := k.temps[i]
		a := make([]string, len(o.args))
		for j, v := range o.args {
			a[j] = k.name(v)
			if k.mustLoad(o, j, v) {
				a[j], t = reg(k.width, t[0]), t[1:]
				f.p("%s %s, %s", spread(k.vals[v].bits), k.name(v), a[j])
			}
		}
		temps := make([]string, len(t))
		for j, r := range t {
			temps[j] = reg(k.width, r)
		}
		d := ""
		if o.dst >= 0 {
			d = k.name(o.dst)
		}
		o.write(f, at, d, a, temps)
	}
}

// declare collects the constants of bodies, to be written once per file.
type constSet map[uint64]bool

func (s constSet) add(b *body) {
	for _, v := range b.constants() {
		s[b.vals[v].bits] = true
	}
}

// write declares each constant as 32 bytes, a whole memory operand of AVX2.
func (s constSet) write(f *file) {
	keys := make([]uint64, 0, len(s))
	for u := range s {
		keys = append(keys, u)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	for _, u := range keys {
		w := u
		if u>>32 == 0 {
			w |= u << 32
		}
		f.words(constName(u), w, w, w, w)
	}
}
