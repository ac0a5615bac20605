//go:build amd64 && !linux && !purego

package kernel

import "errors"

// requestAMX fails: only Linux grants tile registers to a process here.
func requestAMX() error { return errors.New("tile registers need Linux") }
