package main

import "fmt"

// layouts are the offsets that the assembly believes in. Package kernel does
// not compile where its structs differ.
var layouts = []struct {
	typ    string
	fields map[string]int
}{
	{"microArgs", map[string]int{
		"a": argA, "zero": argZero, "off": argOff, "offRow": argOffRow, "offStep": argOffStep, "aStep": argAStep,
		"taps": argTaps, "kb": argKB, "b": argB, "bias": argBias, "c": argC, "ldc": argLdc, "rows": argRows,
		"mask": argMask, "add": argAdd, "ldAdd": argLdAdd, "lo": argLo, "hi": argHi, "scale": argScale,
		"shift": argShift, "kind": argKind, "z": argZ, "qlo": argQLo, "qhi": argQHi, "flip": argFlip,
		"maskV": argMaskV, "lines": argLines, "aSkip": argASkip, "cSkip": argCSkip, "addSkip": argAddSkip, "next": argNext, "nextLen": argNextLen,
		"pace": argPace, "touch": argTouch,
	}},
	{"blockArgs", map[string]int{
		"codes": blkCodes, "scale": blkScale, "zero": blkZero, "step": blkStep, "a": blkA, "lda": blkLda,
		"init": blkInit, "dst": blkDst, "blocks": blkBlocks, "units": blkUnits,
	}},
	{"decodeArgs", map[string]int{
		"codes": decCodes, "scale": decScale, "zero": decZero, "marks": decMarks, "x": decX,
		"init": decInit, "dst": decDst, "blocks": decBlocks, "units": decUnits,
	}},
	{"winogradInArgs", map[string]int{"src": wiSrc, "dst": wiDst, "step": wiStep, "len": wiLen}},
	{"winogradOutArgs", map[string]int{
		"src": woSrc, "step": woStep, "len": woLen, "bias": woBias, "dst": woDst, "add": woAdd, "lo": woLo, "hi": woHi,
	}},
	{"planesArgs", map[string]int{
		"x": plX, "off": plOff, "k": plK, "w": plW, "bias": plBias, "c": plC, "ldc": plLdc, "tiles": plTiles, "lo": plLo, "hi": plHi,
		"scale": plScale, "shift": plShift, "kind": plKind, "zero": plZero, "qlo": plQLo, "qhi": plQHi,
	}},
	{"rowsArgs", map[string]int{"x": rwX, "off": rwOff, "w": rwW, "k": rwK, "dst": rwDst, "n": rwN}},
	{"QSum", map[string]int{
		"Weights": qsWeights, "Offset": qsOffset, "Factor": qsFactor, "Round": qsRound, "Zero": qsZero, "Lo": qsLo, "Hi": qsHi,
	}},
	{"QFused", map[string]int{"X": qfX, "Y": qfY, "Offset": qfOffset, "Lo": qfLo, "Hi": qfHi}},
	{"amxArgs", map[string]int{
		"cfg": amxCfg, "a": amxA, "off": amxOff, "lda": amxLda, "taps": amxTaps, "steps": amxSteps, "b": amxB, "blocks": amxBlocks, "sums": amxSums,
		"bias": amxBias, "biasStep": amxBiasStep, "scale": amxScale, "scaleStep": amxScaleStep, "shift": amxShift, "shiftStep": amxShiftStep,
		"c": amxC, "ldc": amxLdc, "cStep": amxCStep, "rows": amxRows, "mask": amxMask, "kind": amxKind,
		"hi": amxHi, "z": amxZ, "qlo": amxQLo, "qhi": amxQHi, "flip": amxFlip, "tile": amxTile, "part": amxPart, "add": amxAdd, "ldAdd": amxLdAdd, "lo": amxLo, "all": amxAll, "wait": amxWait, "share": amxShare, "bStep": amxBStep, "groups": amxGroups, "groupA": amxGroupA, "groupC": amxGroupC, "groupAdd": amxGroupAdd,
	}},
}

func init() {
	register("gemm_layout", func(f *file) {
		f.decl.WriteString("// The constants overflow where an offset is not what the assembly uses.\nconst (\n")
		for _, l := range layouts {
			for _, name := range sorted(l.fields) {
				if l.fields[name] == 0 {
					fmt.Fprintf(&f.decl, "\t_ = -unsafe.Offsetof(%s{}.%s)\n", l.typ, name)
					continue
				}
				fmt.Fprintf(&f.decl, "\t_ = -(unsafe.Offsetof(%s{}.%s) ^ %d)\n", l.typ, name, l.fields[name])
			}
		}
		f.decl.WriteString(")\n")
	})
}
