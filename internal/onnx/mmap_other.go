//go:build !unix

package onnx

import (
	"errors"
	"os"
)

// mapFile reads size bytes of f: without mmap a file is held in memory.
func mapFile(f *os.File, size int) (mapping, error) { return readFile(f, size) }

// mapPart fails: bytes that are read into memory again are better left there.
func mapPart(*os.File, int64, int) (mapping, error) { return mapping{}, errors.ErrUnsupported }

func (m *mapping) unmap() error {
	m.bytes = nil
	return nil
}

func (m *mapping) forget([]byte) {}

const openFlags = os.O_RDONLY

func links(os.FileInfo) int { return 1 }
