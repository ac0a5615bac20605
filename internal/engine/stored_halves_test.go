package engine

import (
	"runtime"
	"strings"
	"testing"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// halves stores a matrix in 16-bit floats.
func (k *maker) halves(d tensor.DType, shape ...int) string {
	x := k.floats(shape...)
	t := tensor.New(d, shape...)
	encodeHalf(kernel.Generic, d, tensor.Of[uint16](t), tensor.Of[float32](x))
	return k.constant(t)
}

// TestStoredHalves multiplies by matrices of 16-bit floats and looks rows of them up, for which no copy of them is made besides the
// packed one.
func TestStoredHalves(t *testing.T) {
	const in, out, slack = 512, 772, 1 << 19
	to := func(k *maker, x string, d tensor.DType) string { return k.node("Cast", []string{x}, "to", int64(d)) }
	forms := map[string]func(k *maker, x string, d tensor.DType) string{
		"Cast": func(k *maker, x string, d tensor.DType) string {
			return k.node("MatMul", []string{x, to(k, k.halves(d, in, out), tensor.Float32)})
		},
		"Cast and Transpose": func(k *maker, x string, d tensor.DType) string {
			w := k.node("Transpose", []string{to(k, k.halves(d, out, in), tensor.Float32)}, "perm", []int64{1, 0})
			return k.node("MatMul", []string{x, w})
		},
		"Cast and Gemm": func(k *maker, x string, d tensor.DType) string {
			return k.node("Gemm", []string{x, to(k, k.halves(d, out, in), tensor.Float32), k.constant(k.floats(out))}, "transB", int64(1))
		},
		"Transpose and Gemm": func(k *maker, x string, d tensor.DType) string {
			w := k.node("Transpose", []string{to(k, k.halves(d, in, out), tensor.Float32)}, "perm", []int64{1, 0})
			return k.node("Gemm", []string{x, w}, "transB", int64(1))
		},
		"table": func(k *maker, x string, d tensor.DType) string {
			table, at := k.halves(d, out, in), k.input(tensor.Vector(3, 0, -1, 700))
			row := k.node("Gather", []string{table, at})
			return k.node("MatMul", []string{to(k, row, tensor.Float32), to(k, k.halves(d, in, out), tensor.Float32)})
		},
		"products of halves": func(k *maker, x string, d tensor.DType) string {
			return to(k, k.node("MatMul", []string{to(k, x, d), k.halves(d, in, out)}), tensor.Float32)
		},
	}
	for name, form := range forms {
		for d, each := range map[tensor.DType]int{tensor.Float16: 2, tensor.BFloat16: 4} {
			t.Run(d.String()+" "+name, func(t *testing.T) {
				k := newMaker(12)
				k.m.Opsets[0].Version = 21
				k.output(form(k, k.input(k.floats(4, in)), d))
				if strings.HasPrefix(name, "products") {
					k.evaluate(t, runs{best(), 2}, nil) // what is rounded in between is another test's
				} else {
					k.checkFloat(t)
				}
				if level := best(); d == tensor.BFloat16 && level.TilesBF16() {
					return // they read float32 so far
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				k.compile(t, Options{Threads: 1})
				runtime.ReadMemStats(&after)
				if made := after.TotalAlloc - before.TotalAlloc; made > uint64(in*out*each+slack) {
					t.Errorf("%d bytes are made for %d weights of %d each", made, in*out, each)
				}
			})
		}
	}
}

// TestStoredBnb4 does so for MatMulBnb4, with each kind of codes, odd numbers of columns and rows that begin within a byte.
func TestStoredBnb4(t *testing.T) {
	for _, kind := range []int64{0, 1} {
		for _, s := range [][3]int{{320, 260, 32}, {1024, 515, 64}, {48, 1500, 16}} {
			in, out, block := s[0], s[1], s[2]
			k := newMaker(13)
			codes := k.constant(k.codes(tensor.Uint8, 0, 255, in*out/2))
			x, scale := k.input(k.floats(3, in)), k.constant(k.positive(in*out/block))
			k.output(k.node("com.microsoft.MatMulBnb4", []string{x, codes, scale}, "K", int64(in), "N", int64(out), "block_size", int64(block), "quant_type", kind))
			wantKernels(t, k.checkFloat(t), "f32×4-bit marks gemm")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			k.compile(t, Options{Threads: 1})
			runtime.ReadMemStats(&after)
			if made := after.TotalAlloc - before.TotalAlloc; made > uint64(2*in*out+1<<18) {
				t.Errorf("%d bytes are made for %d weights of four bits", made, in*out)
			}
		}
	}
}
