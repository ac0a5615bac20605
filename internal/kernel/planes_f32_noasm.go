//go:build !amd64 || purego

package kernel

func (p *PlanesF32) group() {}

func (p *PlanesF32) runFast([]float32, *OutPlanes, int, int) bool { return false }
