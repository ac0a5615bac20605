//go:build unix

package dataset

import (
	"path/filepath"
	"syscall"
	"testing"

	"lowbit/internal/fault"
)

// TestPipe refuses a pipe, which nobody may ever write to.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	_, err := Open(path, Options{})
	refused(t, "pipe", err, fault.Invalid, "x.npz")
}
