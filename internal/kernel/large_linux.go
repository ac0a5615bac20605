package kernel

import (
	"syscall"
	"unsafe"
)

const (
	largePage  = 2 << 20
	largeLeast = 1 << 20 // bytes from which memory is asked for in large pages
)

// inLargePages asks for large pages around b, which is new: they are cleared and entered into page tables in a fraction of the
// time, and products of few rows, which read each weight once, miss fewer addresses.
func inLargePages(b unsafe.Pointer, size int) {
	if size < largeLeast {
		return
	}
	// Pages at the ends are shared with neighbours on the heap, which mostly are weights too.
	skip := uintptr(b) % largePage
	length := (skip + uintptr(size) + largePage - 1) / largePage * largePage
	syscall.Syscall(syscall.SYS_MADVISE, uintptr(b)-skip, length, syscall.MADV_HUGEPAGE) // no more than advice
}
