package op

import (
	"encoding/binary"
	"math/bits"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalMurmurHash3 hashes the bytes of each element (MurmurHash3_x86_32).
func evalMurmurHash3(c *Call) ([]*tensor.Tensor, error) {
	x, seed := c.In[0], uint32(c.Int("seed", 0))
	y := tensor.New(hashType(c.Node), x.Shape...)
	for i := range y.Len() {
		var b []byte
		if x.DType == tensor.String {
			b = []byte(x.Str[i])
		} else {
			size := x.DType.ByteLen(1)
			b = x.Raw[i*size:][:size]
		}
		binary.LittleEndian.PutUint32(y.Raw[4*i:], murmur3(b, seed))
	}
	return one(y, nil)
}

func hashType(n *graph.Node) tensor.DType {
	if n.Bool("positive", true) {
		return tensor.Uint32
	}
	return tensor.Int32
}

func murmur3(b []byte, seed uint32) uint32 {
	mix := func(k uint32) uint32 { return bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593 }
	h, n := seed, uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h^mix(binary.LittleEndian.Uint32(b)), 13)*5 + 0xe6546b64
	}
	var tail [4]byte
	copy(tail[:], b)
	h ^= mix(binary.LittleEndian.Uint32(tail[:])) ^ n
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

func inferMurmurHash3(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	t.DType = hashType(c.Node)
	return Typed(t), nil
}
