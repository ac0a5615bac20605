package main

import "strconv"

func init() { register("transpose_triples", emitTriples) }

// emitTriples writes the transposes between three planes and pixels of three elements. Element j of
// vector k of the pixels has the flat number f = lanes·k + j; it is element f/3 of plane f mod 3.
func emitTriples(f *file) {
	f.tripleTables()
	f.join32()
	f.split32()
	f.join8()
	f.split8()
}

// tripleTables declares the permutations: joinK for vector K of 8 dwords, splitP for plane P, and
// for bytes a table for each vector K of 16 and plane P.
func (f *file) tripleTables() {
	for k := range 3 {
		var join, split [8]uint32
		for j := range 8 {
			join[j] = uint32((8*k + j) / 3)
			split[j] = uint32((3*j + k) % 8)
		}
		f.dwords("join"+strconv.Itoa(k), join[:])
		f.dwords("split"+strconv.Itoa(k), split[:])
	}
	for k := range 3 {
		for p := range 3 {
			var join, split [16]byte
			for j := range 16 {
				join[j], split[j] = 0x80, 0x80
				if n := 16*k + j; n%3 == p {
					join[j] = byte(n / 3)
				}
				if n := 3*j + p; n/16 == k {
					split[j] = byte(n % 16)
				}
			}
			f.octets("join"+byteTable(k, p), join[:])
			f.octets("split"+byteTable(k, p), split[:])
		}
	}
}

func byteTable(k, p int) string { return "Bytes" + strconv.Itoa(10*k+p) }

// dwords and octets declare tables of little-endian words and of bytes.
func (f *file) dwords(name string, x []uint32) {
	w := make([]uint64, len(x)/2)
	for i, v := range x {
		w[i/2] |= uint64(v) << (i % 2 * 32)
	}
	f.words(name, w...)
}

func (f *file) octets(name string, x []byte) {
	w := make([]uint64, len(x)/8)
	for i, v := range x {
		w[i/8] |= uint64(v) << (i % 8 * 8)
	}
	f.words(name, w...)
}

func (f *file) triple(name string) {
	f.text("turns n pixels of three elements around; n is a multiple of the vector.", name,
		"dst, src unsafe.Pointer, pitch, n int", 0, 32)
	f.p("MOVQ dst+0(FP), DI")
	f.p("MOVQ src+8(FP), SI")
	f.p("MOVQ pitch+16(FP), R8")
	f.p("MOVQ n+24(FP), CX")
}

// blendMask selects the lanes j of 8 where (8k+j) mod 3 is p.
func blendMask(k, p int) (m int) {
	for j := range 8 {
		if (8*k+j)%3 == p {
			m |= 1 << j
		}
	}
	return m
}

var planes = [3]string{"", "(R8*1)", "(R8*2)"}

func (f *file) join32() {
	f.triple("join3x32AVX2")
	for k := range 3 {
		f.p("VMOVDQU join%d<>(SB), Y%d", k, 13+k)
	}
	f.p("loop:")
	for p, at := range planes {
		f.p("VMOVUPS (SI)%s, Y%d", at, p)
	}
	for k := range 3 {
		for p := range 3 {
			f.p("VPERMPS Y%d, Y%d, Y%d", p, 13+k, 3+p)
		}
		f.p("VBLENDPS $%d, Y4, Y3, Y3", blendMask(k, 1))
		f.p("VBLENDPS $%d, Y5, Y3, Y3", blendMask(k, 2))
		f.p("VMOVUPS Y3, %d(DI)", k*32)
	}
	f.tripleEnd("DI", "SI", 8, 32)
}

func (f *file) split32() {
	f.triple("split3x32AVX2")
	for p := range 3 {
		f.p("VMOVDQU split%d<>(SB), Y%d", p, 13+p)
	}
	f.p("loop:")
	for k := range 3 {
		f.p("VMOVUPS %d(SI), Y%d", k*32, k)
	}
	for p, at := range planes {
		f.p("VBLENDPS $%d, Y1, Y0, Y3", blendMask(1, p))
		f.p("VBLENDPS $%d, Y2, Y3, Y3", blendMask(2, p))
		f.p("VPERMPS Y3, Y%d, Y3", 13+p)
		f.p("VMOVUPS Y3, (DI)%s", at)
	}
	f.tripleEnd("SI", "DI", 8, 32)
}

func (f *file) join8() {
	f.triple("join3x8AVX2")
	f.p("loop:")
	for p, at := range planes {
		f.p("VMOVDQU (SI)%s, X%d", at, p)
	}
	for k := range 3 {
		f.shuffle3(func(p int) string { return "join" + byteTable(k, p) })
		f.p("VMOVDQU X3, %d(DI)", k*16)
	}
	f.tripleEnd("DI", "SI", 16, 16)
}

func (f *file) split8() {
	f.triple("split3x8AVX2")
	f.p("loop:")
	for k := range 3 {
		f.p("VMOVDQU %d(SI), X%d", k*16, k)
	}
	for p, at := range planes {
		f.shuffle3(func(k int) string { return "split" + byteTable(k, p) })
		f.p("VMOVDQU X3, (DI)%s", at)
	}
	f.tripleEnd("SI", "DI", 16, 16)
}

// shuffle3 puts the bytes of X0 to X2 that a table each selects together in X3.
func (f *file) shuffle3(table func(i int) string) {
	for i := range 3 {
		f.p("VPSHUFB %s<>(SB), X%d, X%d", table(i), i, 3+i)
	}
	f.p("VPOR X4, X3, X3")
	f.p("VPOR X5, X3, X3")
}

// tripleEnd advances the pixels and the planes by n elements.
func (f *file) tripleEnd(pixels, plane string, n, bytes int) {
	f.p("ADDQ $%d, %s", 3*bytes, pixels)
	f.p("ADDQ $%d, %s", bytes, plane)
	f.p("SUBQ $%d, CX", n)
	f.p("JGT loop")
	f.ret()
}
