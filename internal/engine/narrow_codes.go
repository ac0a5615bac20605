package engine

import (
	"slices"

	"lowbit/internal/tensor"
)

// byteTypes lists the types that give codes of fewer than eight bits a byte each.
var byteTypes = map[tensor.DType]tensor.DType{tensor.Int4: tensor.Int8, tensor.Int2: tensor.Int8, tensor.Uint4: tensor.Uint8, tensor.Uint2: tensor.Uint8}

// spreadCodes lets Q and DQ of codes of fewer than eight bits that are computed work on codes of eight: "pack codes" nodes
// clamp those and lay them together, "unpack codes" nodes take them apart.
func spreadCodes(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if !n.static() || n.kind != "QuantizeLinear" && n.kind != "DequantizeLinear" {
			continue
		}
		codes := n.in[0]
		if n.kind == "QuantizeLinear" {
			codes = n.out[0]
		}
		wide, ok := byteTypes[codes.dtype]
		if !ok || codes.konst != nil || !takesScales(n) {
			continue
		}
		zero, bytes := n.input(2), g.newValue(codes, wide, codes.shape)
		if zero != nil {
			zero = g.unpacked(zero, wide, n)
		} else {
			zero = g.constant(codes.name+"·zero", tensor.New(wide, n.in[1].shape...)) // so that none takes them for narrower ones
		}
		if n.kind == "DequantizeLinear" {
			n.become(n.kind, n.spec, g.unpacked(codes, wide, n), n.in[1], zero)
			continue
		}
		g.insert(newNode(n.kind, n, n.spec, []*value{n.in[0], n.in[1], zero}, []*value{bytes}), n)
		n.become("pack codes", codes.dtype, bytes)
	}
	g.sweep()
}

// unpacked returns codes that have a byte each, computed in front of n where they must be.
func (g *net) unpacked(x *value, wide tensor.DType, n *node) *value {
	u := g.newValue(x, wide, x.shape)
	if x.konst != nil {
		u.konst = &tensor.Tensor{DType: wide, Shape: x.shape, Raw: tensor.Unpack(x.konst)}
		return u
	}
	g.insert(newNode("unpack codes", n, x.dtype, []*value{x}, []*value{u}), n)
	return u
}

// lowerUnpackCodes emits "unpack codes".
func lowerUnpackCodes(lw *lowerer, n *node) bool {
	bits, signed := n.spec.(tensor.DType).Bits(), n.out[0].dtype == tensor.Int8
	lw.elementwiseIn(rowMajor, n, "unpack codes", func(f *frame, dst, src *slot, from, to int) {
		if signed {
			unpackCodes(tensor.Of[int8](f.vals[dst.id])[from:to], f.u8(src)[from*bits/8:], bits)
		} else {
			unpackCodes(f.u8(dst)[from:to], f.u8(src)[from*bits/8:], bits)
		}
	})
	return true
}

// lowerPackCodes emits "pack codes".
func lowerPackCodes(lw *lowerer, n *node) bool {
	bits, signed := n.spec.(tensor.DType).Bits(), n.in[0].dtype == tensor.Int8
	lw.elementwiseIn(rowMajor, n, "pack codes", func(f *frame, dst, src *slot, from, to int) {
		packed := f.u8(dst)[from*bits/8 : (to*bits+7)/8]
		if signed {
			packCodes(packed, tensor.Of[int8](f.vals[src.id])[from:to], bits, -1<<(bits-1), 1<<(bits-1)-1)
		} else {
			packCodes(packed, f.u8(src)[from:to], bits, 0, 1<<bits-1)
		}
	})
	return true
}

// unpackCodes takes codes of two or four bits apart, the first in the low bits of x.
func unpackCodes[T int8 | uint8](dst []T, x []byte, bits int) {
	each, from := 8/bits, 0
	if bits == 4 {
		from = len(dst) / 2 * 2
		for i, c := range x[:from/2] {
			pair := dst[2*i:][:2]
			pair[0], pair[1] = T(c<<4)>>4, T(c)>>4
		}
	}
	for i := from; i < len(dst); i++ {
		dst[i] = T(x[i/each]<<(8-bits*(i%each+1))) >> (8 - bits)
	}
}

// packCodes lays codes together within lo and hi.
func packCodes[T int8 | uint8](dst []byte, x []T, bits int, lo, hi T) {
	each, mask, from := 8/bits, byte(1<<bits-1), 0
	if bits == 4 {
		from = len(x) / 2
		for i := range dst[:from] {
			pair := x[2*i:][:2]
			dst[i] = byte(min(max(pair[0], lo), hi))&15 | byte(min(max(pair[1], lo), hi))<<4
		}
	}
	for i := from; i < len(dst); i++ {
		var c byte
		for j, v := range x[i*each : min(len(x), (i+1)*each)] {
			c |= byte(min(max(v, lo), hi)) & mask << (bits * j)
		}
		dst[i] = c
	}
}
