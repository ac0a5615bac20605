package main

import "fmt"

func init() { register("pool", emitPool) }

// pool is the inside of a window: one accumulator per vector of channels takes in the pixels of
// all taps that are not negative.
type pool struct {
	name     string
	dst, src string // Go types
	dstSize  int
	srcSize  int
	start    uint64 // bits of an accumulator at the start
	step     func(b *body, acc, x val) val
	parts    []poolPart
}

// poolPart handles blocks of channels: vecs vectors of width bytes, of elems channels each.
type poolPart struct {
	width, vecs, elems int
	load, store        elem
	tail               bool
}

// Elements of whole registers, whatever is in them.
var (
	rawBytes = elem{size: 4, load: "VMOVDQU8", store: "VMOVDQU8", direct: true}
	rawYmm   = elem{size: 4, load: "VMOVDQU", store: "VMOVDQU", direct: true}
	rawEight = elem{size: 4, load: "VMOVQ", store: "VMOVQ", direct: true}
)

func emitPool(f *file) {
	consts := constSet{}
	f.masks()
	maxBytes := func(b *body, acc, x val) val { return b.simple("VPMAXUB", true, acc, x) }
	for _, k := range []pool{
		{name: "maxPoolF32", dst: "float32", src: "float32", start: bitsOf(infinity[1]), step: func(b *body, acc, x val) val { return b.nanMax(x, acc) }, parts: lanes32(f32, f32)},
		{name: "sumPoolF32", dst: "float32", src: "float32", step: (*body).add, parts: lanes32(f32, f32)},
		{name: "sumPoolU8", dst: "int32", src: "uint8", step: (*body).addInt, parts: lanes32(u8, s32)},
		{name: "maxPoolU8", dst: "uint8", src: "uint8", step: maxBytes, parts: lanes8},
	} {
		k.dstSize, k.srcSize = goSize[k.dst], goSize[k.src]
		consts[k.start] = true
		for _, v := range isa {
			k.emit(f, k.name+v.suffix, v.width)
		}
	}
	consts.write(f)
}

var goSize = map[string]int{"uint8": 1, "int32": 4, "float32": 4}

// lanes32 are the parts of a pooling with results of 32 bits. AVX2 has a tail for float32 alone.
func lanes32(load, store elem) []poolPart {
	return []poolPart{
		{64, 4, 16, load, store, false}, {64, 1, 16, load, store, true},
		{32, 4, 8, load, store, false}, {32, 1, 8, load, store, load == f32},
	}
}

// lanes8 are the parts of a pooling with results of 8 bits.
var lanes8 = []poolPart{
	{64, 4, 64, rawBytes, rawBytes, false}, {64, 1, 64, rawBytes, rawBytes, true},
	{32, 4, 32, rawYmm, rawYmm, false}, {32, 1, 32, rawYmm, rawYmm, false}, {16, 1, 8, rawEight, rawEight, false},
}

func (k *pool) emit(f *file, name string, width int) {
	f.text("folds, for each output pixel, the pixels x[taps[j]:] of n channels each.", name,
		fmt.Sprintf("dst *%s, x *%s, taps *int32, k, n, pixels, pitch int", k.dst, k.src), 0, 56)
	f.p("MOVQ dst+0(FP), R12")
	f.p("MOVQ x+8(FP), R11")
	f.p("MOVQ taps+16(FP), BX")
	f.p("MOVQ k+24(FP), DX")
	f.p("pixel:")
	f.p("MOVQ R12, DI")
	f.p("MOVQ R11, SI")
	f.p("MOVQ n+32(FP), CX")
	for i, p := range k.parts {
		if p.width != width && (width != 32 || p.width != 16) {
			continue
		}
		k.part(f, p, i)
		if p.tail {
			k.tail(f, p, i)
		}
	}
	f.p("LEAQ (BX)(DX*4), BX")
	f.p("MOVQ pitch+48(FP), AX")
	f.p("LEAQ (R12)(AX*%d), R12", k.dstSize)
	f.p("DECQ pixels+40(FP)")
	f.p("JNE pixel")
	f.ret()
}

// part handles as many blocks as there are.
func (k *pool) part(f *file, p poolPart, i int) {
	n := p.vecs * p.elems
	f.p("SUBQ $%d, CX", n)
	f.p("JLT rest%d", i)
	f.p("block%d:", i)
	k.block(f, p, fmt.Sprint(i), place{})
	f.p("ADDQ $%d, SI", n*k.srcSize)
	f.p("ADDQ $%d, DI", n*k.dstSize)
	f.p("SUBQ $%d, CX", n)
	f.p("JGE block%d", i)
	f.p("rest%d:", i)
	f.p("ADDQ $%d, CX", n)
}

// tail handles the channels that fill no vector.
func (k *pool) tail(f *file, p poolPart, i int) {
	f.p("TESTQ CX, CX")
	f.p("JEQ done")
	if p.elems == 64 {
		f.byteMask()
	} else {
		f.tailMask(p.width, 1)
	}
	k.block(f, p, fmt.Sprintf("%dt", i), place{tail: true})
	f.p("done:")
}

// block folds one block of channels over all taps.
func (k *pool) block(f *file, p poolPart, label string, at place) {
	b := newBody(p.width)
	var free []int
	for r := p.vecs; r < 14; r++ { // 14 and 15 may hold masks
		free = append(free, r)
	}
	for v := range p.vecs {
		// Lanes beyond a tail compute something that is not stored.
		f.p("VBROADCASTSS %s<>(SB), %s", constName(k.start), reg(p.width, v))
		acc := b.pin(v)
		b.set(acc, k.step(b, acc, b.load(p.load, "R9", v)))
	}
	f.p("MOVQ BX, R8")
	f.p("MOVQ DX, R10")
	f.p("tap%s:", label)
	f.p("MOVLQSX (R8), R9")
	f.p("ADDQ $4, R8")
	f.p("TESTQ R9, R9")
	f.p("JLT skip%s", label)
	f.p("LEAQ (SI)(R9*%d), R9", k.srcSize)
	b.assign(free).write(f, at)
	f.p("skip%s:", label)
	f.p("DECQ R10")
	f.p("JNE tap%s", label)
	out := newBody(p.width)
	for v := range p.vecs {
		out.store(p.store, "DI", v, out.pin(v))
	}
	out.assign(nil).write(f, at)
}
