package kernel

import "unsafe"

// Word is an element of which only the bytes count.
type Word interface {
	uint8 | uint16 | uint32 | uint64
}

// Repeat writes each element of src several times, one after the other, to dst.
func Repeat[T Word](l Level, dst, src []T, times int) {
	if len(src) == 0 || times <= 0 {
		return
	}
	dst = dst[:len(src)*times]
	size := int(unsafe.Sizeof(dst[0]))
	if f, unit := joinFor(l, size, times); unit > 0 && len(src) >= unit {
		whole, rest := len(src)-len(src)%unit, len(src)-unit
		f(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 0, whole) // planes that are one
		if whole < len(src) {
			f(unsafe.Pointer(&dst[times*rest]), unsafe.Pointer(&src[rest]), 0, unit)
		}
		return
	}
	to := unsafe.Pointer(&dst[0])
	switch size * times {
	case 2:
		repeatIn(unsafe.Slice((*uint16)(to), len(src)), src, times)
	case 4:
		repeatIn(unsafe.Slice((*uint32)(to), len(src)), src, times)
	case 8:
		repeatIn(unsafe.Slice((*uint64)(to), len(src)), src, times)
	case 16:
		repeatTwice(unsafe.Slice((*[2]uint64)(to), len(src)), src, times/2)
	default:
		for i, v := range src {
			same := dst[i*times:][:times]
			for k := range same {
				same[k] = v
			}
		}
	}
}

// joinFor finds the body that makes pixels of so many planes, and how many it takes at a time; 0: none.
func joinFor(l Level, size, planes int) (pixelFn, int) {
	switch planes {
	case 2:
		return joinPairsAsm[size].strip(l)
	case 3:
		return joinAsm[size].strip(l)
	}
	return nil, 0
}

// repeatIn writes each element as often as it fits into a wider one.
func repeatIn[T, W Word](dst []W, src []T, times int) {
	ones := onesIn[T, W](times)
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = W(v) * ones
	}
}

func repeatTwice[T Word](dst [][2]uint64, src []T, times int) {
	ones := onesIn[T, uint64](times)
	dst = dst[:len(src)]
	for i, v := range src {
		w := uint64(v) * ones
		dst[i] = [2]uint64{w, w}
	}
}

// onesIn is a number whose parts of the size of a T are 1.
func onesIn[T, W Word](times int) (ones W) {
	var z T
	for range times {
		ones = ones<<(8*unsafe.Sizeof(z)-1)<<1 | 1
	}
	return ones
}
