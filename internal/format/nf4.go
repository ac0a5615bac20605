package format

import "lowbit/internal/tensor"

// NF4 has sixteen marks at the quantiles of a normal distribution; the scales of its groups of 64
// are themselves written in eight bits (Dettmers et al., QLoRA, 2023, section 3 and appendix E).
var NF4 = &Format{
	Name: "nf4", Bits: 4, Kind: Quantiles, Marks: nf4Marks, Elem: tensor.Uint4, Via: Table, Opset: 21,
	Group: 64, Scale: Int8Scale,
}

// NF4Plain is NF4 with scales in float32.
var NF4Plain = &Format{
	Name: "nf4-plain", Bits: 4, Kind: Quantiles, Marks: nf4Marks, Elem: tensor.Uint4, Via: Table, Opset: 21,
	Group: 64,
}

// nf4Marks as bitsandbytes rounds them.
var nf4Marks = []float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}
