//go:build amd64 && linux && !purego

package kernel

import (
	"errors"
	"syscall"
	"unsafe"
)

const (
	sysArchPrctl     = 158
	archGetXcompPerm = 0x1022
	archReqXcompPerm = 0x1023
	xfeatureTileData = 18
)

// requestAMX asks Linux for the tile registers of this process (5.16 and
// later). The grant alone proves nothing: CPUID must name AMX as well.
func requestAMX() error {
	if _, _, e := syscall.RawSyscall(sysArchPrctl, archReqXcompPerm, xfeatureTileData, 0); e != 0 {
		return e
	}
	var granted uint64
	if _, _, e := syscall.RawSyscall(sysArchPrctl, archGetXcompPerm, uintptr(unsafe.Pointer(&granted)), 0); e != 0 {
		return e
	}
	if granted>>xfeatureTileData&1 == 0 {
		return errors.New("tile registers not granted")
	}
	return nil
}
