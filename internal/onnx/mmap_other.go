//go:build !unix

package onnx

import "os"

// mapFile reads size bytes of f: without mmap a file is held in memory.
func mapFile(f *os.File, size int) (mapping, error) { return readFile(f, size) }

func (m *mapping) unmap() error {
	m.bytes = nil
	return nil
}

func (m *mapping) forget([]byte) {}

const openFlags = os.O_RDONLY

func links(os.FileInfo) int { return 1 }
