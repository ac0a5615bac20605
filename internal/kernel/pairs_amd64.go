//go:build amd64 && !purego

package kernel

// pairTable lists AVX2 bodies that take whole vectors by the numbers of types, nil where there is none.
func pairTable(u8, s8, u16, s16, u32, s32, u64, s64 pairFn) (t [numElems]variants[pairFn]) {
	for i, f := range []pairFn{u8, s8, u16, s16, u32, s32, u64, s64} {
		if f != nil {
			t[i] = variants[pairFn]{{AVX2, 32 >> (i / 2), f}}
		}
	}
	return t
}

// anySign lists bodies to which signs are nothing.
func anySign(f8, f16, f32, f64 pairFn) [numElems]variants[pairFn] {
	return pairTable(f8, f8, f16, f16, f32, f32, f64, f64)
}

// byteTable lists a body for truth values.
func byteTable(f pairFn) [numElems]variants[pairFn] {
	return pairTable(f, nil, nil, nil, nil, nil, nil, nil)
}

var wholeAsm = [numWhole][numElems]variants[pairFn]{
	WholeAdd:   anySign(add8AVX2, add16AVX2, add32AVX2, add64AVX2),
	WholeSub:   anySign(sub8AVX2, sub16AVX2, sub32AVX2, sub64AVX2),
	WholeMul:   anySign(nil, mul16AVX2, mul32AVX2, mul64AVX2),
	WholeMin:   pairTable(minU8AVX2, minS8AVX2, minU16AVX2, minS16AVX2, minU32AVX2, minS32AVX2, minU64AVX2, minS64AVX2),
	WholeMax:   pairTable(maxU8AVX2, maxS8AVX2, maxU16AVX2, maxS16AVX2, maxU32AVX2, maxS32AVX2, maxU64AVX2, maxS64AVX2),
	WholeAnd:   anySign(and8AVX2, and16AVX2, and32AVX2, and64AVX2),
	WholeOr:    anySign(or8AVX2, or16AVX2, or32AVX2, or64AVX2),
	WholeXor:   anySign(xor8AVX2, xor16AVX2, xor32AVX2, xor64AVX2),
	WholeLeft:  anySign(nil, nil, shl32AVX2, shl64AVX2),
	WholeRight: pairTable(nil, nil, nil, nil, shr32AVX2, nil, shr64AVX2, nil),
	WholeDiv:   pairTable(nil, nil, nil, nil, nil, divS32AVX2, nil, nil),
	WholeRem:   pairTable(nil, nil, nil, nil, nil, remS32AVX2, nil, nil),
	Both:       byteTable(bothAVX2),
	Either:     byteTable(eitherAVX2),
	OneOf:      byteTable(oneOfAVX2),
}

// comparisons lists bodies that take 32 pairs at a time.
func comparisons(f ...pairFn) (t [numElems]variants[pairFn]) {
	for i := range f {
		t[i] = variants[pairFn]{{AVX2, 32, f[i]}}
	}
	return t
}

var compareAsm = [numRelations][numElems]variants[pairFn]{
	Equal:   comparisons(equal8AVX2, equal8AVX2, equal16AVX2, equal16AVX2, equal32AVX2, equal32AVX2, equal64AVX2, equal64AVX2, equalF32AVX2, equalF64AVX2),
	Unequal: comparisons(unequal8AVX2, unequal8AVX2, unequal16AVX2, unequal16AVX2, unequal32AVX2, unequal32AVX2, unequal64AVX2, unequal64AVX2, unequalF32AVX2, unequalF64AVX2),
	Greater: comparisons(greaterU8AVX2, greaterS8AVX2, greaterU16AVX2, greaterS16AVX2, greaterU32AVX2, greaterS32AVX2, greaterU64AVX2, greaterS64AVX2, greaterF32AVX2, greaterF64AVX2),
	AtLeast: comparisons(atLeastU8AVX2, atLeastS8AVX2, atLeastU16AVX2, atLeastS16AVX2, atLeastU32AVX2, atLeastS32AVX2, atLeastU64AVX2, atLeastS64AVX2, atLeastF32AVX2, atLeastF64AVX2),
}

// conversions lists bodies by the numbers of types, nil where there is none.
func conversions(f ...convertFn) (t [numElems]variants[convertFn]) {
	for i := range f {
		if f[i] != nil {
			t[i] = variants[convertFn]{{AVX2, 32, f[i]}}
		}
	}
	return t
}

var (
	to8  = conversions(nil, nil, u16To8AVX2, u16To8AVX2, u32To8AVX2, u32To8AVX2, u64To8AVX2, u64To8AVX2, f32To8AVX2, f64To8AVX2)
	to16 = conversions(u8To16AVX2, s8To16AVX2, nil, nil, u32To16AVX2, u32To16AVX2, u64To16AVX2, u64To16AVX2, f32To16AVX2, f64To16AVX2)
	to32 = conversions(u8To32AVX2, s8To32AVX2, u16To32AVX2, s16To32AVX2, nil, nil, u64To32AVX2, u64To32AVX2, f32To32AVX2, f64To32AVX2)
	to64 = conversions(u8To64AVX2, s8To64AVX2, u16To64AVX2, s16To64AVX2, u32To64AVX2, s32To64AVX2, nil, nil, f32To64AVX2, f64To64AVX2)
)

// convertAsm is indexed by the numbers of the types that are written and of those that are read.
var convertAsm = [numElems][numElems]variants[convertFn]{
	atU8: to8, atS8: to8, atU16: to16, atS16: to16, atU32: to32, atS32: to32, atU64: to64, atS64: to64,
	atF32: conversions(u8ToF32AVX2, s8ToF32AVX2, u16ToF32AVX2, s16ToF32AVX2, u32ToF32AVX2, s32ToF32AVX2, nil, s64ToF32AVX2, nil, f64ToF32AVX2),
	atF64: conversions(u8ToF64AVX2, s8ToF64AVX2, u16ToF64AVX2, s16ToF64AVX2, u32ToF64AVX2, s32ToF64AVX2, nil, s64ToF64AVX2, f32ToF64AVX2),
}

// onesAsm is indexed by the numbers of the types that are written.
var onesAsm = conversions(nil, nil, boolTo16AVX2, boolTo16AVX2, boolTo32AVX2, boolTo32AVX2, boolTo64AVX2, boolTo64AVX2, boolToF32AVX2, boolToF64AVX2)
