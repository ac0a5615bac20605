package format

import "lowbit/internal/tensor"

// Int8 is the symmetric signed grid, the weight format of nearly every runtime.
var Int8 = &Format{Name: "int8", Bits: 8, Kind: Linear, Lo: -128, Hi: 127, Elem: tensor.Int8, Via: Dequantize, Opset: 10, Acts: []string{"uint8"}}

// Uint8 is the grid 0…255 with a zero point, the usual activation format.
var Uint8 = &Format{Name: "uint8", Bits: 8, Kind: Linear, Lo: 0, Hi: 255, Elem: tensor.Uint8, Via: Dequantize, Zero: true, Opset: 10, Acts: []string{"int8"}}

// Int16 is the symmetric grid of 16 bits.
var Int16 = &Format{Name: "int16", Bits: 16, Kind: Linear, Lo: -32768, Hi: 32767, Elem: tensor.Int16, Via: Dequantize, Opset: 21}

// Uint16 is the grid 0…65535 with a zero point, for activations that eight bits are too few for.
var Uint16 = &Format{Name: "uint16", Bits: 16, Kind: Linear, Lo: 0, Hi: 65535, Elem: tensor.Uint16, Via: Dequantize, Zero: true, Opset: 21}

// Int4 is the symmetric signed grid of four bits, used for weights in groups.
var Int4 = &Format{Name: "int4", Bits: 4, Kind: Linear, Lo: -8, Hi: 7, Elem: tensor.Int4, Via: Dequantize, Opset: 21, Acts: []string{"uint8"}, Search: true, Group: 32}

// Uint4 is the grid 0…15 with a zero point.
var Uint4 = &Format{Name: "uint4", Bits: 4, Kind: Linear, Lo: 0, Hi: 15, Elem: tensor.Uint4, Via: Dequantize, Zero: true, Opset: 21, Acts: []string{"uint8"}, Search: true, Group: 32}

// Int2 is the signed grid −2…1.
var Int2 = &Format{Name: "int2", Bits: 2, Kind: Linear, Lo: -2, Hi: 1, Elem: tensor.Int2, Via: Dequantize, Opset: 25, Acts: []string{"uint8"}, Search: true, Group: 32}

// Uint2 is the grid 0…3 with a zero point.
var Uint2 = &Format{Name: "uint2", Bits: 2, Kind: Linear, Lo: 0, Hi: 3, Elem: tensor.Uint2, Via: Dequantize, Zero: true, Opset: 25, Acts: []string{"uint8"}, Search: true, Group: 32}

// Int32 is the grid of quantized biases. It is no row of All: no value is quantized to it freely.
var Int32 = &Format{Name: "int32", Bits: 32, Kind: Linear, Lo: -1 << 31, Hi: 1<<31 - 1, Elem: tensor.Int32, Via: Dequantize, Opset: 10}
