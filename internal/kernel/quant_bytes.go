package kernel

import "unsafe"

// asUint8 sees int8 codes as bytes.
func asUint8(s []int8) []uint8 {
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}
