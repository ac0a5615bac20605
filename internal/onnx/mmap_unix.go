//go:build unix

package onnx

import (
	"os"
	"syscall"

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

func (m *mapping) unmap() error {
	if !m.mapped {
		return nil
	}
	b := m.bytes
	m.bytes, m.mapped = nil, false
	return syscall.Munmap(b)
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
