//go:build amd64 && !purego

package kernel

import "unsafe"

// winogradInArgs is the argument of the first transform in _asm/winograd_f32.go, which knows its layout.
type winogradInArgs struct {
	src  [16]unsafe.Pointer
	dst  unsafe.Pointer
	step int // bytes from matrix to matrix
	len  int // bytes of a pixel
}

// winogradOutArgs is the argument of the second one.
type winogradOutArgs struct {
	src    unsafe.Pointer
	step   int
	len    int // bytes of the columns
	bias   unsafe.Pointer
	dst    [4]unsafe.Pointer
	add    [4]unsafe.Pointer
	lo, hi float32
	beyond [64]float32 // takes what lies beyond the output
}

var (
	winogradIn  = both(winogradInAVX512, winogradInAVX2)
	winogradOut = both(winogradOutAVX512, winogradOutAVX2)
)

func (b *winogradBlock) transformFast(args *winogradInArgs) bool {
	fn, ok := winogradIn.pick(b.p.products.level)
	if !ok {
		return false
	}
	*args = winogradInArgs{step: b.vStep * 4, len: b.p.k * 4}
	for t := b.t0; t < b.t1; t++ {
		for q := range args.src {
			args.src[q] = unsafe.Pointer(&b.pixel(t, q/4, q%4)[0])
		}
		args.dst = unsafe.Pointer(&b.v[(t-b.t0)*b.p.k])
		fn(args)
	}
	*args = winogradInArgs{}
	return true
}

func (b *winogradBlock) gatherFast(args *winogradOutArgs, panel int) bool {
	fn, ok := winogradOut.pick(b.p.products.level)
	if !ok {
		return false
	}
	pn, o := b.p.panels[panel], b.out
	width := pn.n1 - pn.n0
	*args = winogradOutArgs{step: b.mStep * 4, len: width * 4, bias: unsafe.Pointer(&zeros)}
	args.lo, args.hi = o.bounds()
	if o.Bias != nil {
		args.bias = unsafe.Pointer(&o.Bias[pn.n0])
	}
	_, cols := b.w.TilesF32()
	for t := b.t0; t < b.t1; t++ {
		args.src = unsafe.Pointer(&b.m[(t-b.t0)*width])
		for q := range args.dst {
			oy, ox := t/cols*2+q/2, t%cols*2+q%2
			inside, i := oy < b.w.OH && ox < b.w.OW, oy*b.w.OW+ox
			args.dst[q] = unsafe.Pointer(&args.beyond)
			if inside {
				args.dst[q] = unsafe.Pointer(&o.C[i*o.Ldc+pn.n0])
			}
			if o.Add != nil {
				args.add[q] = unsafe.Pointer(&args.beyond)
				if inside {
					args.add[q] = unsafe.Pointer(&o.Add[i*o.LdAdd+pn.n0])
				}
			}
		}
		fn(args)
	}
	*args = winogradOutArgs{}
	return true
}
