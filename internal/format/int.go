package format

import "lowbit/internal/tensor"

// Int8 is the symmetric signed grid, the weight format of nearly every runtime.
var Int8 = &Format{Name: "int8", Bits: 8, Kind: Linear, Lo: -128, Hi: 127, Elem: tensor.Int8, Opset: 10, Act: "uint8"}

// Uint8 is the grid 0…255 with a zero point, the usual activation format.
var Uint8 = &Format{Name: "uint8", Bits: 8, Kind: Linear, Lo: 0, Hi: 255, Elem: tensor.Uint8, Zero: true, Opset: 10, Act: "int8"}

// Int16 is the symmetric grid of 16 bits.
var Int16 = &Format{Name: "int16", Bits: 16, Kind: Linear, Lo: -32768, Hi: 32767, Elem: tensor.Int16, Opset: 21}

// Uint16 is the grid 0…65535 with a zero point, for activations that eight bits are too few for.
var Uint16 = &Format{Name: "uint16", Bits: 16, Kind: Linear, Lo: 0, Hi: 65535, Elem: tensor.Uint16, Zero: true, Opset: 21}

// Int4 is the symmetric signed grid of four bits, used for weights in groups.
var Int4 = &Format{Name: "int4", Bits: 4, Kind: Linear, Lo: -8, Hi: 7, Elem: tensor.Int4, Opset: 21, Act: "uint8"}

// Uint4 is the grid 0…15 with a zero point.
var Uint4 = &Format{Name: "uint4", Bits: 4, Kind: Linear, Lo: 0, Hi: 15, Elem: tensor.Uint4, Zero: true, Opset: 21, Act: "uint8"}

// Int32 is the grid of quantized biases. It is no row of All: no value is quantized to it freely.
var Int32 = &Format{Name: "int32", Bits: 32, Kind: Linear, Lo: -1 << 31, Hi: 1<<31 - 1, Elem: tensor.Int32, Opset: 10}
