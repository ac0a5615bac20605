//go:build unix

package onnx

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lowbit/internal/fault"
)

// mapFile maps size bytes of f for reading.
func mapFile(f *os.File, size int) (mapping, error) {
	if err := fault.Point(fault.StepMap); err != nil {
		return mapping{}, err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return mapping{}, os.NewSyscallError("mmap", err)
	}
	return mapping{bytes: b, mapped: true}, nil
}

// mapPart maps the bytes of f from an offset on for reading. The offset is a multiple of dataAlign.
func mapPart(f *os.File, at int64, size int) (mapping, error) {
	b, err := syscall.Mmap(int(f.Fd()), at, size, syscall.PROT_READ, syscall.MAP_SHARED)
	return mapping{bytes: b, mapped: err == nil}, err
}

func (m *mapping) unmap() error {
	if !m.mapped {
		return nil
	}
	b := m.bytes
	m.bytes, m.mapped = nil, false
	return syscall.Munmap(b)
}

// forget lets the system take back the memory of b, whole pages of it, if b is part of the mapping;
// whoever reads it again gets it from the file.
func (m *mapping) forget(b []byte) {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(unsafe.SliceData(m.bytes)))
	if size := uintptr(len(m.bytes)); !m.mapped || from > size || uintptr(len(b)) > size-from {
		return
	}
	page := uintptr(os.Getpagesize())
	first, end := (from+page-1)/page*page, (from+uintptr(len(b)))/page*page
	if first < end {
		unix.Madvise(m.bytes[first:end], unix.MADV_DONTNEED) // no more than advice
	}
}

// openFlags keep Open from waiting for the other end of a FIFO.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// links returns how many names the file has.
func links(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Nlink)
	}
	return 1
}
