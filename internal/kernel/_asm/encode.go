package main

import "fmt"

// Instructions that Go's assembler lacks, by their bytes (Intel SDM vol. 2).

// The mandatory prefixes as VEX writes them.
const (
	prefixNone = iota
	prefix66
	prefixF3
	prefixF2
)

// gpr gives the number of a general register.
var gpr = map[string]byte{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SI": 6, "DI": 7, "R8": 8, "R9": 9,
	"R10": 10, "R11": 11, "R12": 12, "R13": 13, "R14": 14, "R15": 15}

func bit(x bool) byte {
	if x {
		return 1
	}
	return 0
}

// vex is the head of a 0F38 instruction with W = 0: r, x, b are the high bits
// of the register, index and base (or second register) fields.
func vex(r, x, b bool, vvvv, l, prefix, opcode byte) []byte {
	return []byte{0xC4, (1-bit(r))<<7 | (1-bit(x))<<6 | (1-bit(b))<<5 | 2, (^vvvv&15)<<3 | l<<2 | prefix, opcode}
}

// dpbusdVEX is the AVX-VNNI form on registers of width 16 or 32 bytes:
// dst += dot4(u8 of u, s8 of s).
func (f *file) dpbusdVEX(width, s, u, dst int) { f.dotVEX("VPDPBUSD", 0x50, width, s, u, dst) }

// dpwssdVEX is VPDPWSSD (VEX.66.0F38.W0 52 /r).
func (f *file) dpwssdVEX(width, a, b, dst int) { f.dotVEX("VPDPWSSD", 0x52, width, a, b, dst) }

func (f *file) dotVEX(name string, op byte, width, a, b, dst int) {
	f.p("// %s %s, %s, %s (VEX)", name, reg(width, a), reg(width, b), reg(width, dst))
	f.raw(append(vex(dst > 7, false, a > 7, byte(b), byte(width/32), prefix66, op), 0xC0|byte(dst&7)<<3|byte(a&7))...)
}

// sib addresses disp(base)(index*1) with a 32-bit displacement.
func sib(reg byte, base, index string, disp int32) []byte {
	return []byte{0x80 | reg<<3 | 4, (gpr[index]&7)<<3 | gpr[base]&7,
		byte(disp), byte(disp >> 8), byte(disp >> 16), byte(disp >> 24)}
}

// tileLoad reads 16 rows from disp(base), stride bytes apart.
func (f *file) tileLoad(t byte, base, stride string, disp int32) {
	f.p("// TILELOADD %d(%s)(%s*1), tmm%d", disp, base, stride, t)
	f.raw(append(vex(false, gpr[stride] > 7, gpr[base] > 7, 0, 0, prefixF2, 0x4B), sib(t, base, stride, disp)...)...)
}

// tileStream is tileLoad with the hint that the rows are not soon read again.
func (f *file) tileStream(t byte, base, stride string, disp int32) {
	f.p("// TILELOADDT1 %d(%s)(%s*1), tmm%d", disp, base, stride, t)
	f.raw(append(vex(false, gpr[stride] > 7, gpr[base] > 7, 0, 0, prefix66, 0x4B), sib(t, base, stride, disp)...)...)
}

// tileStore writes 16 rows to disp(base), stride bytes apart.
func (f *file) tileStore(t byte, base, stride string, disp int32) {
	f.p("// TILESTORED tmm%d, %d(%s)(%s*1)", t, disp, base, stride)
	f.raw(append(vex(false, gpr[stride] > 7, gpr[base] > 7, 0, 0, prefixF3, 0x4B), sib(t, base, stride, disp)...)...)
}

func (f *file) tileZero(t byte) {
	f.p("// TILEZERO tmm%d", t)
	f.raw(append(vex(false, false, false, 0, 0, prefixF2, 0x49), 0xC0|t<<3)...)
}

func (f *file) tileRelease() {
	f.p("// TILERELEASE")
	f.raw(append(vex(false, false, false, 0, 0, prefixNone, 0x49), 0xC0)...)
}

func (f *file) tileConfig(addr string) {
	f.p("// LDTILECFG (%s)", addr)
	f.raw(append(vex(false, false, gpr[addr] > 7, 0, 0, prefixNone, 0x49), 0x80|gpr[addr]&7, 0, 0, 0, 0)...)
}

// tileDotU8S8 is TDPBUSD: c += u8 rows of a times s8 columns of b.
func (f *file) tileDotU8S8(c, a, b byte) {
	f.p("// TDPBUSD tmm%d, tmm%d, tmm%d", b, a, c)
	f.raw(append(vex(false, false, false, b, 0, prefix66, 0x5E), 0xC0|c<<3|a)...)
}

// tileDotBF16 is TDPBF16PS: c += bf16 rows of a times bf16 columns of b.
func (f *file) tileDotBF16(c, a, b byte) {
	f.p("// TDPBF16PS tmm%d, tmm%d, tmm%d", b, a, c)
	f.raw(append(vex(false, false, false, b, 0, prefixF3, 0x5C), 0xC0|c<<3|a)...)
}

// reg names vector register i of the width in bytes.
func reg(width, i int) string {
	return fmt.Sprintf("%c%d", map[int]byte{16: 'X', 32: 'Y', 64: 'Z'}[width], i)
}
