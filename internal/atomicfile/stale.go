package atomicfile

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lowbit/internal/fault"
)

// staleAge is the age from which a temporary file is taken for left behind although a process
// with its number exists: process numbers are used again.
const staleAge = 24 * time.Hour

// removeStale removes the temporary files for path whose writers are gone. What it cannot remove
// does no harm, so it has no error.
func removeStale(path string) {
	dir, name := filepath.Dir(path), filepath.Base(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), tempPrefix(name))
		if !ours || !e.Type().IsRegular() {
			continue
		}
		pid, _, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(pid)
		info, ierr := e.Info()
		if err != nil || ierr != nil {
			continue
		}
		temp := filepath.Join(dir, e.Name())
		if (!alive(n) || time.Since(info.ModTime()) > staleAge) && !locked(temp) {
			remove(temp)
		}
	}
}

func remove(path string) {
	if fault.Point(fault.StepRemove) == nil {
		os.Remove(path)
	}
}
