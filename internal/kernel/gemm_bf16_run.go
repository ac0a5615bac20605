//go:build amd64 && !purego

package kernel

import (
	"math"
	"unsafe"

	"golang.org/x/sys/cpu"
)

var tilesBF16 = cpu.X86.HasAMXBF16

func (p *PackedBF16) pack(w []uint16, o Order) { p.data = packTiles(&p.shape, w, o) }

func (p *PackedBF16) runFast(a *rows[uint16], out *OutF32, r Range) bool {
	s := scratches.Get().(*scratch)
	s.pad = grow(s.pad, p.kd*4+64)
	fill(s.pad, 0)
	t := &s.amx
	t.lo, t.hi = out.Min, out.Max
	if out.Min == out.Max {
		t.lo, t.hi = float32(math.Inf(-1)), float32(math.Inf(1))
	}
	n0 := 0
	runTiles(s, &p.shape, a, r, &amxKernelsBF16, func(p0, p1 int) {
		n0 = p.panels[p0].n0
		t.b = unsafe.Pointer(&p.data[p.panels[p0].off])
		t.bias, t.biasStep = amxFactors(out.Bias, n0, &zeros)
	}, func(m int) {
		t.c, t.ldc, t.cStep = unsafe.Pointer(&out.C[m*out.Ldc+n0]), out.Ldc*4, tileWidth*4
		if out.Add != nil {
			t.add, t.ldAdd = unsafe.Pointer(&out.Add[m*out.LdAdd+n0]), out.LdAdd*4
		}
	})
	s.microArgs = microArgs{}
	scratches.Put(s)
	return true
}
