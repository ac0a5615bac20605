package kernel

import "unsafe"

// convertFn is an assembly body for n elements, a multiple of 32. It is false where some are not what it converts; what it
// wrote is worth nothing then.
type convertFn func(dst, x unsafe.Pointer, n int) (ok bool)

// convertPart is how many elements are converted at a time where a body may refuse some of them.
const convertPart = 1024

// Convert fills dst with the numbers in x: whole ones keep their low bits, and real ones that are made whole are taken toward
// zero by whole, which gets a float64 beyond int32 and says what a 64-bit number stands for it.
func Convert[D, S Number](l Level, dst []D, x []S, whole func(float64) int64) {
	x = x[:len(dst)]
	if size := unsafe.Sizeof(*new(S)); len(x) > 0 && size == unsafe.Sizeof(*new(D)) && elem[S]() < atF32 && elem[D]() < atF32 {
		n := len(x) * int(size)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), n), unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), n))
		return
	}
	f, n := convertAsm[elem[D]()][elem[S]()].part(l, len(dst))
	for at := 0; at < n; at += convertPart {
		m := min(convertPart, n-at)
		if !f(unsafe.Pointer(&dst[at]), unsafe.Pointer(&x[at]), m) {
			convertRef(dst[at:at+m], x[at:], whole)
		}
	}
	convertRef(dst[n:], x[n:], whole)
}

func convertRef[D, S Number](dst []D, x []S, whole func(float64) int64) {
	x = x[:len(dst)]
	if elem[S]() < atF32 || elem[D]() >= atF32 {
		for i, v := range x {
			dst[i] = D(v)
		}
		return
	}
	const end = 1 << 31
	for i, v := range x {
		if d := float64(v); d > -end && d < end {
			dst[i] = D(int32(d))
		} else {
			dst[i] = D(whole(d))
		}
	}
}

// Ones fills dst with 1 where x is not 0, else with 0.
func Ones[D Number](l Level, dst []D, x []uint8) {
	x = x[:len(dst)]
	f, n := onesAsm[elem[D]()].part(l, len(dst))
	for at := 0; at < n; at += callMax {
		f(unsafe.Pointer(&dst[at]), unsafe.Pointer(&x[at]), min(callMax, n-at))
	}
	for i, v := range x[n:] {
		dst[n+i] = D(min(v, 1))
	}
}
