package main

func init() { register("vec_norm", emitNorm) }

func emitNorm(f *file) {
	consts := constSet{}
	f.masks()
	for _, v := range isa {
		b := newBody(v.width)
		mean, inv := b.pin(0), b.pin(1)
		x := b.mul(b.sub(b.load(f32, "SI", 0), mean), inv)
		b.store(f32, "DI", 0, b.add(b.mul(x, b.load(f32, "BX", 0)), b.load(f32, "DX", 0)))
		l := loop{name: "norm" + v.suffix, width: v.width, body: b, pinned: []int{0, 1}, unroll: 4,
			doc: "is (x−mean)·inv·gamma + beta on n elements.", bytes: 48,
			args: []arg{
				{name: "dst", typ: "*float32", off: 0, reg: "DI", size: 4},
				{name: "x", typ: "*float32", off: 8, reg: "SI", size: 4},
				{name: "gamma", typ: "*float32", off: 16, reg: "BX", size: 4},
				{name: "beta", typ: "*float32", off: 24, reg: "DX", size: 4},
				{name: "n", typ: "int", off: 32, reg: "CX"},
				{name: "mean", typ: "float32", off: 40, vec: 0},
				{name: "inv", typ: "float32", off: 44, vec: 1},
			}}
		l.emit(f, consts)
	}
	consts.write(f)
}
