package kernel

import "encoding/binary"

// codeColumns is how many columns of a weight are unpacked at a time.
const codeColumns = 64

// at is where the code of column n and k lies in Codes or Halves.
func (w *BlockWeight) at(n, k int) int {
	if w.Turned {
		return k*w.pitch() + n
	}
	return n*w.pitch() + k
}

func (w *BlockWeight) code(n, k int) uint8 { return w.packedCode(w.at(n, k), w.codeBits()) }

func (w *BlockWeight) half(n, k int) uint16 { return w.Halves[w.at(n, k)] }

func (w *BlockWeight) codeBits() int {
	if w.CodeBits == 0 {
		return 8
	}
	return w.CodeBits
}

// pitch is how many codes lie between the beginnings of two rows of Codes or Halves.
func (w *BlockWeight) pitch() int {
	switch {
	case w.Pitch > 0:
		return w.Pitch
	case w.Turned:
		return w.N
	}
	return w.K
}

// codes calls put with the codes of each column, one to a byte.
func (w *BlockWeight) codes(l Level, put func(n int, codes []uint8)) {
	w.codePanels(l, codeColumns, func(n int, codes []uint8) {
		for ; len(codes) > 0; n++ {
			put(n, codes[:w.K])
			codes = codes[w.K:]
		}
	})
}

// codePanels calls put with the codes of some columns after the other, K of the first of them at first, one to a byte.
func (w *BlockWeight) codePanels(l Level, columns int, put func(n int, codes []uint8)) {
	if w.K == 0 {
		return
	}
	columns = min(columns, w.N)
	turned, pitch := make([]uint8, columns*w.K), w.pitch()
	rows := turned
	if w.Turned {
		rows = make([]uint8, columns*w.K)
	}
	for n := 0; n < w.N; n += columns {
		count := min(columns, w.N-n)
		if !w.Turned {
			for i := range count {
				w.unpack(rows[i*w.K:][:w.K], (n+i)*pitch)
			}
			put(n, rows[:count*w.K])
			continue
		}
		for k := range w.K {
			w.unpack(rows[k*count:][:count], k*pitch+n)
		}
		Transpose(l, turned[:count*w.K], rows[:count*w.K], 1, w.K, count)
		put(n, turned[:count*w.K])
	}
}

// unpack reads codes of Codes, from one of them on, into a byte each.
func (w *BlockWeight) unpack(dst []uint8, from int) {
	bits := w.codeBits()
	for ; len(dst) > 0 && from*bits%8 != 0; dst, from = dst[1:], from+1 {
		dst[0] = w.packedCode(from, bits)
	}
	flip := uint64(w.Flip) * ((1<<64 - 1) / 255)
	for src := w.Codes[from*bits/8:]; len(dst) >= 8 && len(src) >= 8; src = src[bits:] {
		binary.LittleEndian.PutUint64(dst, spreadBits(binary.LittleEndian.Uint64(src), bits)^flip)
		dst, from = dst[8:], from+8
	}
	for i := range dst {
		dst[i] = w.packedCode(from+i, bits)
	}
}

// packedCode is a code of Codes.
func (w *BlockWeight) packedCode(i, bits int) uint8 {
	return w.Codes[i*bits/8]>>(i*bits%8)&uint8(1<<bits-1) ^ w.Flip
}

// spreadBits gives each of the first eight codes of x a byte.
func spreadBits(x uint64, bits int) uint64 {
	switch bits {
	case 2:
		x &= 0xffff
		x = (x | x<<24) & 0x000000ff000000ff
		x = (x | x<<12) & 0x000f000f000f000f
		x = (x | x<<6) & 0x0303030303030303
	case 4:
		x &= 0xffffffff
		x = (x | x<<16) & 0x0000ffff0000ffff
		x = (x | x<<8) & 0x00ff00ff00ff00ff
		x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	}
	return x
}

// joinBits is the inverse of spreadBits.
func joinBits(x uint64, bits int) uint64 {
	switch bits {
	case 2:
		x = (x | x>>6) & 0x000f000f000f000f
		x = (x | x>>12) & 0x000000ff000000ff
		x = (x | x>>24) & 0xffff
	case 4:
		x = (x | x>>4) & 0x00ff00ff00ff00ff
		x = (x | x>>8) & 0x0000ffff0000ffff
		x = (x | x>>16) & 0xffffffff
	}
	return x
}
