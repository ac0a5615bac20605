package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// codeProductLimit bounds the terms of a sum of products of bytes that 32 bits hold.
const codeProductLimit = (1<<31 - 1) / (255 * 255)

// plainCodes says whether the weights of a recurrent node of codes have scales and zero points that its
// products take.
func plainCodes(n *node) bool {
	for i := 1; i <= 2; i++ {
		w, scale, zero := n.in[i], n.input(6+2*i), n.input(7+2*i)
		if scale == nil || zero == nil || w.dtype.Bits() != 8 || zero.dtype != w.dtype || !scale.is(tensor.Float32) || len(w.shape) != 3 || w.shape[1] > codeProductLimit {
			return false
		}
		dirs, rows := w.shape[0], w.shape[2]
		for _, p := range []*value{scale, zero} {
			if !sameShape(p.shape, []int{dirs}) && !sameShape(p.shape, []int{dirs, rows}) {
				return false
			}
		}
	}
	return true
}

// A codeGate is a gateProduct of int8 weights and codes found as DynamicQuantizeLinear does.
type codeGate struct {
	level  kernel.Level
	weight *kernel.PackedU8S8
	k      int
	scale  []float32 // of the weights, by column
	lift   []int32   // what the weights are higher than their int8 codes, by column; nil: nothing
	shift  []float32
	gateScratch
}

// A gateScratch is the memory of one product: the codes of x, what is added to their sums, and the scales.
type gateScratch struct{ codes, bias, scales *slot }

// codeGates packs the codes of weights (D,K,G*H).
func (lw *lowerer) codeGates(n *node, s *recurrent, st *step) {
	st.kernel = "u8s8 dynamic LSTM"
	g := s.gates * s.size
	scratch := gateScratch{
		codes: lw.scratch(tensor.Uint8, s.batch*max(s.time*s.in, s.size)),
		bias:  lw.scratch(tensor.Int32, g), scales: lw.scratch(tensor.Float32, g),
	}
	st.out = append(st.out, scratch.codes, scratch.bias, scratch.scales)
	bias, rbias := s.biases(n)
	for d := range s.reverse {
		s.w = append(s.w, lw.codeGate(n, 1, d, bias[d], scratch))
		s.r = append(s.r, lw.codeGate(n, 2, d, rbias[d], scratch))
	}
}

// codeGate returns the product by direction d of weight i.
func (lw *lowerer) codeGate(n *node, i, d int, shift []float32, scratch gateScratch) *codeGate {
	w, scale, zero := n.in[i].konst, tensor.Of[float32](n.in[6+2*i].konst), n.in[7+2*i].konst
	k, g := w.Shape[1], w.Shape[2]
	p := &codeGate{level: lw.level, k: k, shift: shift, gateScratch: scratch}
	p.weight = packed(lw.packs, packKey{n.in[i].name, n.onnx.Op + itoa(d)}, []*tensor.Tensor{w}, func() *kernel.PackedU8S8 {
		return lw.level.PackU8S8(signedCodes(w)[d*k*g:][:k*g], g, k, 1, kernel.Order{N: 1, K: g})
	})
	p.scale = spread(scale[d*len(scale)/w.Shape[0]:][:len(scale)/w.Shape[0]], g)
	p.lift = lifts(zero, d, g, w.Shape[0])
	return p
}

// signedCodes returns codes as int8: those of uint8 less 128.
func signedCodes(w *tensor.Tensor) []int8 {
	if w.DType == tensor.Int8 {
		return tensor.Of[int8](w)
	}
	codes := make([]int8, w.Len())
	for i, c := range tensor.Of[uint8](w) {
		codes[i] = int8(c ^ 0x80)
	}
	return codes
}

// lifts returns what the weights of the g columns of direction d are higher than their signed codes; nil
// where they are not.
func lifts(zero *tensor.Tensor, d, g, dirs int) []int32 {
	codes := signedCodes(zero)
	codes = codes[d*len(codes)/dirs:][:len(codes)/dirs]
	list, some := make([]int32, g), false
	for j := range list {
		list[j] = -int32(codes[j%len(codes)])
		some = some || list[j] != 0
	}
	if !some {
		return nil
	}
	return list
}

// multiply finds the codes q of x, their scale and zero point z, and adds up q·w − z·Σw; weights that are
// higher than their codes w by l add l·Σ(q−z), which is another number for each row.
func (p *codeGate) multiply(f *frame, sums, x []float32, rows int) {
	codes, bias, scales := f.u8(p.codes)[:len(x)], f.s32(p.bias), f.f32(p.scales)
	scale, z := p.level.DynamicQuantizeU8(codes, x)
	zero := int32(z)
	p.level.BinaryScalar(kernel.Mul, scales, p.scale, scale)
	out := &kernel.OutU8S8{F32: sums, Ldc: len(p.shift), Bias: bias, Scale: scales, Shift: p.shift}
	if p.lift == nil {
		for j, s := range p.weight.ColumnSums() {
			bias[j] = -zero * s
		}
		p.weight.Gemm(codes, p.k, out, kernel.Range{M1: rows, P1: p.weight.Panels()})
		return
	}
	for i := range rows {
		sum := -zero * int32(p.k)
		for _, c := range codes[i*p.k:][:p.k] {
			sum += int32(c)
		}
		for j, s := range p.weight.ColumnSums() {
			bias[j] = p.lift[j]*sum - zero*s
		}
		p.weight.Gemm(codes, p.k, out, kernel.Range{M0: i, M1: i + 1, P1: p.weight.Panels()})
	}
}
