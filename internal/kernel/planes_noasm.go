//go:build !amd64 || purego

package kernel

func (p *PlanesF32) group() {}

func (p *PlanesF32) runFast([]float32, *OutPlanes, int, int) bool { return false }

func (p *PlanesU8S8) group() {}

func (p *PlanesU8S8) runFast([]uint8, *OutU8S8, int, int) bool { return false }
