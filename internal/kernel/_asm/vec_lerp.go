package main

func init() {
	register("vec_lerp", func(f *file) {
		consts := constSet{}
		f.masks()
		for _, v := range isa {
			b := newBody(v.width)
			w := b.pin(0)
			x := b.load(f32, "SI", 0)
			b.store(f32, "DI", 0, b.add(x, b.mul(b.sub(b.load(f32, "BX", 0), x), w)))
			l := loop{name: "lerp" + v.suffix, width: v.width, body: b, pinned: []int{0}, unroll: 4,
				doc: "adds to x the part w of what y is more.", bytes: 36,
				args: []arg{
					{name: "dst", typ: "*float32", off: 0, reg: "DI", size: 4},
					{name: "x", typ: "*float32", off: 8, reg: "SI", size: 4},
					{name: "y", typ: "*float32", off: 16, reg: "BX", size: 4},
					{name: "n", typ: "int", off: 24, reg: "CX"},
					{name: "w", typ: "float32", off: 32, vec: 0},
				}}
			l.emit(f, consts)
		}
		consts.write(f)
	})
}
