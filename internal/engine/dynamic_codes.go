package engine

// dynamicProducts turns products of dequantized constants with what the codes of a DynamicQuantizeLinear stand for into
// products of the codes.
func dynamicProducts(g *net) {
	for _, n := range g.nodes {
		rule, ok := intRules[n.kind]
		if !ok || !n.static() || n.out[0].elems() == 0 || n.in[0].elems() == 0 {
			continue
		}
		q := dequantizedBy(n.in[0])
		if q == nil {
			continue
		}
		spec, tail, ok := rule(n, affine{scale: 1})
		if !ok || tail.bias != nil {
			continue
		}
		kind, product := spec.dynamic()
		n.become(kind, product, q.out[0], q.out[1], q.out[2])
	}
	g.sweep()
}

// dequantizedBy returns the DynamicQuantizeLinear whose codes v stands for, or nil.
func dequantizedBy(v *value) *node {
	d := v.def
	if d == nil || d.kind != "DequantizeLinear" || d.in[0].def == nil {
		return nil
	}
	q := d.in[0].def
	if q.kind != "DynamicQuantizeLinear" || d.in[0] != q.out[0] || d.in[1] != q.out[1] || d.input(2) == nil || d.in[2] != q.out[2] {
		return nil
	}
	return q
}

// dynamicTail is what a dynamic product does to its sums.
func (t *intTail) dynamicTail() dynamicScale {
	d := dynamicScale{cols: len(t.scale), wscale: make([]float32, len(t.scale)), tail: tail{bias: t.shift}}
	for j, s := range t.scale {
		d.wscale[j] = float32(s)
	}
	return d
}

func (s *intConv) dynamic() (kind string, spec dynamicProduct) {
	return "dynamic conv", &dynamicConv{convShape: s.convShape, weight: s.weight, dynamicScale: s.dynamicTail()}
}

func (s *intGemm) dynamic() (kind string, spec dynamicProduct) {
	return "dynamic gemm", &dynamicGemm{weight: s.weight, order: s.order, k: s.k, n: s.n, dynamicScale: s.dynamicTail()}
}
